"""Arguments that are identifiers: read here, so that a typing error is a usage error."""

from chain.errors import InvalidMessage
from client.verifier import parse_trusted
from client.wire import from_hex
from node.errors import OperatorError


def identifier(text: str, size: int, name: str) -> bytes:
    """The `size` bytes that `text` spells in hex; E070 for anything else."""
    try:
        return from_hex(text, size, name)
    except InvalidMessage as refusal:
        raise OperatorError("E070", f"{name} is refused: {refusal.cause}") from None


def trusted_block(text: str | None) -> tuple[int, bytes] | None:
    """HEIGHT:HASH as `--trusted` takes it; E070 for anything else."""
    try:
        return parse_trusted(text) if text else None
    except InvalidMessage as refusal:
        raise OperatorError("E070", f"--trusted is refused: {refusal.cause}") from None
