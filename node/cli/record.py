"""`medlock record`: sealed health records, put and read."""

import asyncio
import datetime as dt
import sys
from pathlib import Path
from typing import Any

import click

from client.api import Api, ListedRecord
from client.fhir_json import DOCUMENT_BYTES_MAX
from client.files import read_bounded
from client.reading import Reader
from node.cli.arguments import identifier
from node.cli.output import json_option, print_document, table, wants_json
from node.cli.putting import put_bundle
from node.cli.reach import Asked, Reach, reach_options, resolve
from node.directory import read_genesis
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
@reach_options
@json_option
def put(asked: Asked, file: Path, patient_wallet: Path | None) -> None:
    """Seal a FHIR bundle, or one resource, and put it on the chain in one transaction."""
    raw = read_bounded(file, DOCUMENT_BYTES_MAX)
    done = asyncio.run(put_bundle(_member(asked), raw, patient_wallet))
    rows = [(each["type"], each["id"], each["patient"] or "-") for each in done["records"]]
    text = f"transaction {done['transaction']} at height {done['height']}\n"
    print_document(done, text + table(("type", "record", "patient"), rows))


@record.command()
@click.argument("record_id", metavar="ID")
@click.option("--version", type=click.IntRange(min=1), help="An earlier version.")
@click.option(
    "--genesis",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The network's genesis file, for a patient, whom nodes do not tell their status.",
)
@reach_options
@json_option
def get(asked: Asked, record_id: str, version: int | None, genesis: Path | None) -> None:
    """Open a record and print the resource: canonical JSON, as its author sealed it."""
    wanted = identifier(record_id, 32, "ID")
    reach = _member(asked)

    async def read() -> bytes:
        async with reach.connect() as (api, _):
            reader = Reader(api, reach.held.wallet, await _chain_id(reach, api, genesis))
            return (await reader.open(wanted, version)).content

    content = asyncio.run(read())
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


async def _chain_id(reach: Reach, api: Api, genesis: Path | None) -> str:
    """What contents are bound to: from the test network, the genesis file, or the node."""
    if genesis is not None:
        return read_genesis(genesis).chain_id
    if reach.testnet is not None:
        return reach.testnet.chain_id
    status = await api.get_document("/v1/status")
    return str(status["chain_id"])


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
            _moment(each.entry.timestamp_ms),
            "retracted" if each.entry.retracted else "sealed",
        )
        for each in found
    ]
    return table(("record", "version", "author", "time", "content"), rows)


def _moment(timestamp_ms: int) -> str:
    return dt.datetime.fromtimestamp(timestamp_ms / 1_000, dt.UTC).isoformat(timespec="seconds")
