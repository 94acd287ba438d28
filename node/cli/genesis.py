"""`medlock genesis create`: from member cards to the file that a network starts from."""

import time
from pathlib import Path
from typing import Any

import click
import msgspec

from chain.errors import InvalidMessage
from chain.genesis import Genesis, Parameters, check_genesis
from client.genesis_file import save_genesis
from node.cli.output import json_option, print_document
from node.directory import read_card, sentence
from node.errors import OperatorError


@click.group()
def genesis() -> None:
    """Make the file that a network starts from."""


@genesis.command()
@click.argument("cards", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option("--chain-id", default="medlock", show_default=True)
@click.option("--first-proposer", help="The primary of the first block (default: the first id).")
@click.option(
    "--parameter", "parameters", multiple=True, help="KEY=NUMBER, for what the members agreed on."
)
@click.option("--force", is_flag=True, help="Replace an existing file.")
@json_option
def create(
    *,
    cards: tuple[Path, ...],
    output: Path,
    chain_id: str,
    first_proposer: str | None,
    parameters: tuple[str, ...],
    force: bool,
) -> None:
    """Make a genesis file from the members' cards; every member puts it into its directory."""
    if output.exists() and not force:
        raise OperatorError(
            "E008", f"{output} exists", why="a network has one genesis", fix="give --force"
        )
    made = make_genesis(
        [read_card(path) for path in cards],
        chain_id,
        first_proposer,
        dict(map(_parameter, parameters)),
        time.time_ns() // 1_000_000,
    )
    save_genesis(output, made)
    document = {
        "chain_id": made.chain_id,
        "genesis_hash": made.hash.hex(),
        "members": [member.id for member in made.members],
        "validators": list(made.validators.members),
        "quorum": made.validators.quorum,
        "file": str(output),
    }
    print_document(document)


def make_genesis(
    members: list[Any],
    chain_id: str,
    first_proposer: str | None,
    parameters: dict[str, int],
    time_ms: int,
) -> Genesis:
    """The checked genesis of `members`; E013 where they cannot make one."""
    members = sorted(members, key=lambda member: member.id)
    voting = [member.id for member in members if member.node is not None]
    if not voting:
        raise OperatorError("E013", "no card names a node: nobody could vote")
    try:
        made = Genesis(
            chain_id,
            time_ms,
            msgspec.convert(
                [parameters.get(name, getattr(Parameters(), name)) for name in _NAMES], Parameters
            ),
            tuple(members),
            first_proposer or voting[0],
        )
        made = msgspec.convert(msgspec.to_builtins(made, builtin_types=(bytes,)), Genesis)
        check_genesis(made)
    except InvalidMessage as refusal:
        raise OperatorError("E013", sentence(refusal)) from None
    except msgspec.ValidationError as refusal:
        raise OperatorError("E070", f"genesis is refused: {refusal}") from None
    return made


_NAMES = Parameters.__struct_fields__


def _parameter(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    if name not in _NAMES or not (number.isascii() and number.isdigit()):
        raise OperatorError(
            "E070", f"--parameter {text} is refused", fix=f"KEY=NUMBER, KEY is of {_NAMES}"
        )
    return name, int(number)
