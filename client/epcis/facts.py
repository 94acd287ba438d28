"""What the ledger's rules know of an event: EPCIS on one side, `supply.capture` on the other.

Pure, so whoever can open the event's document computes the same again and sees whether the chain
was told the truth. Parties are looked up by the caller; `parties_named` says which.

Things go by their canonical texts. Serial numbers of products with a key are hidden: a keyed tag in
their place, which says nothing to who has no key and the same to who has it (`hidden_serial`).
"""

from base64 import urlsafe_b64encode
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from hashlib import sha256
from hmac import digest
from types import MappingProxyType
from typing import Final, NamedTuple
from urllib.parse import quote

from chain.errors import InvalidMessage
from client.epcis.events import Action, Event, EventType, Quantity, SensorReport
from client.epcis.keys import Identifier, Kind
from client.epcis.vocabulary import BIZ_STEPS, DISPOSITIONS
from client.fhir_json import canonical
from ledger.ids import device_of
from ledger.supply.actions import EventContent, SupplyCapture
from ledger.supply.amounts import amount_of, millionths, rounded
from ledger.supply.fields import (
    DEVICES_MAX,
    GROUPS_MAX,
    NAMES_MAX,
    QUANTITIES_MAX,
    READINGS_MAX,
    ClassQuantity,
    EventKind,
    ItemGroup,
    LotFacts,
    Reading,
)

NO_KEYS: Final[Mapping[str, bytes]] = MappingProxyType({})

_ITEM_CHARS_MAX: Final = 160
_LOT_CHARS_MAX: Final = 20
_MANTISSA_MAX: Final = 10**15
_TAG_BYTES: Final = 16
_DAY_MS: Final = 86_400_000
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_MILLI_CELSIUS: Final = range(-273_150, 10_000_001)
_PIECES: Final = frozenset({"C62", "EA", "H87"})
"""Units of Recommendation 20 that count pieces, as having no unit does."""

_OWN_STEPS: Final = frozenset({"administering"})
_OWN_DISPOSITIONS: Final = frozenset({"exported"})
"""Words that CBV lacks and the ledger has rules for: the last part of a user's URI."""

_KINDS: Final[Mapping[EventType, EventKind]] = MappingProxyType(
    {
        EventType.OBJECT: "object",
        EventType.AGGREGATION: "aggregation",
        EventType.TRANSACTION: "transaction",
        EventType.TRANSFORMATION: "transformation",
        EventType.ASSOCIATION: "association",
    }
)
_RECEIVERS: Final = ("possessing_party", "owning_party", "location")
"""Which destination receives: the first of these that an event names."""


def capture_of(
    event: Event,
    named: bytes,
    content: EventContent,
    parties: Mapping[str, str],
    *,
    binding: bool,
    tag: bytes | None = None,
    hidden: Mapping[str, bytes] = NO_KEYS,
) -> SupplyCapture:
    """The action that captures `event`, which the ledger knows as `named`, sealed as `content`.

    `parties` are members by Global Location Number, `hidden` the keys of products by GTIN, `tag`
    goes with a dispense. Raises `InvalidMessage` (`facts.*`), its field that of the action, for
    what the ledger has no words for: names and amounts beyond its limits, an expiry without a lot,
    two receivers, and, of a binding event, a temperature without a unit.
    """
    names, quantities = _things(event)
    devices = tuple(each for each in names if _is_device(event, each))
    _limit(devices, DEVICES_MAX, "devices")
    readings = _readings(event, binding=binding)
    return SupplyCapture(
        event=named,
        declaration=declaration_key(event, named),
        kind=_KINDS[event.type],
        action=event.action.value if event.action else None,
        step=step_of(event.biz_step),
        disposition=_own_word(event.disposition, DISPOSITIONS.words, _OWN_DISPOSITIONS) or None,
        binding=binding,
        event_time_ms=_moment(event.event_time_ms, "event_time_ms"),
        items=_groups([each for each in names if each not in devices], hidden, "items"),
        quantities=_amounts(quantities, "quantities"),
        parent=_name(event.parent, hidden, "parent") if event.parent else None,
        outputs=_groups(event.outputs, hidden, "outputs"),
        output_quantities=_amounts(event.output_quantities, "output_quantities"),
        lot=_lot(event),
        receiver=_receiver(event, parties) if event.biz_step == "shipping" else None,
        devices=tuple(sorted({_device(each, "devices") for each in devices})),
        readings=readings,
        tag=tag,
        content=content,
    )


def parties_named(event: Event) -> tuple[str, ...]:
    """The Global Location Numbers in `event`, each once."""
    named = [each.id for each in (*event.destinations, *event.sources)]
    named += [each for each in (event.biz_location, event.read_point) if each]
    return tuple(dict.fromkeys(each.gln for each in named if each.gln))


def products_named(event: Event) -> tuple[str, ...]:
    """The GTINs in `event`, each once, in order."""
    names, quantities = _things(event)
    parents = [event.parent] if event.parent else []
    named = [*names, *event.outputs, *parents]
    named += [each.epc_class for each in (*quantities, *event.output_quantities)]
    return tuple(sorted({each.gtin for each in named if each.gtin}))


def serials_named(event: Event) -> tuple[str, ...]:
    """The GTINs in `event` of which it names single items by their serial numbers, in order."""
    parents = [event.parent] if event.parent else []
    named = [*_things(event).names, *event.outputs, *parents]
    return tuple(sorted({each.gtin for each in named if each.gtin and each.serial}))


def step_of(biz_step: str) -> str:
    """The step by which the ledger's rules know a normalised `biz_step`; `other` for none."""
    return _own_word(biz_step, BIZ_STEPS.words, _OWN_STEPS) or "other"


def hidden_serial(key: bytes, gtin: str, serial: str) -> str:
    """What stands for `serial`, as it is printed: `~` and 22 characters that only `key` makes."""
    tag = digest(key, f"{gtin}/{serial}".encode(), "sha256")[:_TAG_BYTES]
    return "~" + urlsafe_b64encode(tag).decode().rstrip("=")


def hidden_name(identifier: Identifier, key: bytes, field: str) -> str:
    """How the ledger names a pack whose serial number is hidden by `key`.

    Raises `InvalidMessage` for other serial numbers of trade items (AI 235, 8006): there are no
    tags for them, and they are not told either.
    """
    if identifier.kind is not Kind.SGTIN:
        raise InvalidMessage("facts.not_hidden", field, "a serial number that cannot be hidden")
    serial = hidden_serial(key, identifier.gtin, identifier.serial)
    return f"01/{identifier.gtin}/21/{serial}"


def day_after_ms(day: date) -> int:
    """The first moment after `day`, in UTC milliseconds: what expires on it is good until then."""
    return (day.toordinal() - _EPOCH_DAY + 1) * _DAY_MS


class _Things(NamedTuple):
    names: tuple[Identifier, ...]
    quantities: tuple[Quantity, ...]


def _things(event: Event) -> _Things:
    """What an event is about, one by one and by the amount."""
    match event.type:
        case EventType.OBJECT | EventType.TRANSACTION:
            return _Things(event.epcs, event.quantities)
        case EventType.AGGREGATION | EventType.ASSOCIATION:
            return _Things(event.children, event.child_quantities)
        case EventType.TRANSFORMATION:
            return _Things(event.inputs, event.input_quantities)


def _is_device(event: Event, identifier: Identifier) -> bool:
    """An individual asset (GIAI) that is associated measures; a returnable one holds things."""
    return event.type is EventType.ASSOCIATION and identifier.kind is Kind.GIAI


def _device(identifier: Identifier, field: str) -> bytes:
    return device_of(_printable(identifier.text, _ITEM_CHARS_MAX, field))


def declaration_key(event: Event, named: bytes) -> bytes | None:
    """The key of what declares the event `named` wrong: it has that event's id, so its own name is
    made of what it says. None for an event that declares nothing."""
    if event.error_declaration is None:
        return None
    return sha256(named + canonical(event.raw["errorDeclaration"])).digest()


def _own_word(text: str, words: Collection[str], own: Collection[str]) -> str:
    """A word of the standard or of the ledger's own; "" for any other."""
    last = text.replace("#", "/").replace(":", "/").rpartition("/")[2]
    return text if text in words else last if last in own and last != text else ""


def _moment(milliseconds: int, field: str) -> int:
    if milliseconds < 0:
        raise InvalidMessage("facts.time", field, "the ledger counts from 1970")
    return milliseconds


def _printable(text: str, chars_max: int, field: str) -> str:
    if not 1 <= len(text) <= chars_max or not all("!" <= each <= "~" for each in text):
        raise InvalidMessage(
            "facts.name", field, f"at most {chars_max} printable characters of ASCII"
        )
    return text


def _limit(listed: Sequence[object], most: int, field: str) -> None:
    if len(listed) > most:
        raise InvalidMessage("facts.too_many", field, f"at most {most} in one event")


def _name(identifier: Identifier, hidden: Mapping[str, bytes], field: str) -> str:
    text = identifier.text
    if identifier.serial and identifier.gtin in hidden:
        text = hidden_name(identifier, hidden[identifier.gtin], field)
    return _printable(text, _ITEM_CHARS_MAX, field)


def _groups(
    identifiers: Sequence[Identifier], hidden: Mapping[str, bytes], field: str
) -> tuple[ItemGroup, ...]:
    """A GS1 key splits at its last slash, since slashes within values are escaped."""
    _limit(identifiers, NAMES_MAX, field)
    found = dict[str, set[str]]()
    for identifier in identifiers:
        name = _name(identifier, hidden, field)
        stem, _, last = ("", "", name) if identifier.kind is Kind.URI else name.rpartition("/")
        found.setdefault(stem, set()).add(last)
    _limit(list(found), GROUPS_MAX, field)
    return tuple(ItemGroup(stem, tuple(sorted(names))) for stem, names in sorted(found.items()))


def _amounts(quantities: Sequence[Quantity], field: str) -> tuple[ClassQuantity, ...]:
    """One amount a class: what stands there twice is added up."""
    counts = dict[str, tuple[str, int]]()
    for quantity in quantities:
        item_class = _printable(quantity.epc_class.text, _ITEM_CHARS_MAX, field)
        unit = "" if quantity.uom in _PIECES else quantity.uom
        before = counts.get(item_class, (unit, 0))
        if before[0] != unit:
            raise InvalidMessage("facts.units", field, "one class in two units")
        counts[item_class] = (unit, before[1] + _millionths(quantity.quantity, unit, field))
    _limit(list(counts), QUANTITIES_MAX, field)
    found = list[ClassQuantity]()
    for item_class, (unit, count) in sorted(counts.items()):
        amount = amount_of(count, unit)
        if amount is None or amount.mantissa > _MANTISSA_MAX:
            raise InvalidMessage("facts.amount", field, "more digits than the ledger counts")
        found.append(ClassQuantity(item_class, amount))
    return tuple(found)


def _millionths(quantity: Decimal | None, unit: str, field: str) -> int:
    if quantity is None:
        raise InvalidMessage("facts.amount", field, "a class without a quantity")
    parts = quantity.as_tuple()
    mantissa = int("".join(map(str, parts.digits)))
    amount = rounded(mantissa, int(parts.exponent), unit)
    if amount is None:
        raise InvalidMessage("facts.amount", field, "less than a millionth of its unit")
    return millionths(amount)


def _lot(event: Event) -> LotFacts | None:
    """Of which lot things are that come to be: as their master data say, else their links."""
    comes_to_be = event.action is Action.ADD and event.type is EventType.OBJECT
    if not comes_to_be and event.type is not EventType.TRANSFORMATION:
        return None
    things = event.outputs if event.type is EventType.TRANSFORMATION else event.epcs
    lots = {each.lot for each in things if each.lot} | {event.lot_number} - {""}
    if len(lots) > 1:
        raise InvalidMessage("facts.lot", "lot", "one lot in one event")
    if not lots:
        if event.item_expiration is not None:
            raise InvalidMessage("facts.lot", "lot", "an expiry without its lot")
        return None
    lot = _printable(quote(lots.pop(), safe=""), _LOT_CHARS_MAX, "lot.lot")
    if event.item_expiration is None:
        return LotFacts(lot, None)
    return LotFacts(lot, _moment(day_after_ms(event.item_expiration), "lot.expires_ms"))


def _receiver(event: Event, parties: Mapping[str, str]) -> str | None:
    """To whom the goods go: a member, or None for nobody whom the ledger knows."""
    for kind in _RECEIVERS:
        named = {each.id.gln for each in event.destinations if each.type == kind}
        if len(named) > 1:
            raise InvalidMessage("facts.receiver", "receiver", "one receiver of one shipment")
        if named:
            return parties.get(named.pop())
    return None


def _readings(event: Event, *, binding: bool) -> tuple[Reading, ...]:
    """The temperatures that devices measured, in order of time. Of an event that only says
    something, those that the ledger has no words for are left out."""
    found: list[Reading] = []
    for report in event.sensor_reports:
        if report.type != "Temperature" or report.device is None:
            continue
        try:
            found += _reading(report, report.device, event.event_time_ms)
        except InvalidMessage:
            if binding:
                raise
    _limit(found, READINGS_MAX, "readings")
    return tuple(sorted(found, key=lambda each: (each.from_ms, each.to_ms, each.device)))


def _reading(report: SensorReport, device: Identifier, event_time_ms: int) -> list[Reading]:
    said = [
        each
        for each in (report.value, report.minimum, report.maximum, report.mean)
        if each is not None
    ]
    if not said:
        return []
    low, high = _milli_celsius(min(said), report.uom), _milli_celsius(max(said), report.uom)
    return [
        Reading(
            device=_device(device, "readings"),
            from_ms=_moment(_first(report.from_ms, event_time_ms), "readings"),
            to_ms=_moment(_first(report.until_ms, event_time_ms), "readings"),
            min_mc=_within(low.numerator // low.denominator),
            max_mc=_within(-(-high.numerator // high.denominator)),
        )
    ]


def _first(milliseconds: int | None, otherwise: int) -> int:
    return otherwise if milliseconds is None else milliseconds


def _milli_celsius(value: Decimal, uom: str) -> Fraction:
    """Exact; who rounds it rounds outwards, so that nothing outside looks as if it was inside."""
    degrees = Fraction(value)
    match uom:
        case "CEL":
            return degrees * 1_000
        case "KEL":
            return degrees * 1_000 - 273_150
        case "FAH":
            return (degrees - 32) * 5_000 / 9
        case _:
            raise InvalidMessage("facts.unit", "readings", "a temperature in CEL, FAH or KEL")


def _within(milli_celsius: int) -> int:
    if milli_celsius not in _MILLI_CELSIUS:
        raise InvalidMessage("facts.temperature", "readings", "a temperature that nothing has")
    return milli_celsius
