"""`medlock careplan`: proposed by a clinician, answered by the patient.

The plan is a record like any other, sealed in a category of its own. The chain names it by a keyed
reference, in another transaction than puts it, so that only its readers know which record it is.
"""

import asyncio
import json
import os
from pathlib import Path
from typing import Any, Final, cast

import click

from chain.errors import InvalidMessage
from client.api import Listed, ListedRecord
from client.builder import TransactionBuilder
from client.bundle import read_bundle
from client.content import place_of, reference_of
from client.errors import ApiError, NotForUs
from client.fhir_json import DOCUMENT_BYTES_MAX
from client.files import read_bounded
from client.reading import Reader, category_name, open_record
from client.wallet import update_wallet
from client.writing import writing_place
from ledger.care_actions import CarePlanRespond, CarePlanRevise
from ledger.care_entries import CarePlanEntry
from ledger.fields import Answer
from ledger.ids import emergency_summary, owner_of
from node.cli.arguments import EXISTING_FILE, identifier
from node.cli.errand import Errand, Visit, member_command
from node.cli.output import print_document, table
from node.cli.putting import EPOCH_CODES
from node.cli.words import (
    moment,
    named_category,
    note_option,
    one_line,
    opened_note,
    patient_option,
    read_note,
)
from node.errors import OperatorError

CANDIDATES_MAX: Final = 1_024
"""Records that are looked through for the one that a plan names."""
_ANSWERS: Final[dict[Answer, str]] = {
    "accept": "accepted",
    "decline": "declined",
    "ask": "asked about",
}
_CATEGORY = click.option(
    "--category",
    "category_name_given",
    help="Where the plan is sealed (default: a category for care plans, opened where it is new).",
)


@click.group()
def careplan() -> None:
    """Propose care, and answer."""


@careplan.command()
@click.argument("file", type=EXISTING_FILE)
@click.option("--patient", required=True, help="The patient's pseudonym.")
@_CATEGORY
@member_command
def propose(errand: Errand, file: Path, patient: str, category_name_given: str | None) -> None:
    """Seal a FHIR CarePlan as a record, and propose it to the patient, as a clinician."""
    content = read_plan(file)

    async def act(visit: Visit) -> dict[str, Any]:
        owner = visit.patient(patient)
        record, document = await _put(visit, owner, content, category_name_given)
        builder = visit.builder()
        plan = builder.propose_plan(owner, document)
        return await visit.enact(
            builder,
            {
                "plan": plan.hex(),
                "version": 1,
                "record": record.hex(),
                "patient": patient,
            },
        )

    made = errand.run(act)
    print_document(made, f"care plan {made['plan']}\nproposed at height {made['height']}")


@careplan.command()
@click.argument("plan_id", metavar="PLAN")
@click.argument("file", type=EXISTING_FILE)
@_CATEGORY
@member_command
def revise(errand: Errand, plan_id: str, file: Path, category_name_given: str | None) -> None:
    """Propose the next version of a plan; the patient's answer to the one before is past."""
    wanted = identifier(plan_id, 32, "PLAN")
    content = read_plan(file)

    async def act(visit: Visit) -> dict[str, Any]:
        current = await _find(visit, wanted)
        record, document = await _put(visit, owner_of(wanted), content, category_name_given)
        builder = visit.builder()
        builder.add(CarePlanRevise(wanted, current.entry.version + 1, document))
        return await visit.enact(
            builder,
            {
                "plan": plan_id,
                "version": current.entry.version + 1,
                "record": record.hex(),
            },
        )

    made = errand.run(act)
    print_document(made, f"version {made['version']} proposed at height {made['height']}")


@careplan.command()
@click.argument("plan_id", metavar="PLAN")
@member_command
def show(errand: Errand, plan_id: str) -> None:
    """A plan with its versions, the patient's answers, and, for who can open it, its content."""
    wanted = identifier(plan_id, 32, "PLAN")

    async def act(visit: Visit) -> dict[str, Any]:
        versions = await visit.api.care_plan_versions(wanted)
        patient = owner_of(wanted)
        record, content = await _content(visit, patient, versions[-1])
        return {
            "id": plan_id,
            "organization": versions[-1].organization,
            "version": versions[-1].version,
            "answer": versions[-1].answer,
            "versions": [
                {
                    "version": each.version,
                    "proposed_by": each.proposed_by.hex(),
                    "proposed_ms": each.proposed_ms,
                    "answer": each.answer,
                    "answered_ms": each.answered_ms,
                    "note": await opened_note(visit, patient, each.note),
                }
                for each in versions
            ],
            "goals": [
                {
                    "id": each.id.hex(),
                    "plan_version": each.entry.plan_version,
                    "reported_by": each.entry.reported_by.hex(),
                    "reported_ms": each.entry.reported_ms,
                }
                async for each in visit.api.goal_reports_of(wanted)
            ],
            "record": None if record is None else record.hex(),
            "document": None if content is None else json.loads(content),
        }

    found = errand.run(act)
    rows = [
        (
            each["version"],
            moment(each["proposed_ms"]),
            _answer(each["answer"]),
            moment(each["answered_ms"]),
            one_line(each["note"]),
        )
        for each in found["versions"]
    ]
    text = f"care plan of {found['organization']}, version {found['version']}\n"
    text += table(("version", "proposed", "answer", "answered", "note"), rows)
    shown = "sealed to others"
    if found["document"] is not None:
        shown = json.dumps(found["document"], ensure_ascii=False, indent=2)
    print_document(found, f"{text}\n{shown}")


@careplan.command()
@click.argument("plan_id", metavar="PLAN")
@click.option("--accept", "answer", flag_value="accept", help="Agree to the current version.")
@click.option("--decline", "answer", flag_value="decline", help="Say no to it.")
@click.option("--ask", "answer", flag_value="ask", help="Ask back; say what in --note-file.")
@click.option("--version", type=click.IntRange(min=1), help="The version that was read.")
@note_option
@member_command
def respond(
    *,
    errand: Errand,
    plan_id: str,
    answer: str | None,
    version: int | None,
    note_file: Path | None,
) -> None:
    """Answer a plan, as the patient or a proxy; a later answer replaces it."""
    wanted = identifier(plan_id, 32, "PLAN")
    words = read_note(note_file)
    if answer is None:
        raise OperatorError("E070", "which answer?", fix="give --accept, --decline or --ask")
    said = cast("Answer", answer)

    async def act(visit: Visit) -> dict[str, Any]:
        current = await _find(visit, wanted)
        number = version or current.entry.version
        patient = owner_of(wanted)
        builder = visit.builder()
        note = await visit.note(builder, words, patient, current.entry.organization)
        builder.add(CarePlanRespond(wanted, number, said, note))
        return await visit.enact(
            builder,
            {
                "plan": plan_id,
                "version": number,
                "answer": said,
            },
        )

    made = errand.run(act)
    print_document(made, f"version {made['version']} {_ANSWERS[said]} at height {made['height']}")


@careplan.command("list")
@patient_option
@member_command
def list_command(errand: Errand, patient: str | None) -> None:
    """The care plans of a patient, with his answers."""

    async def act(visit: Visit) -> list[Listed[CarePlanEntry]]:
        owner = visit.patient(patient)
        return [each async for each in visit.api.care_plans_of(owner)]

    found = errand.run(act)
    document = {
        "plans": [
            {
                "id": each.id.hex(),
                "organization": each.entry.organization,
                "version": each.entry.version,
                "proposed_by": each.entry.proposed_by.hex(),
                "proposed_ms": each.entry.proposed_ms,
                "answer": each.entry.answer,
                "answered_ms": each.entry.answered_ms,
            }
            for each in found
        ]
    }
    rows = [
        (
            each.id.hex(),
            each.entry.organization,
            each.entry.version,
            moment(each.entry.proposed_ms),
            _answer(each.entry.answer),
        )
        for each in found
    ]
    titles = ("plan", "organisation", "version", "proposed", "answer")
    print_document(document, table(titles, rows, none="no care plans"))


def read_plan(file: Path) -> bytes:
    """The canonical bytes of the one CarePlan in a file."""
    resources = read_bundle(read_bounded(file, DOCUMENT_BYTES_MAX)).resources
    if len(resources) != 1 or resources[0].type != "CarePlan":
        raise InvalidMessage("careplan.no_plan", "resourceType", "one CarePlan resource expected")
    return resources[0].content


async def _put(
    visit: Visit, patient: bytes, content: bytes, category: str | None
) -> tuple[bytes, bytes]:
    """Commits the record, and has the wallet keep its key; its id and its reference."""
    chosen = _kept_category(visit, patient)
    if category is not None:
        chosen = await named_category(visit, patient, category)
    try:
        return await _put_in(visit, patient, content, chosen)
    except OperatorError as error:
        # The author's node opens an epoch after a revocation, too: it was quicker.
        if EPOCH_CODES not in error.cause:
            raise
        return await _put_in(visit, patient, content, chosen)


async def _put_in(
    visit: Visit, patient: bytes, content: bytes, category: bytes | None
) -> tuple[bytes, bytes]:
    held, reader = visit.reach.held, visit.reader()
    place = await writing_place(visit.api, reader, patient, category)
    builder: TransactionBuilder = visit.builder()
    key = place.key_in(builder)
    record = builder.put(content, key)
    await visit.commit(builder)
    path = held.path
    assert path is not None, "it was opened from a file"
    await asyncio.to_thread(
        update_wallet, path, held.passphrase, os.urandom, lambda kept: kept.with_category_key(key)
    )
    return record, builder.reference(record)


def _kept_category(visit: Visit, patient: bytes) -> bytes | None:
    """The category in which this clinician has written about the patient before."""
    summary = emergency_summary(patient)
    return next(
        (
            key.name.category
            for key in visit.wallet.category_keys
            if (key.name.owner, key.name.author) == (patient, visit.wallet.author)
            and key.name.category != summary
        ),
        None,
    )


async def _content(
    visit: Visit, patient: bytes, plan: CarePlanEntry
) -> tuple[bytes, bytes] | tuple[None, None]:
    """The record that the plan names, and its content, where this wallet opens it."""
    found = [
        each
        async for each in visit.api.records_of(patient)
        if each.entry.organization == plan.organization
        and each.entry.content is not None
        and each.entry.timestamp_ms <= plan.proposed_ms
    ]
    found.sort(key=lambda each: each.entry.timestamp_ms, reverse=True)
    reader = visit.reader()
    for each in found[:CANDIDATES_MAX]:
        content = await _opened_if(visit, reader, each, plan.document)
        if content is not None:
            return each.id, content
    return None, None


async def _opened_if(
    visit: Visit, reader: Reader, listed: ListedRecord, reference: bytes
) -> bytes | None:
    """The content of `listed` where `reference` names it."""
    content = listed.entry.content
    assert content is not None, "the caller has checked"
    chain_id = visit.network.chain_id
    try:
        key = await reader.category_key(category_name(listed.id, listed.entry, content))
        attachment = await visit.api.attachment(content.ciphertext)
    except NotForUs:
        return None
    except ApiError as error:
        if error.status in {404, 410}:
            return None
        raise
    place = place_of(key, chain_id, listed.id, listed.entry.version)
    if reference_of(attachment, place, key) != reference:
        return None
    return open_record(attachment, listed.id, listed.entry, key, chain_id).content


async def _find(visit: Visit, plan_id: bytes) -> Listed[CarePlanEntry]:
    async for each in visit.api.care_plans_of(owner_of(plan_id)):
        if each.id == plan_id:
            return each
    raise OperatorError("E034", "no care plan has this id")


def _answer(answer: Answer | None) -> str:
    return "not answered" if answer is None else _ANSWERS[answer]
