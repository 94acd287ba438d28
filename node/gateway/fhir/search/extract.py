"""A resource as the search parameters see it: its index entry.

Takes any JSON object that has a type. What does not have the shape that FHIR gives it yields no
value and no error: records put by other tools are indexed as far as they can be read.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeVar

from client.fhir_json import Number, Value
from node.gateway.fhir.search.entry import (
    ENTRY,
    ENTRY_BYTES_MAX,
    Entry,
    Quantity,
    Reference,
    Token,
)
from node.gateway.fhir.search.parameters import (
    TABLE_EDITION,
    Parameter,
    Path,
    parameters_of,
)
from node.gateway.fhir.search.ranges import (
    OPEN_HIGH_MS,
    OPEN_LOW_MS,
    DateRange,
    parse_date,
    parse_number,
)
from node.gateway.fhir.search.references import read_reference
from node.gateway.fhir.search.text import TEXT_CHARACTERS_MAX, fold, fold_code

_T = TypeVar("_T")

VALUES_MAX: Final = 256
"""Values of one kind that a resource may have for one parameter; the rest is cut."""
CODE_CHARACTERS_MAX: Final = 512
_VALUES_CUT: Final = (VALUES_MAX, 64, 16, 4, 1)
_NAME_PARTS: Final = ("family", "given", "prefix", "suffix", "text")
_ADDRESS_PARTS: Final = (
    "text",
    "line",
    "city",
    "district",
    "state",
    "postalCode",
    "country",
)


def extract(resource: dict[str, Value]) -> Entry:
    """The index entry of `resource`; its encoding is at most `ENTRY_BYTES_MAX` bytes."""
    for values_max in _VALUES_CUT:
        entry = _Extraction(values_max).of(resource)
        if len(ENTRY.encode(entry)) <= ENTRY_BYTES_MAX:
            return entry
    raise AssertionError("one value of each parameter fits")


def extract_bytes(resource: dict[str, Value]) -> bytes:
    """The index entry of `resource`, encoded."""
    return ENTRY.encode(extract(resource))


@dataclass(slots=True)
class _Extraction:
    values_max: int
    tokens: dict[str, tuple[Token, ...]] = field(default_factory=dict)
    texts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    dates: dict[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    strings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    references: dict[str, tuple[Reference, ...]] = field(default_factory=dict)
    identifiers: dict[str, tuple[Token, ...]] = field(default_factory=dict)
    quantities: dict[str, tuple[Quantity, ...]] = field(default_factory=dict)
    bare: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)

    def of(self, resource: dict[str, Value]) -> Entry:
        resource_type = _text(resource.get("resourceType"))
        own_id = _text(resource.get("id"))
        for _, parameter in sorted(parameters_of(resource_type).items()):
            if not self._take(parameter, resource) and _present(parameter, resource):
                self.bare.append(parameter.name)
        return Entry(
            TABLE_EDITION,
            resource_type,
            own_id if len(own_id) <= 64 else "",
            self.tokens,
            self.texts,
            self.dates,
            self.strings,
            self.references,
            self.identifiers,
            self.quantities,
            tuple(self.bare),
            tuple(self.cut),
        )

    def _take(self, parameter: Parameter, resource: dict[str, Value]) -> bool:
        """Keeps what `resource` has for `parameter`; whether there was anything."""
        values = tuple(_values(parameter, resource))
        match parameter.kind:
            case "token":
                self._keep(self.texts, parameter, _texts(values))
                return self._keep(self.tokens, parameter, _tokens(parameter, resource, values))
            case "date":
                return self._keep(self.dates, parameter, _dates(values))
            case "string" | "uri":
                return self._keep(self.strings, parameter, _strings(values))
            case "reference":
                named = self._keep(self.identifiers, parameter, _reference_identifiers(values))
                return self._keep(self.references, parameter, _references(parameter, values)) or (
                    named
                )
            case "quantity" | "number":
                return self._keep(self.quantities, parameter, _quantities(values))

    def _keep(
        self, kept: dict[str, tuple[_T, ...]], parameter: Parameter, found: Iterable[_T]
    ) -> bool:
        distinct = tuple(dict.fromkeys(found))
        if len(distinct) > self.values_max:
            distinct = distinct[: self.values_max]
            if parameter.name not in self.cut:
                self.cut.append(parameter.name)
        if distinct:
            kept[parameter.name] = distinct
        return bool(distinct)


def _values(parameter: Parameter, resource: dict[str, Value]) -> Iterator[Value]:
    for path in parameter.paths:
        if not path.presence:
            yield from _at(path, resource)


def _at(path: Path, resource: dict[str, Value]) -> Iterable[Value]:
    found: list[Value] = [resource]
    for name in path.elements:
        found = [
            member
            for each in found
            if isinstance(each, dict) and name in each
            for member in _flat(each[name])
        ]
    if path.where is None:
        return found
    key, wanted = path.where
    return [each for each in found if isinstance(each, dict) and each.get(key) == wanted]


def _flat(value: Value) -> Iterable[Value]:
    return value if isinstance(value, list) else (value,)


def _present(parameter: Parameter, resource: dict[str, Value]) -> bool:
    found = [each for path in parameter.paths for each in _at(path, resource)]
    if parameter.kind == "reference":
        # What leads to another type is another parameter's.
        return any(isinstance(each, dict) and "reference" not in each for each in found)
    return bool(found)


def _text(value: Value) -> str:
    return value if isinstance(value, str) else ""


def _member(value: Value, name: str) -> Value:
    return value.get(name) if isinstance(value, dict) else None


# Tokens (FHIR R4 §3.1.1.4.10)


def _tokens(
    parameter: Parameter, resource: dict[str, Value], values: tuple[Value, ...]
) -> Iterator[Token]:
    there = [each for each in parameter.paths if each.presence]
    if there:
        yes = any(_at(each, resource) for each in there) or any(each is True for each in values)
        yield "", "true" if yes else "false"
        return
    for value in values:
        for system, code in _token(value, parameter.system):
            if (system or code) and max(len(system), len(code)) <= CODE_CHARACTERS_MAX:
                yield system, fold_code(code)


def _token(value: Value, bound: str) -> Iterator[Token]:
    """(system, code) of a code, boolean, CodeableConcept, Coding, Identifier or ContactPoint."""
    match value:
        case str():
            yield bound, value
        case bool():
            yield "", "true" if value else "false"
        case {"coding": list(codings)}:
            for each in codings:
                yield _text(_member(each, "system")), _text(_member(each, "code"))
        case {"code": str(code)}:
            yield _text(_member(value, "system")), code
        case {"value": str(text), "system": str(system)}:
            yield (system if ":" in system else ""), text  # "phone" is no system
        case {"value": str(text)}:
            yield "", text
        case {"system": str(system)} if ":" in system:
            yield system, ""
        case _:
            pass


def _texts(values: tuple[Value, ...]) -> Iterator[str]:
    """What `:text` looks at: CodeableConcept.text, Coding.display, Identifier.type.text."""
    for value in values:
        candidates = [_member(value, "text"), _member(value, "display")]
        candidates.append(_member(_member(value, "type"), "text"))
        coding = _member(value, "coding")
        if isinstance(coding, list):
            candidates += [_member(each, "display") for each in coding]
        for each in candidates:
            if folded := fold(_text(each)):
                yield folded


# Dates, strings, quantities


def _dates(values: tuple[Value, ...]) -> Iterator[tuple[int, int]]:
    for value in values:
        yield from _date(value)


def _date(value: Value) -> Iterator[tuple[int, int]]:
    """Ranges of a date, dateTime or instant, a Period, or a Timing."""
    if isinstance(value, str):
        found = parse_date(value)
        if found is not None:
            yield found.low, found.high
    elif isinstance(value, dict):
        start, end = _bound(value.get("start")), _bound(value.get("end"))
        if start is not None or end is not None:
            low = start.low if start else OPEN_LOW_MS
            yield low, max(low + 1, end.high if end else OPEN_HIGH_MS)
        events = value.get("event")
        for each in events if isinstance(events, list) else ():
            if isinstance(each, str):
                yield from _date(each)
        period = _member(value.get("repeat"), "boundsPeriod")
        if isinstance(period, dict) and "repeat" not in period:
            yield from _date(period)


def _bound(value: Value) -> DateRange | None:
    return parse_date(value) if isinstance(value, str) else None


def _strings(values: tuple[Value, ...]) -> Iterator[str]:
    for value in values:
        for each in _string(value):
            if text := each.strip()[:TEXT_CHARACTERS_MAX]:
                yield text


def _string(value: Value) -> Iterator[str]:
    """A string itself, or the parts of a HumanName or Address."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name in (*_NAME_PARTS, *_ADDRESS_PARTS[1:]):
            for each in _flat(value.get(name)):
                yield _text(each)


def _quantities(values: tuple[Value, ...]) -> Iterator[Quantity]:
    for value in values:
        if not isinstance(value, dict):
            continue
        low, high = _decimal(value.get("value")), _decimal(value.get("value"))
        match value.get("comparator"):
            case "<" | "<=":
                low = ""
            case ">" | ">=":
                high = ""
            case _:
                pass
        unit: Value = value
        if "low" in value or "high" in value:
            low, high = (_decimal(_member(value.get(each), "value")) for each in ("low", "high"))
            unit = value.get("low") or value.get("high")
        if low or high:
            names = (_text(_member(unit, each)) for each in ("system", "code", "unit"))
            system, code, name = (each[:CODE_CHARACTERS_MAX] for each in names)
            yield low, high, system, code, name


def _decimal(value: Value) -> str:
    """A number's text where it can be compared; "" otherwise."""
    if isinstance(value, Number) and parse_number(value.text) is not None:
        return value.text
    return ""


# References


def _references(parameter: Parameter, values: tuple[Value, ...]) -> Iterator[Reference]:
    for value in values:
        text = value if isinstance(value, str) else _text(_member(value, "reference"))
        kind = _text(_member(value, "type"))
        if not text or text.startswith("#") or len(text) > CODE_CHARACTERS_MAX:
            continue
        found = read_reference(text)
        leads_to = found[0] or kind
        if not leads_to or not parameter.targets or leads_to in parameter.targets:
            yield found


def _reference_identifiers(values: tuple[Value, ...]) -> Iterator[Token]:
    for value in values:
        identifier = _member(value, "identifier")
        if isinstance(identifier, dict):
            for system, code in _token(identifier, ""):
                if code and max(len(system), len(code)) <= CODE_CHARACTERS_MAX:
                    yield system, fold_code(code)
