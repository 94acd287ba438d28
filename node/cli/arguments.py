"""Arguments that several commands take: the same words mean the same, and a typing error in an
identifier is a usage error."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from chain.errors import InvalidMessage
from client.verifier import parse_trusted
from client.wire import from_hex
from node.errors import OperatorError

Command = TypeVar("Command", bound=Callable[..., Any])
EXISTING_FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False)


def node_directory(command: Command) -> Command:
    """`--dir` of a command that works in a node's own directory, as `path`."""
    return click.option(
        "--dir",
        "path",
        type=click.Path(path_type=Path),
        envvar="MEDLOCK_DIR",
        required=True,
        help="The node's directory.",
    )(command)


def proof_file(command: Command) -> Command:
    """FILE, `--genesis` and `--trusted` of a command that verifies without a network."""
    trusted = click.option("--trusted", help="HEIGHT:HASH of a block known from elsewhere.")
    genesis = click.option("--genesis", type=EXISTING_FILE, required=True)
    return click.argument("file", type=EXISTING_FILE)(genesis(trusted(command)))


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
