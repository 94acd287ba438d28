"""`medlock hold`: legal holds, which forbid to erase."""

from pathlib import Path
from typing import Any

import click

from client.api import Listed
from ledger.care_actions import HoldRelease
from ledger.care_entries import HoldEntry
from ledger.ids import owner_of
from node.cli.arguments import identifier
from node.cli.category import category_word
from node.cli.errand import Errand, Visit, member_command
from node.cli.output import print_document, table
from node.cli.words import (
    moment,
    named_category,
    note_option,
    one_line,
    opened_note,
    patient_option,
    read_note,
)


@click.group()
def hold() -> None:
    """Forbid to erase, for as long as the law asks."""


@hold.command()
@click.option("--patient", required=True, help="The patient's pseudonym.")
@click.option("--category", "category_name", help="Of this category only: general, or an id.")
@note_option
@member_command
def place(errand: Errand, patient: str, category_name: str | None, note_file: Path | None) -> None:
    """Forbid to erase, as an administrator or auditor of the patient's hospital or a regulator."""
    words = read_note(note_file)

    async def act(visit: Visit) -> dict[str, Any]:
        owner = visit.patient(patient)
        category = None
        if category_name is not None:
            category = await named_category(visit, owner, category_name)
        builder = visit.builder()
        note = await visit.note(builder, words, owner, regulators=True)
        placed = builder.place_hold(owner, category, note)
        return await visit.enact(
            builder,
            {
                "hold": placed.hex(),
                "patient": patient,
            },
        )

    made = errand.run(act)
    print_document(made, f"hold {made['hold']}\nin force from height {made['height']} on")


@hold.command()
@click.argument("hold_id", metavar="HOLD")
@member_command
def release(errand: Errand, hold_id: str) -> None:
    """Lift a hold, as an administrator or auditor of who placed it, or of a regulator."""
    wanted = identifier(hold_id, 32, "HOLD")
    made = errand.enact(HoldRelease(wanted), {"hold": hold_id})
    print_document(made, f"released at height {made['height']}")


@hold.command("list")
@patient_option
@member_command
def list_command(errand: Errand, patient: str | None) -> None:
    """The holds on a patient, those that were released too."""

    async def act(visit: Visit) -> list[dict[str, Any]]:
        owner = visit.patient(patient)
        return [await _document(visit, each) async for each in visit.api.holds_of(owner)]

    found = errand.run(act)
    rows = [
        (
            each["id"],
            each["organization"],
            each["what"],
            moment(each["placed_ms"]),
            moment(each["released_ms"]),
            one_line(each["note"]),
        )
        for each in found
    ]
    titles = ("hold", "organisation", "what", "placed", "released", "note")
    print_document({"holds": found}, table(titles, rows, none="no holds"))


async def _document(visit: Visit, each: Listed[HoldEntry]) -> dict[str, Any]:
    entry, patient = each.entry, owner_of(each.id)
    category = entry.category
    return {
        "id": each.id.hex(),
        "organization": entry.organization,
        "what": "all of the patient"
        if category is None
        else category_word(category, patient, visit.wallet),
        "category": None if category is None else category.hex(),
        "placed_by": entry.placed_by.hex(),
        "placed_ms": entry.placed_ms,
        "released_ms": entry.released_ms,
        "note": await opened_note(visit, patient, entry.note),
    }
