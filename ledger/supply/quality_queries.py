"""Questions about quality that the state answers: recalls and what they catch, quarantines,
excursions, reports, verifications.

Reads only; each works on any `StateReader`. Pages are in the order of keys. What a recall catches
is read from holdings: its cost is in lots and places, however many packs there are.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple, TypeVar

from chain.codec import Codec
from ledger.ids import OWNER_BYTES, TIME_BYTES, organization_owner
from ledger.keyspace import (
    EXCURSION_PREFIX,
    QUARANTINE_PREFIX,
    RECALL_PREFIX,
    SUSPECT_PREFIX,
    event_excursions_prefix,
    event_number_key,
    excursion_key,
    quarantine_key,
    quarantines_prefix,
    recall_acknowledgement_key,
    recall_key,
    suspect_key,
    suspicion_key,
    verification_key,
    verification_open_key,
    verifications_open_prefix,
)
from ledger.queries import members
from ledger.state import StateReader, decoded
from ledger.supply.entries import (
    ACKNOWLEDGEMENT,
    EXCURSION,
    NUMBER,
    QUARANTINE,
    RECALL,
    SUSPECT,
    SUSPICION,
    VERIFICATION,
    AcknowledgementEntry,
    ExcursionEntry,
    QuarantineEntry,
    RecallEntry,
    SuspectEntry,
    VerificationEntry,
)
from ledger.supply.whereabouts import Whereabouts, lots_of, whereabouts

T = TypeVar("T")
LOTS_WALKED_MAX: Final = 10_000
"""Lots of one recall that a question without pages looks at."""


class Owing(NamedTuple):
    """Who has, or ended, something of a recall's scope and has not acknowledged it.

    Not `complete` where the scope has more than `LOTS_WALKED_MAX` lots.
    """

    members: tuple[str, ...]
    complete: bool


class Dispensed(NamedTuple):
    """What a site has given to patients of a lot: dispensed to them, or administered."""

    item_class: str
    member: str
    dispensed: int
    administered: int


class Quarantine(NamedTuple):
    """A quarantine in force, under what it holds."""

    subject: str
    entry: QuarantineEntry


class Suspect(NamedTuple):
    """A report; `open` until the manufacturer found the item genuine."""

    report: bytes
    entry: SuspectEntry
    open: bool


def recall(state: StateReader, recall: bytes) -> RecallEntry | None:
    """The recall with this id."""
    return decoded(state).read(recall_key(recall), RECALL)


def recalls(
    state: StateReader, limit: int, after: bytes = b""
) -> tuple[tuple[bytes, RecallEntry], ...]:
    """Up to `limit` of (recall id, entry), closed ones too, by id."""
    return _page(state, RECALL_PREFIX, RECALL, limit, after)


def recalls_concerning(
    state: StateReader, member: str, limit: int, after: bytes = b""
) -> tuple[tuple[bytes, RecallEntry], ...]:
    """Up to `limit` of (recall id, entry) that were not lifted and catch something `member` has,
    had to the end, has sent and that is under way, or waits for."""
    start = recall_key(after) if after else b""
    found = (
        (key[len(RECALL_PREFIX) :], RECALL.decode(raw))
        for key, raw in state.scan(RECALL_PREFIX, start)
    )
    concerning = (each for each in found if _concerns(state, each[1], member))
    return tuple(islice(concerning, limit))


def _concerns(state: StateReader, entry: RecallEntry, member: str) -> bool:
    """True as well where the scope is too wide to be walked: whoever is asked looks for himself."""
    if entry.lifted:
        return False
    for count, lot in enumerate(lots_of(state, entry.scope)):
        if count >= LOTS_WALKED_MAX:
            return True
        if any(each.concerns(member) for each in whereabouts(state, lot)):
            return True
    return False


def acknowledgements(
    state: StateReader, recall: bytes
) -> tuple[tuple[str, AcknowledgementEntry | None], ...]:
    """For every organisation, by id, what it found; None where it has not said."""
    view = decoded(state)
    return tuple(
        (
            each.id,
            view.read(
                recall_acknowledgement_key(recall, organization_owner(each.id)), ACKNOWLEDGEMENT
            ),
        )
        for each in members(state)
    )


def caught(
    state: StateReader, recall_id: bytes, limit: int, after: tuple[str, str] = ("", "")
) -> tuple[Whereabouts, ...]:
    """Up to `limit` places of what a recall catches, by lot, above (lot, place)."""
    entry = recall(state, recall_id)
    return () if entry is None else tuple(islice(_caught(state, entry, *after), limit))


def _caught(
    state: StateReader, entry: RecallEntry, lot: str = "", place: str = ""
) -> Iterator[Whereabouts]:
    if lot:
        yield from whereabouts(state, lot, place)
    for each in lots_of(state, entry.scope, lot):
        yield from whereabouts(state, each)


def owing(state: StateReader, recall_id: bytes) -> Owing:
    """Who has not acknowledged, of those who have, send, wait for or have ended what it catches."""
    entry = recall(state, recall_id)
    if entry is None:
        return Owing((), complete=True)
    holders: set[str] = set()
    lots = list(islice(lots_of(state, entry.scope), LOTS_WALKED_MAX + 1))
    for lot in lots[:LOTS_WALKED_MAX]:
        for each in whereabouts(state, lot):
            holders.update((each.member, each.receiver or each.member))
    silent = [name for name, said in acknowledgements(state, recall_id) if said is None]
    return Owing(
        tuple(name for name in silent if name in holders), complete=len(lots) <= LOTS_WALKED_MAX
    )


def dispensed(
    state: StateReader, recall_id: bytes, limit: int, after: tuple[str, str] = ("", "")
) -> tuple[Dispensed, ...]:
    """Up to `limit` of what sites gave to patients of what a recall catches, by lot and site,
    above (lot, site). Pieces; which patients they were is for each site to find."""
    entry = recall(state, recall_id)
    return () if entry is None else tuple(islice(_dispensed(state, entry, *after), limit))


def _dispensed(
    state: StateReader, entry: RecallEntry, lot: str, member: str
) -> Iterator[Dispensed]:
    if lot:
        yield from (each for each in _dispensed_of(state, lot) if each.member > member)
    for each in lots_of(state, entry.scope, lot):
        yield from _dispensed_of(state, each)


def _dispensed_of(state: StateReader, lot: str) -> list[Dispensed]:
    counts: dict[str, dict[str, int]] = {}
    for each in whereabouts(state, lot):
        if each.state in {"dispensed", "administered"}:
            counts.setdefault(each.member, {})[each.state] = each.pieces
    return [
        Dispensed(lot, member, found.get("dispensed", 0), found.get("administered", 0))
        for member, found in sorted(counts.items())
    ]


def quarantines(
    state: StateReader, limit: int, after: tuple[str, str] = ("", "")
) -> tuple[Quarantine, ...]:
    """Up to `limit` quarantines in force, by subject, above (subject, organisation)."""
    subject, organization = after
    start = quarantine_key(subject, organization_owner(organization)) if subject else b""
    found = islice(state.scan(QUARANTINE_PREFIX, start), limit)
    return tuple(Quarantine(subject_of(key), QUARANTINE.decode(raw)) for key, raw in found)


def quarantines_of(state: StateReader, subject: str) -> tuple[QuarantineEntry, ...]:
    """Those on one item, lot or product; what holds the containers around it is not among them."""
    return tuple(QUARANTINE.decode(raw) for _, raw in state.scan(quarantines_prefix(subject)))


def subject_of(key: bytes) -> str:
    """What a `quarantine/` key holds."""
    return key[len(QUARANTINE_PREFIX) : -OWNER_BYTES - 1].decode("ascii")


def excursion(state: StateReader, item: str) -> ExcursionEntry | None:
    """The latest excursion of an item, decided about or not."""
    return decoded(state).read(excursion_key(item), EXCURSION)


def excursions(
    state: StateReader, limit: int, after: str = ""
) -> tuple[tuple[str, ExcursionEntry], ...]:
    """Up to `limit` of (item, latest excursion), by item."""
    found = _page(state, EXCURSION_PREFIX, EXCURSION, limit, after.encode("ascii"))
    return tuple((item.decode("ascii"), entry) for item, entry in found)


def excursions_of_event(state: StateReader, event: bytes) -> tuple[str, ...]:
    """The items that a captured event found too long out of their temperatures."""
    number = decoded(state).read(event_number_key(event), NUMBER)
    if number is None:
        return ()
    prefix = event_excursions_prefix(number.number)
    return tuple(key[len(prefix) :].decode("ascii") for key, _ in state.scan(prefix))


def suspect(state: StateReader, report: bytes) -> Suspect | None:
    """The report with this id."""
    entry = decoded(state).read(suspect_key(report), SUSPECT)
    return None if entry is None else _suspect(state, report, entry)


def suspects(state: StateReader, limit: int, after: bytes = b"") -> tuple[Suspect, ...]:
    """Up to `limit` reports, by id."""
    found = _page(state, SUSPECT_PREFIX, SUSPECT, limit, after)
    return tuple(_suspect(state, report, entry) for report, entry in found)


def _suspect(state: StateReader, report: bytes, entry: SuspectEntry) -> Suspect:
    return Suspect(report, entry, is_open(state, entry))


def is_open(state: StateReader, entry: SuspectEntry) -> bool:
    """True until the manufacturer's quality unit found the item genuine after the report."""
    cleared = decoded(state).read(suspicion_key(entry.item), SUSPICION)
    return entry.cleared == (0 if cleared is None else cleared.cleared)


def verification(state: StateReader, verification: bytes) -> VerificationEntry | None:
    """The question with this id, and its answer where there is one."""
    return decoded(state).read(verification_key(verification), VERIFICATION)


def verifications_open(
    state: StateReader, manufacturer: str, limit: int, after: bytes = b""
) -> tuple[tuple[bytes, VerificationEntry], ...]:
    """Up to `limit` of (verification id, question) that wait for a manufacturer's answer, oldest
    first, above the question `after`, answered or not."""
    owner = organization_owner(manufacturer)
    prefix = verifications_open_prefix(owner)
    last = verification(state, after) if after else None
    start = b"" if last is None else verification_open_key(owner, last.requested_ms, after)
    found = []
    for key, _ in islice(state.scan(prefix, start), limit):
        waiting = key[len(prefix) + TIME_BYTES :]
        entry = verification(state, waiting)
        assert entry is not None, "what waits was asked"
        found.append((waiting, entry))
    return tuple(found)


def _page(
    state: StateReader, prefix: bytes, codec: Codec[T], limit: int, after: bytes
) -> tuple[tuple[bytes, T], ...]:
    """Up to `limit` of (id, entry) of one kind, above the id `after`."""
    found = islice(state.scan(prefix, prefix + after if after else b""), limit)
    return tuple((key[len(prefix) :], codec.decode(raw)) for key, raw in found)
