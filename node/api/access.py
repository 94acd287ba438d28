"""Who may do what: scopes, and which of them a kind of principal can get at this node.

This is the whole rule. What it does not name is denied.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from chain.types import PrincipalKind


class Scope(Enum):
    """What a token allows (RFC 6749 §3.3)."""

    LEDGER_READ = "ledger.read"
    """Everything that every member's node holds; content stays sealed."""
    LEDGER_SUBMIT = "ledger.submit"
    """Hand in signed transactions and their attachments, and ask what became of one's own."""
    RECORDS_OWN = "records.own"
    """What is about the caller, or about a patient who appointed him."""
    NODE_OPERATE = "node.operate"
    """Look into this node and its links; its own organisation's staff only."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a route declares: open to anyone, or to a token with any one of `scopes`."""

    scopes: frozenset[Scope] = field(default_factory=frozenset)
    public: bool = False


PUBLIC: Final = Access(public=True)


def scoped(*scopes: Scope) -> Access:
    """Open to a token that has at least one of `scopes`."""
    assert scopes, "a route names who may call it"
    return Access(frozenset(scopes))


_STAFF: Final = frozenset({Scope.LEDGER_READ, Scope.LEDGER_SUBMIT})
SCOPES_OF_KIND: Final[dict[PrincipalKind, frozenset[Scope]]] = {
    "administrator": _STAFF,
    "service": _STAFF,
    "clinician": _STAFF,
    "auditor": _STAFF,
    "device": frozenset({Scope.LEDGER_SUBMIT}),
    "patient": frozenset({Scope.LEDGER_SUBMIT, Scope.RECORDS_OWN}),
    "proxy": frozenset({Scope.LEDGER_SUBMIT, Scope.RECORDS_OWN}),
}
"""For whom a proxy stands is a matter of appointments: see `node.api.sight`."""

OPERATORS: Final = frozenset({"administrator", "service"})


def scopes_of(kind: PrincipalKind, member: str, node_member: str) -> frozenset[Scope]:
    """What a principal of `member` can be given at the node of `node_member`."""
    scopes = SCOPES_OF_KIND.get(kind, frozenset())
    if kind in OPERATORS and member == node_member:
        scopes |= {Scope.NODE_OPERATE}
    return scopes


@dataclass(frozen=True, slots=True)
class Standing:
    """A principal as the state at the tip knows it; `keys` are the signing keys valid now."""

    principal: bytes
    kind: PrincipalKind
    member: str
    keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking, checked for this request."""

    principal: bytes
    kind: PrincipalKind
    member: str
    scopes: frozenset[Scope]
    token_digest: bytes

    def may(self, scope: Scope) -> bool:
        """True where this caller holds `scope`."""
        return scope in self.scopes
