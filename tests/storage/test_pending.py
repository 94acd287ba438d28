"""The log of attachments that wait for a block."""

import pytest

from storage import keyspace, pending
from storage.memory import MemoryKeyValues
from storage.pending import PendingAttachment, PendingAttachments

BYTES_MAX = 1 << 30


def one(number: int) -> PendingAttachment:
    return PendingAttachment(number.to_bytes(32, "big"), 10 + number, 1_000 + number)


class Log:
    """A set that writes what it says at once, as the store does."""

    def __init__(self) -> None:
        self.pairs = MemoryKeyValues()
        self.set = PendingAttachments(self.pairs, BYTES_MAX)

    def arrive(self, *numbers: int) -> None:
        for number in numbers:
            self.set.add(one(number))
        self.pairs.write_batch(self.set.arrivals([one(number).hash for number in numbers]))

    def depart(self, *numbers: int) -> None:
        gone = [one(number).hash for number in numbers]
        assert all(self.set.remove(each) for each in gone)
        self.pairs.write_batch(self.set.departures(gone))

    def reopened(self) -> PendingAttachments:
        return PendingAttachments(self.pairs, BYTES_MAX)

    @property
    def keys(self) -> int:
        return len(list(self.pairs.scan(keyspace.PENDING, keyspace.after_prefix(keyspace.PENDING))))


def test_what_arrived_and_did_not_depart_waits_also_when_opened_again() -> None:
    log = Log()
    log.arrive(1, 2, 3)
    log.depart(2)
    log.arrive(4, 2)
    log.depart(1)
    for waiting in (log.set, log.reopened()):
        assert sorted(waiting) == [one(2), one(3), one(4)]
        assert waiting.bytes == sum(one(number).size for number in (2, 3, 4))
        assert one(2).hash in waiting
        assert one(1).hash not in waiting


def test_many_at_once_cost_one_key() -> None:
    log = Log()
    log.arrive(*range(1_000))
    log.depart(*range(500))
    assert log.keys == 2
    assert len(list(log.reopened())) == 500


def test_one_that_never_came_departs_without_a_trace() -> None:
    log = Log()
    assert not log.set.remove(one(1).hash)
    assert log.set.departures([]) == []
    assert log.set.arrivals([one(1).hash]) == []
    assert log.keys == 0


def test_a_long_log_is_written_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "LOG_KEYS_MAX", 8)
    monkeypatch.setattr(pending, "KEY_ENTRIES_MAX", 4)
    log = Log()
    log.arrive(*range(1_000, 1_010))
    for number in range(100):
        log.arrive(number)
        log.depart(number)
        assert log.keys <= 8 + 2 * 3 + 3
        assert sorted(log.reopened()) == sorted(log.set)
    log = Log()
    log.set = log.reopened()
    log.arrive(5)
    assert list(log.reopened()) == [one(5)]
