"""The documents of an index, and where each is found by its names.

A document is the current version of one record. It is numbered by a slot; an amended record gets a
new one. Entries are kept encoded and read again when they are looked at: a fifth of the memory.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from sys import intern
from typing import Final, NamedTuple

from chain.codec import Value
from ledger.ids import OWNER_BYTES
from node.gateway.fhir.search.entry import Entry, decode_entry, reread
from node.gateway.fhir.search.postings import Postings, SlotLists
from node.gateway.fhir.search.references import OWNER_HEX, RECORD_HEX, URN_UUID

DOCUMENTS_MAX: Final = 5_000_000
_TIME_MAX: Final = (1 << 63) - 1


class Group(NamedTuple):
    """What a decision is about: whose, under which category, written by whom (16 bytes each; an
    organisation is its `ledger.ids.organization_owner`)."""

    owner: bytes
    category: bytes
    author: bytes

    @property
    def personal(self) -> bool:
        """Whether the owner is a patient: only an organisation owns what it wrote itself."""
        return self.owner != self.author


@dataclass(frozen=True, slots=True)
class Listing:
    """One record to be found: `record` begins with its owner. `entry` is an encoded `Entry`.

    `id` is its FHIR id where that is not the record in hex, as for what the ledger itself keeps.
    `updated_ms` is the time of the block with this version.
    """

    record: bytes
    version: int
    category: bytes
    author: bytes
    updated_ms: int
    entry: bytes
    id: str | None = None


class Document(Value, frozen=True, gc=False):
    """What the index holds of a `Listing`; `group` is a number of `Documents.groups`."""

    record: bytes
    id: str | None
    type: str
    group: int
    version: int
    updated_ms: int
    raw: bytes

    def entry(self) -> Entry:
        return reread(self.raw)


class Documents:
    """All documents, by slot. With `postings` None nothing but names is listed: for short-lived
    ones. `order` is what they are sorted by where nobody says otherwise: the latest first, then by
    record."""

    def __init__(self, *, listed: bool) -> None:
        self.postings: Postings | None = Postings() if listed else None
        self.groups: list[Group] = []
        self._group_numbers: dict[Group, int] = {}
        self.by_slot: dict[int, Document] = {}
        self.order: dict[int, bytes] = {}
        self._next_slot = 0
        self._by_record: dict[bytes, int] = {}
        self._by_id: dict[str, int] = {}
        self._by_type: dict[str, set[int]] = {}
        self._by_owner: SlotLists[bytes] = SlotLists()
        self._by_own_id: SlotLists[bytes] = SlotLists()

    def __len__(self) -> int:
        return len(self.by_slot)

    def __getitem__(self, slot: int) -> Document:
        return self.by_slot[slot]

    def group(self, slot: int) -> Group:
        return self.groups[self.by_slot[slot].group]

    def add(self, listing: Listing) -> None:
        """Takes the place of any other version; raises `InvalidMessage` for a wrong entry."""
        entry = decode_entry(listing.entry)
        self.remove(listing.record)
        assert len(self) < DOCUMENTS_MAX
        slot, self._next_slot = self._next_slot, self._next_slot + 1
        group = Group(listing.record[:OWNER_BYTES], listing.category, listing.author)
        number = self._group_numbers.setdefault(group, len(self.groups))
        if number == len(self.groups):
            self.groups.append(group)
        resource_type = intern(entry.type)
        self.by_slot[slot] = Document(
            listing.record,
            listing.id,
            resource_type,
            number,
            listing.version,
            listing.updated_ms,
            listing.entry,
        )
        self.order[slot] = (_TIME_MAX - listing.updated_ms).to_bytes(8, "big") + listing.record
        self._by_record[listing.record] = slot
        if listing.id is not None:
            self._by_id[listing.id] = slot
        self._by_type.setdefault(resource_type, set()).add(slot)
        self._by_owner.add(group.owner, slot)
        if entry.own_id:
            self._by_own_id.add(_own(group.owner, entry.own_id), slot)
        if self.postings is not None:
            self.postings.add(slot, entry)

    def remove(self, record: bytes) -> None:
        """Forgets `record`, if it is here."""
        slot = self._by_record.pop(record, None)
        if slot is None:
            return
        document = self.by_slot.pop(slot)
        del self.order[slot]
        entry, owner = document.entry(), record[:OWNER_BYTES]
        if document.id is not None and self._by_id.get(document.id) == slot:
            del self._by_id[document.id]
        self._by_type[document.type].discard(slot)
        self._by_owner.discard(owner, slot)
        if entry.own_id:
            self._by_own_id.discard(_own(owner, entry.own_id), slot)
        if self.postings is not None:
            self.postings.discard(slot, entry)

    def slot(self, record: bytes) -> int | None:
        return self._by_record.get(record)

    def of_type(self, resource_type: str) -> set[int]:
        """Not to be changed."""
        return self._by_type.get(resource_type, set())

    def of_owner(self, owner: bytes) -> Iterable[int]:
        return self._by_owner.get(owner)

    def of_patient(self, owner: bytes, resource_type: str) -> Iterable[int]:
        """The documents of one type that belong to a patient."""
        by_slot = self.by_slot
        for slot in self._by_owner.get(owner):
            document = by_slot[slot]
            if document.type == resource_type and self.groups[document.group].personal:
                yield slot

    def by_id(self, resource_type: str, name: str) -> Iterable[int]:
        """The documents whose FHIR id `name` is: at most one, or the Patients of a pseudonym.

        `resource_type` "" is any.
        """
        slot = self._by_id.get(name)
        if slot is None and RECORD_HEX.match(name):
            slot = self._by_record.get(bytes.fromhex(name))
            if slot is not None and self.by_slot[slot].id is not None:
                slot = None
        if slot is not None and resource_type in {"", self.by_slot[slot].type}:
            yield slot
        if resource_type in {"", "Patient"} and OWNER_HEX.match(name):
            yield from self.of_patient(bytes.fromhex(name), "Patient")

    def resolve(self, slot: int, resource_type: str, name: str) -> Iterable[int]:
        """Where a reference in the document at `slot` leads.

        To a FHIR id; else to the id with which something was sealed, among the owner's records and
        the author's own. Such ids are the author's words, apart from UUIDs, which are nobody's.
        """
        if resource_type:
            yield from self.by_id(resource_type, name)
            own_id = name
        elif name.startswith(URN_UUID):
            own_id = name.removeprefix(URN_UUID)
        else:
            return
        group = self.group(slot)
        for owner in dict.fromkeys((group.owner, group.author)):
            for each in self._by_own_id.get(_own(owner, own_id)):
                if self._same_words(slot, each, resource_type):
                    yield each

    def names(self, slot: int) -> Iterable[tuple[str, bool]]:
        """How others refer to this document: (key, whether only within its own circle)."""
        document = self.by_slot[slot]
        yield f"{document.type}/{document.id or document.record.hex()}", False
        if document.type == "Patient" and self.group(slot).personal:
            yield f"Patient/{document.record[:OWNER_BYTES].hex()}", False
        if own_id := document.entry().own_id:
            yield f"{URN_UUID}{own_id}", True
            yield f"{document.type}/{own_id}", True

    def in_circle(self, slot: int, target: int, *, typed: bool) -> bool:
        """Whether the document at `slot` may name the one at `target` by its own id."""
        group, other = self.group(slot), self.group(target)
        if other.owner not in {group.owner, group.author}:
            return False
        return self._same_words(slot, target, self.by_slot[target].type if typed else "")

    def _same_words(self, slot: int, target: int, resource_type: str) -> bool:
        group, other = self.group(slot), self.group(target)
        if other.owner != group.owner and other.personal:
            return False
        if not resource_type:
            return True
        return self.by_slot[target].type == resource_type and group.author == other.author


def _own(owner: bytes, own_id: str) -> bytes:
    return owner + own_id.encode("utf-8", "surrogatepass")
