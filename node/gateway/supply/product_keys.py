"""The keys for hidden serial numbers that the organisation can open, by product.

Kept in memory only, and opened anew after a start. Blocks: in a thread.
"""

import logging
from collections import OrderedDict
from collections.abc import Collection
from threading import Lock
from typing import Final

from chain.errors import InvalidMessage
from client.epcis.events import Event
from client.epcis.facts import serials_named
from client.errors import NotForUs, Tampered
from client.product_key import open_product_key
from ledger.keyspace import product_key, product_share_key
from ledger.state import decoded
from ledger.supply.entries import PRODUCT, SHARE
from node.backend import Busy
from node.gateway.office import Office
from storage.errors import AttachmentDamaged, AttachmentErased, AttachmentMissing

_LOG: Final = logging.getLogger("medlock.gateway")
KEYS_MAX: Final = 65_536
"""Products whose keys are remembered: those that were used last."""


class ProductKeys:
    """One for each gateway; any number of threads."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._keyring = tuple(office.wallet.keyring())
        self._known: OrderedDict[tuple[str, bytes], bytes] = OrderedDict()
        self._lock = Lock()

    def hidden_in(self, event: Event) -> dict[str, bytes | None]:
        """The products in `event` whose serial numbers are hidden, by GTIN: their keys, None where
        they are sealed to others, or cannot be opened.

        Raises `Busy` where a sealed key is not on this node yet.
        """
        return self._hidden(serials_named(event))

    def readable(self, event: Event) -> dict[str, bytes | None]:
        """The same, for who only reads: a key that is not here yet is as good as none."""
        found: dict[str, bytes | None] = {}
        for gtin in serials_named(event):
            try:
                found |= self._hidden((gtin,))
            except Busy:
                found[gtin] = None
        return found

    def _hidden(self, gtins: Collection[str]) -> dict[str, bytes | None]:
        state = decoded(self._office.backend.store.state)
        found: dict[str, bytes | None] = {}
        for gtin in gtins:
            product = state.read(product_key(gtin), PRODUCT)
            if product is None or product.seals is None:
                continue
            digest: bytes | None = product.seals
            if product.manufacturer != self._office.member:
                share = state.read(product_share_key(gtin, self._office.owner), SHARE)
                digest = None if share is None else share.sealed
            found[gtin] = None if digest is None else self._opened(gtin, digest)
        return found

    def _opened(self, gtin: str, digest: bytes) -> bytes | None:
        with self._lock:
            secret = self._known.get((gtin, digest))
            if secret is not None:
                self._known.move_to_end((gtin, digest))
                return secret
        secret = self._open(gtin, digest)
        if secret is not None:
            with self._lock:
                self._known[gtin, digest] = secret
                if len(self._known) > KEYS_MAX:
                    self._known.popitem(last=False)
        return secret

    def _open(self, gtin: str, digest: bytes) -> bytes | None:
        try:
            attachment = self._office.backend.attachments.read(digest)
        except AttachmentMissing:
            raise Busy("product.key_missing", "a product's sealed key is on its way here") from None
        except (AttachmentErased, AttachmentDamaged):
            return None
        try:
            chain_id = self._office.network.chain_id
            return open_product_key(attachment, gtin, chain_id, self._keyring)
        except (NotForUs, Tampered, InvalidMessage) as refusal:
            _LOG.warning("the key of a product does not open: %s", refusal.code)
            return None
