"""An EPCIS event as a value: what was sent, and typed access to what others need of it.

Only `client.epcis.reading` makes events; one that exists keeps the rules of the standard.
Field names follow EPCIS 2.0 section 7.4, in Python's spelling.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from client.epcis.keys import Identifier
from client.fhir_json import Value


class EventType(StrEnum):
    """The five kinds of events."""

    OBJECT = "ObjectEvent"
    AGGREGATION = "AggregationEvent"
    TRANSACTION = "TransactionEvent"
    TRANSFORMATION = "TransformationEvent"
    ASSOCIATION = "AssociationEvent"


class Action(StrEnum):
    """How an event relates to the life of what it names (section 7.3.2)."""

    ADD = "ADD"
    OBSERVE = "OBSERVE"
    DELETE = "DELETE"


@dataclass(frozen=True, slots=True)
class Quantity:
    """So much of a class. `quantity` is None where it is not known; `uom` is "" for a count."""

    epc_class: Identifier
    quantity: Decimal | None
    uom: str


@dataclass(frozen=True, slots=True)
class Typed:
    """A business transaction, a source or a destination. `type` is "" where none was given."""

    type: str
    id: Identifier


@dataclass(frozen=True, slots=True)
class SensorReport:
    """One report with what its element's metadata says of all: device and time.

    `from_ms` and `until_ms` are milliseconds of the UNIX epoch, equal for a single moment and None
    where no time was given. Values are exact, in `uom` (UN/CEFACT Recommendation 20).
    """

    type: str
    exception: str
    device: Identifier | None
    from_ms: int | None
    until_ms: int | None
    value: Decimal | None
    minimum: Decimal | None
    maximum: Decimal | None
    mean: Decimal | None
    uom: str
    component: str


@dataclass(frozen=True, slots=True)
class ErrorDeclaration:
    """Says that an earlier event, equal in all else, was wrong (section 7.4.1.2)."""

    time_ms: int
    reason: str
    corrective_event_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`raw` is the event as it came; everything else is read out of it.

    Words of CBV are bare (`shipping`), a user's own words are URIs. Times are milliseconds of the
    UNIX epoch, rounded at the fourth digit after the second. `zone_offset_minutes` is where the
    clock of the place stood. `prefixes` are the name spaces that the contexts declare, `context`
    those contexts: with it the event stands on its own.
    """

    type: EventType
    event_id: str
    action: Action | None
    event_time_ms: int
    zone_offset_minutes: int
    biz_step: str
    disposition: str
    persistent_set: tuple[str, ...]
    persistent_unset: tuple[str, ...]
    epcs: tuple[Identifier, ...]
    quantities: tuple[Quantity, ...]
    parent: Identifier | None
    children: tuple[Identifier, ...]
    child_quantities: tuple[Quantity, ...]
    inputs: tuple[Identifier, ...]
    input_quantities: tuple[Quantity, ...]
    outputs: tuple[Identifier, ...]
    output_quantities: tuple[Quantity, ...]
    transformation_id: str
    read_point: Identifier | None
    biz_location: Identifier | None
    biz_transactions: tuple[Typed, ...]
    sources: tuple[Typed, ...]
    destinations: tuple[Typed, ...]
    sensor_reports: tuple[SensorReport, ...]
    certifications: tuple[str, ...]
    lot_number: str
    item_expiration: date | None
    error_declaration: ErrorDeclaration | None
    prefixes: Mapping[str, str]
    context: tuple[Value, ...]
    raw: dict[str, Value]
