"""`medlock supply recall|quarantine|excursion|suspect|verification`: what is wrong with goods, and
who does what about it.
"""

import os
from pathlib import Path
from typing import Any, Final, get_args

import click

from ledger.ids import RANDOM_BYTES
from ledger.supply.actions import (
    ExcursionDispose,
    QuarantinePlace,
    QuarantineRelease,
    RecallAcknowledge,
    RecallClose,
    RecallOpen,
    SuspectReport,
    VerificationRequest,
    VerificationRespond,
)
from ledger.supply.fields import (
    Disposal,
    LotFacts,
    QuarantineReason,
    RecallClass,
    SuspectReason,
    Verdict,
)
from node.cli.arguments import identifier
from node.cli.errand import Errand, Visit, member_command
from node.cli.output import print_document, table
from node.cli.supply_words import (
    as_class,
    as_item,
    as_pack,
    as_subject,
    expiry_ms,
    ledger_name,
    opened_words,
    sealed_words,
)
from node.cli.words import moment, note_option, one_line, read_note
from node.errors import OperatorError

ID_BYTES: Final = 16
_COUNT: Final = click.IntRange(0, 10**12)


@click.group()
def recall() -> None:
    """Call goods back, say what was found of them, see how far it is."""


@recall.command("open")
@click.argument("scope", nargs=-1, required=True, metavar="LOT_OR_PRODUCT…")
@click.option(
    "--class",
    "recall_class",
    type=click.Choice(get_args(RecallClass)),
    required=True,
    help="I where use may kill or harm seriously, III where harm is unlikely.",
)
@note_option
@member_command
def open_command(
    errand: Errand, scope: tuple[str, ...], recall_class: RecallClass, note_file: Path | None
) -> None:
    """Recall lots or whole products, as their manufacturer or a regulator; in force at once."""
    wanted = tuple(sorted({as_class(each) for each in scope}))
    words = read_note(note_file)

    async def act(visit: Visit) -> dict[str, Any]:
        builder, opened = visit.builder(), os.urandom(RANDOM_BYTES)
        note = await sealed_words(visit, builder, words, everybody=True)
        builder.add(RecallOpen(opened, wanted, recall_class, note))
        made = {"recall": opened.hex(), "class": recall_class, "scope": list(wanted)}
        return await visit.enact(builder, made)

    made = errand.run(act)
    print_document(made, f"recall {made['recall']}\nin force from height {made['height']} on")


@recall.command()
@click.argument("recall_id", metavar="RECALL")
@click.option("--held", type=_COUNT, default=0, help="Pieces in your hands.")
@click.option("--dispensed", type=_COUNT, default=0, help="Pieces that you had dispensed.")
@click.option("--resolved", type=_COUNT, default=0, help="Patients whom your tags led to.")
@click.option("--notified", type=_COUNT, default=0, help="Patients who have been told.")
@member_command
def acknowledge(
    *, errand: Errand, recall_id: str, held: int, dispensed: int, resolved: int, notified: int
) -> None:
    """Say what your organisation found of what is recalled; the latest word counts."""
    wanted = identifier(recall_id, ID_BYTES, "RECALL")
    made = errand.enact(
        RecallAcknowledge(wanted, held, dispensed, resolved, notified),
        {
            "recall": recall_id,
            "held": held,
            "dispensed": dispensed,
            "resolved": resolved,
            "notified": notified,
        },
    )
    print_document(made, f"acknowledged at height {made['height']}")


@recall.command()
@click.argument("recall_id", metavar="RECALL")
@click.option("--lift", is_flag=True, help="It was a mistake: what it caught may go on.")
@member_command
def close(errand: Errand, recall_id: str, lift: bool) -> None:  # noqa: FBT001 - click's
    """End a recall, as who opened it or a regulator. What it caught stays caught without --lift."""
    wanted = identifier(recall_id, ID_BYTES, "RECALL")
    made = errand.enact(RecallClose(wanted, lift), {"recall": recall_id, "lifted": lift})
    print_document(made, f"{'lifted' if lift else 'closed'} at height {made['height']}")


@recall.command()
@click.argument("recall_id", metavar="RECALL")
@member_command
def show(errand: Errand, recall_id: str) -> None:
    """How far a recall is: who holds what of it, who has answered what."""
    wanted = identifier(recall_id, ID_BYTES, "RECALL")

    async def act(visit: Visit) -> dict[str, Any]:
        found = await visit.supply.recall(wanted)
        return found | {"words": await opened_words(visit, found["recall"])}

    found = errand.run(act)
    entry = found["recall"]
    head = (
        f"recall {found['id']}: class {entry['recall_class']}, by {entry['organization']}, "
        f"since {moment(entry['opened_ms'])}, {_state(entry)}\n"
        f"scope  {', '.join(entry['scope'])}\nnote   {one_line(found['words'])}\n"
    )
    titles = ("organisation", "holds", "dispensed", "acknowledged", "held", "dispensed", "notified")
    rows = [_progress_row(each) for each in found["progress"]]
    print_document(found, head + table(titles, rows, none="nobody holds any of it"))


@recall.command("list")
@member_command
def list_command(errand: Errand) -> None:
    """All recalls."""

    async def act(visit: Visit) -> list[dict[str, Any]]:
        return [each async for each in visit.supply.recalls()]

    found = errand.run(act)
    rows = [
        (
            each["id"],
            each["recall"]["recall_class"],
            each["recall"]["organization"],
            moment(each["recall"]["opened_ms"]),
            _state(each["recall"]),
            ", ".join(each["recall"]["scope"]),
        )
        for each in found
    ]
    titles = ("recall", "class", "organisation", "opened", "state", "scope")
    print_document({"recalls": found}, table(titles, rows, none="no recalls"))


def _state(entry: dict[str, Any]) -> str:
    if entry["closed_ms"] is None:
        return "open"
    return "lifted" if entry["lifted"] else "closed"


def _progress_row(each: dict[str, Any]) -> tuple[object, ...]:
    said = each["acknowledgement"]
    if said is None:
        return (each["organization"], each["held"], each["dispensed"], "not yet", "-", "-", "-")
    return (
        each["organization"],
        each["held"],
        each["dispensed"],
        moment(said["acknowledged_ms"]),
        said["held"],
        said["dispensed"],
        said["notified"],
    )


@click.group()
def quarantine() -> None:
    """Hold goods back, and let them go again."""


@quarantine.command()
@click.argument("subject", metavar="ITEM_LOT_OR_PRODUCT")
@click.option("--reason", type=click.Choice(get_args(QuarantineReason)), required=True)
@note_option
@member_command
def place(errand: Errand, subject: str, reason: QuarantineReason, note_file: Path | None) -> None:
    """Hold what you have in custody; a manufacturer or regulator a lot or product too."""
    wanted, words = as_subject(subject), read_note(note_file)

    async def act(visit: Visit) -> dict[str, Any]:
        builder = visit.builder()
        note = await sealed_words(visit, builder, words)
        builder.add(QuarantinePlace(await ledger_name(visit, wanted), reason, note))
        return await visit.enact(builder, {"subject": wanted.name, "reason": reason})

    made = errand.run(act)
    print_document(made, f"{made['subject']} is held from height {made['height']} on")


@quarantine.command()
@click.argument("subject", metavar="ITEM_LOT_OR_PRODUCT")
@click.option("--of", "organization", help="Whose quarantine, as a regulator (default: one's own).")
@member_command
def release(errand: Errand, subject: str, organization: str | None) -> None:
    """Lift a quarantine, as who placed it or a regulator."""
    wanted = as_subject(subject)

    async def act(visit: Visit) -> dict[str, Any]:
        placed_by = organization or visit.wallet.organization or ""
        await visit.organization(placed_by)
        builder = visit.builder()
        builder.add(QuarantineRelease(await ledger_name(visit, wanted), placed_by))
        return await visit.enact(builder, {"subject": wanted.name, "organization": placed_by})

    made = errand.run(act)
    print_document(made, f"{made['subject']} is released at height {made['height']}")


@click.group()
def excursion() -> None:
    """Decide about what was out of its temperatures."""


@excursion.command()
@click.argument("item")
@click.argument("disposal", type=click.Choice(get_args(Disposal)))
@note_option
@member_command
def dispose(errand: Errand, item: str, disposal: Disposal, note_file: Path | None) -> None:
    """Release what was too warm, too cold or unmeasured, or have it destroyed; the manufacturer's
    quality unit alone decides."""
    wanted, words = as_item(item), read_note(note_file)

    async def act(visit: Visit) -> dict[str, Any]:
        builder = visit.builder()
        note = await sealed_words(visit, builder, words)
        builder.add(ExcursionDispose(await ledger_name(visit, wanted), disposal, note))
        return await visit.enact(builder, {"item": wanted.name, "disposal": disposal})

    made = errand.run(act)
    print_document(made, f"{made['item']}: {disposal}, decided at height {made['height']}")


@click.group()
def suspect() -> None:
    """Say that something is not what it claims to be."""


@suspect.command()
@click.argument("item")
@click.option("--reason", type=click.Choice(get_args(SuspectReason)), required=True)
@note_option
@member_command
def report(errand: Errand, item: str, reason: SuspectReason, note_file: Path | None) -> None:
    """Report a pack, known to the ledger or not; it is held where you have it or made it."""
    wanted, words = as_item(item), read_note(note_file)

    async def act(visit: Visit) -> dict[str, Any]:
        builder, reported = visit.builder(), os.urandom(RANDOM_BYTES)
        note = await sealed_words(visit, builder, words)
        builder.add(SuspectReport(reported, await ledger_name(visit, wanted), reason, note))
        made = {"report": reported.hex(), "item": wanted.name, "reason": reason}
        return await visit.enact(builder, made)

    made = errand.run(act)
    print_document(made, f"report {made['report']}\nstands at height {made['height']}")


@click.group()
def verification() -> None:
    """Ask a manufacturer whether a pack is its own, and answer."""


@verification.command()
@click.argument("item")
@click.option("--lot", help="The lot on the label, where the barcode does not say it.")
@click.option("--expiry", help="The expiry date on the label, where the barcode does not say it.")
@member_command
def ask(errand: Errand, item: str, lot: str | None, expiry: str | None) -> None:
    """Ask about a pack as its label says it (a barcode tells lot and expiry by itself)."""
    pack = as_pack(item)
    named = lot or pack.lot
    expires_ms = pack.expires_ms if expiry is None else expiry_ms(expiry)
    if named is None and expires_ms is not None:
        raise OperatorError("E070", "an expiry date belongs to a lot", fix="give --lot too")
    facts = None if named is None else LotFacts(named, expires_ms)

    async def act(visit: Visit) -> dict[str, Any]:
        builder, asked = visit.builder(), os.urandom(RANDOM_BYTES)
        item = await ledger_name(visit, pack.scanned)
        builder.add(VerificationRequest(asked, item, facts))
        made = {"verification": asked.hex(), "item": pack.item, "lot": named}
        return await visit.enact(builder, made)

    made = errand.run(act)
    print_document(made, f"verification {made['verification']}\nasked at height {made['height']}")


@verification.command()
@click.argument("verification_id", metavar="VERIFICATION")
@click.argument("verdict", type=click.Choice(get_args(Verdict)))
@note_option
@member_command
def answer(errand: Errand, verification_id: str, verdict: Verdict, note_file: Path | None) -> None:
    """Answer as the manufacturer. `suspect` and `counterfeit` hold the pack, `genuine` frees it."""
    wanted = identifier(verification_id, ID_BYTES, "VERIFICATION")
    words = read_note(note_file)

    async def act(visit: Visit) -> dict[str, Any]:
        builder = visit.builder()
        note = await sealed_words(visit, builder, words)
        builder.add(VerificationRespond(wanted, verdict, note))
        return await visit.enact(builder, {"verification": verification_id, "verdict": verdict})

    made = errand.run(act)
    print_document(made, f"{verdict}, said at height {made['height']}")


@verification.command("list")
@member_command
def verifications_command(errand: Errand) -> None:
    """What was asked, and what was answered."""

    async def act(visit: Visit) -> list[dict[str, Any]]:
        return [each async for each in visit.supply.verifications()]

    found = errand.run(act)
    rows = [
        (
            each["id"],
            each["verification"]["item"],
            each["verification"]["organization"],
            each["verification"]["manufacturer"],
            moment(each["verification"]["requested_ms"]),
            each["verification"]["verdict"] or "not answered",
        )
        for each in found
    ]
    titles = ("verification", "item", "asked by", "manufacturer", "asked", "verdict")
    print_document({"verifications": found}, table(titles, rows, none="no verifications"))
