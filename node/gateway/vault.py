"""The vault: what the organisation alone may know, in memory and in files that only its key opens.

Category keys, which pseudonym stands for which of the hospital's patients, what the search index
knows of records, and how far the attendants are. Reads are answered from memory at once; what
changes something blocks until it is on disk, and belongs into a thread. Must not know the chain:
whatever is lost here can be found again from there, but for links to people.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import Final

from chain.errors import InvalidMessage
from client.category import CategoryKey, CategoryName
from client.sealing import Random
from client.wallet import Wallet
from ledger.ids import EVENT_CATEGORY, emergency_summary, owner_of
from node.backend import Busy
from node.gateway.cursors import Cursors
from node.gateway.sealed_file import FileKeys, NothingWritten
from node.gateway.vault_entries import (
    BATCH,
    BATCH_BYTES_MAX,
    IDENTIFIER_LENGTH_MAX,
    INDEX_ENTRY_BYTES_MAX,
    Batch,
    IndexEntry,
    IndexKept,
    Kept,
    KeyKept,
    LinkKept,
)
from node.gateway.vault_folder import VaultFolder
from node.gateway.vault_key import open_vault_key
from storage.disk import RealDisk
from storage.errors import StoreDamaged
from storage.protocols import Disk

GATEWAY_FOLDER: Final = "gateway"
OWNERS_MAX: Final = 262_144
KEYS_OF_OWNER_MAX: Final = 4_096
LINKS_OF_OWNER_MAX: Final = 1_024
INDEX_ENTRIES_OF_OWNER_MAX: Final = 262_144
INDEX_BYTES_MAX: Final = 1 << 30
"""Of all owners' index entries together, which are in memory."""
STALE_MIN: Final = 1_024
"""Overtaken entries of an owner below which his file is not written anew."""
_OVERHEAD_BYTES: Final = 256
"""What an entry takes in a frame beside its own bytes, at most."""


@dataclass(slots=True)
class _Owned:
    """All that is kept for one owner; `written` counts the entries in his file."""

    keys: dict[CategoryName, KeyKept] = field(default_factory=dict)
    links: dict[str, None] = field(default_factory=dict)
    entries: dict[bytes, IndexEntry] = field(default_factory=dict)
    written: int = 0

    def live(self) -> int:
        return len(self.keys) + len(self.links) + len(self.entries)

    def is_stale(self) -> bool:
        """True where most of the file is overtaken."""
        return self.written > 2 * self.live() + STALE_MIN

    def adds(self, kept: Kept) -> bool:
        """False where it is known already, or overtaken."""
        match kept:
            case KeyKept(key, found):
                known = self.keys.get(key.name)
                return known is None or known.key != key or known.found > found
            case LinkKept(identifier):
                return identifier not in self.links
            case IndexKept(entry):
                indexed = self.entries.get(entry.record)
                return indexed is None or (indexed != entry and indexed.version <= entry.version)

    def take(self, kept: Kept) -> int:
        """By how many bytes the index entries grow."""
        match kept:
            case KeyKept(key):
                self.keys[key.name] = kept
            case LinkKept(identifier):
                self.links[identifier] = None
            case IndexKept(entry) if self.adds(kept):
                before = self.entries.get(entry.record)
                self.entries[entry.record] = entry
                return len(entry.content) - (0 if before is None else len(before.content))
            case IndexKept():
                pass
        return 0

    def index_bytes(self) -> int:
        """What the index entries take."""
        return sum(len(entry.content) for entry in self.entries.values())

    def kept(self) -> Iterator[Kept]:
        """In the order in which it came: the first key tells the general category."""
        yield from self.keys.values()
        yield from map(LinkKept, self.links)
        yield from map(IndexKept, self.entries.values())


class Vault:
    """Any number of threads. `StoreDamaged` at the start names the file that does not fit."""

    def __init__(
        self, folder: Path, key: bytes, author: bytes, random: Random, disk: Disk | None = None
    ) -> None:
        """Reads everything in `folder` (DIR/gateway). `author` is our organisation's owner id."""
        disk = disk or RealDisk()
        self._file_keys = FileKeys(key)
        self._author = author
        self._changing = RLock()
        self._failed = False
        self._index_bytes = 0
        self._owned: dict[bytes, _Owned] = {}
        self._linked: dict[str, bytes] = {}
        self._files = VaultFolder(disk, folder, self._file_keys, random)
        self._cursors = Cursors(disk, folder, self._file_keys)
        self._load()

    # Keys.

    def category_key(self, name: CategoryName) -> CategoryKey | None:
        """The key of that name, where it is kept."""
        owned = self._owned.get(name.owner)
        kept = None if owned is None else owned.keys.get(name)
        return None if kept is None else kept.key

    def current_key(self, owner: bytes, category: bytes | None = None) -> CategoryKey | None:
        """The newest kept key under which our organisation writes for `owner`.

        In `category`; where that is None, in the one that was kept first to be written under (the
        general one), the emergency summary aside.
        """
        owned = self._owned.get(owner)
        ours = [
            kept
            for kept in (() if owned is None else tuple(owned.keys.values()))
            if kept.key.name.author == self._author
        ]
        if category is None:
            summary = emergency_summary(owner)
            written = [
                each
                for each in ours
                if not (each.found or each.key.name.category == summary)
                and not each.key.name.category.startswith(EVENT_CATEGORY)
            ]
            category = written[0].key.name.category if written else None
        same = [each.key for each in ours if each.key.name.category == category]
        return max(same, key=lambda key: key.name.epoch, default=None)

    def keys_of(self, owner: bytes) -> tuple[CategoryKey, ...]:
        """All kept keys of `owner`, in the order in which they came."""
        owned = self._owned.get(owner)
        return () if owned is None else tuple(kept.key for kept in tuple(owned.keys.values()))

    def keep_found(self, key: CategoryKey) -> None:
        """Keeps a key that was looked for, to read, durable at return."""
        self._keep(key.name.owner, [KeyKept(key, found=True)])

    def keep_keys(self, *keys: CategoryKey) -> None:
        """Keeps `keys`, which were made to be written under or are from elsewhere, durable at
        return; the first one of an owner tells the category that `current_key` takes."""
        by_owner: dict[bytes, list[CategoryKey]] = {}
        for key in keys:
            by_owner.setdefault(key.name.owner, []).append(key)
        for owner, theirs in by_owner.items():
            self.keep(owner, keys=theirs)

    # Who is behind a pseudonym.

    def patient(self, *identifiers: str) -> bytes | None:
        """The pseudonym that any of the hospital's names stands for; None where all are new.

        Raises `InvalidMessage` where they stand for different patients.
        """
        found = {self._linked[each] for each in identifiers if each in self._linked}
        if len(found) > 1:
            raise InvalidMessage(
                "vault.ambiguous_patient", "identifier", "they belong to different pseudonyms"
            )
        return next(iter(found), None)

    def identifiers(self, owner: bytes) -> tuple[str, ...]:
        """The hospital's own names for the patient `owner`."""
        owned = self._owned.get(owner)
        return () if owned is None else tuple(owned.links)

    def keep_links(self, patient: bytes, *identifiers: str) -> None:
        """From now on `identifiers` stand for `patient`, durable at return.

        Raises `InvalidMessage` where one of them stands for another patient.
        """
        self.keep(patient, identifiers=identifiers)

    # The index.

    def owners(self) -> tuple[bytes, ...]:
        """Of whom anything is kept: patients, and organisations by their owner ids."""
        return tuple(self._owned)

    def entries(self, owner: bytes) -> tuple[IndexEntry, ...]:
        """What the index knows of the records of `owner`, each in its highest version kept."""
        owned = self._owned.get(owner)
        return () if owned is None else tuple(owned.entries.values())

    def keep_entries(self, owner: bytes, entries: Iterable[IndexEntry]) -> None:
        """Keeps `entries` of `owner`, durable at return; an entry of a lower version than is known
        is left out."""
        self.keep(owner, entries=entries)

    # All of it.

    def keep(
        self,
        owner: bytes,
        *,
        keys: Iterable[CategoryKey] = (),
        identifiers: Iterable[str] = (),
        entries: Iterable[IndexEntry] = (),
    ) -> None:
        """Keeps all of this for `owner` in one write, durable at return.

        Raises `InvalidMessage` (an identifier of somebody else, or too long), `Busy` where the
        vault is full, `OSError` where the disk is.
        """
        wanted: list[Kept] = [KeyKept(key, found=False) for key in keys]
        wanted += map(LinkKept, identifiers)
        wanted += map(IndexKept, entries)
        self._keep(owner, wanted)

    def _keep(self, owner: bytes, wanted: Sequence[Kept]) -> None:
        with self._changing:
            self._check(owner, wanted)
            known = self._owned.get(owner, _Owned())
            fresh = [each for each in wanted if known.adds(each)]
            self._check_room(owner, known, fresh)
            for part in _parts(fresh):
                self._write(owner, part)
            if (known := self._owned.get(owner, known)).is_stale():
                self._rewrite(owner, known)

    def keep_wallet(self, wallet: Wallet) -> None:
        """Takes over the category keys and links that a wallet file kept for the organisation."""
        names: dict[bytes, list[str]] = {}
        for link in wallet.links:
            names.setdefault(link.patient, []).append(link.identifier)
        keys: dict[bytes, list[CategoryKey]] = {}
        for key in wallet.category_keys:
            keys.setdefault(key.name.owner, []).append(key)
        for owner in dict.fromkeys((*keys, *names)):
            self.keep(owner, keys=keys.get(owner, ()), identifiers=names.get(owner, ()))

    def forget(
        self, owner: bytes, category: bytes | None = None, record: bytes | None = None
    ) -> None:
        """Erases what is kept of `record`, of `category`, or (with neither) of `owner` at all: the
        old bytes are overwritten, on disk, at return. Doing it again is harmless."""
        assert category is None or record is None, "one scope"
        with self._changing:
            known = self._owned.get(owner)
            if known is None:
                return
            left = _without(known, category, record)
            if left.live() == known.live():
                return
            self._rewrite(owner, left)

    # How far the attendants are.

    def cursor(self, name: str) -> int:
        """The height up to which the attendant `name` is done; 0 for a new one."""
        with self._changing:
            return self._cursors.height(name)

    def advance(self, name: str, height: int) -> None:
        """`name` is done up to `height`, durable at return; it never goes back."""
        with self._changing:
            self._cursors.advance(name, height)

    def rewind(self, name: str) -> None:
        """`name` begins anew, durable at return."""
        with self._changing:
            self._cursors.rewind(name)

    def derive(self, purpose: bytes) -> bytes:
        """A key of 32 bytes for something else of the gateway; `purpose` has at most 16 bytes."""
        return self._file_keys.derive(b"for " + purpose)

    def close(self) -> None:
        """Releases files. Everything is on disk already."""
        self._cursors.close()

    def _load(self) -> None:
        for path, sealed, plains in self._files.read():
            batches = [_decoded(path, plain) for plain in plains]
            owner = batches[0].owner if batches else b""
            is_own = self._files.adopt(owner, sealed)
            if not is_own or any(each.owner != owner for each in batches):
                raise _not_fitting(path)
            self._load_owner(path, owner, batches)

    def _load_owner(self, path: Path, owner: bytes, batches: Sequence[Batch]) -> None:
        owned = self._owned.setdefault(owner, _Owned())
        for batch in batches:
            for kept in batch.kept:
                self._index_bytes += owned.take(kept)
            owned.written += len(batch.kept)
        for identifier in owned.links:
            if self._linked.setdefault(identifier, owner) != owner:
                raise _not_fitting(path)
        if owned.is_stale():
            self._rewrite(owner, owned)

    def _check(self, owner: bytes, wanted: Iterable[Kept]) -> None:
        for each in wanted:
            match each:
                case KeyKept(key):
                    assert key.name.owner == owner, "a key is kept with its owner"
                case LinkKept(identifier):
                    self._check_identifier(owner, identifier)
                case IndexKept(entry):
                    assert owner_of(entry.record) == owner, "a record begins with its owner"
                    if len(entry.content) > INDEX_ENTRY_BYTES_MAX:
                        raise InvalidMessage("vault.entry_too_large", "entry")

    def _check_identifier(self, owner: bytes, identifier: str) -> None:
        if not 0 < len(identifier) <= IDENTIFIER_LENGTH_MAX:
            raise InvalidMessage("vault.identifier_too_long", "identifier")
        if self._linked.get(identifier, owner) != owner:
            raise InvalidMessage(
                "vault.identifier_taken", "identifier", "it stands for another patient"
            )

    def _check_room(self, owner: bytes, known: _Owned, fresh: Sequence[Kept]) -> None:
        if owner not in self._owned and len(self._owned) >= OWNERS_MAX:
            raise _full(f"{OWNERS_MAX} owners")
        more = Counter(type(each) for each in fresh)
        for kind, there, most in (
            (KeyKept, len(known.keys), KEYS_OF_OWNER_MAX),
            (LinkKept, len(known.links), LINKS_OF_OWNER_MAX),
            (IndexKept, len(known.entries), INDEX_ENTRIES_OF_OWNER_MAX),
        ):
            if more[kind] and there + more[kind] > most:
                raise _full(f"{most} entries of a kind for one owner")
        if self._index_bytes + sum(map(_bytes_of, fresh)) > INDEX_BYTES_MAX and more[IndexKept]:
            raise _full(f"{INDEX_BYTES_MAX} bytes of index entries")

    def _write(self, owner: bytes, part: Sequence[Kept]) -> None:
        """First the disk, then memory."""
        plain = BATCH.encode(Batch(owner, tuple(part)))
        with self._guarded():
            self._files.append(owner, plain)
        owned = self._owned.setdefault(owner, _Owned())
        owned.written += len(part)
        for each in part:
            self._index_bytes += owned.take(each)
            if isinstance(each, LinkKept):
                self._linked[each.identifier] = owner

    def _rewrite(self, owner: bytes, left: _Owned) -> None:
        """What is `left` is all that is known of `owner` from now on, on disk and in memory."""
        batches = [Batch(owner, tuple(part)) for part in _parts(list(left.kept()))]
        with self._guarded():
            self._files.replace(owner, [BATCH.encode(each) for each in batches])
        left.written = left.live()
        before = self._owned.pop(owner, _Owned())
        self._index_bytes += left.index_bytes() - before.index_bytes()
        for identifier in before.links.keys() - left.links.keys():
            self._linked.pop(identifier, None)
        if left.live():
            self._owned[owner] = left

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """After a write that failed nobody knows what is on disk: only the next start may say."""
        if self._failed:
            raise OSError("an earlier write of the vault failed")
        self._failed = True
        try:
            yield
        except NothingWritten:
            self._failed = False
            raise
        self._failed = False


def open_vault(directory: Path, passphrase: bytes, author: bytes, random: Random) -> Vault:
    """The vault of the node in `directory`; a new one where there is none.

    `passphrase` opens DIR/keys, `author` is the organisation's owner id. Raises `OperatorError`
    (E009, E010) for the key, `StoreDamaged` and `StoreTooNew` for the files.
    """
    folder = directory / GATEWAY_FOLDER
    is_new = not RealDisk().names(folder)
    key = open_vault_key(directory / "keys", passphrase, random, may_make=is_new)
    return Vault(folder, key, author, random)


def _without(known: _Owned, category: bytes | None, record: bytes | None) -> _Owned:
    if record is not None:
        entries = {name: each for name, each in known.entries.items() if name != record}
        return _Owned(dict(known.keys), dict(known.links), entries)
    if category is not None:
        return _Owned(
            {name: key for name, key in known.keys.items() if name.category != category},
            dict(known.links),
            {name: each for name, each in known.entries.items() if each.category != category},
        )
    return _Owned()


def _parts(kept: Sequence[Kept]) -> Iterator[list[Kept]]:
    """In their order, in parts of up to `BATCH_BYTES_MAX`."""
    part: list[Kept] = []
    room = BATCH_BYTES_MAX
    for each in kept:
        size = _OVERHEAD_BYTES + _bytes_of(each)
        if part and size > room:
            yield part
            part, room = [], BATCH_BYTES_MAX
        part.append(each)
        room -= size
    if part:
        yield part


def _bytes_of(kept: Kept) -> int:
    match kept:
        case IndexKept(entry):
            return len(entry.content)
        case LinkKept(identifier):
            return len(identifier.encode())
        case KeyKept():
            return 0


def _decoded(path: Path, plain: bytes) -> Batch:
    try:
        return BATCH.decode(plain)
    except InvalidMessage:
        raise _not_fitting(path) from None


def _not_fitting(path: Path) -> StoreDamaged:
    return StoreDamaged(
        "vault.damaged",
        f"{path} opens, but does not fit into this vault",
        "it was written by another release, or stood elsewhere: put the right one in its place",
    )


def _full(what: str) -> Busy:
    return Busy("vault.full", f"the gateway's vault holds {what} at most")
