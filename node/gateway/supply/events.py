"""The events that the organisation may read: in an index in memory, whose columns are on disk under
the gateway's key, and opened one by one when somebody asks.

What stands here gives no right: an event is here because its key is sealed to the organisation.
Never replicated; made anew from the chain at any time. Must not know HTTP.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Annotated, Final, NamedTuple

from msgspec import Meta

from chain.codec import Codec
from chain.errors import InvalidMessage
from client.capturing import event_key as named_under
from client.category import CategoryKey, CategoryName
from client.epcis_reading import document_name
from client.errors import Tampered
from client.fhir_json import Value, parse
from client.redacted import Redacted
from ledger.keyspace import event_key, event_number_key
from ledger.state import DecodedState, decoded
from ledger.supply.entries import EVENT, NUMBER, EventEntry
from node.backend import Busy
from node.gateway.contents import Contents
from node.gateway.epcis.criteria import OneOf
from node.gateway.epcis.documents import Shown
from node.gateway.epcis.facets import ANY_EPC, Facets, epcs_of, facets_of, listed_of
from node.gateway.epcis.index import (
    Candidate,
    Columns,
    Index,
    Listed,
    Listing,
    Position,
    columns_of,
)
from node.gateway.epcis.names import thing
from node.gateway.epcis.postings import term
from node.gateway.epcis.problem import EpcisProblem
from node.gateway.epcis.query import Query
from node.gateway.keyring import Keyring
from node.gateway.office import Office
from node.gateway.refusals import ReadRefused, Unavailable
from node.gateway.sealed_file import FileKeys, SealedFile
from storage.errors import StoreProblem
from storage.protocols import Disk

_LOG: Final = logging.getLogger("medlock.gateway")
EVENT_BYTES_MAX: Final = 8 << 20
"""Of an event's document; a larger one is nobody's event."""
TERMS_MAX: Final = 65_536
"""Of one event. What says more than that is found by the first ones."""
OPENED_AT_ONCE: Final = 64
LOOKED_AT_MAX: Final = 10_000
"""Events that one request opens at most."""
COLUMNS_EVENTS_MAX: Final = 256
_FILE: Final = "events.index"
_NEW: Final = "events.new"
_COLUMN_BYTES_MAX: Final = 12 << 20

Bytes = Annotated[bytes, Meta(max_length=_COLUMN_BYTES_MAX)]


class _Kept(Redacted, frozen=True):
    """One frame of the file: some events, as `epcis.index.Columns`."""

    edition: int
    numbers: Bytes
    event_ms: Bytes
    recorded_ms: Bytes
    differs: Bytes
    postings: Bytes
    listed: tuple[tuple[str, str, str], ...]


EDITION: Final = 1
"""Of what facets say; an index of another one is made anew."""
_KEPT: Final = Codec[_Kept](_Kept, name="events", bytes_max=14 << 20)

Judge = Callable[[bytes, EventEntry, CategoryKey], bool]
"""True where a document says something else than the ledger, which names it."""


@dataclass(frozen=True, slots=True, repr=False)
class Opened:
    """An event in clear, with what the ledger says of it."""

    number: int
    entry: EventEntry
    key: CategoryKey
    document: bytes
    event: dict[str, Value]

    def shown(self, *, differs: bool) -> Shown:
        """As it goes out."""
        return Shown(self.event, self.entry.recorded_ms, differs)


class Page(NamedTuple):
    """Some events that are wanted; `next` where there may be more."""

    events: tuple[Shown, ...]
    next: Position | None


class Events:
    """One for each gateway. Methods that are not coroutines block, and belong into a thread."""

    def __init__(
        self,
        office: Office,
        keyring: Keyring,
        disk: Disk,
        folder: Path,
        keys: FileKeys,
        judge: Judge,
    ) -> None:
        self._office = office
        self._backend = office.backend
        self._keyring = keyring
        self._disk = disk
        self._folder = folder
        self._keys = keys
        self._judge = judge
        self._contents = Contents(office.backend.attachments, office.network.chain_id)
        self._index = Index()
        self._file: SealedFile | None = None
        self._lock = Lock()
        """Around the index, for as long as a search takes at most."""
        self._changing = Lock()
        """Around what changes index and file, which nothing may come in between."""
        self._settled = 0
        self._arrived = asyncio.Condition()
        disk.make_directory(folder)

    def __len__(self) -> int:
        return len(self._index)

    def load(self) -> bool:
        """Takes in what is kept; False where that is nothing that can be read, so that all is to be
        made anew."""
        path = self._folder / _FILE
        if not self._disk.exists(path):
            self._begin()
            return False
        try:
            sealed, index = self._read(path)
        except (StoreProblem, InvalidMessage, ValueError) as problem:
            _LOG.warning("the index of events is made anew: %s", type(problem).__name__)
            self._begin()
            return False
        with self._lock:
            self._file, self._index = sealed, index
        return True

    def _read(self, path: Path) -> tuple[SealedFile, Index]:
        """What the file holds; `ValueError` where that is not all of it."""
        sealed, plains, torn_bytes = SealedFile.open(self._disk, path, self._keys)
        if torn_bytes:
            raise ValueError("a part of it is lost")
        index = Index()
        for plain in plains:
            index.add(_columns(_KEPT.decode(plain)))
        return sealed, index

    def _begin(self) -> None:
        new, path = self._folder / _NEW, self._folder / _FILE
        # The name binds what is in the file: it is written under the one that it gets.
        sealed = SealedFile.write(self._disk, new, self._keys, self._office.random, [])
        self._disk.replace(new, path)
        self._disk.sync_directory(self._folder)
        sealed.path = path
        with self._lock:
            self._file, self._index = sealed, Index()

    # What comes in.

    async def take_in(self, keys: Sequence[bytes]) -> int:
        """Opens and takes in those of the events, named by their keys, that are ours to read and
        are not here yet; the highest of their numbers.

        Raises `Busy` where a document is not on this node yet.
        """
        numbers = await self._backend.in_thread(lambda: self._numbers(keys))
        await self._take_in(numbers)
        return max(numbers, default=0)

    async def settle(self, number: int) -> None:
        """Whatever the chain has up to the event `number` is here, as far as it ever will be."""
        self._settled = max(self._settled, number)
        async with self._arrived:
            self._arrived.notify_all()

    def settle_until(self, recorded_ms: int) -> None:
        """The same for what was recorded until then; before anything runs."""
        with self._lock:
            self._settled = self._index.bound(recorded_ms)

    def settled(self) -> int:
        """The number of the last event before which nothing will come in any more: who is told of
        events in the order of the chain is told up to here."""
        return self._settled

    async def settled_beyond(self, number: int) -> int:
        """`settled`, once it is above `number`."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: self._settled > number)
        return self._settled

    async def rebuild(self) -> int:
        """Makes the index anew from the chain; how many events are in it then."""
        await self._backend.in_thread(self._emptied)
        number = 0
        while True:
            page = range(number + 1, number + COLUMNS_EVENTS_MAX + 1)
            if not await self._take_in(page):
                return len(self)
            number = page[-1]

    def _emptied(self) -> None:
        with self._changing:
            self._begin()

    def _numbers(self, keys: Sequence[bytes]) -> list[int]:
        with self._backend.store.snapshot() as snapshot:
            state = DecodedState(snapshot)
            found = [state.read(event_number_key(key), NUMBER) for key in keys]
        return [each.number for each in found if each is not None]

    async def _take_in(self, numbers: Sequence[int]) -> bool:
        """False where the chain has none of them."""
        entries = await self._backend.in_thread(lambda: self._entries(numbers))
        fresh = {number: entry for number, entry in entries.items() if not self.has(number)}
        if fresh:
            keys = await self._keys_of(fresh.values())
            await self._backend.in_thread(lambda: self._learn(fresh, keys))
        return bool(entries)

    def _learn(
        self, entries: Mapping[int, EventEntry], keys: Mapping[CategoryName, CategoryKey]
    ) -> None:
        opened = list(self._opened(entries, keys, missing=_later))
        found = [self._listed(each) for each in opened]
        listings = [each for each in found if each is not None]
        for each in listings:
            if each.differs:
                _LOG.warning("event %d says something else than the ledger", each.number)
        with self._changing:
            self._keep([each for each in listings if not self.has(each.number)])

    def _listed(self, opened: Opened) -> Listing | None:
        """What the index keeps of an event. Whatever somebody sealed never ends this node."""
        try:
            return _listing(opened, self._judge(opened.document, opened.entry, opened.key))
        except Exception as error:  # noqa: BLE001 - it is another member's document
            kind = type(error).__name__
            _LOG.error("event %d is not indexed: %s", opened.number, kind)
            return None

    def _keep(self, listings: Sequence[Listing]) -> None:
        assert self._file is not None, "loaded first"
        for start in range(0, len(listings), COLUMNS_EVENTS_MAX):
            columns = columns_of(listings[start : start + COLUMNS_EVENTS_MAX])
            if self._index.is_full:
                raise Busy("events.full", "the index of events is full")
            self._file.append(_KEPT.encode(_kept(columns)), self._office.random)
            with self._lock:
                self._index.add(columns)

    # What is asked.

    def has(self, number: int) -> bool:
        """True where the event with that number is here."""
        with self._lock:
            return self._index.has(number)

    def listed(self, facet: str) -> list[str]:
        """See `Index.listed`."""
        with self._lock:
            return self._index.listed(facet)

    def words(self, facet: str) -> list[str]:
        """See `Index.words`."""
        with self._lock:
            return self._index.words(facet)

    def knows(self, facets: Iterable[str], name: str) -> bool:
        """True where some event has this value in one of `facets`."""
        with self._lock:
            return any(self._index.knows(facet, name) for facet in facets)

    async def standing(self, event_id: str, key: CategoryKey | None = None) -> list[Opened]:
        """What stands on the chain by that eventID and can be opened: events, declarations that
        they were wrong. What the whole consortium may read, and what is under `key`, is found even
        where the index is behind."""
        behind = [sha256(event_id.encode()).digest()]
        if key is not None:
            behind.append(named_under(event_id, key))

        def look() -> list[int]:
            wanted = Query((OneOf(("eventID",), frozenset({thing(event_id)})),))
            found = [each.position.number for each in self._find(wanted, None, None)]
            return found + self._numbers(behind)

        numbers = await self._backend.in_thread(look)
        return await self._open(list(dict.fromkeys(numbers)))

    def bound(self) -> int:
        """See `Index.bound`."""
        with self._lock:
            return self._index.bound()

    async def page(
        self, query: Query, position: Position | None, bound: int, events_max: int
    ) -> Page:
        """Up to `events_max` of the events that are wanted, behind `position`, with numbers up to
        `bound`. Fewer, and yet a next page, where finding them takes too long."""
        candidates = await self._backend.in_thread(lambda: self._find(query, position, bound))
        found: list[Shown] = []
        last = position
        for start in range(0, len(candidates), OPENED_AT_ONCE):
            part = candidates[start : start + OPENED_AT_ONCE]
            for candidate, opened in await self._wanted(query, part):
                if len(found) == events_max:
                    return Page(tuple(found), last)
                found.append(opened.shown(differs=candidate.differs))
                last = candidate.position
            if start + OPENED_AT_ONCE >= LOOKED_AT_MAX and start + OPENED_AT_ONCE < len(candidates):
                return Page(tuple(found), part[-1].position)
        return Page(tuple(found), None)

    async def ordered(self, query: Query, events_max: int) -> tuple[Shown, ...]:
        """All that is wanted, up to `events_max`, in the order of one of their own fields.

        Raises `EpcisProblem` where more events may be wanted than are opened for one request.
        """
        assert query.order_by is not None, "the caller looked"
        facet = query.order_by
        candidates = await self._backend.in_thread(lambda: self._find(query, None, None))
        if len(candidates) > LOOKED_AT_MAX:
            raise too_complex()
        found: list[tuple[Facets, Shown]] = []
        for start in range(0, len(candidates), OPENED_AT_ONCE):
            part = candidates[start : start + OPENED_AT_ONCE]
            for candidate, opened in await self._wanted(query, part):
                facets = facets_of(opened.event)
                found.append((facets, opened.shown(differs=candidate.differs)))
        found.sort(key=lambda each: _rank(each[0], facet), reverse=query.descending)
        return tuple(shown for _, shown in found[:events_max])

    async def check_count(self, query: Query, most: int) -> None:
        """Raises `EpcisProblem` where more than `most` events are wanted (`maxEventCount`)."""
        page = await self.page(query, None, self.bound(), most)
        if page.next is None:
            return
        if len(page.events) < most:
            raise too_complex()
        raise EpcisProblem(
            413,
            "QueryTooLargeException",
            "epcis.too_many_events",
            "more events than maxEventCount allows",
            field="maxEventCount",
        )

    async def epcs(self, after: tuple[int, int], names_max: int) -> "EpcPage":
        """Things that events name, each once, as it was first written; behind `after`, the number
        of an event and how many of its things were there before."""
        number, skipped = after
        numbers = await self._backend.in_thread(lambda: self._in_order(number))
        found: list[str] = []
        for start in range(0, min(len(numbers), LOOKED_AT_MAX), OPENED_AT_ONCE):
            part = numbers[start : start + OPENED_AT_ONCE]
            for each in await self._open(part):
                for at, written in enumerate(self._first_here(each)):
                    if each.number == number and at < skipped:
                        continue
                    if len(found) == names_max:
                        return EpcPage(tuple(found), (each.number, at))
                    found.append(written)
        if len(numbers) > LOOKED_AT_MAX:
            return EpcPage(tuple(found), (numbers[LOOKED_AT_MAX], 0))
        return EpcPage(tuple(found), None)

    def _in_order(self, number: int) -> list[int]:
        """From the event `number` on."""
        with self._lock:
            rest = self._index.in_order(number)
        return [number, *rest] if number else rest

    def _first_here(self, opened: Opened) -> list[str]:
        with self._lock:
            return [
                written
                for name, written in epcs_of(opened.event)
                if self._index.first(ANY_EPC, name) == opened.number
            ]

    def _find(self, query: Query, position: Position | None, bound: int | None) -> list[Candidate]:
        with self._lock:
            return self._index.find(query, position, bound, LOOKED_AT_MAX + 1)

    async def _wanted(
        self, query: Query, candidates: Sequence[Candidate]
    ) -> list[tuple[Candidate, Opened]]:
        """Those of `candidates` that are what `query` wants, opened."""
        by_number = {each.position.number: each for each in candidates}
        opened = await self._open(list(by_number))
        criteria = query.criteria

        def look() -> list[tuple[Candidate, Opened]]:
            found = []
            for each in opened:
                facets = facets_of(each.event) if criteria else None
                if facets is None or all(criterion.met(facets) for criterion in criteria):
                    found.append((by_number[each.number], each))
            return found

        return await self._backend.in_thread(look)

    async def _open(self, numbers: Sequence[int]) -> list[Opened]:
        """These events, as far as they can be opened."""
        entries = await self._backend.in_thread(lambda: self._entries(numbers))
        keys = await self._keys_of(entries.values())
        return await self._backend.in_thread(
            lambda: list(self._opened(entries, keys, missing=_passed_over))
        )

    def _entries(self, numbers: Sequence[int]) -> dict[int, EventEntry]:
        with self._backend.store.snapshot() as snapshot:
            state = decoded(snapshot)
            found = [(number, state.read(event_key(number), EVENT)) for number in numbers]
        return {number: entry for number, entry in found if entry is not None}

    async def _keys_of(self, entries: Iterable[EventEntry]) -> dict[CategoryName, CategoryKey]:
        """The keys that open the documents of `entries`, as far as they are sealed to us."""
        found: dict[CategoryName, CategoryKey] = {}
        for name in dict.fromkeys(map(document_name, entries)):
            try:
                key = await self._keyring.find(name)
            except Tampered as refusal:
                _LOG.warning("events cannot be opened: %s", refusal.code)
                continue
            if key is not None:
                found[name] = key
        return found

    def _opened(
        self,
        entries: Mapping[int, EventEntry],
        keys: Mapping[CategoryName, CategoryKey],
        missing: Callable[[Unavailable], None],
    ) -> Iterator[Opened]:
        """Opens what can be opened; `missing` is called for what is not on this node."""
        for number, entry in entries.items():
            key = keys.get(document_name(entry))
            if key is None:
                continue
            try:
                raw = self._contents.open_event(entry, key, EVENT_BYTES_MAX)
            except Unavailable as later:
                missing(later)
                continue
            except ReadRefused as refusal:
                _LOG.info("an event cannot be read: %s", refusal.code)
                continue
            event = _event_in(raw)
            if event is not None:
                yield Opened(number, entry, key, raw, event)


class EpcPage(NamedTuple):
    """Some things; `next` where there are more."""

    names: tuple[str, ...]
    next: tuple[int, int] | None


def too_complex() -> EpcisProblem:
    """It would take too long."""
    return EpcisProblem(
        413,
        "QueryTooComplexException",
        "epcis.too_complex",
        f"more than {LOOKED_AT_MAX} events would have to be opened to answer this",
        fix="ask for less: by time, by item, by step",
    )


def _later(missing: Unavailable) -> None:
    raise Busy(missing.code, missing.cause) from None


def _passed_over(_: Unavailable) -> None:
    """It comes back when the node has its copy."""


def _event_in(raw: bytes) -> dict[str, Value] | None:
    """The event in a document; None where its author sealed something else."""
    try:
        event = parse(raw)
    except InvalidMessage:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("type"), str) else None


def _listing(opened: Opened, differs: bool) -> Listing:  # noqa: FBT001 - one of its columns
    terms = [term(facet, value) for facet, value in facets_of(opened.event).pairs()]
    return Listing(
        opened.number,
        opened.entry.event_time_ms,
        opened.entry.recorded_ms,
        differs,
        frozenset(terms[:TERMS_MAX]),
        tuple(Listed(*each) for each in listed_of(opened.event)),
    )


def _rank(facets: Facets, facet: str) -> tuple[int, Decimal, str]:
    """Where an event stands in the order of a field: those without it first, then numbers and
    times, then texts."""
    if numbers := facets.numbers.get(facet):
        return 1, min(numbers), ""
    if times := facets.times.get(facet):
        return 1, Decimal(min(times)), ""
    texts = facets.texts.get(facet)
    return (2, Decimal(0), min(texts)) if texts else (0, Decimal(0), "")


def _kept(columns: Columns) -> _Kept:
    listed = tuple((each.facet, each.name, each.written) for each in columns.listed)
    return _Kept(EDITION, *columns[:5], listed)


def _columns(kept: _Kept) -> Columns:
    if kept.edition != EDITION:
        raise ValueError("another edition")
    return Columns(
        kept.numbers,
        kept.event_ms,
        kept.recorded_ms,
        kept.differs,
        kept.postings,
        tuple(Listed(*each) for each in kept.listed),
    )
