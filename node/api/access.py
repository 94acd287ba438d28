"""Who may do what: scopes, and which of them a kind of principal can get at this node.

This is the whole rule. What it does not name is denied.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias, get_args

from chain.types import PrincipalKind
from ledger.actions import StaffKind
from ledger.decision import READER_KINDS
from node.api.fhir_scopes import FHIR_ALL, FhirNeed, FhirScope, granted_part
from node.api.registered_keys import RegisteredKey


class Scope(Enum):
    """What a token allows (RFC 6749 §3.3)."""

    LEDGER_READ = "ledger.read"
    """Everything that every member's node holds; content stays sealed."""
    LEDGER_SUBMIT = "ledger.submit"
    """Hand in signed transactions and their attachments, and ask what became of one's own."""
    RECORDS_OWN = "records.own"
    """What is about the caller, or about a patient who appointed him."""
    EPCIS_CAPTURE = "system/epcis.capture"
    """Have events of EPCIS captured by the gateway, as its organisation."""
    EPCIS_QUERY = "system/epcis.query"
    """Ask the gateway for events of EPCIS that its organisation may read."""
    NODE_OPERATE = "node.operate"
    """Look into this node and its links; its own organisation's staff only."""


AnyScope: TypeAlias = Scope | FhirScope


@dataclass(frozen=True, slots=True)
class Access:
    """What a route declares: open to anyone, to a token with any one of `scopes`, or to one whose
    FHIR scopes meet `fhir`."""

    scopes: frozenset[Scope] = field(default_factory=frozenset)
    public: bool = False
    fhir: FhirNeed | None = None

    def admits(self, held: Collection[AnyScope], resource_type: str | None) -> bool:
        """True where `held` is enough; `resource_type` is the one that the path names."""
        if self.fhir is not None and self.fhir.met(held, resource_type):
            return True
        return any(scope in self.scopes for scope in held)

    def spellings(self, resource_type: str | None = None) -> list[str]:
        """Scopes to ask for, any one of which is enough."""
        named = sorted(scope.value for scope in self.scopes)
        return named if self.fhir is None else [*named, *self.fhir.spellings(resource_type)]


PUBLIC: Final = Access(public=True)


def scoped(*scopes: Scope) -> Access:
    """Open to a token that has at least one of `scopes`."""
    assert scopes, "a route names who may call it"
    return Access(frozenset(scopes))


def fhir(permissions: str, resource_type: str | None = None) -> Access:
    """Open to a token whose FHIR scopes have all of `permissions` (letters of "cruds") for the
    type that the path names, or for `resource_type`; with none, to any FHIR scope."""
    return Access(fhir=FhirNeed(permissions, resource_type))


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
EPCIS_SCOPES_OF_KIND: Final[dict[PrincipalKind, frozenset[Scope]]] = {
    "administrator": frozenset({Scope.EPCIS_CAPTURE, Scope.EPCIS_QUERY}),
    "service": frozenset({Scope.EPCIS_CAPTURE, Scope.EPCIS_QUERY}),
    "clinician": frozenset({Scope.EPCIS_CAPTURE, Scope.EPCIS_QUERY}),
    "device": frozenset({Scope.EPCIS_CAPTURE}),
    "auditor": frozenset({Scope.EPCIS_QUERY}),
}
"""At the gateway of the principal's own organisation."""
REGISTRABLE_KINDS: Final = frozenset(get_args(StaffKind))
"""For whom an operator registers keys: its own organisation's staff. A patient is nobody's staff,
and only his own key speaks for him."""
FHIR_KINDS: Final = frozenset(READER_KINDS)
"""Who reads and writes through the gateway of its own organisation: whom a decision can be about.
"""


def scopes_of(kind: PrincipalKind, member: str, node_member: str) -> frozenset[AnyScope]:
    """What a principal of `member` can be given at the node of `node_member`, at most."""
    scopes: frozenset[AnyScope] = SCOPES_OF_KIND.get(kind, frozenset())
    if member != node_member:
        return scopes
    scopes |= EPCIS_SCOPES_OF_KIND.get(kind, frozenset())
    if kind in OPERATORS:
        scopes |= {Scope.NODE_OPERATE}
    if kind in FHIR_KINDS:
        scopes |= FHIR_ALL
    return scopes


def narrowed(allowed: frozenset[AnyScope], asked: Collection[str]) -> frozenset[AnyScope]:
    """What of `asked`, in the spelling of a token request, is `allowed`; the rest is dropped."""
    fixed = {scope for scope in allowed if scope.value in asked and isinstance(scope, Scope)}
    most = [scope for scope in allowed if isinstance(scope, FhirScope)]
    return frozenset(fixed | {part for text in asked for part in granted_part(text, most)})


@dataclass(frozen=True, slots=True)
class Standing:
    """A principal as the state at the tip knows it; `keys` are the signing keys valid now, and
    `registered` what this node's operator adds to them."""

    principal: bytes
    kind: PrincipalKind
    member: str
    keys: tuple[bytes, ...]
    registered: tuple[RegisteredKey, ...] = ()

    def honours(self, voucher: bytes) -> bool:
        """True while `voucher`, a signing key or the fingerprint of a registered one, is valid."""
        return voucher in self.keys or any(key.fingerprint == voucher for key in self.registered)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking, checked for this request."""

    principal: bytes
    kind: PrincipalKind
    member: str
    scopes: frozenset[AnyScope]
    token_digest: bytes

    def may(self, scope: Scope) -> bool:
        """True where this caller holds `scope`."""
        return scope in self.scopes

    def may_fhir(self, permissions: str, resource_type: str) -> bool:
        """True where this caller's FHIR scopes have all of `permissions` for `resource_type`."""
        return FhirNeed(permissions, resource_type).met(self.scopes, None)
