"""`medlock genesis create`: from member cards to the file that a network starts from."""

import time
from pathlib import Path

import click

from client.genesis_file import save_genesis
from node.cli.output import json_option, print_document
from node.directory import read_card
from node.errors import OperatorError
from node.founding import PARAMETERS, make_genesis


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


def _parameter(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    if name not in PARAMETERS or not (number.isascii() and number.isdigit()):
        raise OperatorError(
            "E070",
            f"--parameter {text} is refused",
            fix=f"KEY=NUMBER, KEY is one of {', '.join(PARAMETERS)}",
        )
    return name, int(number)
