"""Parties: whose a location is, and who registers for an organisation."""

from typing import Final

from chain.errors import Rejected
from chain.types import PrincipalKind
from ledger.keyspace import party_key
from ledger.request import Request
from ledger.supply.actions import PartyRegister
from ledger.supply.entries import PARTY, PartyEntry

REGISTRAR_KINDS: Final[tuple[PrincipalKind, ...]] = ("administrator", "service")


def register_party(request: Request, action: PartyRegister) -> None:
    """A Global Location Number belongs to one organisation for ever."""
    organization = registrar(request, "gln")
    key = party_key(action.gln)
    if request.state.read(key, PARTY) is not None:
        raise Rejected("party.exists", "gln")
    request.state.write(key, PARTY, PartyEntry(organization))


def registrar(request: Request, field: str) -> str:
    """The organisation for which the sender registers."""
    if request.organization is None or request.principal.kind not in REGISTRAR_KINDS:
        raise Rejected("party.not_registrar", field)
    return request.organization
