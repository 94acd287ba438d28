"""Who takes part, as resources refer to him: members and principals, as the state knows them."""

from typing import Final, Literal

from ledger import queries
from ledger.state import StateReader
from node.gateway.fhir.names import Member, Party, Principal

_Kind = Literal["clinician", "patient", "proxy", "device", "service", "other"]
_KINDS: Final[dict[str, _Kind]] = {
    "clinician": "clinician",
    "patient": "patient",
    "proxy": "proxy",
    "device": "device",
    "service": "service",
}


class Parties:
    """On one state; remembers whom it was asked for."""

    def __init__(self, state: StateReader) -> None:
        self._state = state
        self._known: dict[bytes, Party] = {}

    def party(self, named: bytes) -> Party:
        """Who has the id `named`: a principal, or an organisation by its owner id."""
        if named not in self._known:
            member = queries.organization_of_owner(self._state, named)
            if member is not None:
                self._known[named] = self.member(member)
            else:
                found = queries.principal(self._state, named)
                kind = "other" if found is None else _KINDS.get(found.kind, "other")
                self._known[named] = Principal(named, kind)
        return self._known[named]

    def member(self, member: str) -> Member:
        """The organisation `member`."""
        found = queries.organization(self._state, member)
        return Member(member, "" if found is None else found.name)
