"""Hidden serial numbers at a wallet: the keys that its organisation has, and what a pack is called
on the chain. The node is asked by tag; it never sees a serial number that is hidden.
"""

from chain.errors import InvalidMessage
from client.api import Api
from client.epcis.events import Event
from client.epcis.facts import hidden_name, serials_named
from client.errors import ApiError, NotForUs, Tampered
from client.product_key import open_product_key, sealed_to
from client.scanned import Scanned
from client.supply_api import SupplyApi
from client.wallet import Wallet


class ProductKeys:
    """Asks a node once for each product, and opens what is sealed to the wallet or to its
    organisation. An attachment whose hash or seal is wrong is refused (`Tampered`)."""

    def __init__(self, api: Api, wallet: Wallet, chain_id: str) -> None:
        self._api = api
        self._supply = SupplyApi(api)
        self._wallet = wallet
        self._chain_id = chain_id
        self._found: dict[str, bytes | None] = {}

    async def key(self, gtin: str) -> bytes | None:
        """The key for the serial numbers of a product; None where they are not hidden.

        Raises `NotForUs` where they are, and the key is sealed to others only.
        """
        if gtin not in self._found:
            self._found[gtin] = await self._look(gtin)
        return self._found[gtin]

    async def _look(self, gtin: str) -> bytes | None:
        try:
            product = await self._supply.product(gtin)
        except ApiError as error:
            if error.code != "product.unknown":
                raise
            return None
        digest = sealed_to(product, self._wallet.organization)
        if digest is None:
            return None
        attachment = await self._api.attachment(bytes.fromhex(digest))
        return open_product_key(attachment, gtin, self._chain_id, self._wallet.keyring())

    async def of(self, event: Event) -> dict[str, bytes]:
        """The keys without which `event` cannot be captured. Raises `NotForUs`."""
        found = {gtin: await self.key(gtin) for gtin in serials_named(event)}
        return {gtin: secret for gtin, secret in found.items() if secret is not None}

    async def readable(self, event: Event) -> dict[str, bytes | None]:
        """The products in `event` whose serial numbers are hidden: their keys, None where they are
        sealed to others or do not open."""
        found: dict[str, bytes | None] = {}
        for gtin in serials_named(event):
            try:
                secret = await self.key(gtin)
            except (NotForUs, Tampered, InvalidMessage):
                found[gtin] = None
            else:
                if secret is not None:
                    found[gtin] = secret
        return found

    async def ledger_name(self, thing: Scanned) -> str:
        """What the ledger calls what a person or a scanner names. Raises `NotForUs`."""
        if not thing.shows_serial:
            return thing.name
        secret = await self.key(thing.identifier.gtin)
        return thing.name if secret is None else hidden_name(thing.identifier, secret, "item")
