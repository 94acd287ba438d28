"""Literal references between resources: which forms there are, and where they stand.

FHIR R4 §2.3.0.1 (literal references), §2.20.3 (contained), §3.1.0.11.1 (conditional). Knows no
definitions: an object's member `reference` that is a string is a literal reference, in any depth,
extensions and contained resources included.
"""

import re
from collections.abc import Iterator
from enum import Enum
from typing import Final

from client.fhir_json import Value

REFERENCE_LENGTH_MAX: Final = 2_048

_ID: Final = r"[A-Za-z0-9\-.]{1,64}"
_RELATIVE: Final = re.compile(rf"([A-Z][A-Za-z]{{1,63}})/({_ID})(?:/_history/({_ID}))?\Z")
_ABSOLUTE: Final = re.compile(
    rf"https?://[^\s?#]+?/([A-Z][A-Za-z]{{1,63}})/({_ID})(?:/_history/({_ID}))?\Z"
)
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+\Z")
_UUID: Final = re.compile(
    r"urn:uuid:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?:#\S*)?\Z"
)
_OID: Final = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+\Z")
_CONTAINED: Final = re.compile(rf"#(?:{_ID})?\Z")
_CONDITIONAL: Final = re.compile(r"([A-Z][A-Za-z]{1,63})\?(\S+)\Z")


class Form(Enum):
    """How a literal reference names its target."""

    RELATIVE = "relative"
    ABSOLUTE = "absolute"
    URN = "urn"
    CONTAINED = "contained"
    CONDITIONAL = "conditional"
    WRONG = "wrong"


def form_of(reference: str) -> Form:
    """The form of the literal `reference`."""
    if len(reference) > REFERENCE_LENGTH_MAX:
        return Form.WRONG
    if reference.startswith("#"):
        return Form.CONTAINED if _CONTAINED.match(reference) else Form.WRONG
    if reference.startswith("urn:"):
        known = _UUID.match(reference) or _OID.match(reference)
        other = not reference.startswith(("urn:uuid:", "urn:oid:")) and _URL.match(reference)
        return Form.URN if known or other else Form.WRONG
    if _RELATIVE.match(reference):
        return Form.RELATIVE
    if _CONDITIONAL.match(reference):
        return Form.CONDITIONAL
    return Form.ABSOLUTE if _URL.match(reference) else Form.WRONG


def type_of(reference: str) -> str | None:
    """The resource type that `reference` itself names; None where only its target knows."""
    named = (
        _RELATIVE.match(reference) or _ABSOLUTE.match(reference) or _CONDITIONAL.match(reference)
    )
    return None if named is None else str(named.group(1))


def relative(reference: str, base: str = "") -> tuple[str, str, str | None] | None:
    """(type, id, version) of a reference to this server; None for any other.

    `base` is this server's own URL; an absolute reference below it counts as relative.
    """
    if base and reference.startswith(base.rstrip("/") + "/"):
        reference = reference[len(base.rstrip("/")) + 1 :]
    parts = _RELATIVE.match(reference)
    return None if parts is None else (parts.group(1), parts.group(2), parts.group(3))


def conditional(reference: str) -> tuple[str, str] | None:
    """(type, query) of a conditional reference; None for any other."""
    parts = _CONDITIONAL.match(reference)
    return None if parts is None else (parts.group(1), parts.group(2))


def references(value: Value, path: str = "") -> Iterator[tuple[str, str]]:
    """Every literal reference inside `value`: (where, as "subject.reference", the reference)."""
    match value:
        case dict():
            for name, member in value.items():
                here = f"{path}.{name}" if path else name
                if name == "reference" and isinstance(member, str):
                    yield here, member
                else:
                    yield from references(member, here)
        case list():
            for index, item in enumerate(value):
                yield from references(item, f"{path}[{index}]")
        case _:
            pass
