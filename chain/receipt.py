"""Receipts: proof that a transaction was committed, and with which result, for anyone, offline.

A receipt starts from the consortium's genesis file and trusts nothing else: not the node that gave
it, no clock, no network. Where validators have changed since genesis, the lineage shows each
change, signed by those who voted before it.
"""

from typing import Annotated, Final

from msgspec import Meta

from chain.block import RESULT, Header, Result
from chain.certificate import Certificate, check_certificate
from chain.codec import Codec, Record
from chain.errors import InvalidMessage
from chain.genesis import Genesis
from chain.merkle import verify_path
from chain.transaction import SIGNED, TRANSACTION_BYTES_MAX, merkle_leaf
from chain.types import Hash, Unsigned
from chain.validators import ValidatorSet

LINEAGE_MAX: Final = 10_000
RECEIPT_BYTES_MAX: Final = 256 << 20

Path = Annotated[tuple[Hash, ...], Meta(max_length=32)]


class LineageStep(Record, frozen=True):
    """A block after which other validators vote: `validators` is the encoding of the new set."""

    header: Header
    certificate: Certificate
    validators: Annotated[bytes, Meta(max_length=16_384)]


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
    lineage: Annotated[tuple[LineageStep, ...], Meta(max_length=LINEAGE_MAX)]


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
    history is refused. Raises `InvalidMessage` (`receipt.*`, `certificate.*`) naming what is wrong.
    """
    signed = SIGNED.decode(receipt.transaction)
    header = receipt.header
    validators = _validators_at(receipt, genesis)
    if header.chain_id != genesis.chain_id:
        raise InvalidMessage("receipt.other_chain", "header.chain_id")
    _check_certified(header, receipt.certificate, validators, genesis, "certificate")
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


def _validators_at(receipt: Receipt, genesis: Genesis) -> ValidatorSet:
    """Walks the lineage from the validators of genesis to those of the receipt's height."""
    validators, height = genesis.validators, 0
    for index, step in enumerate(receipt.lineage):
        field = f"lineage[{index}]"
        if not height < step.header.height < receipt.header.height:
            raise InvalidMessage("receipt.lineage_order", f"{field}.header.height")
        if step.header.chain_id != genesis.chain_id:
            raise InvalidMessage("receipt.other_chain", f"{field}.header.chain_id")
        _check_certified(step.header, step.certificate, validators, genesis, field)
        following = ValidatorSet.decode(step.validators)
        if following.hash != step.header.next_validators_hash or following == validators:
            raise InvalidMessage("receipt.lineage_validators", f"{field}.validators")
        validators, height = following, step.header.height
    return validators


def _check_certified(
    header: Header,
    certificate: Certificate,
    validators: ValidatorSet,
    genesis: Genesis,
    field: str,
) -> None:
    if (certificate.height, certificate.block_hash) != (header.height, header.hash):
        raise InvalidMessage("receipt.other_block", field, "certifies another block")
    if header.validators_hash != validators.hash:
        raise InvalidMessage("receipt.other_validators", field, "not the lineage's validators")
    check_certificate(certificate, validators, genesis.hash)


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


__all__ = ["RECEIPT", "LineageStep", "Receipt", "Verified", "verify_receipt"]
