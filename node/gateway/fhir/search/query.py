"""A query string, or the body of a POST to `_search`, as a checked `Query`.

Whatever is not understood is a `SearchProblem` at its parameter; a parameter that is dropped makes
an answer larger than what was asked for (FHIR R4 §3.1.1.3, Prefer: handling).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal, TypeAlias, cast
from urllib.parse import parse_qsl

from node.gateway.fhir.search.criteria import (
    Chain,
    Criterion,
    Filter,
    Has,
    Include,
    Missing,
    Modifier,
    SortKey,
    depth,
)
from node.gateway.fhir.search.operands import OperandReader, split
from node.gateway.fhir.search.parameters import (
    ID,
    LAST_UPDATED,
    TYPES,
    Kind,
    Parameter,
    find_parameter,
    reference_types,
)
from node.gateway.fhir.search.problem import SearchProblem

QUERY_CHARACTERS_MAX: Final = 32_768
PARAMETERS_MAX: Final = 64
CHAIN_DEPTH_MAX: Final = 2
SORT_KEYS_MAX: Final = 4
INCLUDES_MAX: Final = 16
ELEMENTS_MAX: Final = 64
COUNT_DEFAULT: Final = 50
COUNT_MAX: Final = 500

PAGE: Final = "_page"
"""In which parameter the gateway's own links carry the token of a page."""

Summary: TypeAlias = Literal["true", "text", "data", "count", "false"]
Total: TypeAlias = Literal["none", "estimate", "accurate"]
Pairs: TypeAlias = tuple[tuple[str, str], ...]

_SUMMARIES: Final = ("true", "text", "data", "count", "false")
_TOTALS: Final = ("none", "estimate", "accurate")
_UNHEEDED: Final = frozenset({"_format", "_pretty"})
"""How an answer is spelled is for who writes it."""
_ONCE: Final = frozenset({"_count", "_sort", "_summary", "_elements", "_total", PAGE})
_REPEATED: Final = frozenset({"_include", "_revinclude"})
_MODIFIERS: Final[dict[Kind, frozenset[str]]] = {
    "token": frozenset({"not", "text"}),
    "string": frozenset({"exact", "contains"}),
    "uri": frozenset({"below"}),
    "reference": frozenset({"identifier"}),
    "date": frozenset(),
    "number": frozenset(),
    "quantity": frozenset(),
}
_TYPE_NAME: Final = re.compile(r"[A-Z][A-Za-z]{1,63}\Z")
_ELEMENT: Final = re.compile(r"[a-z][A-Za-z]{0,63}\Z")
_COUNT: Final = re.compile(r"[0-9]{1,9}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Query:
    """What to find, how to order it, what comes with it, and how the answer is cut.

    `used` are the parameters that were heeded, for the link "self"; `ignored` the names that a
    lenient client let us drop. `digest` names the query apart from the page asked for.
    """

    type: str
    criteria: tuple[Criterion, ...] = ()
    sort: tuple[SortKey, ...] = ()
    count: int = COUNT_DEFAULT
    includes: tuple[Include, ...] = ()
    revincludes: tuple[Include, ...] = ()
    summary: Summary = "false"
    elements: tuple[str, ...] = ()
    total: Total = "accurate"
    page: str | None = None
    used: Pairs = ()
    ignored: tuple[str, ...] = ()
    digest: bytes = b""


def decode_pairs(*texts: str) -> Pairs:
    """The parameters in a query string and the body of a form, in their order."""
    if sum(map(len, texts)) > QUERY_CHARACTERS_MAX:
        raise SearchProblem(
            "search.too_long", "", f"at most {QUERY_CHARACTERS_MAX} characters", "too-costly"
        )
    pairs: list[tuple[str, str]] = []
    for text in texts:
        try:
            pairs += parse_qsl(text, keep_blank_values=True, errors="strict")
        except UnicodeDecodeError:
            pass
        else:
            continue
        raise SearchProblem("search.not_utf8", "", "percent-encoded UTF-8 expected", "invalid")
    return tuple(pairs)


def parse_query(
    resource_type: str,
    pairs: Iterable[tuple[str, str]],
    now_ms: int,
    *,
    lenient: bool = False,
    base: str | None = None,
) -> Query:
    """The query for resources of `resource_type`; raises `SearchProblem`.

    `lenient` (Prefer: handling=lenient) drops parameters that are unknown or have a modifier that
    is not supported; wrong values stay problems. `base` is the gateway's own address.
    """
    pairs = tuple((name, value) for name, value in pairs if name not in _UNHEEDED)
    if len(pairs) > PARAMETERS_MAX:
        raise SearchProblem(
            "search.too_many_parameters", "", f"at most {PARAMETERS_MAX}", "too-costly"
        )
    return _Parser(resource_type, OperandReader(now_ms, base), lenient).read(pairs)


class _Parser:
    def __init__(self, resource_type: str, operands: OperandReader, lenient: bool) -> None:  # noqa: FBT001
        self._type = resource_type
        self._operands = operands
        self._lenient = lenient
        self._used: list[tuple[str, str]] = []
        self._ignored: list[str] = []

    def read(self, pairs: Pairs) -> Query:
        criteria: list[Criterion] = []
        results: dict[str, list[tuple[str, str]]] = {}
        for name, value in pairs:
            stem = name.partition(":")[0]
            if stem in _ONCE or stem in _REPEATED:
                results.setdefault(stem, []).append((name, value))
                continue
            try:
                criteria.append(self._checked(name, value))
            except SearchProblem as problem:
                if not self._lenient or problem.issue != "not-supported":
                    raise
                self._ignored.append(name)
            else:
                self._used.append((name, value))
        return self._query(tuple(criteria), results)

    def _checked(self, name: str, value: str) -> Criterion:
        if name.count(".") + name.count("_has:") > CHAIN_DEPTH_MAX:
            raise _too_deep(name)
        criterion = self._criterion(self._type, name, value, name)
        assert depth(criterion) <= CHAIN_DEPTH_MAX
        return criterion

    def _criterion(self, resource_type: str, name: str, value: str, whole: str) -> Criterion:
        if name.startswith("_has:"):
            return self._has(resource_type, name, value, whole)
        head, dot, rest = name.partition(".")
        stem, _, modifier = head.partition(":")
        parameter = find_parameter(resource_type, stem)
        if parameter is None:
            raise SearchProblem(
                "search.unknown_parameter",
                whole,
                "not a search parameter that is supported here",
                "not-supported",
            )
        if dot:
            return self._chain(parameter, modifier, rest, value, whole)
        return self._filter(parameter, modifier, value, whole)

    def _chain(
        self, parameter: Parameter, modifier: str, rest: str, value: str, whole: str
    ) -> Criterion:
        if parameter.kind != "reference":
            raise _unsupported(whole, "only references are followed")
        types = reference_types(parameter)
        if modifier:
            _check_target(parameter, modifier, whole)
            types = (modifier,)
        branches: list[tuple[str, Criterion]] = []
        refusal: SearchProblem | None = None
        for each in types:
            try:
                branches.append((each, self._criterion(each, rest, value, whole)))
            except SearchProblem as problem:
                if problem.issue != "not-supported":
                    raise
                refusal = problem
        if not branches:
            raise refusal or _unsupported(whole, "nothing here is of the types that it leads to")
        return Chain(parameter, tuple(branches))

    def _has(self, resource_type: str, name: str, value: str, whole: str) -> Criterion:
        parts = name.split(":", 3)
        if len(parts) < 4 or not _TYPE_NAME.match(parts[1]) or not parts[3]:
            raise SearchProblem(
                "search.wrong_has", whole, "_has:Type:reference:parameter expected", "invalid"
            )
        _, source, reference, rest = parts
        parameter = find_parameter(source, reference)
        if parameter is None or parameter.kind != "reference":
            raise _unsupported(whole, "not a reference parameter of that type")
        _check_target(parameter, resource_type, whole)
        return Has(source, parameter, self._criterion(source, rest, value, whole))

    def _filter(
        self, parameter: Parameter, modifier: str, value: str, whole: str
    ) -> Filter | Missing:
        if modifier == "missing" and parameter not in {ID, LAST_UPDATED}:
            if value not in {"true", "false"}:
                raise SearchProblem("search.wrong_missing", whole, "true or false expected")
            return Missing(parameter, absent=value == "true")
        target = ""
        if parameter.kind == "reference" and _TYPE_NAME.match(modifier):
            _check_target(parameter, modifier, whole)
            target, modifier = modifier, ""
        if modifier and (parameter is ID or modifier not in _MODIFIERS[parameter.kind]):
            raise _unsupported(whole, "this parameter has no such modifier here")
        checked = cast("Modifier", modifier)
        return Filter(
            parameter,
            checked,
            self._operands.read(whole, parameter.kind, checked, target, value),
        )

    def _query(
        self, criteria: tuple[Criterion, ...], results: dict[str, list[tuple[str, str]]]
    ) -> Query:
        single = dict(self._once(results))
        count = _count(single.get("_count"))
        summary = _choice("_summary", single.get("_summary", "false"), _SUMMARIES)
        total = _choice("_total", single.get("_total", "accurate"), _TOTALS)
        sort, elements = self._sort(single.get("_sort")), _elements(single.get("_elements"))
        includes = tuple(self._includes("_include", results))
        revincludes = tuple(self._includes("_revinclude", results))
        if len(includes) + len(revincludes) > INCLUDES_MAX:
            raise SearchProblem(
                "search.too_many_includes", "_include", f"at most {INCLUDES_MAX}", "too-costly"
            )
        used = tuple(self._used)
        return Query(
            self._type,
            criteria,
            sort,
            count or COUNT_DEFAULT,
            includes,
            revincludes,
            cast("Summary", "count" if count == 0 else summary),
            elements,
            cast("Total", total),
            single.get(PAGE),
            used,
            tuple(self._ignored),
            _digest(self._type, used),
        )

    def _once(self, results: dict[str, list[tuple[str, str]]]) -> Iterator[tuple[str, str]]:
        for stem, found in results.items():
            if stem in _REPEATED:
                continue
            if len(found) > 1:
                raise SearchProblem("search.repeated", stem, "given more than once", "invalid")
            name, value = found[0]
            if name != stem:
                raise _unsupported(name, "this parameter has no modifiers")
            if stem != PAGE:
                self._used.append((name, value))
            yield stem, value

    def _sort(self, text: str | None) -> tuple[SortKey, ...]:
        if text is None:
            return ()
        parts = text.split(",")
        if len(parts) > SORT_KEYS_MAX:
            raise SearchProblem(
                "search.too_many_keys", "_sort", f"at most {SORT_KEYS_MAX}", "too-costly"
            )
        keys = []
        for part in parts:
            parameter = find_parameter(self._type, part.removeprefix("-"))
            if parameter is None:
                raise SearchProblem(
                    "search.unknown_sort", "_sort", "not a parameter of this type", "value"
                )
            keys.append(SortKey(parameter, part.startswith("-")))
        return tuple(keys)

    def _includes(self, stem: str, results: dict[str, list[tuple[str, str]]]) -> Iterator[Include]:
        for name, value in results.get(stem, ()):
            modifier = name.partition(":")[2]
            if modifier not in {"", "iterate"}:
                raise _unsupported(name, "only :iterate is supported")
            yield self._include(stem, name, value, iterate=modifier == "iterate")
            self._used.append((name, value))

    def _include(self, stem: str, name: str, value: str, *, iterate: bool) -> Include:
        if value == "*" and stem == "_include":
            return Include(self._type, None, "", iterate)
        source, _, rest = value.partition(":")
        reference, _, target = rest.partition(":")
        wrong = SearchProblem("search.wrong_include", name, "Type:reference or Type:reference:Type")
        if source not in TYPES or not reference or (target and not _TYPE_NAME.match(target)):
            raise wrong
        parameter = None if reference == "*" else find_parameter(source, reference)
        if parameter is None:
            if reference != "*":
                raise wrong
        elif parameter.kind != "reference":
            raise wrong
        elif target:
            _check_target(parameter, target, name)
        return Include(source, parameter, target, iterate)


def _digest(resource_type: str, used: Pairs) -> bytes:
    seen = sha256(resource_type.encode())
    for pair in used:
        for each in pair:
            raw = each.encode("utf-8", "surrogatepass")
            seen.update(len(raw).to_bytes(4, "big") + raw)
    return seen.digest()[:16]


def _check_target(parameter: Parameter, resource_type: str, whole: str) -> None:
    if not _TYPE_NAME.match(resource_type) or (
        parameter.targets and resource_type not in parameter.targets
    ):
        raise _unsupported(whole, "the reference does not lead to that type")


def _count(text: str | None) -> int:
    if text is None:
        return COUNT_DEFAULT
    if not _COUNT.match(text):
        raise SearchProblem("search.wrong_count", "_count", "a number from 0 expected")
    return min(int(text), COUNT_MAX)


def _choice(name: str, text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise SearchProblem("search.wrong_choice", name, f"one of {', '.join(choices)}")
    return text


def _elements(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    parts = tuple(split(text, ","))
    if len(parts) > ELEMENTS_MAX or not all(map(_ELEMENT.match, parts)):
        raise SearchProblem(
            "search.wrong_elements", "_elements", f"1 to {ELEMENTS_MAX} names of elements"
        )
    return parts


def _unsupported(name: str, cause: str) -> SearchProblem:
    return SearchProblem("search.unsupported", name, cause, "not-supported")


def _too_deep(name: str) -> SearchProblem:
    return SearchProblem(
        "search.too_deep", name, f"at most {CHAIN_DEPTH_MAX} references deep", "too-costly"
    )
