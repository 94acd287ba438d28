"""Every key of the LevelDB databases, in one place.

Numbers are big-endian, so that keys sort as they count.
"""

from typing import Final

FORMAT: Final = b"m/format"
GENESIS: Final = b"m/genesis"
BUCKETS: Final = b"m/buckets"
BUCKET_FILE: Final = b"m/bucket-file"
"""The number of the file that holds the buckets; absent until the first one is whole."""
TIP: Final = b"m/tip"
"""Height of the tip; the last key of every batch that moves it."""

TRANSACTIONS_COUNT: Final = b"m/transactions"
"""How many transactions the chain holds up to the tip."""

HEADER: Final = b"h"
BLOCK: Final = b"b"
CERTIFICATE: Final = b"c"
RESULTS: Final = b"r"
TRANSACTION_IDS: Final = b"i"
"""By height: the ids of a block's transactions, concatenated."""
VALIDATORS: Final = b"v"
"""By height: the validators that vote from the next height on, where the block changed them."""
HEIGHT_OF_BLOCK: Final = b"n"
TRANSACTION: Final = b"t"
"""By era and id. Ids come in no order: those of an era lie together, so that what an earlier one
left is not written anew with every new one."""
STATE: Final = b"s"
JOURNAL: Final = b"j"
"""By height: pairs of the state tree that a block changed, which the file of buckets may lack."""

ATTACHMENT: Final = b"a"
"""By hash: where an attachment is, or that it was erased."""
PENDING: Final = b"u"
"""By number: a part of the log of attachments that no block names yet."""
AWAITED: Final = b"w"
"""By hash: a block names this attachment, and it is not here."""
PACK: Final = b"p"
DOOMED: Final = b"d"
"""By place: bytes that are being overwritten."""


def at_height(prefix: bytes, height: int) -> bytes:
    """The key of what `prefix` names at `height`."""
    return prefix + height.to_bytes(8, "big")


def height_in(key: bytes) -> int:
    """The height in a key that `at_height` made."""
    return int.from_bytes(key[-8:], "big")


def transaction(era: int, transaction_id: bytes) -> bytes:
    """The key of a transaction's place."""
    return TRANSACTION + era.to_bytes(4, "big") + transaction_id


def pack(number: int) -> bytes:
    """The key of what is known of a pack file."""
    return PACK + number.to_bytes(4, "big")


def after_prefix(prefix: bytes) -> bytes | None:
    """The least key above every key that starts with `prefix`; None where there is none."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None
