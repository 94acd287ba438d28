"""Transactions that wait for a block: bounded in bytes, count and each sender's share.

Lanes go before arrival: urgent, normal, bulk. What waits here is signed, admissible when it came,
and not on the chain; a block takes it out, time takes it out, and where the pool is full a
transaction of a lower lane makes room for one of a higher.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from chain.errors import InvalidMessage
from ledger.lanes import Lane
from ledger.prepare import Prepared
from node.backend import Busy

COMMITTED_ALREADY: Final = "attachment.committed_already"
"""An attachment belongs to the transaction that committed it, and no other may name it."""
SETTLED_MAX: Final = 16_384
"""Attachments of the latest blocks, for transactions that were judged while one was committed."""
LANES: Final = tuple(sorted(int(lane) for lane in Lane))
"""Lanes in the order in which blocks take them."""


class Entry:
    """A waiting transaction, never changed once made.

    `key` is the one under which its signature was verified. `inline` are the attachments that came
    along, all of them, so that passing the transaction on needs no disk; None where some were
    uploaded or fetched. `bytes` is what it takes of the pool, `lane` the ledger's, as a number.
    What is asked for at every turn is kept and not computed: there are thousands a second.
    """

    __slots__ = (
        "attachments",
        "bytes",
        "id",
        "inline",
        "key",
        "lane",
        "prepared",
        "received_s",
        "source",
    )

    def __init__(
        self,
        prepared: Prepared,
        key: bytes,
        received_s: float,
        source: str,
        inline: tuple[bytes, ...] | None = None,
    ) -> None:
        self.prepared = prepared
        self.key = key
        self.received_s = received_s
        self.source = source
        self.inline = inline
        self.id = prepared.id
        self.lane = int(prepared.lane)
        self.attachments = tuple([ref.hash for ref in prepared.transaction.attachments])
        self.bytes = len(prepared.raw) + (sum(map(len, inline)) if inline else 0)


@dataclass(frozen=True, slots=True)
class MempoolLimits:
    """`sender_share_percent` bounds what one sender may hold of either limit."""

    bytes_max: int = 64 << 20
    transactions_max: int = 50_000
    sender_share_percent: int = 50


class _Share:
    """What one sender holds of the pool."""

    __slots__ = ("bytes", "count")

    def __init__(self) -> None:
        self.bytes = 0
        self.count = 0

    def check(self, entry: Entry, limits: MempoolLimits) -> None:
        percent = limits.sender_share_percent
        if (self.bytes + entry.bytes) * 100 > limits.bytes_max * percent or (
            (self.count + 1) * 100 > limits.transactions_max * percent
        ):
            raise Busy("mempool.sender_share", "this sender's share of the mempool is full")


class Mempool:
    """The pool. All methods run in the event loop and take microseconds."""

    def __init__(self, limits: MempoolLimits) -> None:
        self.limits = limits
        self.bytes = 0
        self._expires_ms: int | None = None
        """No entry expires before."""
        self._lanes: dict[int, dict[bytes, Entry]] = {lane: {} for lane in LANES}
        self._by_raw: dict[bytes, Entry] = {}
        self._by_id: dict[bytes, Entry] = {}
        self._shares: dict[bytes, _Share] = {}
        self._naming: dict[bytes, list[bytes]] = {}
        self._settled: dict[bytes, None] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, transaction_id: bytes) -> bool:
        return transaction_id in self._by_id

    def __iter__(self) -> Iterator[Entry]:
        """Entries in the order in which blocks should take them."""
        for lane in LANES:
            yield from self._lanes[lane].values()

    def held_since(self, received_s: float) -> Iterator[Entry]:
        """Entries received no later than `received_s`, in the order of `__iter__`."""
        for lane in LANES:
            # A lane is in order of arrival, so a short wait costs a short look.
            for entry in self._lanes[lane].values():
                if entry.received_s > received_s:
                    break
                yield entry

    def find(self, raw: bytes) -> Entry | None:
        """The entry with exactly these bytes: same id, same signature."""
        return self._by_raw.get(raw)

    def get(self, transaction_id: bytes) -> Entry | None:
        """The entry with this id."""
        return self._by_id.get(transaction_id)

    def add(self, entry: Entry) -> None:
        """Takes `entry` in; a known id is left as it is. Raises `Busy` where there is no room, and
        `InvalidMessage` where a block has just committed one of its attachments."""
        if entry.id in self._by_id:
            return
        for index, each in enumerate(entry.attachments):
            if each in self._settled:
                raise InvalidMessage(
                    COMMITTED_ALREADY,
                    f"attachments[{index}].hash",
                    "an earlier transaction committed this attachment; seal the content anew",
                )
        sender = entry.prepared.transaction.sender
        share = self._shares.get(sender) or _Share()
        share.check(entry, self.limits)
        if (
            self.bytes + entry.bytes > self.limits.bytes_max
            or len(self._by_id) >= self.limits.transactions_max
        ):
            self._make_room(entry)
        valid_until_ms = entry.prepared.transaction.valid_until_ms
        if self._expires_ms is None or valid_until_ms < self._expires_ms:
            self._expires_ms = valid_until_ms
        self._lanes[entry.lane][entry.id] = entry
        self._by_raw[entry.prepared.raw] = entry
        self._by_id[entry.id] = entry
        for each in entry.attachments:
            self._naming.setdefault(each, []).append(entry.id)
        self.bytes += entry.bytes
        share.bytes += entry.bytes
        share.count += 1
        self._shares[sender] = share

    def remove(self, ids: Iterable[bytes]) -> list[Entry]:
        """Takes out what is there of `ids`."""
        removed = []
        for transaction_id in ids:
            entry = self._by_id.pop(transaction_id, None)
            if entry is None:
                continue
            removed.append(entry)
            sender = entry.prepared.transaction.sender
            del self._by_raw[entry.prepared.raw]
            del self._lanes[entry.lane][transaction_id]
            self.bytes -= entry.bytes
            for each in entry.attachments:
                naming = self._naming[each]
                naming.remove(transaction_id)
                if not naming:
                    del self._naming[each]
            share = self._shares[sender]
            share.bytes -= entry.bytes
            share.count -= 1
            if not share.count:
                del self._shares[sender]
        return removed

    def settle(self, attachments: Iterable[bytes]) -> list[Entry]:
        """A block has committed these, and its own transactions are out of the pool: takes out all
        others that name one of them, which no block can carry any more."""
        overtaken: dict[bytes, None] = {}
        for each in attachments:
            overtaken.update(dict.fromkeys(self._naming.get(each, ())))
            self._settled[each] = None
        while len(self._settled) > SETTLED_MAX:
            del self._settled[next(iter(self._settled))]
        return self.remove(list(overtaken))

    def expire(self, block_time_ms: int) -> list[Entry]:
        """Takes out what no block after `block_time_ms` may carry."""
        if self._expires_ms is None or block_time_ms < self._expires_ms:
            return []
        expired = self.remove(
            [e.id for e in self if e.prepared.transaction.valid_until_ms <= block_time_ms]
        )
        self._expires_ms = min((e.prepared.transaction.valid_until_ms for e in self), default=None)
        return expired

    def candidates(
        self,
        *,
        bytes_max: int,
        count_max: int,
        weight_max: int,
        suitable: Callable[[Entry], bool],
    ) -> list[Entry]:
        """What the next block should carry, by lane and arrival, within a block's limits. Of those
        that name the same attachment, the first: no block holds two."""
        chosen: list[Entry] = []
        named: set[bytes] = set()
        size = weight = 0
        for entry in self:
            if len(chosen) == count_max:
                break
            if not suitable(entry):
                continue
            raw_bytes = len(entry.prepared.raw)
            if size + raw_bytes > bytes_max or weight + entry.prepared.weight > weight_max:
                continue
            if entry.attachments:
                if not named.isdisjoint(entry.attachments):
                    continue
                named.update(entry.attachments)
            chosen.append(entry)
            size += raw_bytes
            weight += entry.prepared.weight
        return chosen

    def _make_room(self, entry: Entry) -> None:
        """Evicts the latest of lower lanes until `entry` fits, or refuses it."""
        if entry.bytes > self.limits.bytes_max:
            raise InvalidMessage("transaction.too_large", "transaction", "above the mempool's size")
        need_bytes = self.bytes + entry.bytes - self.limits.bytes_max
        need_count = len(self) + 1 - self.limits.transactions_max
        victims: list[bytes] = []
        for lane in reversed(LANES):
            if need_bytes <= 0 and need_count <= 0:
                break
            if lane <= entry.lane:
                raise Busy("mempool.full", "the mempool is full")
            for victim in reversed(self._lanes[lane].values()):
                if need_bytes <= 0 and need_count <= 0:
                    break
                victims.append(victim.id)
                need_bytes -= victim.bytes
                need_count -= 1
        if need_bytes > 0 or need_count > 0:
            raise Busy("mempool.full", "the mempool is full")
        self.remove(victims)
