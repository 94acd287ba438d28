"""Invariants of FHIR R4 that a definition's shape cannot say, for the types of the gateway.

Those of the standard that protect whoever reads: a value or nothing where both would contradict, a
unit's code that nobody can read, a period that ends before it begins. Keys are the standard's own
(FHIR R4 §2.4, the Constraints of each type). Each looks at one object.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from client.fhir_json import Value
from node.gateway.fhir import narrative
from node.gateway.fhir.identity import to_milliseconds
from node.gateway.fhir.outcome import Issue

_Rule = Callable[[dict[str, Value]], bool]


def broken(kind: str, value: dict[str, Value], path: str) -> Iterator[Issue]:
    """An issue for each invariant of type `kind` that `value` breaks."""
    if kind == "Narrative" and isinstance(div := value.get("div"), str):
        wrong = narrative.fault(div)
        if wrong is not None:
            yield Issue("invariant", f"fhir.{wrong[0]}", wrong[1], (f"{path}.div",))
    for key, text, holds, element in RULES.get(kind, ()):
        if not holds(value):
            where = f"{path}.{element}" if element else path
            yield Issue("invariant", f"fhir.{key}", text, (where,))


def _ordered(value: dict[str, Value]) -> bool:
    start, end = value.get("start"), value.get("end")
    if not isinstance(start, str) or not isinstance(end, str):
        return True
    started_ms, ended_ms = to_milliseconds(start), to_milliseconds(end)
    if started_ms is not None and ended_ms is not None:
        return started_ms <= ended_ms
    # Of different precision they are compared as far as both go.
    width = min(len(start), len(end), len("YYYY-MM-DD"))
    return start[:width] <= end[:width]


def _either(*names: str) -> _Rule:
    return lambda value: any(name in value for name in names)


def _together(name: str, *others: str) -> _Rule:
    return lambda value: name not in value or any(other in value for other in others)


def _never_both(prefix: str, name: str) -> _Rule:
    return lambda value: (
        name not in value or not any(each.startswith(prefix) and each != name for each in value)
    )


def _extension(value: dict[str, Value]) -> bool:
    valued = any(name.removeprefix("_").startswith("value") for name in value)
    return valued != ("extension" in value)


def _has_code(value: Value, code: str) -> bool:
    codings = value.get("coding") if isinstance(value, dict) else None
    return isinstance(codings, list) and any(
        isinstance(each, dict) and each.get("code") == code for each in codings
    )


def _abated(value: dict[str, Value]) -> bool:
    if not any(name.startswith("abatement") for name in value):
        return True
    status = value.get("clinicalStatus")
    return any(_has_code(status, code) for code in ("inactive", "resolved", "remission"))


def _error_without_status(value: dict[str, Value]) -> bool:
    return "clinicalStatus" not in value or not _has_code(
        value.get("verificationStatus"), "entered-in-error"
    )


_QUANTITY: Final = (("qty-3", "a unit's code needs its system", _together("code", "system"), ""),)
RULES: Final[Mapping[str, tuple[tuple[str, str, _Rule, str], ...]]] = MappingProxyType(
    {
        "Age": _QUANTITY,
        "Attachment": (
            ("att-1", "content needs its contentType", _together("data", "contentType"), ""),
        ),
        "Condition": (
            ("con-4", "an abated condition is inactive, resolved or in remission", _abated, ""),
            ("con-5", "what was entered in error has no clinicalStatus", _error_without_status, ""),
        ),
        "ContactPoint": (("cpt-2", "a value needs its system", _together("value", "system"), ""),),
        "Duration": _QUANTITY,
        "Extension": (("ext-1", "a value or extensions, and not both", _extension, ""),),
        "Observation": (
            (
                "obs-6",
                "dataAbsentReason only where there is no value",
                _never_both("value", "dataAbsentReason"),
                "dataAbsentReason",
            ),
        ),
        "ObservationReferenceRange": (
            ("obs-3", "low, high or text expected", _either("low", "high", "text"), ""),
        ),
        "PatientContact": (
            (
                "pat-1",
                "a contact needs a name, a telecom, an address or an organization",
                _either("name", "telecom", "address", "organization"),
                "",
            ),
        ),
        "Period": (("per-1", "the end before the start", _ordered, ""),),
        "Quantity": _QUANTITY,
    }
)
"""Type to (key, what is expected, the rule, the element that an issue names)."""
