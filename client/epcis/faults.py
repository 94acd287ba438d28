"""What is wrong with an EPCIS document: every fault that was found, each with its place.

Pointers are JSON pointers (RFC 6901). Neither they nor the causes repeat values that were sent;
names of fields only where they look like names.
"""

import re
from dataclasses import dataclass
from typing import Final

from chain.errors import InvalidMessage

FAULTS_MAX: Final = 32

_PLAIN_NAME: Final = re.compile(r"@?[A-Za-z_][A-Za-z0-9_.-]{0,39}(:[A-Za-z0-9_.-]{1,40})?\Z")
_INDEX: Final = re.compile(r"\[([0-9]+)\]")


@dataclass(frozen=True, slots=True)
class Fault:
    """`code` is stable, `pointer` says where ("" for the whole), `cause` is a sentence."""

    code: str
    pointer: str
    cause: str


class InvalidDocument(InvalidMessage):
    """Refused, with up to `FAULTS_MAX` reasons; code, field and cause are those of the first."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(faults[0].code, faults[0].pointer, faults[0].cause)
        self.faults = faults


class Faults:
    """Collects faults while a document is read; what comes after `FAULTS_MAX` is not kept."""

    def __init__(self) -> None:
        self._found: list[Fault] = []

    def add(self, code: str, pointer: str, cause: str) -> None:
        """One more fault."""
        if len(self._found) < FAULTS_MAX:
            self._found.append(Fault(code, pointer, cause))

    def take(self, refusal: InvalidMessage) -> None:
        """The refusal of a reader that knows one value only; its field is the pointer."""
        self.add(refusal.code, refusal.field, refusal.cause)

    def raise_if_any(self) -> None:
        """`InvalidDocument` where there is any fault."""
        if self._found:
            raise InvalidDocument(tuple(self._found))


def below(pointer: str, name: str) -> str:
    """The pointer to member `name` of the object at `pointer`; odd names are not repeated."""
    return f"{pointer}/{name if _PLAIN_NAME.match(name) else '?'}"


def as_pointer(field: str) -> str:
    """The pointer for a field as `client.fhir_json` writes it (`a.b[0]`)."""
    path = _INDEX.sub(r".\1", field)
    return "/" + path.strip(".").replace(".", "/") if path else ""
