"""Checks receipts and state proofs offline: their bytes, the consortium's genesis, nothing else."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TypeVar

from chain.block import Header
from chain.certificate import Certificate
from chain.errors import InvalidMessage
from chain.genesis import Genesis
from chain.lineage import LineageStep, check_certified
from chain.receipt import RECEIPT, Verified, verify_receipt
from chain.state_proof import StateProof, verify_state_proof
from chain.transaction import BODY, SIGNED, Transaction
from client.errors import ClientError
from client.wire import from_hex
from ledger.actions import ACTION, Action

T = TypeVar("T")


class NotVerified(ClientError):  # noqa: N818 - says what is the matter
    """Receipt or state proof proves nothing: `code` says which check failed, `field` where."""


def verify(raw: bytes, genesis: Genesis, trusted: tuple[int, bytes] | None = None) -> Verified:
    """What the receipt in `raw` proves; `NotVerified` where it does not.

    `trusted` is a (height, block hash) known from elsewhere. Every byte of `raw` counts: the
    encoding must be canonical, and every hash and signature in it is checked.
    """
    return _judged("receipt", lambda: verify_receipt(RECEIPT.decode(raw), genesis, trusted))


def verify_state(
    *,
    key: bytes,
    value: bytes | None,
    header: Header,
    proof: StateProof,
    certificate: Certificate,
    lineage: Sequence[LineageStep],
    genesis: Genesis,
) -> None:
    """Raises `NotVerified` unless a quorum signed that `key` has `value` (None: is absent) in the
    state after the block of `header`.

    Says nothing about later blocks: how old that one is, `header.height` tells.
    """

    def check() -> None:
        check_certified(header, certificate, lineage, genesis)
        shown = verify_state_proof(proof, key, header.state_root)
        if shown != (None if value is None else sha256(value).digest()):
            raise InvalidMessage("state_proof.other_value", "value", "not the one proven")

    _judged("state proof", check)


def _judged(what: str, check: Callable[[], T]) -> T:
    try:
        return check()
    except InvalidMessage as error:
        raise NotVerified(
            error.code,
            error.cause or f"a check of the {what} failed",
            f"get the {what} again, and check that the genesis file is this network's",
            error.field,
        ) from None


def statement(verified: Verified) -> str:
    """The line that `receipt verify` prints."""
    result = "ok" if verified.result.ok else f"rejected {verified.result.code}"
    return (
        f"VALID height {verified.height}, "
        f"{verified.signatures} of {verified.validators} signatures, result {result}"
    )


def contents(raw: bytes) -> tuple[Transaction, tuple[Action, ...]]:
    """The transaction in a receipt and its actions, to show; verify first."""
    signed = SIGNED.decode(RECEIPT.decode(raw).transaction)
    transaction = BODY.decode(signed.body)
    return transaction, tuple(ACTION.decode(each) for each in transaction.actions)


def parse_trusted(text: str) -> tuple[int, bytes]:
    """`HEIGHT:HASH` as `--trusted` takes it; `InvalidMessage` for anything else."""
    height, colon, block_hash = text.partition(":")
    if not colon or not (height.isascii() and height.isdigit()) or len(height) > 18:
        raise InvalidMessage("trusted.malformed", "trusted", "HEIGHT:HASH expected")
    return int(height), from_hex(block_hash, 32, "trusted")
