"""From documents of EPCIS to what the ledger is asked: parsed, named, weighed, with their facts.

Takes time: in a thread. Must not know HTTP, nor when anything is captured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from chain.errors import InvalidMessage
from client.builder import TransactionBuilder
from client.capturing import EVENTS_MAX as TRANSACTION_EVENTS_MAX
from client.capturing import (
    CapturedEvent,
    EventToCapture,
    Visibility,
    add_event,
    readers_category,
    readers_of,
    standalone,
)
from client.category import CategoryKey
from client.dispensing import tag_keys, tag_of
from client.epcis.document import parse_document
from client.epcis.events import Event
from client.epcis.facts import capture_of, parties_named, products_named
from client.epcis.faults import Fault, InvalidDocument
from client.fhir_json import canonical
from client.product_key import not_shared
from ledger.ids import event_category
from ledger.keyspace import party_key, product_key
from ledger.state import StateReader, decoded
from ledger.supply.actions import EventContent, SupplyCapture
from ledger.supply.entries import PARTY, PRODUCT
from ledger.weights import weight_of
from node.gateway.epcis.problem import EpcisProblem
from node.gateway.office import Office
from node.gateway.supply.jobs import EVENTS_MAX, EventToDo
from node.gateway.supply.product_keys import ProductKeys
from node.gateway.writing import Place

_NO_KEY: Final = bytes(32)
_NO_CONTENT: Final = EventContent(bytes(16), 0, bytes(32), bytes(32))


@dataclass(frozen=True, slots=True)
class Wish:
    """How events are to be captured: who can open their documents, and the site's own name for the
    `patient` to whom something is dispensed."""

    visibility: Visibility
    patient: str | None = None


class Composer:
    """`binding` is the node's policy: captured events move custody, or only say something."""

    def __init__(self, office: Office, products: ProductKeys, *, binding: bool) -> None:
        self._office = office
        self._products = products
        self._binding = binding

    def read(self, raw: bytes, wish: Wish, *, single: bool = False) -> tuple[EventToDo, ...]:
        """The events in `raw`, each once, with their ids, to be captured as is wished.

        Raises `EpcisProblem`: 400 with every fault and its pointer, 413.
        """
        events = _parsed(raw)
        if single and len(events) != 1:
            raise invalid((Fault("epcis.one_event", "", "one event, on its own"),))
        if not events:
            raise invalid((Fault("epcis.no_event", "/epcisBody/eventList", "at least one event"),))
        if len(events) > EVENTS_MAX:
            raise too_many(EVENTS_MAX)
        found: dict[tuple[str, bytes], EventToDo] = {}
        for index, event in enumerate(events):
            event_id, document = standalone(event)
            tag = None if wish.patient is None else self._tag(wish.patient, event_id)
            declaration = canonical(event.raw.get("errorDeclaration"))
            each = EventToDo(index, event_id, document, tag, wish.visibility)
            if found.setdefault((event_id, declaration), each).document != document:
                raise invalid((_repeated(index),))
        return tuple(found.values())

    def check_fits(self, events: Sequence[EventToDo]) -> None:
        """Raises `EpcisProblem` (413) where `events` do not fit into one transaction, and what
        `facts` does."""
        if len(events) > TRANSACTION_EVENTS_MAX:
            raise too_many(TRANSACTION_EVENTS_MAX)
        parameters = self._office.parameters()
        weight = 0
        for each in events:
            try:
                weight += weight_of(self.facts(each, _NO_KEY, _NO_CONTENT))
            except InvalidMessage:
                # What cannot be said to the ledger is told with the job, as what it refuses is.
                continue
        if weight > parameters.transaction_weight_max:
            raise EpcisProblem(
                413,
                "CaptureLimitExceededException",
                "epcis.too_heavy",
                "the events change more than one transaction of the ledger may",
                field="/epcisBody/eventList",
                fix="send fewer at once, or with GS1-Capture-Error-Behaviour: proceed",
            )

    def place(self, event: EventToDo) -> Place:
        """Where the document of `event` goes."""
        owner = self._office.owner
        if event.visibility == "consortium":
            return Place(owner, event_category())
        (parsed,) = _parsed(event.document)
        state = self._office.backend.store.state
        makers = makers_of(state, parsed)
        readers = readers_of(parsed, self._office.member, parties_of(state, parsed), makers)
        return Place(owner, readers_category(event.visibility, readers), readers)

    def add(
        self, builder: TransactionBuilder, events: Sequence[tuple[EventToDo, CategoryKey]]
    ) -> list[CapturedEvent]:
        """Asks, in the transaction of `builder`, for `events` to be captured, their documents
        sealed under the keys beside them. Raises `InvalidMessage` with a field as the ledger's:
        `actions[2].items`."""
        captured = []
        for index, (each, key) in enumerate(events):

            def facts(named: bytes, content: EventContent, each: EventToDo = each) -> SupplyCapture:
                return self.facts(each, named, content)

            try:
                captured.append(
                    add_event(builder, EventToCapture(each.id, each.document, facts), key)
                )
            except InvalidMessage as refusal:
                field = f"actions[{index}].{refusal.field}"
                raise InvalidMessage(refusal.code, field, refusal.cause) from None
        return captured

    def facts(self, event: EventToDo, named: bytes, content: EventContent) -> SupplyCapture:
        """What the ledger is told of it. Raises `EpcisProblem` (422) where it names packs whose
        serial numbers are hidden, and the key is not ours."""
        (parsed,) = _parsed(event.document)
        parties = parties_of(self._office.backend.store.state, parsed)
        hidden: dict[str, bytes] = {}
        for gtin, secret in self._products.hidden_in(parsed).items():
            if secret is None:
                raise _key_not_ours(event.index, gtin)
            hidden[gtin] = secret
        return capture_of(
            parsed,
            named,
            content,
            parties,
            binding=self._binding,
            tag=event.tag,
            hidden=hidden,
        )

    def _tag(self, patient: str, event_id: str) -> bytes:
        return tag_of(tag_keys(self._office.wallet)[0], patient, event_id)


def parties_of(state: StateReader, event: Event) -> Mapping[str, str]:
    """Whose the Global Location Numbers are that `event` names, as far as the ledger knows."""
    view = decoded(state)
    found = {gln: view.read(party_key(gln), PARTY) for gln in parties_named(event)}
    return {gln: entry.organization for gln, entry in found.items() if entry is not None}


def makers_of(state: StateReader, event: Event) -> Mapping[str, str]:
    """Whose the products are that `event` names, as far as the ledger knows."""
    view = decoded(state)
    found = {gtin: view.read(product_key(gtin), PRODUCT) for gtin in products_named(event)}
    return {gtin: entry.manufacturer for gtin, entry in found.items() if entry is not None}


def _parsed(raw: bytes) -> tuple[Event, ...]:
    try:
        return parse_document(raw).events
    except InvalidDocument as refusal:
        raise invalid(refusal.faults) from None


def _repeated(index: int) -> Fault:
    return Fault(
        "epcis.repeated_event_id",
        f"/epcisBody/eventList/{index}/eventID",
        "another event of the document has the same id",
    )


def _key_not_ours(index: int, gtin: str) -> EpcisProblem:
    refusal = not_shared(gtin)
    return EpcisProblem(
        422,
        "ValidationException",
        refusal.code,
        refusal.cause,
        field=f"/epcisBody/eventList/{index}",
        fix=refusal.fix,
    )


def invalid(faults: Sequence[Fault]) -> EpcisProblem:
    """Syntactically wrong: nothing of it is captured."""
    first = faults[0]
    return EpcisProblem(
        400,
        "ValidationException",
        first.code,
        first.cause,
        field=first.pointer,
        extra={
            "errors": [
                {"code": each.code, "field": each.pointer, "detail": each.cause} for each in faults
            ]
        },
    )


def too_many(most: int) -> EpcisProblem:
    """More than is captured at once."""
    return EpcisProblem(
        413,
        "CaptureLimitExceededException",
        "epcis.too_many_events",
        f"at most {most} events at once",
        field="/epcisBody/eventList",
        fix="send less at once, or with GS1-Capture-Error-Behaviour: proceed",
    )
