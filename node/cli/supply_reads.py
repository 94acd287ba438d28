"""`medlock supply locate|trace|verify|alerts`: where goods are, whence they came, what is wrong."""

import sys
from collections.abc import Awaitable, Iterator
from typing import Any, Final

import click

from client.errors import ApiError
from node.cli.errand import Errand, Visit, member_command
from node.cli.output import print_document, table
from node.cli.supply_documents import opened_steps
from node.cli.supply_words import Pack, as_pack, ledger_name, revealed, scanned
from node.cli.words import moment
from node.errors import Exit, OperatorError

HOLDS: Final = {
    "recalled": "it is recalled",
    "expired": "it is expired",
    "suspect": "somebody doubts that it is genuine",
    "excursion": "it was out of its temperatures, and its manufacturer has not released it",
    "quarantined": "it is in quarantine",
}
"""Why something may not go on, for people."""
ALERTS: Final = {
    "recall.held": "you have goods that are recalled",
    "recall.incoming": "recalled goods are on their way to you",
    "recall.outgoing": "recalled goods that you sent are under way",
    "recall.dispensed": "you gave recalled goods to patients: supply recall patients finds them",
    "recall.unclear": "the recall is too wide to be looked through: look at your own stock",
    "shipment.overdue": "not received in time",
    "shipment.incomplete": "received in part only",
    "lot.expired": "you have some of it, and it is expired",
    "lot.expires_within_30_days": "you have some of it, and it expires within 30 days",
    "lot.expires_within_90_days": "you have some of it, and it expires within 90 days",
    "quarantine": "it is in quarantine",
    "excursion": "it was out of its temperatures, and its manufacturer has not decided",
    "excursion.destroy": "its manufacturer has decided that it is to be destroyed",
    "suspect": "somebody doubts that it is genuine",
    "verification": "its manufacturer, you, is asked whether it is genuine",
}
"""What an organisation should see to, for people."""
MILLI: Final = 1_000
DAY_MS: Final = 86_400_000
THINGS_SHOWN_MAX: Final = 3
"""Of an attempt; all of them are in the JSON."""
NOT_OPENED: Final = "its document does not open for you: it is for others, or was erased"
NOT_THERE: Final = "item.unknown"


@click.command()
@click.argument("item_or_lot")
@member_command
def locate(errand: Errand, item_or_lot: str) -> None:
    """Who has an item, in what it lies, whether it may go on; or who holds what of a lot."""
    found = scanned(item_or_lot, "ITEM_OR_LOT")

    async def act(visit: Visit) -> dict[str, Any]:
        if found.identifier.is_class:
            return await known(visit.supply.lot(found.name), found.name)
        name = await ledger_name(visit, found)
        return revealed(await known(visit.supply.item(name), found.name), name, found.name)

    told = errand.run(act)
    print_document(told, _lot_text(told) if found.identifier.is_class else _item_text(told))


@click.command()
@click.argument("item_or_lot")
@click.option("--documents", is_flag=True, help="Open the events' documents, where you may.")
@click.option("--after", type=click.IntRange(min=0), default=0, help="Go on after this event.")
@member_command
def trace(errand: Errand, item_or_lot: str, documents: bool, after: int) -> None:  # noqa: FBT001 - click's
    """The way of an item or a lot: handovers, packing, transformation, temperatures.

    Every step names its transaction: medlock receipt get fetches its proof.
    """
    thing = scanned(item_or_lot, "ITEM_OR_LOT")

    async def act(visit: Visit) -> dict[str, Any]:
        name = await ledger_name(visit, thing)
        found = await known(visit.supply.trace(name, after), thing.name)
        if documents:
            await opened_steps(visit, found["trace"])
        return revealed(found, name, thing.name)

    told = errand.run(act)
    print_document(told, "\n".join(_trace_lines(told["trace"], 0, "")))


@click.command()
@click.argument("item")
@member_command
def verify(errand: Errand, item: str) -> None:
    """Check a pack as its barcode says it, before it is dispensed; exit 1 where it must not be."""
    pack = as_pack(item)

    async def act(visit: Visit) -> dict[str, Any]:
        try:
            name = await ledger_name(visit, pack.scanned)
            found = revealed(await visit.supply.item(name), name, pack.item)
        except ApiError as error:
            if error.code != NOT_THERE:
                raise
            found = None
        findings = list(_findings(pack, found, visit.wallet.organization))
        return {
            "item": pack.item,
            "dispensable": not findings,
            "findings": [{"code": code, "says": says} for code, says in findings],
            "not_compared": _not_compared(pack),
            "found": found,
        }

    told = errand.run(act)
    lines = [f"{told['item']} {'may' if told['dispensable'] else 'must NOT'} be dispensed"]
    lines += [f"  {each['says']} ({each['code']})" for each in told["findings"]]
    if told["dispensable"] and told["not_compared"]:
        missing = " and ".join(told["not_compared"])
        lines.append(f"  not compared with the label: {missing}; scan its whole barcode for that")
    print_document(told, "\n".join(lines))
    if not told["dispensable"]:
        sys.exit(Exit.CHECK_FAILED)


@click.command()
@click.option("--since", type=click.IntRange(min=0), help="Look for attempts from this height on.")
@click.option("--of", "organization", help="Whose alerts (default: your organisation's).")
@member_command
def alerts(errand: Errand, since: int | None, organization: str | None) -> None:
    """What was tried against the rules, by whomever, and what your organisation should see to:
    recalls, overdue shipments, expiry, excursions, suspect goods, questions that wait."""

    async def act(visit: Visit) -> dict[str, Any]:
        if organization is not None:
            await visit.organization(organization)
        return await visit.supply.alerts(since, organization)

    told = errand.run(act)
    print_document(told, "\n".join(_alert_lines(told)))


async def known(asked: Awaitable[dict[str, Any]], name: str) -> dict[str, Any]:
    """What was `asked`; E034 where the ledger does not know what goes by `name`."""
    try:
        return await asked
    except ApiError as error:
        if error.code not in {NOT_THERE, "lot.unknown"}:
            raise
        raise OperatorError(
            "E034",
            f"{error.code}: the ledger knows no {name}",
            why="nobody who makes it has commissioned it, or this node is behind",
            fix="check the number; medlock status says how far the node is",
        ) from None


def _findings(
    pack: Pack, found: dict[str, Any] | None, organization: str | None
) -> Iterator[tuple[str, str]]:
    """Why a pack must not be dispensed by `organization`: code and words."""
    if found is None:
        yield "unknown", "the ledger knows no such pack: nobody who makes it has commissioned it"
        return
    lot = (found["lot"] or "").partition("/10/")[2]
    if pack.lot is not None and pack.lot != lot:
        yield "lot_differs", f"its label says another lot than the ledger, which says {lot or '-'}"
    if pack.expires_ms is not None and pack.expires_ms != found["expires_ms"]:
        known = expiry_words(found["expires_ms"])
        yield (
            "expiry_differs",
            f"its label says another expiry than the ledger, which says: {known}",
        )
    if found["product"] is None:
        yield "no_pack", "it is a container or an asset, and no pack of a product"
    if found["status"] != "active":
        yield found["status"], f"it was {found['status']} already"
    for hold in found["holds"]:
        yield hold, HOLDS[hold]
    if found["shipment"] is not None:
        yield "in_transit", "it is in transit, and was not received"
    elif found["custodian"] != organization:
        yield "not_custodian", f"{found['custodian']} has it in custody, and you have not"
    if found["containers"]:
        yield "packed", f"it lies in {found['containers'][0]}, out of which nobody has taken it"


def _item_text(found: dict[str, Any]) -> str:
    rows = [("item", found["id"])]
    if found["lot"]:
        rows.append(("lot", f"{found['lot']}, {expiry_words(found['expires_ms'])}"))
    if found["shipment"] is None:
        rows.append(("custodian", found["custodian"]))
    else:
        sent = found["shipment"]["shipment"]
        rows.append(
            (
                "in transit",
                f"{sent['sender']} to {sent['receiver']}, due {moment(sent['due_ms'])}",
            )
        )
    rows += [("inside of", each) for each in found["containers"]]
    rows.append(("status", found["status"]))
    rows += [("held", _reason_words(each)) for each in found["reasons"]]
    rows += [("contains", _content_words(each)) for each in found["contents"]]
    rows += [("event", _event_words(each)) for each in found["events"]]
    return "\n".join(f"{name:<10}  {value}" for name, value in rows)


def _reason_words(reason: dict[str, Any]) -> str:
    words = f"{HOLDS[reason['hold']]}: {reason['subject']}"
    if reason["organization"]:
        words += f", by {reason['organization']}"
    if reason["since_ms"] is not None:
        words += f", since {moment(reason['since_ms'])}"
    return words + (f", recall {reason['recall']}" if reason["recall"] else "")


def _event_words(each: dict[str, Any]) -> str:
    event = each["event"]
    to = f" to {event['receiver']}" if event["receiver"] else ""
    return f"{moment(event['event_time_ms'])}  {_step_word(event)} by {event['organization']}{to}"


def _step_word(event: dict[str, Any]) -> str:
    words = event["step"] if event["step"] != "other" else event["kind"]
    if event["declares_error"]:
        words += " taken back"
    elif event["error"] is not None:
        words += " (taken back later)"
    return str(words if event["binding"] else f"{words} (recorded only)")


def _lot_text(found: dict[str, Any]) -> str:
    lot = found["lot"]
    head = f"{found['id']}: GTIN {lot['gtin']}, {expiry_words(lot['expires_ms'])}"
    if found["holds"]:
        head += "\nmay not go on: " + ", ".join(HOLDS[each] for each in found["holds"])
    rows = [
        (
            f"{each['organization']} to {each['receiver']}"
            if each["receiver"]
            else each["organization"],
            each["fate"] or "in hand",
            each["pieces"],
            amount_words(each["amount"]),
        )
        for each in found["holders"]
    ]
    if not rows:
        return f"{head}\nnobody has any of it"
    return f"{head}\n{table(('who', 'state', 'pieces', 'amount'), rows)}"


def expiry_words(expires_ms: int | None) -> str:
    """Until when something is good: as on labels, a day, where it is one."""
    if expires_ms is None:
        return "no expiry date"
    if expires_ms % DAY_MS == 0:
        return f"good until the end of {moment(expires_ms - DAY_MS).partition('T')[0]}"
    return f"good until {moment(expires_ms)}"


def _not_compared(pack: Pack) -> list[str]:
    """What the ledger knows of a pack and the scan did not say."""
    found = {"lot": pack.lot, "expiry": pack.expires_ms}
    return [name for name, said in found.items() if said is None]


def _content_words(each: dict[str, Any]) -> str:
    found = [f"{each['pieces']} pieces"] if each["pieces"] else []
    if each["amount"] is not None:
        found.append(amount_words(each["amount"]))
    return f"{' and '.join(found)} of {each['item_class']}"


def amount_words(amount: dict[str, Any] | None) -> str:
    """An amount for people: exact, with its unit."""
    if amount is None:
        return "-"
    digits = str(amount["mantissa"])
    places = -int(amount["exponent"])
    if places > 0:
        digits = digits.rjust(places + 1, "0")
        digits = f"{digits[:-places]}.{digits[-places:]}"
    return f"{digits} {amount['unit']}".strip()


def _trace_lines(found: dict[str, Any], number: int, indent: str) -> Iterator[str]:
    """A leg, what it is made of before it, what it went into after it."""
    leg = found["legs"][number]
    yield f"{indent}{leg['thing']}"
    yield from _hanging(found, number, "origin", f"{indent}├ made of", indent)
    for step in leg["steps"]:
        yield from _step_lines(step, indent)
    yield from _hanging(found, number, "outcome", f"{indent}├ went into", indent)
    if leg["cut"]:
        more = found["after"] if number == 0 else None
        yield f"{indent}└ cut here" + ("" if more is None else f"; go on with --after {more}")


def _hanging(
    found: dict[str, Any], number: int, way: str, title: str, indent: str
) -> Iterator[str]:
    for index, leg in enumerate(found["legs"]):
        if index > 0 and (leg["of"], leg["way"]) == (number, way):
            yield title
            yield from _trace_lines(found, index, f"{indent}│   ")


def _step_lines(step: dict[str, Any], indent: str) -> Iterator[str]:
    event = step["event"]
    inside = "" if step["level"] == 0 else f"  [{step['thing']}]"
    yield f"{indent}├ {step['number']:>4}  {_event_words(step)}{_measured(event)}{inside}"
    yield f"{indent}│       receipt {event['transaction']}"
    if "document" in step:
        for line in step["document"]["lines"] if step["document"] else (NOT_OPENED,):
            yield f"{indent}│       {line}"


def _measured(event: dict[str, Any]) -> str:
    if event["min_mc"] is None:
        return ""
    return f", {event['min_mc'] / MILLI:.1f} to {event['max_mc'] / MILLI:.1f} °C"


def _alert_lines(told: dict[str, Any]) -> Iterator[str]:
    since = f"since height {told['from_height']}"
    if told["attempts"]:
        yield f"tried against the rules {since}:"
        rows = [
            (
                each["kind"],
                each["code"],
                each["organization"],
                moment(each["timestamp_ms"]),
                _things_words(each["things"]),
            )
            for each in told["attempts"]
        ]
        yield table(("attempt", "rule", "by", "when", "about"), rows)
    else:
        yield f"nothing was tried against the rules {since}"
    if told["alerts"]:
        yield f"for {told['organization']} to see to:"
        alerts = [
            (
                each["kind"],
                ALERTS[each["kind"]],
                each["subject"],
                moment(each["since_ms"]),
                ", ".join(each["details"]) or "-",
            )
            for each in told["alerts"]
        ]
        yield table(("alert", "what", "about", "when", "details"), alerts)
    else:
        yield f"{told['organization']} has nothing to see to"
    if told["cut"]:
        yield "there is more to see to than is listed"


def _things_words(things: list[str]) -> str:
    shown = ", ".join(things[:THINGS_SHOWN_MAX]) or "-"
    more = len(things) - THINGS_SHOWN_MAX
    return f"{shown} and {more} more" if more > 0 else shown
