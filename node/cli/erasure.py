"""`medlock erasure`: asked for by the patient, granted by a steward, attested by every member."""

from typing import Any, Final

import click

from client.api import ListedErasure
from ledger.care_actions import ErasureApprove
from ledger.ids import owner_of
from node.cli.arguments import identifier
from node.cli.category import category_word
from node.cli.errand import Errand, Visit, member_command
from node.cli.output import print_document, table
from node.cli.words import moment, named_category, patient_option
from node.errors import OperatorError

UNFINISHED: Final = ("examining", "burying")
"""An approval takes an erasure a bounded step further; these need another."""


@click.group()
def erasure() -> None:
    """Have records deleted everywhere, and see who has attested it."""


@erasure.command()
@patient_option
@click.option("--record", "record_id", help="This record only.")
@click.option("--category", "category_name", help="This category only: general, or an id.")
@member_command
def request(
    errand: Errand, patient: str | None, record_id: str | None, category_name: str | None
) -> None:
    """Ask to erase one record, one category, or, with neither, all that is about the patient."""
    record = None if record_id is None else identifier(record_id, 32, "--record")
    if record is not None and category_name is not None:
        raise OperatorError("E070", "--record and --category exclude each other")

    async def act(visit: Visit) -> dict[str, Any]:
        owner = visit.patient(patient)
        category = None
        if category_name is not None:
            category = await named_category(visit, owner, category_name)
        builder = visit.builder()
        asked = builder.request_erasure(owner, category, record)
        return await visit.enact(
            builder,
            {
                "erasure": asked.hex(),
                "patient": owner.hex(),
            },
        )

    made = errand.run(act)
    print_document(made, f"erasure {made['erasure']}\nasked for at height {made['height']}")


@erasure.command()
@click.argument("erasure_id", metavar="ERASURE")
@member_command
def approve(errand: Errand, erasure_id: str) -> None:
    """Grant an erasure, as an administrator or auditor of the patient's hospital or a regulator.

    Goes on, step by step, until everything is buried. The members then delete, and attest it.
    """
    wanted = identifier(erasure_id, 32, "ERASURE")

    async def act(visit: Visit) -> dict[str, Any]:
        steps = 0
        while True:
            builder = visit.builder()
            builder.add(ErasureApprove(wanted))
            made = await visit.enact(builder, {})
            steps += 1
            found = await _find(visit, wanted)
            if found.entry.status not in UNFINISHED:
                return _document(visit, found) | {"steps": steps} | made

    made = errand.run(act)
    print_document(
        made,
        f"{made['status']} at height {made['height']}: {made['hashes']} hashes are never named, "
        "served or fetched again",
    )


@erasure.command()
@click.argument("erasure_id", metavar="ERASURE")
@member_command
def status(errand: Errand, erasure_id: str) -> None:
    """How far an erasure is, and which members have attested that they deleted."""
    wanted = identifier(erasure_id, 32, "ERASURE")

    async def act(visit: Visit) -> dict[str, Any]:
        return _document(visit, await _find(visit, wanted))

    document = errand.run(act)
    rows = [
        (each["organization"], moment(each["attested_ms"])) for each in document["attestations"]
    ]
    print_document(
        document,
        f"{document['status']}: {document['what']}; {_attested(document)} members have attested\n"
        + table(("member", "attested"), rows),
    )


@erasure.command("list")
@patient_option
@member_command
def list_command(errand: Errand, patient: str | None) -> None:
    """The erasures of a patient."""

    async def act(visit: Visit) -> list[dict[str, Any]]:
        owner = visit.patient(patient)
        return [_document(visit, each) async for each in visit.api.erasures_of(owner)]

    found = errand.run(act)
    rows = [
        (
            each["id"],
            each["what"],
            moment(each["requested_ms"]),
            each["status"],
            _attested(each),
        )
        for each in found
    ]
    titles = ("erasure", "what", "asked", "status", "attested")
    print_document({"erasures": found}, table(titles, rows, none="no erasures"))


def _attested(document: dict[str, Any]) -> str:
    owed = document["attestations"]
    return f"{sum(each['attested_ms'] is not None for each in owed)} of {len(owed)}"


async def _find(visit: Visit, erasure_id: bytes) -> ListedErasure:
    async for each in visit.api.erasures_of(owner_of(erasure_id)):
        if each.id == erasure_id:
            return each
    raise OperatorError("E034", "no erasure has this id")


def _document(visit: Visit, each: ListedErasure) -> dict[str, Any]:
    entry = each.entry
    what = "all of the patient"
    if entry.record is not None:
        what = f"record {entry.record.hex()}"
    elif entry.category is not None:
        what = f"category {category_word(entry.category, owner_of(each.id), visit.wallet)}"
    return {
        "id": each.id.hex(),
        "what": what,
        "category": None if entry.category is None else entry.category.hex(),
        "record": None if entry.record is None else entry.record.hex(),
        "requested_by": entry.requested_by.hex(),
        "requested_ms": entry.requested_ms,
        "status": entry.status,
        "approved_by": entry.approved_by,
        "hashes": entry.hashes,
        "ended_ms": entry.ended_ms,
        "attestations": [
            {
                "organization": organization,
                "attested_ms": None if attestation is None else attestation.attested_ms,
            }
            for organization, attestation in each.attestations
        ],
    }
