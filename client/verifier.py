"""Checks receipts offline: a receipt's bytes, the consortium's genesis, and nothing else."""

from chain.errors import InvalidMessage
from chain.genesis import Genesis
from chain.receipt import RECEIPT, Verified, verify_receipt
from chain.transaction import BODY, SIGNED, Transaction
from client.errors import ClientError
from client.wire import from_hex
from ledger.actions import ACTION, Action


class NotVerified(ClientError):  # noqa: N818 - says what is the matter
    """The receipt proves nothing: `code` says which check failed, `field` where."""


def verify(raw: bytes, genesis: Genesis, trusted: tuple[int, bytes] | None = None) -> Verified:
    """What the receipt in `raw` proves; `NotVerified` where it does not.

    `trusted` is a (height, block hash) known from elsewhere. Every byte of `raw` counts: the
    encoding must be canonical, and every hash and signature in it is checked.
    """
    try:
        return verify_receipt(RECEIPT.decode(raw), genesis, trusted)
    except InvalidMessage as error:
        raise NotVerified(
            error.code,
            error.cause or "a check of the receipt failed",
            "get the receipt again, and check that the genesis file is this network's",
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
