"""Documents of events for people: places, temperatures, certificates, of what a wallet may open."""

from typing import Any, Final

from chain.document import from_document
from chain.errors import InvalidMessage
from client.epcis.document import parse_document
from client.epcis.events import Event, SensorReport
from client.epcis.facts import parties_named
from client.epcis_reading import OpenedEvent, compare, document_name, open_document
from client.errors import ApiError, NotForUs, Tampered
from client.hidden import ProductKeys
from client.reading import Reader
from ledger.supply.entries import EventEntry
from node.cli.errand import Visit
from node.cli.words import one_line

_GONE: Final = frozenset({404, 410})


async def opened_steps(visit: Visit, trace: dict[str, Any]) -> None:
    """Puts beside every step of a trace what its document says, where this wallet may open it:
    `document`, null where it may not."""
    reader, parties, products = visit.reader(), Parties(visit), visit.products()
    for step in (each for leg in trace["legs"] for each in leg["steps"]):
        entry: EventEntry = from_document(EventEntry, step["event"], "event")
        step["document"] = await _opened(visit, reader, parties, products, entry)


class Parties:
    """Whose Global Location Numbers are, asked once each."""

    def __init__(self, visit: Visit) -> None:
        self._supply = visit.supply
        self._known: dict[str, str | None] = {}

    async def of(self, event: Event) -> dict[str, str]:
        """The members whose numbers `event` names."""
        for gln in parties_named(event):
            if gln not in self._known:
                try:
                    self._known[gln] = await self._supply.party(gln)
                except ApiError as error:
                    if error.code != "party.unknown":
                        raise
                    self._known[gln] = None
        found = {gln: self._known[gln] for gln in parties_named(event)}
        return {gln: member for gln, member in found.items() if member is not None}


async def _opened(
    visit: Visit, reader: Reader, parties: Parties, products: ProductKeys, entry: EventEntry
) -> dict[str, Any] | None:
    try:
        key = await reader.category_key(document_name(entry))
        attachment = await visit.api.attachment(entry.content.ciphertext)
        raw = open_document(attachment, entry, key, visit.network.chain_id)
        (event,) = parse_document(raw).events
        hidden = await products.readable(event)
        opened = compare(raw, entry, key, await parties.of(event), hidden)
    except NotForUs:
        return None
    except (Tampered, InvalidMessage) as error:
        return {"differs": [error.code], "lines": [f"DOCUMENT DOES NOT FIT: {error.code}"]}
    except ApiError as error:
        if error.status in _GONE:
            return None
        raise
    return {
        "id": opened.event.event_id,
        "differs": list(opened.differs),
        "unjudged": list(opened.unjudged),
        "read_point": _text(event.read_point),
        "biz_location": _text(event.biz_location),
        "certifications": list(event.certifications),
        "measured": [_measured(each) for each in event.sensor_reports],
        "lines": _lines(opened),
    }


def _lines(opened: OpenedEvent) -> list[str]:
    event = opened.event
    lines = []
    if opened.differs:
        lines.append(f"SAYS OTHERWISE THAN THE CHAIN: {', '.join(opened.differs)}")
    if opened.unjudged:
        lines.append(f"serial numbers not compared, hidden from you: {', '.join(opened.unjudged)}")
    if event.read_point is not None:
        lines.append(f"read at {one_line(event.read_point.text)}")
    if event.biz_location is not None:
        lines.append(f"then at {one_line(event.biz_location.text)}")
    lines += [
        one_line(f"{each['type']}: {_range(each)} {each['uom']}".rstrip())
        for each in map(_measured, event.sensor_reports)
    ]
    lines += [one_line(f"certificate {each}") for each in event.certifications]
    return lines


def _measured(report: SensorReport) -> dict[str, Any]:
    """A report of a sensor, its numbers as exact as they were sent."""
    low = report.minimum if report.minimum is not None else report.value
    high = report.maximum if report.maximum is not None else report.value
    return {
        "type": report.type or report.exception,
        "min": None if low is None else f"{low:f}",
        "max": None if high is None else f"{high:f}",
        "uom": report.uom,
    }


def _range(measured: dict[str, Any]) -> str:
    low, high = measured["min"], measured["max"]
    if low is None and high is None:
        return "reported"
    return str(low) if low == high else f"{low or '?'} to {high or '?'}"


def _text(found: Any) -> str | None:
    return None if found is None else found.text
