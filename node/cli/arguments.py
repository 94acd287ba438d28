"""Arguments that several commands take: the same words mean the same, and a typing error in an
identifier is a usage error."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from chain.errors import InvalidMessage
from client.verifier import parse_trusted
from client.wire import from_hex
from node.config import split_address
from node.errors import OperatorError

Command = TypeVar("Command", bound=Callable[..., Any])
DURATION_S_MAX: Final = 86_400
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


class Duration(click.ParamType[float]):
    """Seconds: above 0, at most a day; not a number is none."""

    name = "seconds"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number, or a usage error."""
        try:
            seconds = float(str(value))
        except ValueError:
            seconds = 0.0
        if not 0 < seconds <= DURATION_S_MAX:
            self.fail(f"seconds above 0, at most {DURATION_S_MAX:,}, expected", param, ctx)
        return seconds


def check_address(option: str, text: str) -> None:
    """E070 unless `text` is HOST:PORT."""
    try:
        split_address(text)
    except ValueError as expected:
        raise OperatorError("E070", f"{option} {text} is refused: {expected} expected") from None


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
