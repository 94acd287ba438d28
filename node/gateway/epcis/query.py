"""A query of EPCIS 2.0, its parameters checked and understood (§8.2.7.1, SimpleEventQuery).

One table of what there is. Values come from a URL, where "|" separates them, or from a named query,
where they are JSON.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, cast, get_args

from chain.errors import InvalidMessage
from client.epcis.identifiers import parse_identifier
from client.fhir_json import Number, Value
from node.gateway.epcis import names
from node.gateway.epcis.criteria import (
    Compared,
    Comparison,
    Criterion,
    EitherOf,
    Exists,
    Matching,
    OneOf,
    Pattern,
    Within,
)
from node.gateway.epcis.facets import (
    AMOUNTS,
    ANY_EPC,
    ANY_EPC_CLASS,
    VOCABULARIES,
    Scope,
    extension,
    number,
    time_ms,
)
from node.gateway.epcis.names import Prefixes
from node.gateway.epcis.problem import EpcisProblem, parameter_problem

PARAMETERS_MAX: Final = 64
VALUES_MAX: Final = 1_024
"""Of all parameters of a query."""
VALUE_CHARACTERS_MAX: Final = 512
PER_PAGE_DEFAULT: Final = 30
PER_PAGE_MAX: Final = 1_000
EVENTS_MAX: Final = 1_000_000
"""What `eventCountLimit` and `maxEventCount` may say."""

Order = Literal["ASC", "DESC"]

_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "eventType": "eventType",
        "EQ_action": "action",
        "EQ_bizStep": "bizStep",
        "EQ_disposition": "disposition",
        "EQ_persistentDisposition_set": "persistentDisposition_set",
        "EQ_persistentDisposition_unset": "persistentDisposition_unset",
        "EQ_errorReason": "errorReason",
        "EQ_type": "type",
        "EQ_exception": "exception",
        "EQ_component": "component",
    }
)
_THINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "EQ_readPoint": "readPoint",
        "EQ_bizLocation": "bizLocation",
        "EQ_transformationID": "transformationID",
        "EQ_eventID": "eventID",
        "EQ_correctiveEventID": "correctiveEventID",
        "EQ_deviceID": "deviceID",
        "EQ_deviceMetadata": "deviceMetadata",
        "EQ_rawData": "rawData",
        "EQ_dataProcessingMethod": "dataProcessingMethod",
        "EQ_microorganism": "microorganism",
        "EQ_chemicalSubstance": "chemicalSubstance",
        "EQ_coordinateReferenceSystem": "coordinateReferenceSystem",
        "EQ_bizRules": "bizRules",
        "EQ_uriValue": "uriValue",
    }
)
_MATCHES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "MATCH_epc": ("epc",),
        "MATCH_parentID": ("parentID",),
        "MATCH_inputEPC": ("inputEPC",),
        "MATCH_outputEPC": ("outputEPC",),
        "MATCH_anyEPC": ANY_EPC,
        "MATCH_epcClass": ("epcClass",),
        "MATCH_inputEPCClass": ("inputEPCClass",),
        "MATCH_outputEPCClass": ("outputEPCClass",),
        "MATCH_anyEPCClass": ANY_EPC_CLASS,
    }
)
_WITHIN: Final = {"WD_readPoint": "readPoint", "WD_bizLocation": "bizLocation"}
_TEXTS: Final = {
    "EQ_stringValue": "stringValue",
    "EQ_hexBinaryValue": "hexBinaryValue",
    "EQ_booleanValue": "booleanValue",
}
_EXISTS: Final = {
    "EXISTS_errorDeclaration": "errorDeclaration",
    "EXISTS_sensorElementList": "sensorElementList",
}
_TIMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        f"{comparison}_{facet}": facet
        for comparison in ("GE", "LT")
        for facet in ("errorDeclaration_Time", "time", "startTime", "endTime")
    }
    # The standard's OpenAPI document spells it in one word, its query schema in two.
    | {f"{each}_errorDeclarationTime": "errorDeclaration_Time" for each in ("GE", "LT")}
)
_CONTROLS: Final = (
    "orderBy",
    "orderDirection",
    "eventCountLimit",
    "maxEventCount",
    "perPage",
    "nextPageToken",
)
_TYPED: Final = re.compile(r"EQ_(bizTransaction|source|destination)_(.+)\Z")
_AMOUNT: Final = re.compile(
    rf"(EQ|GT|GE|LT|LE)_(quantity|percRank|{'|'.join(AMOUNTS)})(?:_([A-Z0-9]{{2,4}}))?\Z"
)
_FIELD: Final = re.compile(
    r"(EQ|GT|GE|LT|LE|EXISTS)_(INNER_)?"
    r"(?:(ILMD|ERROR_DECLARATION|SENSORELEMENT|SENSORMETADATA|SENSORREPORT|readPoint|bizLocation)_)?"
    r"(\S+[:#/]\S+)\Z"
)
_EVENT_TYPES: Final = frozenset(
    {
        "ObjectEvent",
        "AggregationEvent",
        "TransactionEvent",
        "TransformationEvent",
        "AssociationEvent",
    }
)


class Times(NamedTuple):
    """From (inclusive) and until (exclusive), UTC milliseconds."""

    from_ms: int | None = None
    until_ms: int | None = None

    def hold(self, at_ms: int) -> bool:
        """True for a time within."""
        return (self.from_ms is None or at_ms >= self.from_ms) and (
            self.until_ms is None or at_ms < self.until_ms
        )


ANY_TIME: Final = Times()


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked. All of `criteria` must be met; `order_by` is None for the order of the chain,
    "eventTime", "recordTime" or the facet of a field; `limit` is how many there shall be at most,
    `refuse_above` how many there may be."""

    criteria: tuple[Criterion, ...] = ()
    event_times: Times = ANY_TIME
    record_times: Times = ANY_TIME
    order_by: str | None = None
    descending: bool = True
    limit: int | None = None
    refuse_above: int | None = None
    per_page: int = PER_PAGE_DEFAULT
    token: str | None = None

    def narrowed(self, *criteria: Criterion) -> "Query":
        """This query where `criteria` are met as well."""
        return replace(self, criteria=(*self.criteria, *criteria))

    def since(self, recorded_ms: int) -> "Query":
        """This query of what was recorded at `recorded_ms` or later."""
        earliest = max(recorded_ms, self.record_times.from_ms or 0)
        return replace(self, record_times=Times(earliest, self.record_times.until_ms))


@dataclass(frozen=True, slots=True)
class Asker:
    """What helps to understand a query: the prefixes that it may use, and the year in which it is
    asked (a barcode's dates have no century)."""

    this_year: int
    prefixes: Prefixes = dataclasses.field(default_factory=lambda: names.STANDARD_PREFIXES)


def from_url(pairs: Sequence[tuple[str, str]], asker: Asker) -> Query:
    """The query in a URL. Raises `EpcisProblem` whose field is `query[n]`, the position of the
    parameter: names that are not ours and values are not repeated."""
    if len(pairs) > PARAMETERS_MAX:
        raise parameter_problem(
            "epcis.too_many_parameters", f"at most {PARAMETERS_MAX} parameters", "query"
        )
    _check_once([name for name, _ in pairs])
    reading = _Reading(asker)
    for index, (name, text) in enumerate(pairs):
        reading.take(name, text.split("|") if _is_list(name) else [text], f"query[{index}]")
    return reading.query()


def from_document(document: Mapping[str, Value], asker: Asker, where: str = "query") -> Query:
    """The query of a named query, an object of parameters (the EPCIS Query Language)."""
    if len(document) > PARAMETERS_MAX:
        raise parameter_problem(
            "epcis.too_many_parameters", f"at most {PARAMETERS_MAX} parameters", where
        )
    context = document.get("@context")
    prefixes = {**asker.prefixes, **names.prefixes_of(context)}
    reading = _Reading(Asker(asker.this_year, prefixes))
    for index, (name, value) in enumerate(document.items()):
        if name == "@context":
            continue
        field = f"{where}.{name}" if is_known(name) else f"{where}[{index}]"
        if name in {"nextPageToken", "perPage"}:
            raise parameter_problem(
                "epcis.unknown_parameter", "this belongs to a request, not to a query", field
            )
        reading.take(name, _texts(value, field), field)
    return reading.query()


def is_known(name: str) -> bool:
    """True for a parameter that the standard names itself, so that it may be repeated."""
    return name in _NAMED


_NAMED: Final = frozenset(
    {
        *_WORDS,
        *_THINGS,
        *_MATCHES,
        *_WITHIN,
        *_TEXTS,
        *_EXISTS,
        *_TIMES,
        *_CONTROLS,
        "GE_eventTime",
        "LT_eventTime",
        "GE_recordTime",
        "LT_recordTime",
    }
)
PARAMETERS: Final = tuple(sorted(_NAMED))
"""By name; beside them there are those with a type, a unit or a field in their name."""


def _is_list(name: str) -> bool:
    return name.startswith(("EQ_", "MATCH_", "WD_")) or name == "eventType"


def _check_once(given: Sequence[str]) -> None:
    seen: set[str] = set()
    for index, name in enumerate(given):
        if name in seen:
            raise parameter_problem(
                "epcis.repeated_parameter",
                "a parameter comes twice",
                f"query[{index}]",
                'separate values by "|"',
            )
        seen.add(name)


def _texts(value: Value, field: str) -> list[str]:
    """Values of a JSON query as the URL would have them."""
    found = []
    for each in value if isinstance(value, list) else [value]:
        match each:
            case str():
                found.append(each)
            case Number():
                found.append(each.text)
            case bool():
                found.append("true" if each else "false")
            case None:
                found.append("")
            case _:
                raise _wrong_value("a text, a number, or a list of them", field)
    return found


class _Reading:
    """Takes parameters one by one."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self._criteria: list[Criterion] = []
        self._times: dict[str, int] = {}
        self._controls: dict[str, tuple[str, str]] = {}
        self._values = 0

    def take(self, name: str, values: list[str], field: str) -> None:
        """One parameter. Raises `EpcisProblem` at `field`."""
        self._values += len(values)
        if self._values > VALUES_MAX:
            raise EpcisProblem(
                413,
                "QueryTooComplexException",
                "epcis.too_many_values",
                f"at most {VALUES_MAX} values in a query",
                field=field,
            )
        if any(len(each) > VALUE_CHARACTERS_MAX for each in values):
            raise _wrong_value(f"at most {VALUE_CHARACTERS_MAX} characters", field)
        if name in _CONTROLS:
            self._controls[name] = (_single(values, field), field)
        elif name in {"GE_eventTime", "LT_eventTime", "GE_recordTime", "LT_recordTime"}:
            self._times[name] = _time(_single(values, field), field)
        else:
            self._criteria.append(self._criterion(name, values, field))

    def query(self) -> Query:
        """What all of them say together."""
        limit, most = self._count("eventCountLimit"), self._count("maxEventCount")
        if limit is not None and most is not None:
            raise parameter_problem(
                "epcis.both_counts",
                "eventCountLimit and maxEventCount exclude each other",
                self._controls["maxEventCount"][1],
            )
        return Query(
            tuple(self._criteria),
            Times(self._times.get("GE_eventTime"), self._times.get("LT_eventTime")),
            Times(self._times.get("GE_recordTime"), self._times.get("LT_recordTime")),
            self._order_by(),
            self._direction() == "DESC",
            limit,
            most,
            self._count("perPage", PER_PAGE_MAX) or PER_PAGE_DEFAULT,
            self._controls.get("nextPageToken", (None, ""))[0],
        )

    def _count(self, name: str, most: int = EVENTS_MAX) -> int | None:
        if name not in self._controls:
            return None
        text, field = self._controls[name]
        if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) < 1:
            raise _wrong_value("a whole number from 1 on", field)
        if name != "perPage" and int(text) > most:
            raise _wrong_value(f"at most {most}", field)
        return min(int(text), most)

    def _order_by(self) -> str | None:
        if "orderBy" not in self._controls:
            return None
        text, field = self._controls["orderBy"]
        if text in {"eventTime", "recordTime"}:
            return text
        if not re.search(r"[:#]", text):
            raise _wrong_value("eventTime, recordTime or a field with its prefix", field)
        return extension("", False, names.field(text, self._asker.prefixes))

    def _direction(self) -> Order:
        text, field = self._controls.get("orderDirection", ("DESC", ""))
        if text not in get_args(Order):
            raise _wrong_value("ASC or DESC", field)
        return cast("Order", text)

    def _criterion(self, name: str, values: list[str], field: str) -> Criterion:
        if name in _WORDS:
            return self._word(name, values, field)
        if name in {**_THINGS, **_MATCHES, **_WITHIN}:
            return self._of_things(name, values, field)
        if name in _TEXTS:
            return OneOf((_TEXTS[name],), _plain(name, values, field))
        if name in _EXISTS:
            return Exists(_EXISTS[name])
        if name in _TIMES:
            comparison = cast("Comparison", name[:2])
            bound = _time(_single(values, field), field)
            return Compared(_TIMES[name], comparison, (bound,), timed=True)
        return self._composed(name, values, field)

    def _of_things(self, name: str, values: list[str], field: str) -> Criterion:
        if name in _MATCHES:
            return self._match(_MATCHES[name], values, field)
        wanted = frozenset(map(self._thing, values))
        if name in _WITHIN:
            return Within(_WITHIN[name], wanted)
        return OneOf((_THINGS[name],), wanted)

    def _composed(self, name: str, values: list[str], field: str) -> Criterion:
        """A parameter with a type, a unit or a field in its name."""
        if found := _TYPED.match(name):
            kind = names.word(VOCABULARIES[found[1]], found[2], self._asker.prefixes)
            return OneOf((f"{found[1]}_{kind}",), frozenset(map(self._thing, values)))
        if found := _AMOUNT.match(name):
            facet = f"{found[2]}_{found[3]}" if found[3] else found[2]
            bounds = tuple(_number(each, field) for each in values)
            return Compared(facet, cast("Comparison", found[1]), bounds, timed=False)
        if found := _FIELD.match(name):
            return self._field(found, values, field)
        raise parameter_problem(
            "epcis.unknown_parameter",
            "a parameter with no meaning here",
            field,
            "see docs/epcis.md",
        )

    def _field(self, found: re.Match[str], values: list[str], field: str) -> Criterion:
        scope = cast("Scope", found[3] or "")
        name = names.field(found[4], self._asker.prefixes)
        facet = extension(scope, found[2] is not None, name)
        if found[1] == "EXISTS":
            return Exists(facet)
        if found[1] == "EQ":
            numbers = tuple(each for each in map(number, values) if each is not None)
            literal = OneOf((facet,), frozenset(values))
            if not numbers:
                return literal
            return EitherOf((literal, Compared(facet, "EQ", numbers, timed=False)))
        text = _single(values, field)
        comparison = cast("Comparison", found[1])
        if (at_ms := time_ms(text)) is not None:
            return Compared(facet, comparison, (at_ms,), timed=True)
        return Compared(facet, comparison, (_number(text, field),), timed=False)

    def _word(self, name: str, values: list[str], field: str) -> Criterion:
        facet = _WORDS[name]
        listed = VOCABULARIES.get(facet)
        wanted = frozenset(names.word(listed, each, self._asker.prefixes) for each in values)
        if facet == "action" and not wanted <= {"ADD", "OBSERVE", "DELETE"}:
            raise _wrong_value("ADD, OBSERVE or DELETE", field)
        if facet == "eventType" and any(
            each not in _EVENT_TYPES and ":" not in each for each in wanted
        ):
            raise _wrong_value("an event type of the standard, or the URI of another", field)
        return OneOf((facet,), wanted)

    def _match(self, facets: tuple[str, ...], values: list[str], field: str) -> Criterion:
        exact, patterns = set(), []
        for each in values:
            pattern = pattern_of(each, field)
            if pattern is None or (pattern.product is not None and facets[0] in ANY_EPC_CLASS):
                # Of classes, what leaves the serial number open is the name of one of them.
                exact.add(self._thing(each))
            else:
                patterns.append(pattern)
        if not patterns:
            return OneOf(facets, frozenset(exact))
        return Matching(facets, frozenset(exact), tuple(patterns))

    def _thing(self, text: str) -> str:
        expanded = names.expanded(text, self._asker.prefixes)
        return names.asked_thing(expanded, self._asker.this_year)


def pattern_of(text: str, field: str) -> Pattern | None:
    """The pattern in `urn:epc:idpat:…` (Tag Data Standard §8); None where it is none.

    A serial number that is left open names all of a product; an item that is left open too, all of
    a company. The patterns without any number name everything of their scheme.
    """
    scheme, _, body = text.removeprefix("urn:epc:idpat:").partition(":")
    if not text.startswith("urn:epc:idpat:"):
        return None
    open_from = next((at for at, each in enumerate(body.split(".")) if each == "*"), None)
    if open_from is None:
        return None
    parts = body.split(".")
    if any(each != "*" for each in parts[open_from:]) or scheme not in _PATTERNS:
        raise _wrong_value("a pattern whose last parts are left open", field)
    company, ai = _PATTERNS[scheme]
    if open_from == len(parts) - 1 and open_from >= 2:
        return _of_product(text, field)
    if open_from > 1 or (open_from == 1 and not re.fullmatch(r"\d{6,12}", parts[0])):
        raise _wrong_value("a pattern whose last parts are left open", field)
    begins = company.format(re.escape(parts[0])) if open_from == 1 else ""
    return Pattern(re.compile(rf"{ai}/{begins}"), None)


_PATTERNS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "sgtin": (r"\d{}", "01"),
        "sscc": (r"\d{}", "00"),
        "sgln": ("{}", "414"),
        "grai": ("0{}", "8003"),
        "giai": ("{}", "8004"),
        "gdti": ("{}", "253"),
    }
)
"""By scheme: where the company's number stands in the canonical name, and the key's identifier."""


def _of_product(text: str, field: str) -> Pattern:
    try:
        product = parse_identifier(text).text
    except InvalidMessage:
        raise _wrong_value("a pattern of a GS1 key", field) from None
    whole = "/".join(product.split("/")[:2])
    return Pattern(re.compile(rf"{re.escape(whole)}(?:/|\Z)"), whole)


def _plain(name: str, values: Iterable[str], field: str) -> frozenset[str]:
    if name == "EQ_hexBinaryValue":
        return frozenset(each.upper() for each in values)
    found = frozenset(values)
    if name == "EQ_booleanValue" and not found <= {"true", "false"}:
        raise _wrong_value("true or false", field)
    return found


def _single(values: Sequence[str], field: str) -> str:
    if len(values) != 1:
        raise _wrong_value("one value", field)
    return values[0]


def _time(text: str, field: str) -> int:
    # In a query "+" means a blank, and many clients do not escape the one of a time zone.
    at_ms = time_ms(text.replace(" ", "+"))
    if at_ms is None:
        raise _wrong_value("a time with its zone, as 2026-05-06T07:08:09.123Z", field)
    return at_ms


def _number(text: str, field: str) -> Decimal:
    found = number(text)
    if found is None:
        raise _wrong_value("a number", field)
    return found


def _wrong_value(expected: str, field: str) -> EpcisProblem:
    return parameter_problem("epcis.wrong_value", f"expected: {expected}", field)
