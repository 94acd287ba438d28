"""`medlock emergency`: the glass is broken on the chain first, for a time, and reviewed."""

from pathlib import Path
from typing import Any

import click

from client.api import Listed
from ledger.care_actions import EmergencyClose, EmergencyReview
from ledger.care_entries import EmergencyEntry
from ledger.fields import Outcome
from ledger.ids import owner_of
from node.cli.arguments import identifier
from node.cli.errand import Errand, Visit, member_command
from node.cli.output import print_document, table
from node.cli.putting import ledger_ms
from node.cli.words import (
    category_option,
    moment,
    named_categories,
    note_option,
    one_line,
    opened_note,
    outcome_option,
    patient_option,
    read_note,
)
from node.errors import OperatorError


@click.group()
def emergency() -> None:
    """Break the glass, end it, review it."""


@emergency.command("open")
@click.option("--patient", required=True, help="The patient's pseudonym.")
@category_option
@note_option
@member_command
def open_command(
    errand: Errand, patient: str, categories: tuple[str, ...], note_file: Path | None
) -> None:
    """Break the glass as a clinician, for the sealed reason in --note-file (else asked for).

    Opens the emergency summary and nothing else, unless the policy allows more. The patient sees
    it, it ends by itself, and somebody else has to review it.
    """
    words = read_note(note_file, "Why is the glass broken?")
    assert words is not None, "it was asked for"

    async def act(visit: Visit) -> dict[str, Any]:
        owner = visit.patient(patient)
        named = await named_categories(visit, owner, categories)
        builder = visit.builder()
        note = builder.note(words, owner, await visit.concerned(owner, regulators=True))
        opened = builder.open_emergency(owner, note, named)
        made = await visit.enact(builder, {"emergency": opened.hex(), "patient": patient})
        entry = (await _find(visit, opened)).entry
        return {**made, "ends_ms": entry.ends_ms, "review_by_ms": entry.review_by_ms}

    made = errand.run(act)
    print_document(
        made,
        f"emergency {made['emergency']}\nopen at height {made['height']}; it ends "
        f"{moment(made['ends_ms'])} and must be reviewed by {moment(made['review_by_ms'])}",
    )


@emergency.command()
@click.argument("emergency_id", metavar="EMERGENCY")
@member_command
def close(errand: Errand, emergency_id: str) -> None:
    """End an emergency of the own organisation early, as a clinician."""
    wanted = identifier(emergency_id, 32, "EMERGENCY")
    made = errand.enact(EmergencyClose(wanted), {"emergency": emergency_id})
    print_document(made, f"closed at height {made['height']}")


@emergency.command()
@click.argument("emergency_id", metavar="EMERGENCY")
@outcome_option
@note_option
@member_command
def review(errand: Errand, emergency_id: str, outcome: Outcome, note_file: Path | None) -> None:
    """Judge an emergency that has ended, as an auditor of its organisation or of a regulator."""
    wanted = identifier(emergency_id, 32, "EMERGENCY")
    words = read_note(note_file)

    async def act(visit: Visit) -> dict[str, Any]:
        patient = owner_of(wanted)
        builder = visit.builder()
        note = await visit.note(builder, words, patient, regulators=True)
        builder.add(EmergencyReview(wanted, outcome, note))
        return await visit.enact(
            builder,
            {
                "emergency": emergency_id,
                "outcome": outcome,
            },
        )

    made = errand.run(act)
    print_document(made, f"{outcome}, said at height {made['height']}")


@emergency.command("list")
@patient_option
@member_command
def list_command(errand: Errand, patient: str | None) -> None:
    """Where the glass was broken for a patient: by whom, why, and what the review said."""

    async def act(visit: Visit) -> list[dict[str, Any]]:
        owner, at_ms = visit.patient(patient), await ledger_ms(visit.api)
        return [
            await _document(visit, each, at_ms) async for each in visit.api.emergencies_of(owner)
        ]

    found = sorted(errand.run(act), key=lambda each: int(each["opened_ms"]))
    rows = [
        (
            each["id"],
            each["organization"],
            each["opened_by"],
            moment(each["opened_ms"]),
            moment(each["ends_ms"]),
            each["status"],
            each["outcome"] or f"due {moment(each['review_by_ms'])}",
            one_line(each["reason"]),
        )
        for each in found
    ]
    titles = ("emergency", "organisation", "opened by", "opened", "ends", "status", "review", "why")
    print_document({"emergencies": found}, table(titles, rows, none="no emergencies"))


async def _find(visit: Visit, emergency_id: bytes) -> Listed[EmergencyEntry]:
    async for each in visit.api.emergencies_of(owner_of(emergency_id)):
        if each.id == emergency_id:
            return each
    raise OperatorError("E034", "no emergency has this id")


async def _document(visit: Visit, each: Listed[EmergencyEntry], at_ms: int) -> dict[str, Any]:
    entry, patient = each.entry, owner_of(each.id)
    return {
        "id": each.id.hex(),
        "organization": entry.organization,
        "opened_by": entry.opened_by.hex(),
        "opened_ms": entry.opened_ms,
        "ends_ms": entry.ends_ms,
        "review_by_ms": entry.review_by_ms,
        "categories": [category.hex() for category in entry.categories],
        "status": "open" if at_ms < entry.ends_ms else "ended",
        "reason": await opened_note(visit, patient, entry.note),
        "closed_by": None if entry.closed_by is None else entry.closed_by.hex(),
        "outcome": entry.outcome,
        "reviewed_by": None if entry.reviewed_by is None else entry.reviewed_by.hex(),
        "review": await opened_note(visit, patient, entry.review),
    }
