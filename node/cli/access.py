"""`medlock access`: asked for by organisations, decided by patients, logged, doubted, answered."""

from pathlib import Path
from typing import Any

import click

from client.api import Listed, ListedAccess
from client.builder import Provision
from ledger.consent_actions import AccessDecide, AccessDispute, AccessResolve
from ledger.consent_entries import DisputeEntry, RequestEntry
from ledger.fields import Outcome
from ledger.ids import OWNER_BYTES, TIME_BYTES, organization_owner, owner_of
from node.cli.arguments import identifier
from node.cli.category import category_word
from node.cli.consent import add_grant
from node.cli.errand import Errand, Visit, member_command
from node.cli.output import print_document, table
from node.cli.words import (
    as_purposes,
    category_option,
    category_words,
    end_ms,
    moment,
    named_categories,
    note_option,
    one_line,
    opened_note,
    outcome_option,
    patient_option,
    purpose_option,
    read_note,
    until_options,
)
from node.errors import OperatorError


@click.group()
def access() -> None:
    """Ask for access, decide, see who looked, doubt it."""


@access.command()
@click.option("--patient", required=True, help="The pseudonym that the patient has handed over.")
@purpose_option
@category_option
@until_options
@note_option
@member_command
def request(
    *,
    errand: Errand,
    patient: str,
    purposes: tuple[str, ...],
    categories: tuple[str, ...],
    until: str | None,
    days: int | None,
    note_file: Path | None,
) -> None:
    """Ask a patient for a consent, as a clinician or a service; the request is on the chain."""
    until_ms = end_ms(until, days)
    words = read_note(note_file)
    wanted = as_purposes(purposes) or ("TREAT",)

    async def act(visit: Visit) -> dict[str, Any]:
        owner = visit.patient(patient)
        named = await named_categories(visit, owner, categories)
        builder = visit.builder()
        note = await visit.note(builder, words, owner)
        asked = builder.request_access(owner, wanted, named, until_ms, note)
        return await visit.enact(
            builder,
            {
                "request": asked.hex(),
                "patient": patient,
            },
        )

    made = errand.run(act)
    print_document(
        made, f"request {made['request']}\nstands on the chain at height {made['height']}"
    )


@access.command("requests")
@patient_option
@member_command
def requests_command(errand: Errand, patient: str | None) -> None:
    """Who has asked for access, and what was answered."""

    async def act(visit: Visit) -> list[dict[str, Any]]:
        owner = visit.patient(patient)
        return [
            _request(visit, each, await opened_note(visit, owner, each.entry.note))
            async for each in visit.api.requests_of(owner)
        ]

    found = errand.run(act)
    rows = [
        (
            each["id"],
            each["organization"],
            ", ".join(each["purposes"]),
            each["about"],
            moment(each["requested_ms"]),
            each["effect"] or "not decided",
            one_line(each["note"]),
        )
        for each in found
    ]
    titles = ("request", "organisation", "purposes", "categories", "asked", "answer", "note")
    print_document({"requests": found}, table(titles, rows, none="no requests"))


@access.command()
@click.argument("request_id", metavar="REQUEST")
@click.option("--permit", "effect", flag_value="permit", help="Grant a consent, and say so.")
@click.option("--deny", "effect", flag_value="deny", help="Say no; what nothing permits is denied.")
@click.option("--to", "clinician", help="Permit this clinician of theirs only, by his id.")
@purpose_option
@category_option
@until_options
@click.option(
    "--standing", is_flag=True, help="Hand over the keys now, to read while our node is down."
)
@member_command
def decide(  # noqa: PLR0913 - one a flag, called by click
    *,
    errand: Errand,
    request_id: str,
    effect: str | None,
    clinician: str | None,
    purposes: tuple[str, ...],
    categories: tuple[str, ...],
    until: str | None,
    days: int | None,
    standing: bool,
) -> None:
    """Answer a request. To permit grants a consent in the same transaction.

    What is not said is taken from the request: purposes, categories, end.
    """
    wanted = identifier(request_id, 32, "REQUEST")
    until_ms = end_ms(until, days)
    if effect is None:
        raise OperatorError("E070", "yes or no?", fix="give --permit or --deny")

    async def act(visit: Visit) -> dict[str, Any]:
        patient = owner_of(wanted)
        asked = await _asked(visit, wanted)
        builder = visit.builder()
        granted = None
        if effect == "permit":
            grantee = organization_owner(asked.organization)
            if clinician is not None:
                grantee = identifier(clinician, 16, "--to")
            provision = Provision(
                "permit",
                as_purposes(purposes) or asked.purposes,
                await named_categories(visit, patient, categories) or asked.categories,
                valid_until_ms=until_ms or asked.valid_until_ms,
            )
            granted = await add_grant(
                visit, builder, patient, grantee, provision, standing=standing
            )
            builder.add(AccessDecide(wanted, "permit", granted))
        else:
            builder.add(AccessDecide(wanted, "deny", None))
        return await visit.enact(
            builder,
            {
                "request": request_id,
                "effect": effect,
                "organization": asked.organization,
                "consent": None if granted is None else granted.hex(),
            },
        )

    made = errand.run(act)
    says = f"{made['organization']}: {'permitted' if effect == 'permit' else 'denied'}"
    consent = f"\nconsent {made['consent']}" if made["consent"] else ""
    print_document(made, f"{says} at height {made['height']}{consent}")


@access.command()
@patient_option
@member_command
def log(errand: Errand, patient: str | None) -> None:
    """Who looked: every logged access to what is about a patient, oldest first."""

    async def act(visit: Visit) -> list[dict[str, Any]]:
        owner = visit.patient(patient)
        return [await _access(visit, each) async for each in visit.api.accesses_of(owner)]

    found = errand.run(act)
    rows = [
        (
            each["id"],
            moment(each["logged_ms"]),
            each["organization"] or "on own account",
            each["actor"],
            each["purpose"],
            each["basis"],
            each["what"],
            (each["dispute"] or {}).get("status", "-"),
        )
        for each in found
    ]
    titles = ("access", "time", "organisation", "reader", "purpose", "basis", "what", "disputed")
    print_document({"accesses": found}, table(titles, rows, none="nobody has looked"))


@access.command()
@click.argument("access_id", metavar="ACCESS")
@note_option
@member_command
def dispute(errand: Errand, access_id: str, note_file: Path | None) -> None:
    """Doubt a logged access; a privacy officer has to answer."""
    wanted = identifier(access_id, 40, "ACCESS")
    words = read_note(note_file)

    async def act(visit: Visit) -> dict[str, Any]:
        patient = owner_of(wanted)
        builder = visit.builder()
        # Only who writes something has to know for whom.
        home = () if words is None else ((await visit.api.principal(patient)).organization,)
        note = await visit.note(builder, words, patient, *home, regulators=True)
        builder.add(AccessDispute(wanted, note))
        return await visit.enact(builder, {"access": access_id})

    made = errand.run(act)
    print_document(made, f"disputed at height {made['height']}")


@access.command()
@click.argument("access_id", metavar="ACCESS")
@outcome_option
@note_option
@member_command
def resolve(errand: Errand, access_id: str, outcome: Outcome, note_file: Path | None) -> None:
    """Answer a dispute, as an auditor of the patient's hospital or of a regulator."""
    wanted = identifier(access_id, 40, "ACCESS")
    words = read_note(note_file)

    async def act(visit: Visit) -> dict[str, Any]:
        patient = owner_of(wanted)
        builder = visit.builder()
        note = await visit.note(builder, words, patient)
        builder.add(AccessResolve(wanted, outcome, note))
        return await visit.enact(
            builder,
            {
                "access": access_id,
                "outcome": outcome,
            },
        )

    made = errand.run(act)
    print_document(made, f"{outcome}, said at height {made['height']}")


async def _asked(visit: Visit, request_id: bytes) -> RequestEntry:
    async for each in visit.api.requests_of(owner_of(request_id)):
        if each.id == request_id:
            return each.entry
    raise OperatorError("E034", "no request has this id")


def _request(visit: Visit, each: Listed[RequestEntry], note: str | None) -> dict[str, Any]:
    entry = each.entry
    return {
        "id": each.id.hex(),
        "organization": entry.organization,
        "requested_by": entry.requested_by.hex(),
        "purposes": list(entry.purposes),
        "categories": [category.hex() for category in entry.categories],
        "about": category_words(entry.categories, owner_of(each.id), visit.wallet),
        "valid_until_ms": entry.valid_until_ms,
        "requested_ms": entry.requested_ms,
        "note": note,
        "effect": entry.effect,
        "consent": None if entry.consent is None else entry.consent.hex(),
        "decided_ms": entry.decided_ms,
    }


async def _access(visit: Visit, each: ListedAccess) -> dict[str, Any]:
    entry, patient = each.entry, owner_of(each.id)
    categories = [category_word(one.category, patient, visit.wallet) for one in entry.contents]
    count = len(entry.records)
    what = f"{count} record{'s' if count > 1 else ''}" if count else f"all of {categories[0]}"
    logged_ms = int.from_bytes(each.id[OWNER_BYTES : OWNER_BYTES + TIME_BYTES], "big")
    return {
        "id": each.id.hex(),
        "logged_ms": logged_ms,
        "actor": entry.actor.hex(),
        "organization": entry.organization,
        "purpose": entry.purpose,
        "basis": entry.basis,
        "cited": None if entry.cited is None else entry.cited.hex(),
        "records": [record.hex() for record in entry.records],
        "contents": [
            {"category": one.category.hex(), "author": one.author.hex()} for one in entry.contents
        ],
        "what": what,
        "deferred": entry.deferred is not None,
        "dispute": None if each.dispute is None else await _dispute(visit, patient, each.dispute),
    }


async def _dispute(visit: Visit, patient: bytes, entry: DisputeEntry) -> dict[str, Any]:
    return {
        "status": entry.outcome or "open",
        "disputed_ms": entry.disputed_ms,
        "note": await opened_note(visit, patient, entry.note),
        "resolved_ms": entry.resolved_ms,
        "resolution": await opened_note(visit, patient, entry.resolution),
    }
