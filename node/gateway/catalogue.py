"""The catalogue: what this organisation may search, in memory, with its entries in the vault.

It holds the current versions of what the organisation wrote itself, of organisations' own records,
and of what it has opened of others. Whether a caller may see any of it is asked anew in every
search: what stands here gives no right. Never replicated; nothing of it is in clear on disk; it can
be made again from the chain. Must not know HTTP.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import islice
from threading import Lock
from typing import Final

from chain.errors import InvalidMessage
from client.bundle import ADMINISTRATIVE_TYPES
from client.category import CategoryKey, CategoryName
from client.errors import Tampered
from client.fhir_json import Value, parse
from ledger import queries
from ledger.decision import author_of
from ledger.entries import RECORD, RecordEntry
from ledger.ids import owner_of
from ledger.keyspace import RECORD_PREFIX, record_key
from ledger.scopes import is_erased, is_record_erased, scope_of
from ledger.state import DecodedState, decoded
from node.backend import Busy
from node.gateway.contents import Contents, Sealed, name_of
from node.gateway.fhir.search.documents import Listing
from node.gateway.fhir.search.evaluation import Visible
from node.gateway.fhir.search.extract import extract_bytes
from node.gateway.fhir.search.index import Found, Index, Position
from node.gateway.fhir.search.query import Query
from node.gateway.judge import Group, Judge, Reader
from node.gateway.keyring import Keyring
from node.gateway.office import Office
from node.gateway.refusals import ReadRefused, Unavailable, Unknown
from node.gateway.vault import Vault
from node.gateway.vault_entries import IndexEntry

LEARNT_MAX: Final = 128
"""Records that are opened and taken in at once."""
PASSED_OVER_MAX: Final = 262_144
"""Records of which is remembered that they hold no resource."""
_LOG: Final = logging.getLogger("medlock.gateway")


@dataclass(frozen=True, slots=True, repr=False)
class Learnt:
    """A version of a record in clear, and where it stands."""

    record: bytes
    version: int
    category: bytes
    author: bytes
    updated_ms: int
    resource: dict[str, Value]


def learnt_of(record: bytes, entry: RecordEntry, content: bytes) -> Learnt | None:
    """What `content`, opened, teaches; None where its author sealed no resource."""
    assert entry.content is not None, "what was opened has a content"
    try:
        resource = parse(content)
    except InvalidMessage:
        return None
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        return None
    return Learnt(
        record,
        entry.version,
        entry.content.category,
        author_of(record, entry),
        entry.timestamp_ms,
        resource,
    )


class View:
    """What one reader may see of the catalogue, on one state; for one request, in one thread."""

    def __init__(
        self, index: Index, passed_over: Mapping[bytes, int], state: DecodedState, judge: Judge
    ) -> None:
        self.judge = judge
        self.state = state
        self._index = index
        self._passed_over = passed_over
        self._groups: dict[bytes, dict[tuple[bytes, bytes], Group]] = {}

    def find(self, query: Query, position: Position | None = None) -> Found:
        """The page of `query` at `position`, over what the reader may see."""
        return self._index.find(query, self.visible, position)

    def everything(
        self, owner: bytes, since_ms: int | None, types: Sequence[str]
    ) -> tuple[bytes, ...]:
        """See `Index.compartment`."""
        return self._index.compartment(owner, self.visible, since_ms, types)

    def referenced(self, records: Iterable[bytes]) -> tuple[bytes, ...]:
        """See `Index.referenced`."""
        return self._index.referenced(records, self.visible)

    def lacks(self, owner: bytes) -> tuple[bytes, ...]:
        """Records of `owner` that the reader may see and the catalogue does not hold as they are.

        Raises `Denied` where there is something, and nothing of it may be seen; `Unknown`.
        """
        return tuple(
            plan.record
            for plan in self.judge.plans_of(owner)
            if self._index.version(plan.record) != plan.entry.version
            and self._passed_over.get(plan.record) != plan.entry.version
        )

    def type_seen(self, record: bytes) -> str | None:
        """The type of a record that is here and that the reader may see."""
        entry = self.state.read(record_key(record), RECORD)
        if entry is None or entry.content is None:
            return None
        author = author_of(record, entry)
        seen = self._sees_group(owner_of(record), entry.content.category, author)
        return self._index.type_of(record) if seen and self._sees_record(record) else None

    @property
    def visible(self) -> Visible:
        """What takes part in a search."""
        return Visible(self._sees_group, self._sees_record)

    def _sees_group(self, owner: bytes, category: bytes, author: bytes) -> bool:
        if owner not in self._groups:
            try:
                groups = self.judge.groups(owner)
            except Unknown:
                groups = ()
            self._groups[owner] = {(each.category, each.author): each for each in groups}
        group = self._groups[owner].get((category, author))
        return group is not None and (group.permit or group.singly)

    def _sees_record(self, record: bytes) -> bool:
        """As it is now: an older version, or one that is retracted, is not what was found."""
        entry = self.state.read(record_key(record), RECORD)
        if entry is None or entry.content is None:
            return False
        if entry.version != self._index.version(record):
            return False
        owner, author = owner_of(record), author_of(record, entry)
        return self.judge.sees(owner, entry.content.category, author, record)


class Catalogue:
    """One for each gateway. Methods that are not coroutines block, and belong into a thread."""

    def __init__(self, office: Office, vault: Vault, keyring: Keyring) -> None:
        self._office = office
        self._backend = office.backend
        self._vault = vault
        self._keyring = keyring
        self._contents = Contents(office.backend.attachments, office.network.chain_id)
        self._index = Index()
        self._passed_over: dict[bytes, int] = {}
        self._lock = Lock()
        """Around the index, for as long as a search takes at most."""
        self._changing = Lock()
        """Around what changes index and vault, which nothing may come in between."""
        self._writing: set[bytes] = set()
        self._written = asyncio.Condition()
        self.conditional = asyncio.Lock()
        """Held from finding nothing until what was to be made is there to be found."""

    def load(self) -> int:
        """Takes in what the vault kept; how many entries it could not read (of another edition)."""
        unreadable = 0
        with self._backend.store.snapshot() as state, self._lock:
            view = decoded(state)
            for owner in self._vault.owners():
                for kept in self._vault.entries(owner):
                    entry = view.read(record_key(kept.record), RECORD)
                    if entry is None or entry.content is None or entry.version != kept.version:
                        continue
                    try:
                        self._index.add(_listing(kept, entry.timestamp_ms))
                    except InvalidMessage:
                        unreadable += 1
        return unreadable

    def __len__(self) -> int:
        return len(self._index)

    # What a request asks.

    @contextmanager
    def view(self, reader: Reader) -> Iterator[View]:
        """What `reader` may see, all decided on one state and for one time."""
        at_ms = self._office.next_block_ms()
        with self._backend.store.snapshot() as snapshot, self._lock:
            state = DecodedState(snapshot)
            judge = Judge(state, reader, self._office.member, at_ms)
            yield View(self._index, self._passed_over, state, judge)

    def type_of(self, record: bytes) -> str | None:
        """The type of a record that is here, whoever may see it."""
        with self._lock:
            return self._index.type_of(record)

    def version_of(self, record: bytes) -> int | None:
        """The version of a record that is here, whoever may see it."""
        with self._lock:
            return self._index.version(record)

    # What comes in and goes.

    def pass_over(self, record: bytes, version: int) -> None:
        """That version is no resource: nothing is found by it, and nobody opens it in vain."""
        with self._lock:
            if len(self._passed_over) >= PASSED_OVER_MAX:
                self._passed_over.clear()
            self._passed_over[record] = version

    def learn(self, learnt: Sequence[Learnt]) -> None:
        """Takes in current versions, durable at return. Raises `Busy` where the vault is full,
        `OSError` where the disk is; what was found out is searched all the same until the end."""
        entries = [(_entry(each), each.updated_ms) for each in learnt]
        with self._changing:
            entries = self._unerased(entries)
            with self._lock:
                for entry, updated_ms in entries:
                    self._take(entry, updated_ms)
            by_owner: dict[bytes, list[IndexEntry]] = {}
            for entry, _ in entries:
                by_owner.setdefault(owner_of(entry.record), []).append(entry)
            for owner, kept in by_owner.items():
                self._vault.keep_entries(owner, kept)

    def _unerased(self, entries: list[tuple[IndexEntry, int]]) -> list[tuple[IndexEntry, int]]:
        """Without what has been erased since it was opened: nobody would erase it again."""
        with self._backend.store.snapshot() as snapshot:
            state = DecodedState(snapshot)
            return [
                each
                for each in entries
                if not is_erased(scope_of(state, owner_of(each[0].record)), each[0].category)
                and not is_record_erased(state, each[0].record)
            ]

    def _take(self, entry: IndexEntry, updated_ms: int) -> None:
        known = self._index.version(entry.record)
        if known is None or known < entry.version:
            self._index.add(_listing(entry, updated_ms))

    def forget(
        self, owner: bytes, category: bytes | None = None, record: bytes | None = None
    ) -> None:
        """Erases what is known of a record, of a category, or of `owner` at all: from memory, and
        from the vault, whose old bytes are overwritten at return."""
        with self._changing:
            with self._lock:
                if record is not None:
                    self._index.remove(record)
                else:
                    self._index.remove_owner(owner, category)
            self._vault.forget(owner, category, record)

    @asynccontextmanager
    async def being_written(self, records: Collection[bytes]) -> AsyncIterator[None]:
        """While it lasts, `records` are in the hands of whoever writes them: he knows what is in
        them, so nothing need be opened to find out."""
        fresh = set(records) - self._writing
        self._writing |= fresh
        try:
            yield
        finally:
            self._writing -= fresh
            async with self._written:
                self._written.notify_all()

    async def take_in(self, records: Sequence[bytes]) -> None:
        """Opens and takes in those of `records` that are ours to know and are not here yet; lets go
        of those that are retracted.

        Raises `Busy` where a content is not on this node yet.
        """
        async with self._written:
            await self._written.wait_for(lambda: self._writing.isdisjoint(records))
        await self._take_in(records)

    async def rebuild(self) -> int:
        """Makes everything that follows from the chain anew, and drops what does not stand there;
        how many records are here then. What others wrote is opened again when somebody asks."""
        await self._backend.in_thread(self._empty)
        after = b""
        while page := await self._page(after):
            after = page[-1]
            await self.take_in(page)
        return len(self)

    async def _page(self, after: bytes) -> list[bytes]:
        return await self._backend.in_thread(lambda: self._records(after))

    def _empty(self) -> None:
        with self._lock:
            self._index = Index()

    def _records(self, after: bytes) -> list[bytes]:
        start = record_key(after) if after else b""
        with self._backend.store.snapshot() as state:
            found = islice(state.scan(RECORD_PREFIX, start), LEARNT_MAX)
            return [key.removeprefix(RECORD_PREFIX) for key, _ in found]

    async def _take_in(self, records: Sequence[bytes]) -> None:
        wanted, retracted = await self._backend.in_thread(lambda: self._wanted(records))
        for record in retracted:
            await self._backend.in_thread(
                lambda record=record: self.forget(owner_of(record), record=record)  # type: ignore[misc]
            )
        for start in range(0, len(wanted), LEARNT_MAX):
            part = wanted[start : start + LEARNT_MAX]
            names = dict.fromkeys(name_of(record, entry) for record, entry in part)
            keys = {name: await self._find(name) for name in names}
            await self._backend.in_thread(lambda part=part, keys=keys: self._open(part, keys))  # type: ignore[misc]

    async def _find(self, name: CategoryName) -> CategoryKey | None:
        try:
            return await self._keyring.find(name)
        except Tampered as refusal:
            _LOG.warning("records cannot be indexed: %s", refusal.code)
            return None

    def _open(
        self,
        records: Sequence[tuple[bytes, RecordEntry]],
        keys: Mapping[CategoryName, CategoryKey | None],
    ) -> None:
        learnt: list[Learnt] = []
        for record, entry in records:
            key = keys[name_of(record, entry)]
            if key is None:
                continue
            try:
                content = self._contents.open(Sealed(record, entry, key))
            except Unavailable as later:
                raise Busy(later.code, later.cause) from None
            except ReadRefused as refusal:
                _LOG.info("a record is not indexed: %s", refusal.code)
                continue
            found = learnt_of(record, entry, content)
            if found is None or not self._belongs(record, found):
                self.pass_over(record, entry.version)
            else:
                learnt.append(found)
        try:
            self.learn(learnt)
        except Busy as full:
            _LOG.warning("records are not kept in the index: %s", full.cause)

    def _belongs(self, record: bytes, learnt: Learnt) -> bool:
        """Organisations' own records are never about a patient: what says otherwise is no record
        that anybody looks for."""
        personal = owner_of(record) != learnt.author
        return personal or learnt.resource["resourceType"] in ADMINISTRATIVE_TYPES

    def _wanted(
        self, records: Sequence[bytes]
    ) -> tuple[list[tuple[bytes, RecordEntry]], list[bytes]]:
        wanted, retracted = [], []
        with self._backend.store.snapshot() as state:
            view = decoded(state)
            for record in dict.fromkeys(records):
                entry = view.read(record_key(record), RECORD)
                if entry is None:
                    continue
                with self._lock:
                    known = self._index.version(record)
                if entry.content is None:
                    retracted.append(record)
                elif entry.version in {known, self._passed_over.get(record)}:
                    continue
                elif self._is_ours(view, record, entry):
                    wanted.append((record, entry))
        return wanted, retracted

    def _is_ours(self, state: DecodedState, record: bytes, entry: RecordEntry) -> bool:
        """True for what our organisation wrote, and for organisations' own records: everybody may
        open these, and no patient has to know."""
        if entry.organization == self._office.member:
            return True
        return queries.organization_of_owner(state, owner_of(record)) is not None


def _entry(learnt: Learnt) -> IndexEntry:
    return IndexEntry(
        learnt.record,
        learnt.version,
        learnt.category,
        learnt.author,
        extract_bytes(learnt.resource),
    )


def _listing(entry: IndexEntry, updated_ms: int) -> Listing:
    return Listing(
        entry.record, entry.version, entry.category, entry.author, updated_ms, entry.content
    )
