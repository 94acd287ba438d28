"""What a member should know now about goods: recalls, overdue and incomplete shipments, expiry,
holds, doubts, questions that wait.

Read from the state, so an alert is there exactly as long as its cause. A page looks at a bounded
number of entries, and may be short or empty and have a next one all the same.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final, Literal, NamedTuple, TypeAlias

from ledger.ids import OWNER_BYTES, TIME_BYTES, organization_owner
from ledger.keyspace import (
    EXCURSION_PREFIX,
    LOT_EXPIRY_PREFIX,
    QUARANTINE_PREFIX,
    RECALL_PREFIX,
    SUSPECT_PREFIX,
    holding_key,
    lot_expiry_key,
    recall_acknowledgement_key,
    shipment_key,
    shipments_from_prefix,
    shipments_to_prefix,
    verification_key,
    verifications_open_prefix,
)
from ledger.policies import DAY_MS
from ledger.state import StateReader, decoded
from ledger.supply.duties import maker_of_class, maker_of_item
from ledger.supply.entries import (
    ACKNOWLEDGEMENT,
    EXCURSION,
    HOLDING,
    QUARANTINE,
    RECALL,
    SHIPMENT,
    SUSPECT,
    VERIFICATION,
    RecallEntry,
)
from ledger.supply.naming import is_class
from ledger.supply.quality_queries import LOTS_WALKED_MAX, is_open, subject_of
from ledger.supply.standing import standing
from ledger.supply.whereabouts import IN_HAND, IN_TRANSIT, lots_of, whereabouts

LOOKED_AT_MAX: Final = 1_000
"""Entries that one page looks at."""
OPEN_RECALL_COUNTS: Final = 50
"""An open recall is walked lot by lot, and counts for so many of these entries."""
DETAILS_MAX: Final = 16

SupplyAlertKind = Literal[
    "recall.held",
    "recall.incoming",
    "recall.outgoing",
    "recall.dispensed",
    "recall.unclear",
    "shipment.overdue",
    "shipment.incomplete",
    "lot.expired",
    "lot.expires_within_30_days",
    "lot.expires_within_90_days",
    "quarantine",
    "excursion",
    "excursion.destroy",
    "suspect",
    "verification",
]
"""`recall.…`: what the member has, waits for, has sent and is under way, gave to patients (until it
acknowledges); unclear where the recall has too many lots to look through."""


class SupplyAlert(NamedTuple):
    """`subject` is the id (hex) of a recall, report or verification, the number of a shipment, a
    lot, or what is held; `since_ms` is since when there is a cause (for expiry, when it is);
    `details` are lots, items or members that it is about, the first of them."""

    kind: SupplyAlertKind
    subject: str
    since_ms: int
    details: tuple[str, ...]


class AlertPage(NamedTuple):
    """`next` is where to go on; None on the last page."""

    alerts: tuple[SupplyAlert, ...]
    next: bytes | None


class _View(NamedTuple):
    state: StateReader
    member: str
    at_ms: int


_Found: TypeAlias = Iterator[tuple[bytes, tuple[SupplyAlert, ...]]]
"""For every entry looked at, its key and what follows from it."""


def alerts(
    state: StateReader, member: str, at_ms: int, limit: int, after: bytes = b""
) -> AlertPage:
    """What `member` should know at `at_ms`; up to `limit` alerts, and those of one recall more.

    `after` is `next` of the page before.
    """
    view, found = _View(state, member, at_ms), list[SupplyAlert]()
    first, start = (after[0], after[1:]) if after else (0, b"")
    looked_at = 0
    for number in range(first, len(_SOURCES)):
        for key, told in _SOURCES[number](view, start if number == first else b""):
            found.extend(told)
            looked_at += 1 if number else OPEN_RECALL_COUNTS
            if len(found) >= limit or looked_at >= LOOKED_AT_MAX:
                return AlertPage(tuple(found), bytes([number]) + key)
    return AlertPage(tuple(found), None)


def _recalls(view: _View, after: bytes) -> _Found:
    """Open ones; the others are passed over."""
    for key, raw in view.state.scan(RECALL_PREFIX, after):
        entry = RECALL.decode(raw)
        if entry.closed_ms is None:
            yield key, _of_recall(view, key, entry)


def _of_recall(view: _View, key: bytes, entry: RecallEntry) -> tuple[SupplyAlert, ...]:
    recall = key[len(RECALL_PREFIX) :]
    lots: dict[SupplyAlertKind, dict[str, None]] = {}
    for count, lot in enumerate(lots_of(view.state, entry.scope)):
        if count >= LOTS_WALKED_MAX:
            lots["recall.unclear"] = dict.fromkeys(entry.scope)
            break
        for each in whereabouts(view.state, lot):
            if each.state == IN_HAND and each.member == view.member:
                lots.setdefault("recall.held", {})[lot] = None
            elif each.state == IN_TRANSIT and each.receiver == view.member:
                lots.setdefault("recall.incoming", {})[lot] = None
            elif each.state == IN_TRANSIT and each.member == view.member:
                lots.setdefault("recall.outgoing", {})[lot] = None
            elif each.state in {"dispensed", "administered"} and each.member == view.member:
                lots.setdefault("recall.dispensed", {})[lot] = None
    said = recall_acknowledgement_key(recall, organization_owner(view.member))
    if decoded(view.state).read(said, ACKNOWLEDGEMENT) is not None:
        lots.pop("recall.dispensed", None)
    return tuple(
        SupplyAlert(kind, recall.hex(), entry.opened_ms, _details(found))
        for kind, found in lots.items()
    )


def _details(found: dict[str, None]) -> tuple[str, ...]:
    return tuple(islice(found, DETAILS_MAX))


def _outgoing(view: _View, after: bytes) -> _Found:
    return _shipments(view, shipments_from_prefix(view.member), after)


def _incoming(view: _View, after: bytes) -> _Found:
    return _shipments(view, shipments_to_prefix(view.member), after)


def _shipments(view: _View, prefix: bytes, after: bytes) -> _Found:
    for key, _ in view.state.scan(prefix, after):
        number = int.from_bytes(key[len(prefix) :], "big")
        entry = decoded(view.state).read(shipment_key(number), SHIPMENT)
        assert entry is not None, "what is under way was shipped"
        told = []
        parties = (entry.sender, entry.receiver)
        if entry.due_ms <= view.at_ms:
            told.append(SupplyAlert("shipment.overdue", str(number), entry.due_ms, parties))
        if entry.received:
            alert = SupplyAlert("shipment.incomplete", str(number), entry.shipped_ms, parties)
            told.append(alert)
        yield key, tuple(told)


def _expiring(view: _View, after: bytes) -> _Found:
    """In the order of expiry, up to 90 days from now."""
    end = lot_expiry_key(view.at_ms + 90 * DAY_MS + 1, "")
    for key, _ in view.state.scan(LOT_EXPIRY_PREFIX, after):
        if key >= end:
            return
        start = len(LOT_EXPIRY_PREFIX)
        expires_ms = int.from_bytes(key[start : start + TIME_BYTES], "big")
        lot = key[start + TIME_BYTES :].decode("ascii")
        held = decoded(view.state).read(holding_key(lot, view.member), HOLDING)
        kind = _expiry(expires_ms - view.at_ms)
        yield key, () if held is None else (SupplyAlert(kind, lot, expires_ms, ()),)


def _expiry(left_ms: int) -> SupplyAlertKind:
    if left_ms <= 0:
        return "lot.expired"
    return "lot.expires_within_30_days" if left_ms <= 30 * DAY_MS else "lot.expires_within_90_days"


def _quarantines(view: _View, after: bytes) -> _Found:
    owner = organization_owner(view.member)
    for key, raw in view.state.scan(QUARANTINE_PREFIX, after):
        subject, entry = subject_of(key), QUARANTINE.decode(raw)
        if key[-OWNER_BYTES:] == owner or _has(view, subject):
            told = SupplyAlert("quarantine", subject, entry.placed_ms, (entry.organization,))
            yield key, (told,)
        else:
            yield key, ()


def _excursions(view: _View, after: bytes) -> _Found:
    for key, raw in view.state.scan(EXCURSION_PREFIX, after):
        item, entry = key[len(EXCURSION_PREFIX) :].decode("ascii"), EXCURSION.decode(raw)
        details = (entry.custodian,)
        if entry.disposal is None and _is_partys(view, item):
            yield key, (SupplyAlert("excursion", item, entry.since_ms, details),)
        elif entry.disposal == "destroy" and _has(view, item):
            assert entry.disposed_ms is not None, "who decides does so at a time"
            yield key, (SupplyAlert("excursion.destroy", item, entry.disposed_ms, details),)
        else:
            yield key, ()


def _suspects(view: _View, after: bytes) -> _Found:
    for key, raw in view.state.scan(SUSPECT_PREFIX, after):
        entry = SUSPECT.decode(raw)
        ours = entry.organization == view.member or _is_partys(view, entry.item)
        if ours and is_open(view.state, entry):
            report = key[len(SUSPECT_PREFIX) :].hex()
            details = (entry.item, entry.organization)
            yield key, (SupplyAlert("suspect", report, entry.reported_ms, details),)
        else:
            yield key, ()


def _verifications(view: _View, after: bytes) -> _Found:
    prefix = verifications_open_prefix(organization_owner(view.member))
    for key, _ in view.state.scan(prefix, after):
        waiting = key[len(prefix) + TIME_BYTES :]
        entry = decoded(view.state).read(verification_key(waiting), VERIFICATION)
        assert entry is not None, "what waits was asked"
        details = (entry.item, entry.organization)
        alert = SupplyAlert("verification", waiting.hex(), entry.requested_ms, details)
        yield key, (alert,)


def _has(view: _View, subject: str) -> bool:
    """True where the member has the item or, of the lot or product, anything."""
    if not is_class(subject):
        found = standing(decoded(view.state), subject)
        return found is not None and found.status == "active" and found.custodian == view.member
    held = (
        decoded(view.state).read(holding_key(lot, view.member), HOLDING)
        for lot in islice(lots_of(view.state, (subject,)), LOTS_WALKED_MAX)
    )
    return any(each is not None for each in held)


def _is_partys(view: _View, item: str) -> bool:
    """True where the member has the item, or made all of it."""
    state = decoded(view.state)
    found = standing(state, item)
    if found is None:
        return maker_of_class(state, item) == view.member
    if found.status != "active":
        return False
    return view.member in {found.custodian, maker_of_item(state, item, found.entry)}


_SOURCES: Final[tuple[Callable[[_View, bytes], _Found], ...]] = (
    _recalls,
    _outgoing,
    _incoming,
    _expiring,
    _quarantines,
    _excursions,
    _suspects,
    _verifications,
)
"""In the order of pages."""
