"""`medlock supply recall patients`: who got what is recalled, found at the site that knows.

The chain has a tag for each dispense. Only its organisation's keys make the same one from the
event's id and the site's own name for the patient; so the site's names stay on this machine, and
nothing that is asked of the node says whom they are.
"""

import codecs
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click

from chain.document import from_document
from chain.errors import InvalidMessage
from client.dispensing import patient_of, tag_keys
from client.epcis.document import parse_document
from client.epcis_reading import document_name, open_document
from client.errors import ApiError, NotForUs, Tampered
from client.files import read_bounded
from client.reading import Reader
from ledger.supply.entries import EventEntry
from node.cli.arguments import EXISTING_FILE, identifier
from node.cli.errand import Errand, Visit, member_command
from node.cli.output import print_document, table
from node.cli.supply_quality import ID_BYTES
from node.cli.words import moment, one_line
from node.errors import OperatorError

PATIENTS_BYTES_MAX: Final = 1 << 26
_NONE_OF_THEM: Final = "patients.none_fits"
_GONE: Final = frozenset({404, 410})


@click.command()
@click.argument("recall_id", metavar="RECALL")
@click.option(
    "--patients",
    "file",
    type=EXISTING_FILE,
    required=True,
    help="Your own names for your patients, one a line, as --patient was given. They stay here.",
)
@member_command
def patients(errand: Errand, recall_id: str, file: Path) -> None:
    """Find the patients who got recalled packs from your site, and the counts to acknowledge."""
    wanted = identifier(recall_id, ID_BYTES, "RECALL")
    names = read_patients(file)

    async def act(visit: Visit) -> dict[str, Any]:
        member = visit.wallet.organization
        keys = tag_keys(visit.wallet)
        if member is None or not keys:
            raise OperatorError(
                "E070",
                "tags open for a wallet that speaks for its organisation, and this one does not",
                fix="give --as the wallet of your organisation's service, which captured the "
                "dispenses",
            )
        search = _Search(visit, visit.reader(), keys, names)
        packs = [await search.told(each) async for each in visit.supply.dispensed(wanted, member)]
        progress = (await visit.supply.recall(wanted))["progress"]
        found = {each["patient"] for each in packs} - {None}
        counts = {
            "held": sum(each["held"] for each in progress if each["organization"] == member),
            "dispensed": len(packs),
            "resolved": len(found),
        }
        return {"recall": recall_id, "organization": member, "packs": packs, "counts": counts}

    told = errand.run(act)
    print_document(told, _text(told))


def read_patients(file: Path) -> tuple[str, ...]:
    """The names in a file, each once; E018 where it holds none, or no text."""
    raw = read_bounded(file, PATIENTS_BYTES_MAX)
    if len(raw) > PATIENTS_BYTES_MAX:
        raise OperatorError(
            "E018",
            f"--patients: more than {PATIENTS_BYTES_MAX >> 20} MiB",
            fix="split the file, and ask with each part",
        )
    names: dict[str, None] = {}
    for number, line in enumerate(raw.removeprefix(codecs.BOM_UTF8).split(b"\n"), 1):
        try:
            name = line.removesuffix(b"\r").decode("utf-8")
        except UnicodeDecodeError:
            raise OperatorError(
                "E018", f"--patients, line {number}: no UTF-8", fix="save the file as UTF-8"
            ) from None
        if name.strip():
            names[name] = None
    if not names:
        raise OperatorError(
            "E018",
            "--patients: the file names nobody",
            why="tags are tried with the names in it, one a line",
            fix="give a file with one name a line, spelled as --patient was when packs were "
            "dispensed",
        )
    return tuple(names)


@dataclass(slots=True)
class _Search:
    """Looks for whom tags are; one event of many packs is opened once."""

    visit: Visit
    reader: Reader
    keys: Sequence[bytes]
    names: Sequence[str]
    known: dict[int, tuple[str | None, str | None]] = field(default_factory=dict)

    async def told(self, pack: dict[str, Any]) -> dict[str, Any]:
        """A dispensed pack with its patient, or why there is none."""
        patient, why = None, _NONE_OF_THEM
        for each in pack["events"]:
            number = int(each["number"])
            if number not in self.known:
                self.known[number] = await self._patient(each["event"])
            patient, reason = self.known[number]
            if patient is not None:
                break
            why = reason or why
        newest = pack["events"][0]["event"] if pack["events"] else None
        return {
            "item": pack["id"],
            "lot": pack["lot"],
            "status": pack["status"],
            "given_ms": None if newest is None else newest["event_time_ms"],
            "patient": patient,
            "why": None if patient is not None else why,
        }

    async def _patient(self, told: dict[str, Any]) -> tuple[str | None, str | None]:
        """Who it is, or the code that says why nobody can tell."""
        entry: EventEntry = from_document(EventEntry, told, "event")
        if entry.tag is None:
            return None, None
        try:
            key = await self.reader.category_key(document_name(entry))
            attachment = await self.visit.api.attachment(entry.content.ciphertext)
            raw = open_document(attachment, entry, key, self.visit.network.chain_id)
            (event,) = parse_document(raw).events
        except (NotForUs, Tampered, InvalidMessage) as error:
            return None, error.code
        except ApiError as error:
            if error.status in _GONE:
                return None, error.code
            raise
        return patient_of(self.keys, entry.tag, event.event_id, self.names), None


def _text(told: dict[str, Any]) -> str:
    counts, packs = told["counts"], told["packs"]
    if not packs:
        head = f"{told['organization']} has given nothing of it to patients"
    else:
        rows = [
            (each["item"], each["status"], moment(each["given_ms"]), _who(each)) for each in packs
        ]
        head = table(("pack", "status", "when", "patient"), rows)
    unknown = sum(each["patient"] is None for each in packs)
    lost = f"; of {unknown} packs the patient stays unknown" if unknown else ""
    return (
        f"{head}\n{counts['held']} held, {counts['dispensed']} dispensed, "
        f"{counts['resolved']} resolved{lost}\n"
        "tell these patients; then say so, N being how many you reached:\n"
        f"medlock supply recall acknowledge {told['recall']} --held {counts['held']} "
        f"--dispensed {counts['dispensed']} --resolved {counts['resolved']} --notified N"
    )


def _who(pack: dict[str, Any]) -> str:
    if pack["patient"] is not None:
        return one_line(pack["patient"])
    return "unknown" if pack["why"] == _NONE_OF_THEM else f"unknown ({pack['why']})"
