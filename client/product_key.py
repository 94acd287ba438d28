"""The key for a product's hidden serial numbers, sealed to who may tell its packs apart.

Its manufacturer draws it once; each organisation that it is sealed to computes the same tags from
the serial numbers on the packs that it holds (`client.epcis.facts.hidden_serial`). The chain holds
the hash of each attachment only.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from chain.codec import Codec, Record
from chain.errors import InvalidMessage
from chain.types import ChainId, PrincipalId
from client.category import RECIPIENTS_MAX, SEALS, Recipient, SealedKey, Seals, check_seals
from client.errors import NotForUs, Tampered
from client.sealing import PrivateKey, open_sealed, seal
from ledger.supply.fields import Gtin

KEY_BYTES: Final = 32


class _SealContext(Record, frozen=True):
    """HPKE's `info`: a seal opens for no other product, recipient or chain."""

    purpose: str
    chain_id: ChainId
    gtin: Gtin
    recipient: PrincipalId


_CONTEXT: Final = Codec[_SealContext](_SealContext, name="product_seal_context", bytes_max=512)


def seal_product_key(
    secret: bytes, gtin: str, chain_id: str, recipients: Sequence[Recipient]
) -> bytes:
    """The attachment that seals `secret`, the key of the product `gtin`, to `recipients`.

    Raises `InvalidMessage` for repeated recipients and unusable keys.
    """
    assert len(secret) == KEY_BYTES, "drawn by us, or opened by `open_product_key`"
    if not 1 <= len(recipients) <= RECIPIENTS_MAX:
        raise InvalidMessage("seals.count", "recipients", f"between 1 and {RECIPIENTS_MAX}")
    ordered = sorted(recipients, key=lambda each: each.id)
    sealed = tuple(
        SealedKey(each.id, each.key.suite, seal(secret, each.key, _info(chain_id, gtin, each.id)))
        for each in ordered
    )
    return SEALS.encode(check_seals(Seals(sealed)))


def open_product_key(
    attachment: bytes, gtin: str, chain_id: str, keyring: Sequence[tuple[bytes, PrivateKey]]
) -> bytes:
    """The key of the product `gtin`, by the first of `keyring` (recipient id, key) that fits.

    Raises `NotForUs` where it is sealed to others, `Tampered` where our seal does not open,
    `InvalidMessage` where it is no such attachment.
    """
    seals = check_seals(SEALS.decode(attachment)).seals
    ours = [
        (sealed, key)
        for recipient, key in keyring
        for sealed in seals
        if (sealed.recipient, sealed.suite) == (recipient, key.suite)
    ]
    if not ours:
        raise not_shared(gtin)
    for sealed, key in ours:
        try:
            secret = open_sealed(sealed.sealed, key, _info(chain_id, gtin, sealed.recipient))
        except Tampered:
            continue
        if len(secret) == KEY_BYTES:
            return secret
    raise Tampered(
        "sealing.does_not_open",
        "the sealed key was changed, moved, or sealed to a key that is no longer ours",
        "fetch it again from another node, or have the manufacturer share it again",
    )


def sealed_to(product: Mapping[str, Any], organization: str | None) -> str | None:
    """Of what a node says of a product (`ProductDocument`), the hash (hex) of the attachment with
    the key for `organization`.

    None where its serial numbers are not hidden. Raises `NotForUs` where the key is shared with
    others only.
    """
    entry = product["product"]
    if entry["seals"] is None:
        return None
    if entry["manufacturer"] == organization:
        return str(entry["seals"])
    for share in product["shares"]:
        if share["organization"] == organization:
            return str(share["sealed"])
    raise not_shared(product["id"], entry["manufacturer"])


def not_shared(gtin: str, manufacturer: str = "the manufacturer") -> NotForUs:
    """The refusal of who does not have the key of the product `gtin`."""
    return NotForUs(
        "product.key_not_shared",
        f"the serial numbers of product {gtin} are hidden, and its key is not sealed to us",
        f"ask {manufacturer} for it: medlock supply product share {gtin} MEMBER; where your"
        " organisation has it, its service's wallet opens it",
    )


def _info(chain_id: str, gtin: str, recipient: bytes) -> bytes:
    return _CONTEXT.encode(_SealContext("medlock product key", chain_id, gtin, recipient))
