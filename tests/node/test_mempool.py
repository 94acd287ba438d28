"""The pool forgets by time what no block may carry any more."""

from types import SimpleNamespace
from typing import Any

from node.mempool import Entry, Mempool, MempoolLimits


def entry(number: int, valid_until_ms: int) -> Entry:
    raw = b"%d" % number
    transaction = SimpleNamespace(sender=bytes(16), valid_until_ms=valid_until_ms, attachments=())
    prepared: Any = SimpleNamespace(raw=raw, id=raw, lane=1, weight=1, transaction=transaction)
    return Entry(prepared, b"", float(number), "api")


def test_exactly_what_has_expired_leaves_whatever_came_and_went_before() -> None:
    pool = Mempool(MempoolLimits())
    for number, valid_until_ms in enumerate((500, 300, 900, 300, 700)):
        pool.add(entry(number, valid_until_ms))
    assert pool.expire(299) == []
    assert [each.id for each in pool.expire(300)] == [b"1", b"3"]
    assert pool.expire(300) == []
    pool.remove([b"0"])
    pool.add(entry(5, 400))
    assert [each.id for each in pool.expire(700)] == [b"4", b"5"]
    assert [each.id for each in pool.expire(10_000)] == [b"2"]
    assert pool.expire(10_000) == []
    pool.add(entry(6, 10_000))
    assert [each.id for each in pool.expire(10_000)] == [b"6"]
