"""`medlock principal`: the people, devices and services of an organisation."""

import json
import sys
from pathlib import Path
from typing import Any, Final

import click

from chain.document import from_document, to_document
from chain.errors import InvalidMessage
from chain.genesis import GenesisPrincipal
from client.files import read_bounded
from node.cli.arguments import identifier
from node.cli.errand import Errand, Visit, member_command
from node.cli.output import print_document
from node.errors import OperatorError

CARD_BYTES_MAX: Final = 65_536


@click.group()
def principal() -> None:
    """Enrol the people, devices and services of an organisation."""


@principal.command()
@click.argument("card", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@member_command
def enrol(errand: Errand, card: Path) -> None:
    """Enrol whom a card describes, as an administrator of his organisation.

    CARD is a file with what `medlock wallet show --card --json` prints; - reads it from stdin.
    """
    person = read_principal(card)

    async def act(visit: Visit) -> dict[str, Any]:
        builder = visit.builder()
        builder.enrol(person)
        return await visit.enact(
            builder,
            {
                "principal": person.id.hex(),
                "kind": person.kind,
                "organization": visit.wallet.organization,
            },
        )

    made = errand.run(act)
    print_document(
        made,
        f"{made['organization']} has enrolled the {made['kind']} {made['principal']}"
        f" at height {made['height']}",
    )


@principal.command()
@click.argument("principal_id", metavar="ID")
@member_command
def show(errand: Errand, principal_id: str) -> None:
    """Who somebody is, as the chain knows it: kind, organisation, public keys."""
    wanted = identifier(principal_id, 16, "ID")

    async def act(visit: Visit) -> dict[str, Any]:
        entry = await visit.api.principal(wanted)
        return {"id": principal_id, "principal": to_document(entry)}

    print_document(errand.run(act))


def read_principal(path: Path) -> GenesisPrincipal:
    """The card in a file, alone or as `wallet new --json` prints it; E018 for anything else."""
    if str(path) == "-":
        raw = sys.stdin.buffer.read(CARD_BYTES_MAX + 1)
    else:
        raw = read_bounded(path, CARD_BYTES_MAX)
    try:
        document = json.loads(raw[:CARD_BYTES_MAX])
        if isinstance(document, dict) and "card" in document:
            document = document["card"]
        return from_document(GenesisPrincipal, document, "card")
    except InvalidMessage as refusal:
        raise OperatorError("E018", f"{refusal.field}: {refusal.cause or refusal.code}") from None
    except (ValueError, RecursionError):
        raise OperatorError("E018", "a principal's card is JSON") from None
