"""Receipts: proof that a transaction was committed, and with which result, for anyone, offline.

A receipt starts from the consortium's genesis file and trusts nothing else: not the node that gave
it, no clock, no network (see `chain.lineage`).
"""

from typing import Annotated, Final

from msgspec import Meta

from chain.block import RESULT, Header, Result
from chain.certificate import Certificate
from chain.codec import Codec, Record
from chain.errors import InvalidMessage
from chain.genesis import Genesis
from chain.lineage import Lineage, check_certified
from chain.merkle import verify_path
from chain.transaction import SIGNED, TRANSACTION_BYTES_MAX, merkle_leaf
from chain.types import Hash, Unsigned

RECEIPT_BYTES_MAX: Final = 256 << 20

Path = Annotated[tuple[Hash, ...], Meta(max_length=32)]


class Receipt(Record, frozen=True):
    """`transaction` is the encoded `SignedTransaction`; transactions and results share their order,
    so both paths turn to the same `sides` (see `chain.merkle`)."""

    transaction: Annotated[bytes, Meta(max_length=TRANSACTION_BYTES_MAX + 128)]
    result: Result
    sides: Annotated[int, Meta(ge=0, lt=2**32)]
    transaction_path: Path
    result_path: Path
    header: Header
    certificate: Certificate
    lineage: Lineage


RECEIPT: Final = Codec[Receipt](Receipt, name="receipt", bytes_max=RECEIPT_BYTES_MAX)


class Verified(Record, frozen=True):
    """What a valid receipt proves."""

    transaction_id: Hash
    height: Unsigned
    block_hash: Hash
    timestamp_ms: Unsigned
    result: Result
    signatures: Unsigned
    validators: Unsigned


def verify_receipt(
    receipt: Receipt, genesis: Genesis, trusted: tuple[int, bytes] | None = None
) -> Verified:
    """Checks every hash and every signature of `receipt` against `genesis`.

    `trusted` is a (height, block hash) that the verifier knows from elsewhere; a receipt of another
    history is refused. Raises `InvalidMessage` (`receipt.*`, `lineage.*`, `certificate.*`) naming
    what is wrong.
    """
    signed = SIGNED.decode(receipt.transaction)
    header = receipt.header
    validators = check_certified(header, receipt.certificate, receipt.lineage, genesis)
    leaf = merkle_leaf(signed.id, signed.signature)
    sides = receipt.sides
    if len(receipt.transaction_path) != len(receipt.result_path):
        raise InvalidMessage("receipt.wrong_path", "result_path")
    if not verify_path(leaf, sides, receipt.transaction_path, header.transaction_root):
        raise InvalidMessage("receipt.wrong_path", "transaction_path")
    outcome = RESULT.encode(receipt.result)
    if not verify_path(outcome, sides, receipt.result_path, header.result_root):
        raise InvalidMessage("receipt.wrong_path", "result_path")
    _check_trusted(receipt, trusted)
    return Verified(
        signed.id,
        header.height,
        header.hash,
        header.timestamp_ms,
        receipt.result,
        len(receipt.certificate.seals),
        validators.n,
    )


def _check_trusted(receipt: Receipt, trusted: tuple[int, bytes] | None) -> None:
    if trusted is None:
        return
    shown = {step.header.height: step.header.hash for step in receipt.lineage}
    shown[receipt.header.height] = receipt.header.hash
    height, block_hash = trusted
    if height not in shown:
        raise InvalidMessage(
            "receipt.trusted_not_shown",
            "trusted",
            "the receipt shows no block of that height; give the receipt's own height",
        )
    if shown[height] != block_hash:
        raise InvalidMessage("receipt.other_history", "trusted", "another block at that height")
