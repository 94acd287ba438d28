"""Documents of EPCIS that go out: events as they came in, in an EPCISQueryDocument.

EPCIS 2.0 §12.4 and the JSON binding §10. An event comes back as it was sent, with `recordTime` and
`eventID`; whatever else we know of it stands beside the events, never in them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, get_args

from chain.errors import InvalidMessage
from client.epcis.identifiers import as_digital_link, as_urn, parse_identifier
from client.fhir_json import Value

CONTEXT: Final = "https://ref.gs1.org/standards/epcis/epcis-context.jsonld"
SCHEMA_VERSION: Final = "2.0"
SIMPLE_EVENT_QUERY: Final = "SimpleEventQuery"
"""What a query is called to which nobody gave a name."""
MEDLOCK_PREFIX: Final = "medlock"
MEDLOCK_NAMESPACE: Final = "urn:medlock:epcis:"
DIFFERS: Final = f"{MEDLOCK_PREFIX}:differsFromLedger"
"""Of a query's results: events whose document says something else than the ledger."""

Document = dict[str, Value]
EpcFormat = Literal[
    "No_Preference", "Always_GS1_Digital_Link", "Always_EPC_URN", "Never_Translates"
]
EPC_FORMATS: Final[tuple[str, ...]] = get_args(EpcFormat)

_SINGLE: Final = ("parentID",)
_LISTS: Final = ("epcList", "childEPCs", "inputEPCList", "outputEPCList")
_QUANTITIES: Final = (
    "quantityList",
    "childQuantityList",
    "inputQuantityList",
    "outputQuantityList",
)
_PLACES: Final = ("readPoint", "bizLocation")
_TYPED: Final = {
    "bizTransactionList": "bizTransaction",
    "sourceList": "source",
    "destinationList": "destination",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """An event that goes out. `differs` is true where the ledger says something else of it."""

    event: Mapping[str, Value]
    recorded_ms: int
    differs: bool = False

    @property
    def id(self) -> str:
        """Its eventID."""
        found = self.event.get("eventID")
        return found if isinstance(found, str) else ""


def instant(at_ms: int) -> str:
    """RFC 3339, with milliseconds, in UTC."""
    at = datetime.fromtimestamp(at_ms / 1_000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_ms % 1_000:03}Z"


def query_document(
    shown: Sequence[Shown],
    at_ms: int,
    epc_format: EpcFormat = "Never_Translates",
    *,
    query: str = SIMPLE_EVENT_QUERY,
    subscription: str | None = None,
) -> Document:
    """The answer to a query, called `query`, at `at_ms` (UTC milliseconds)."""
    contexts = _Contexts()
    events: list[Value] = [contexts.taken(each, epc_format) for each in shown]
    results: Document = {"queryName": query}
    if subscription is not None:
        results["subscriptionID"] = subscription
    results["resultsBody"] = {"eventList": events}
    document: Document = {
        "@context": [],
        "type": "EPCISQueryDocument",
        "schemaVersion": SCHEMA_VERSION,
        "creationDate": instant(at_ms),
        "epcisBody": {"queryResults": results},
    }
    if differing := [each.id for each in shown if each.differs]:
        contexts.declare(MEDLOCK_PREFIX, MEDLOCK_NAMESPACE)
        document[DIFFERS] = list[Value](differing)
    document["@context"] = contexts.merged()
    return document


def single_event(shown: Shown) -> Document:
    """An event on its own, with the context that it brought."""
    return {**shown.event, "recordTime": instant(shown.recorded_ms)}


def collection(values: Sequence[str], prefixes: Mapping[str, str] | None = None) -> Document:
    """A list of the top level; `prefixes` are those that its members use."""
    terms: list[Value] = [{name: value} for name, value in (prefixes or {}).items()]
    return {"@context": [CONTEXT, *terms], "type": "Collection", "member": list[Value](values)}


class _Contexts:
    """The `@context`s of several events as one, as far as they agree."""

    def __init__(self) -> None:
        self._addresses: dict[str, None] = {CONTEXT: None}
        self._terms: dict[str, Value] = {}

    def declare(self, prefix: str, stands_for: Value) -> None:
        self._terms[prefix] = stands_for

    def taken(self, shown: Shown, epc_format: EpcFormat) -> Document:
        """The event as it goes out: with its own context where it means another thing by a word
        that an earlier one uses."""
        event: Document = {name: value for name, value in shown.event.items() if name != "@context"}
        event["recordTime"] = instant(shown.recorded_ms)
        own = shown.event.get("@context")
        parts: list[Value] = own if isinstance(own, list) else [] if own is None else [own]
        terms = {
            name: value for each in parts if isinstance(each, dict) for name, value in each.items()
        }
        if any(self._terms.get(name, value) != value for name, value in terms.items()):
            event["@context"] = parts
        else:
            self._terms |= terms
            self._addresses |= dict.fromkeys(
                each for each in parts if isinstance(each, str) and not _is_standard(each)
            )
        return translated(event, epc_format)

    def merged(self) -> list[Value]:
        """For the document."""
        terms: list[Value] = [{name: value} for name, value in self._terms.items()]
        return [*self._addresses, *terms]


def _is_standard(address: str) -> bool:
    return address.endswith("/epcis-context.jsonld")


def translated(event: Document, epc_format: EpcFormat) -> Document:
    """`event` with its GS1 keys in the form that is asked for. A key that is a Digital Link stays
    the one that it is; one whose company prefix nobody knows has no URN, and stays as well."""
    match epc_format:
        case "Always_GS1_Digital_Link":
            return _respelled(event, _link)
        case "Always_EPC_URN":
            return _respelled(event, _urn)
        case _:
            return event


def spelled(text: str, epc_format: EpcFormat) -> str:
    """One identifier in the form that is asked for."""
    match epc_format:
        case "Always_GS1_Digital_Link":
            return _link(text)
        case "Always_EPC_URN":
            return _urn(text)
        case _:
            return text


def _link(text: str) -> str:
    if text.startswith(("https://", "http://")):
        return text
    try:
        return as_digital_link(parse_identifier(text))
    except InvalidMessage:
        return text


def _urn(text: str) -> str:
    try:
        return as_urn(parse_identifier(text))
    except InvalidMessage:
        return text


def _respelled(event: Document, spell: Callable[[str], str]) -> Document:
    changed = dict(event)
    for name in _SINGLE:
        changed |= _changed(event, name, spell)
    for name in _LISTS:
        value = event.get(name)
        if isinstance(value, list):
            changed[name] = [spell(each) if isinstance(each, str) else each for each in value]
    for name in _PLACES:
        changed |= _within(event, name, "id", spell)
    for name in _QUANTITIES:
        changed |= _each_within(event, name, "epcClass", spell)
    for name, member in _TYPED.items():
        changed |= _each_within(event, name, member, spell)
    return changed


def _changed(part: Mapping[str, Value], name: str, spell: Callable[[str], str]) -> Document:
    value = part.get(name)
    return {name: spell(value)} if isinstance(value, str) else {}


def _within(
    part: Mapping[str, Value], name: str, member: str, spell: Callable[[str], str]
) -> Document:
    value = part.get(name)
    return {name: {**value, **_changed(value, member, spell)}} if isinstance(value, dict) else {}


def _each_within(
    part: Mapping[str, Value], name: str, member: str, spell: Callable[[str], str]
) -> Document:
    value = part.get(name)
    if not isinstance(value, list):
        return {}
    return {
        name: [
            {**each, **_changed(each, member, spell)} if isinstance(each, dict) else each
            for each in value
        ]
    }
