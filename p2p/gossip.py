"""Which transactions to tell which peer, in which batches. Pure: ids, bytes and a given `now_s`.

In a mesh of at most `full_push_members_max` nodes a transaction is pushed in full from the node
where it was submitted to all others. In a larger one its id is announced to all and whoever lacks
it asks one announcer at a time. A node that received a transaction passes it on only to peers that
do not hear its source directly, so a whole mesh carries each one once a link.

Must not know transactions: who owns this object says what is held (the mempool) and what is seen.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

from p2p import wire
from p2p.wire import Announce, Request, TransactionBatch, TransactionItem


@dataclass(frozen=True, slots=True)
class GossipLimits:
    """Counts are of ids, for one peer unless the name says otherwise."""

    full_push_members_max: int = 8
    batch_bytes_max: int = 1 << 20
    """Reached by several items together; one item may be larger."""
    batch_items_max: int = 1_024
    waiting_ids_max: int = 65_536
    asked_ids_max: int = 8_192
    announcers_max: int = 4
    """Remembered for one wanted id."""
    answer_s: float = 2.0
    """How long an announcer may take before the next one is asked."""


@dataclass(slots=True)
class _Neighbour:
    """What one peer is still to be told, oldest first, and how many ids were asked of it."""

    full: dict[bytes, None] = field(default_factory=dict)
    announced: dict[bytes, None] = field(default_factory=dict)
    requested: dict[bytes, None] = field(default_factory=dict)
    asked_count: int = 0


@dataclass(slots=True)
class _Wanted:
    asked: str
    due_s: float
    others: list[str]


Send = Callable[[str, int, bytes], bool]
"""(member, kind, payload) -> whether the frame was queued."""


class Gossip:
    """One node's side of the gossip."""

    def __init__(
        self, limits: GossipLimits, held: Callable[[bytes], TransactionItem | None]
    ) -> None:
        """`held` gives a transaction that this node still wants others to have, by its id."""
        self._limits = limits
        self._held = held
        self._neighbours: dict[str, _Neighbour] = {}
        self._wanted: dict[bytes, _Wanted] = {}
        self._members_count = 1

    def set_members_count(self, count: int) -> None:
        """How many nodes the mesh has, this one included: decides between push and announcement."""
        self._members_count = count

    def connected(self, member: str, held_ids: Iterable[bytes] = ()) -> None:
        """A peer is there; `held_ids` is what it is to be told first."""
        self.disconnected(member)
        self._neighbours[member] = _Neighbour()
        for identifier in held_ids:
            self._tell(member, identifier)

    def disconnected(self, member: str) -> None:
        """It is gone, and so is what it was to be told; what was asked of it, others are asked."""
        if self._neighbours.pop(member, None) is None:
            return
        for identifier, wanted in list(self._wanted.items()):
            if wanted.asked == member:
                self._ask_next(identifier, wanted, wanted.due_s)

    def add(
        self, identifier: bytes, *, source: str | None = None, direct: Collection[str] = ()
    ) -> None:
        """This node holds the transaction now. `source` is the peer that sent it (None: submitted
        here), `direct` are the peers known to hear that source themselves."""
        if self._wanted:
            self._settle(identifier)
        for member in self._neighbours:
            if member != source and (source is None or member not in direct):
                self._tell(member, identifier)

    def announced(self, member: str, ids: Iterable[bytes], now_s: float) -> None:
        """A peer says that it holds `ids`, none of which this node has seen."""
        if member not in self._neighbours:
            return
        for identifier in ids:
            wanted = self._wanted.get(identifier)
            if wanted is None:
                self._ask(member, identifier, [], now_s + self._limits.answer_s)
            elif (
                member != wanted.asked
                and member not in wanted.others
                and len(wanted.others) + 1 < self._limits.announcers_max
            ):
                wanted.others.append(member)

    def requested(self, member: str, ids: Iterable[bytes]) -> None:
        """A peer wants `ids` in full."""
        neighbour = self._neighbours.get(member)
        if neighbour is not None:
            for identifier in ids:
                self._wait(neighbour.full, identifier)

    def forget(self, identifier: bytes) -> None:
        """The transaction is committed, refused or expired: nobody is asked for it any more."""
        if self._wanted:
            self._settle(identifier)

    def flush(self, now_s: float, send: Send) -> None:
        """Sends what waits. What `send` refuses waits on; the order for each peer is kept."""
        self._ask_others(now_s)
        encoded: dict[tuple[bytes, ...], tuple[int, bytes]] = {}
        for member, neighbour in self._neighbours.items():
            self._flush_ids(member, neighbour.announced, Announce, send)
            self._flush_ids(member, neighbour.requested, Request, send)
            if neighbour.full:
                self._flush_full(member, neighbour, encoded, send)

    @property
    def waiting_ids(self) -> int:
        """How many ids wait to be told to somebody, over all peers."""
        return sum(len(n.full) + len(n.announced) for n in self._neighbours.values())

    @property
    def wanted_ids(self) -> int:
        """How many ids this node waits for."""
        return len(self._wanted)

    def _tell(self, member: str, identifier: bytes) -> None:
        neighbour = self._neighbours[member]
        whole = self._members_count <= self._limits.full_push_members_max
        self._wait(neighbour.full if whole else neighbour.announced, identifier)

    def _wait(self, row: dict[bytes, None], identifier: bytes) -> None:
        if identifier not in row and len(row) == self._limits.waiting_ids_max:
            del row[next(iter(row))]
        row[identifier] = None

    # -- asking --------------------------------------------------------------------------------

    def _ask(self, member: str, identifier: bytes, others: list[str], due_s: float) -> None:
        neighbour = self._neighbours[member]
        if neighbour.asked_count >= self._limits.asked_ids_max:
            return
        neighbour.asked_count += 1
        neighbour.requested[identifier] = None
        self._wanted[identifier] = _Wanted(member, due_s, others)

    def _settle(self, identifier: bytes) -> None:
        wanted = self._wanted.pop(identifier, None)
        neighbour = self._neighbours.get(wanted.asked) if wanted else None
        if neighbour is not None:
            neighbour.asked_count -= 1
            neighbour.requested.pop(identifier, None)

    def _ask_next(self, identifier: bytes, wanted: _Wanted, due_s: float) -> None:
        self._settle(identifier)
        others = [member for member in wanted.others if member in self._neighbours]
        if others:
            self._ask(others[0], identifier, others[1:], due_s)

    def _ask_others(self, now_s: float) -> None:
        late = [(i, wanted) for i, wanted in self._wanted.items() if wanted.due_s <= now_s]
        for identifier, wanted in late:
            self._ask_next(identifier, wanted, now_s + self._limits.answer_s)

    # -- sending -------------------------------------------------------------------------------

    def _flush_ids(
        self,
        member: str,
        row: dict[bytes, None],
        shape: type[Announce] | type[Request],
        send: Send,
    ) -> None:
        while row:
            ids = tuple(row)[: wire.ANNOUNCED_IDS_MAX]
            if not send(member, *wire.encode(shape(ids))):
                return
            for identifier in ids:
                del row[identifier]

    def _flush_full(
        self,
        member: str,
        neighbour: _Neighbour,
        encoded: dict[tuple[bytes, ...], tuple[int, bytes]],
        send: Send,
    ) -> None:
        """Peers that are told the same get the same bytes, encoded once (`encoded`)."""
        for ids, items in self._batches(tuple(neighbour.full)):
            told = tuple(i for i, item in zip(ids, items, strict=True) if item is not None)
            if told:
                if told not in encoded:
                    present = tuple(item for item in items if item is not None)
                    encoded[told] = wire.encode(TransactionBatch(present))
                if not send(member, *encoded[told]):
                    return
            for identifier in ids:
                del neighbour.full[identifier]

    def _batches(
        self, ids: tuple[bytes, ...]
    ) -> Iterator[tuple[list[bytes], list[TransactionItem | None]]]:
        batch: list[bytes] = []
        items: list[TransactionItem | None] = []
        size = 0
        for identifier in ids:
            item = self._held(identifier)
            item_bytes = item.size if item is not None else 0
            full = len(batch) == self._limits.batch_items_max
            if batch and (full or size + item_bytes > self._limits.batch_bytes_max):
                yield batch, items
                batch, items, size = [], [], 0
            batch.append(identifier)
            items.append(item)
            size += item_bytes
        if batch:
            yield batch, items
