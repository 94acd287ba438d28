"""Category keys: K(owner, category, author organisation, epoch), which wraps the keys of contents.

K is sealed to each of its readers; all these seals are one attachment, named by its hash on the
chain. Who holds K reads what this author wrote in this category and epoch, and nothing else.
"""

from collections.abc import Sequence
from typing import Annotated, Final

from msgspec import Meta

from chain.codec import Codec, Record
from chain.errors import InvalidMessage
from chain.keys import EncryptionKey
from chain.types import CategoryId, ChainId, PrincipalId, Unsigned
from client.errors import NotForUs, Tampered
from client.redacted import Redacted
from client.sealing import SEALED_BYTES_MAX, PrivateKey, Random, open_sealed, seal

KEY_BYTES: Final = 32
RECIPIENTS_MAX: Final = 1_024
SEALS_BYTES_MAX: Final = 4 << 20


class CategoryName(Record, frozen=True):
    """Which key. `owner` and `author` are a principal's id or `ledger.ids.organization_owner`."""

    owner: PrincipalId
    category: CategoryId
    author: PrincipalId
    epoch: Unsigned


class CategoryKey(Redacted, frozen=True):
    """K itself, with its name."""

    name: CategoryName
    secret: Annotated[bytes, Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]


class Recipient(Record, frozen=True):
    """To whom a key is sealed: a principal, or an organisation under its `organization_owner`."""

    id: PrincipalId
    key: EncryptionKey


class SealedKey(Record, frozen=True):
    """K for one recipient."""

    recipient: PrincipalId
    suite: Unsigned
    sealed: Annotated[bytes, Meta(min_length=1, max_length=SEALED_BYTES_MAX)]


class Seals(Record, frozen=True):
    """The attachment: one seal a recipient, in the order of their ids."""

    seals: Annotated[tuple[SealedKey, ...], Meta(min_length=1, max_length=RECIPIENTS_MAX)]


class _SealContext(Record, frozen=True):
    """HPKE's `info`: a seal is worth nothing in another place or for another recipient."""

    purpose: str
    chain_id: ChainId
    name: CategoryName
    recipient: PrincipalId


SEALS: Final = Codec[Seals](Seals, name="seals", bytes_max=SEALS_BYTES_MAX)
_CONTEXT: Final = Codec[_SealContext](_SealContext, name="seal_context", bytes_max=512)


def new_category_key(name: CategoryName, random: Random) -> CategoryKey:
    """A fresh K under `name`."""
    return CategoryKey(name, random(KEY_BYTES))


def seal_category_key(key: CategoryKey, chain_id: str, recipients: Sequence[Recipient]) -> bytes:
    """The attachment that seals `key` to `recipients`, each once.

    Raises `InvalidMessage` for repeated recipients and unusable keys.
    """
    ordered = sorted(recipients, key=lambda each: each.id)
    if not 1 <= len(ordered) <= RECIPIENTS_MAX:
        raise InvalidMessage("seals.count", "recipients", f"between 1 and {RECIPIENTS_MAX}")
    if len({each.id for each in ordered}) != len(ordered):
        raise InvalidMessage("seals.repeated_recipient", "recipients", "each once")
    return SEALS.encode(
        Seals(
            tuple(
                SealedKey(
                    each.id,
                    each.key.suite,
                    seal(key.secret, each.key, _context(chain_id, key.name, each.id)),
                )
                for each in ordered
            )
        )
    )


def open_category_key(
    seals: bytes, name: CategoryName, chain_id: str, keyring: Sequence[tuple[bytes, PrivateKey]]
) -> CategoryKey:
    """K from the attachment `seals`, by the first of `keyring` (recipient id, key) that fits.

    Raises `NotForUs` where it is sealed to others, `Tampered` where our seal does not open,
    `InvalidMessage` where it is no such attachment.
    """
    ours = _find(check_seals(SEALS.decode(seals)), keyring)
    if not ours:
        raise NotForUs(
            "key.not_sealed_to_us",
            "the category key is sealed to others",
            "ask the author organisation for access",
        )
    for sealed, key in ours:
        try:
            secret = open_sealed(sealed.sealed, key, _context(chain_id, name, sealed.recipient))
        except Tampered:
            continue
        if len(secret) == KEY_BYTES:
            return CategoryKey(name, secret)
    raise Tampered(
        "sealing.does_not_open",
        "the sealed key was changed, moved, or sealed to a key that is no longer ours",
        "fetch it again from another node",
    )


def check_seals(seals: Seals) -> Seals:
    """`seals`, or `InvalidMessage` where recipients repeat or stand out of order."""
    ids = [each.recipient for each in seals.seals]
    if ids != sorted(set(ids)):
        raise InvalidMessage("seals.order", "seals.seals", "distinct recipients, in order")
    return seals


def _find(
    seals: Seals, keyring: Sequence[tuple[bytes, PrivateKey]]
) -> list[tuple[SealedKey, PrivateKey]]:
    return [
        (sealed, key)
        for recipient, key in keyring
        for sealed in seals.seals
        if (sealed.recipient, sealed.suite) == (recipient, key.suite)
    ]


def _context(chain_id: str, name: CategoryName, recipient: bytes) -> bytes:
    return _CONTEXT.encode(_SealContext("medlock category key", chain_id, name, recipient))
