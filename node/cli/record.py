"""`medlock record`: sealed health records, put and read."""

import asyncio
import sys
from pathlib import Path
from typing import Any, get_args

import click

from client.api import ListedRecord
from client.fhir_json import DOCUMENT_BYTES_MAX
from client.files import read_bounded
from ledger.fields import Purpose
from node.cli.arguments import identifier
from node.cli.category import GENERAL
from node.cli.errand import Errand, Visit, member_command
from node.cli.opening import Claim, open_record
from node.cli.output import json_option, print_document, table, wants_json
from node.cli.putting import Where, put_bundle
from node.cli.reach import Asked, Reach, reach_options, resolve
from node.cli.words import moment
from node.errors import OperatorError


@click.group()
def record() -> None:
    """Put sealed health records on the chain, and read them."""


@record.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--patient-wallet",
    type=click.Path(path_type=Path),
    help="Where a new patient's wallet goes (a test network keeps it in wallets/).",
)
@click.option("--patient", help="The pseudonym of a patient who has handed it over.")
@click.option(
    "--category",
    default=GENERAL,
    show_default=True,
    help="general, emergency-summary, or a category's id; opened for the author where it is new.",
)
@reach_options
@json_option
def put(
    *, asked: Asked, file: Path, patient_wallet: Path | None, patient: str | None, category: str
) -> None:
    """Seal a FHIR bundle, or one resource, and put it on the chain in one transaction."""
    raw = read_bounded(file, DOCUMENT_BYTES_MAX)
    about = None if patient is None else identifier(patient, 16, "--patient")
    where = Where(about, category, patient_wallet)
    done = asyncio.run(put_bundle(_member(asked), raw, where))
    rows = [(each["type"], each["id"], each["patient"] or "-") for each in done["records"]]
    text = f"transaction {done['transaction']} at height {done['height']}\n"
    print_document(done, text + table(("type", "record", "patient"), rows))


@record.command()
@click.argument("record_id", metavar="ID")
@click.option("--version", type=click.IntRange(min=1), help="An earlier version.")
@click.option(
    "--purpose",
    type=click.Choice(get_args(Purpose)),
    default="TREAT",
    show_default=True,
    help="What for, where somebody else wrote it; ETREAT reads by an open emergency.",
)
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0, 3_600),
    default=30.0,
    show_default=True,
    help="Seconds that the author's node may take to release its key.",
)
@click.option("--actor", help="The clinician for whom the service of --as reads, by his id.")
@member_command
def get(
    *,
    errand: Errand,
    record_id: str,
    version: int | None,
    purpose: Purpose,
    wait_s: float,
    actor: str | None,
) -> None:
    """Open a record and print the resource: canonical JSON, as its author sealed it.

    What another organisation wrote opens where a consent or an emergency permits it: the access is
    logged on the chain first, and the author's node then releases its key.
    """
    wanted = identifier(record_id, 32, "ID")
    reader = None if actor is None else identifier(actor, 16, "--actor")

    async def read(visit: Visit) -> bytes:
        claim = Claim(reader or visit.wallet.principal, purpose, wait_s)
        return (await open_record(visit, wanted, version, claim)).content

    content = errand.run(read)
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    if sys.stdout.isatty() and not wants_json():
        sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()


@record.command("list")
@click.option("--patient", help="The patient's pseudonym (default: the wallet's own records).")
@reach_options
@json_option
def list_command(asked: Asked, patient: str | None) -> None:
    """The current versions of all records of a patient, or of an organisation."""
    reach = _member(asked)
    owner = identifier(patient, 16, "--patient") if patient else reach.held.wallet.author

    async def read() -> list[ListedRecord]:
        async with reach.connect() as (api, _):
            return [each async for each in api.records_of(owner)]

    found = asyncio.run(read())
    print_document({"records": [_document(each) for each in found]}, _listing(found))


@record.command()
@click.argument("record_id", metavar="ID")
@reach_options
@json_option
def history(asked: Asked, record_id: str) -> None:
    """All versions of a record: who wrote them, when, in which transaction."""
    wanted = identifier(record_id, 32, "ID")

    async def read() -> list[ListedRecord]:
        async with _member(asked).connect() as (api, _):
            return list(await api.record_versions(wanted))

    found = asyncio.run(read())
    print_document(
        {"id": record_id, "versions": [_document(each) for each in found]}, _listing(found)
    )


def _member(asked: Asked) -> Reach:
    """Records are read and written as somebody: there is no default."""
    if asked.wallet is None:
        raise OperatorError("E070", "as whom?", fix="give --as WALLET, a file or a demo wallet")
    return resolve(asked)


def _document(listed: ListedRecord) -> dict[str, Any]:
    entry = listed.entry
    return {
        "id": listed.id.hex(),
        "version": entry.version,
        "organization": entry.organization,
        "signer": entry.signer.hex(),
        "transaction": entry.transaction.hex(),
        "timestamp_ms": entry.timestamp_ms,
        "retracted": entry.retracted,
        "category": entry.content.category.hex() if entry.content else None,
    }


def _listing(found: list[ListedRecord]) -> str:
    rows = [
        (
            each.id.hex(),
            each.entry.version,
            each.entry.organization or "patient",
            moment(each.entry.timestamp_ms),
            "retracted" if each.entry.retracted else "sealed",
        )
        for each in found
    ]
    return table(("record", "version", "author", "time", "content"), rows)
