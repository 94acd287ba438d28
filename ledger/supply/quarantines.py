"""Rules for quarantines of items, lots and products.

Every organisation has its own: that the custodian lets go does not end what the manufacturer or a
regulator ordered. On what is held stands by whose right (`HELD_BY_CUSTODIAN`, …), and goes with
what comes out of a held container; the entries say who, why and since when.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from chain.errors import Rejected
from ledger.ids import organization_owner
from ledger.keyspace import quarantine_key, quarantines_prefix
from ledger.request import Request
from ledger.standing import is_regulator
from ledger.supply.actions import QuarantinePlace, QuarantineRelease
from ledger.supply.classes import change_holds
from ledger.supply.duties import (
    PERSON_KINDS,
    SITE_KINDS,
    active,
    maker_of_class,
    maker_of_item,
    signs_for,
)
from ledger.supply.entries import (
    HELD_BY_CUSTODIAN,
    HELD_BY_MAKER,
    HELD_BY_REGULATOR,
    QUARANTINE,
    QuarantineEntry,
)
from ledger.supply.fields import Right
from ledger.supply.holds import lift_hold, place_hold
from ledger.supply.naming import is_class
from ledger.supply.standing import item_of

BITS: Final[Mapping[Right, int]] = MappingProxyType(
    {
        "custodian": HELD_BY_CUSTODIAN,
        "manufacturer": HELD_BY_MAKER,
        "regulator": HELD_BY_REGULATOR,
    }
)


def place(request: Request, action: QuarantinePlace) -> None:
    """The custodian holds an item; a manufacturer or regulator an item, a lot or a product."""
    organization = signs_for(request, SITE_KINDS)
    if organization is None:
        raise Rejected("quarantine.not_permitted", "subject")
    rights = _rights(request, action.subject, organization)
    if not rights:
        raise Rejected("quarantine.not_permitted", "subject")
    key = quarantine_key(action.subject, request.author)
    if request.state.read(key, QUARANTINE) is not None:
        raise Rejected("quarantine.in_force", "subject")
    now_ms = request.block.timestamp_ms
    entry = QuarantineEntry(organization, rights[0], action.reason, now_ms, action.note)
    request.state.write(key, QUARANTINE, entry)
    if is_class(action.subject):
        change_holds(request, action.subject, bit=BITS[rights[0]], held=True)
    else:
        place_hold(request.state, action.subject, BITS[rights[0]])


def release(request: Request, action: QuarantineRelease) -> None:
    """A person of the organisation that placed it, or of a regulator, lifts a quarantine.

    What a thing brought from a held container has no entry of its own: that is lifted by whoever
    has the same right to it now, in his own name.
    """
    organization = signs_for(request, PERSON_KINDS)
    if organization is None or not (organization == action.organization or is_regulator(request)):
        raise Rejected("quarantine.not_permitted", "subject")
    key = quarantine_key(action.subject, organization_owner(action.organization))
    entry = request.state.read(key, QUARANTINE)
    if entry is None:
        lifted = _brought(request, action.subject, organization)
    else:
        request.state.write(key, QUARANTINE, None)
        lifted = (entry.right,)
    placed = _placed(request, action.subject)
    for right in lifted:
        if right not in placed:
            _lift(request, action.subject, BITS[right])


def _brought(request: Request, subject: str, organization: str) -> tuple[Right, ...]:
    """By which rights an item is held without an entry, as far as the sender has them now; a
    regulator has all."""
    entry = None if is_class(subject) else item_of(request.state, subject)
    if entry is None:
        raise Rejected("quarantine.unknown", "subject")
    rights = tuple(BITS) if is_regulator(request) else _rights(request, subject, organization)
    placed = _placed(request, subject)
    found = tuple(each for each in rights if entry.holds & BITS[each] and each not in placed)
    if not found:
        raise Rejected("quarantine.unknown", "subject")
    return found


def _placed(request: Request, subject: str) -> list[Right]:
    prefix = quarantines_prefix(subject)
    return [entry.right for _, entry in request.state.scan(prefix, QUARANTINE)]


def _lift(request: Request, subject: str, bit: int) -> None:
    if is_class(subject):
        change_holds(request, subject, bit=bit, held=False)
    else:
        lift_hold(request.state, subject, bit)


def _rights(request: Request, subject: str, organization: str) -> tuple[Right, ...]:
    """By which rights an organisation may hold `subject`, the strongest first."""
    maker, custodian = _parties(request, subject)
    rights: list[Right] = []
    if is_regulator(request):
        rights.append("regulator")
    if organization == maker:
        rights.append("manufacturer")
    if organization == custodian:
        rights.append("custodian")
    return tuple(rights)


def _parties(request: Request, subject: str) -> tuple[str | None, str | None]:
    """Who made `subject`, and who has it."""
    if is_class(subject):
        maker = maker_of_class(request.state, subject)
        if maker is None:
            raise Rejected("supply.unknown_product", "subject")
        return maker, None
    found = active(request.state, subject, "subject")
    return maker_of_item(request.state, subject, found.entry), found.custodian
