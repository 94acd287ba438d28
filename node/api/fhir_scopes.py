"""SMART scopes for FHIR: what a backend service may do with which type of resource.

Both spellings are read: v1 (`system/Observation.read`) and v2 (`system/Observation.rs`; the
letters are create, read, update, delete, search, in this order); SMART App Launch 2.2, scopes. Must
not know routes.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

LETTERS: Final = "cruds"
ANY_TYPE: Final = "*"
_V1: Final = {"read": "rs", "write": "cud", "*": LETTERS}
_SPELLED: Final = re.compile(r"system/(\*|[A-Z][A-Za-z]{1,63})\.(read|write|\*|c?r?u?d?s?)\Z")


@dataclass(frozen=True, slots=True)
class FhirScope:
    """Some letters for one type of resource, or for every one. `value` is as it was asked for."""

    value: str
    resource_type: str
    permissions: str

    def covers(self, permissions: str, resource_type: str | None) -> bool:
        """True where this scope alone is enough; a `resource_type` of None asks about any."""
        if self.resource_type not in {ANY_TYPE, resource_type} and resource_type is not None:
            return False
        return set(permissions) <= set(self.permissions)


def parse(text: str) -> FhirScope | None:
    """The scope that `text` spells; None where it spells none."""
    found = _SPELLED.match(text)
    if found is None or not found[2]:
        return None
    return FhirScope(text, found[1], _V1.get(found[2], found[2]))


def _scope(text: str) -> FhirScope:
    scope = parse(text)
    assert scope is not None, "our own spelling"
    return scope


FHIR_ALL: Final = frozenset({_scope("system/*.read"), _scope("system/*.write")})
"""Everything: what is granted at most, and where nothing in particular was asked for."""


FHIR_SCOPES: Final = (
    *sorted(FHIR_ALL, key=lambda scope: scope.value),
    *(_scope(f"system/{ANY_TYPE}.{letters}") for letters in ("rs", "cud", LETTERS)),
)
"""Those that are announced; every type's own are granted too (`system/Observation.rs`)."""


def granted_part(text: str, most: Collection[FhirScope]) -> Iterator[FhirScope]:
    """The scope in `text` where all of its letters are within `most`; else nothing."""
    asked = parse(text)
    if asked is None:
        return
    letters = {letter for scope in most for letter in scope.permissions}
    if set(asked.permissions) <= letters:
        yield asked


@dataclass(frozen=True, slots=True)
class FhirNeed:
    """What a route asks for: `permissions` for `resource_type`, or for the type in the path. With
    no permissions, any FHIR scope will do: the route looks closer."""

    permissions: str
    resource_type: str | None = None

    def met(self, held: Collection[Any], resource_type: str | None) -> bool:
        """True where the FHIR scopes among `held` have every letter."""
        wanted = resource_type or self.resource_type
        scopes = [scope for scope in held if isinstance(scope, FhirScope)]
        if not self.permissions:
            return bool(scopes)
        return all(
            any(each.covers(letter, wanted) for each in scopes) for letter in self.permissions
        )

    def spellings(self, resource_type: str | None) -> list[str]:
        """Scopes to ask for, any of which is enough: of every type, and of the one in question."""
        kind = resource_type or self.resource_type
        word = "read" if set(self.permissions) <= set("rs") else "write"
        spelled = [f"system/{ANY_TYPE}.{word}"]
        return spelled if kind is None else [*spelled, f"system/{kind}.{self.permissions}"]
