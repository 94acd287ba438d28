"""Gossip as a value machine: who is told what, in which batches, and asked again of whom."""

from p2p import wire
from p2p.gossip import Gossip, GossipLimits
from p2p.seen import Seen
from p2p.wire import Announce, Request, TransactionBatch, TransactionItem

A, B, C = (bytes([letter]) * 32 for letter in b"ABC")


class Desk:
    """One node's gossip, its pool of transactions and what it sent."""

    def __init__(self, members: int, peers: tuple[str, ...], **limits: object) -> None:
        self.pool: dict[bytes, TransactionItem] = {}
        self.gossip = Gossip(GossipLimits(**limits), self.pool.get)
        self.gossip.set_members_count(members)
        for peer in peers:
            self.gossip.connected(peer)
        self.full: set[str] = set()
        self.raw: list[bytes] = []

    def submit(self, identifier: bytes, size: int = 10, **how: object) -> None:
        self.pool[identifier] = TransactionItem(identifier[:1] * size, (b"attachment",))
        self.gossip.add(identifier, **how)

    def flush(self, now_s: float = 0.0) -> list[tuple[str, object]]:
        sent: list[tuple[str, object]] = []

        def send(member: str, kind: int, payload: bytes) -> bool:
            if member in self.full:
                return False
            sent.append((member, wire.decode(kind, payload)))
            self.raw.append(payload)
            return True

        self.gossip.flush(now_s, send)
        return sent


def batch(desk: Desk, *ids: bytes) -> TransactionBatch:
    return TransactionBatch(tuple(desk.pool[i] for i in ids))


def test_a_small_mesh_pushes_in_full_with_attachments_to_all_in_one_batch():
    desk = Desk(4, ("b", "c", "d"))
    desk.submit(A)
    desk.submit(B)
    assert desk.flush() == [(peer, batch(desk, A, B)) for peer in "bcd"]
    assert desk.raw[0] is desk.raw[1] is desk.raw[2], "encoded once"
    assert desk.flush() == []


def test_eight_nodes_push_and_nine_announce():
    for members, told in ((8, TransactionBatch), (9, Announce)):
        desk = Desk(members, ("b",))
        desk.submit(A)
        [(_, message)] = desk.flush()
        assert isinstance(message, told)


def test_a_received_transaction_goes_only_to_who_does_not_hear_its_source():
    desk = Desk(4, ("b", "c", "d"))
    desk.submit(A, source="b", direct=("c",))
    assert desk.flush() == [("d", batch(desk, A))]


def test_batches_are_bounded_by_bytes_and_by_count():
    desk = Desk(2, ("b",), batch_bytes_max=130, batch_items_max=2)
    desk.submit(A, 40)
    desk.submit(B, 40)
    desk.submit(C, 40)
    assert desk.flush() == [("b", batch(desk, A, B)), ("b", batch(desk, C))]
    desk.submit(A, 90)
    desk.submit(B, 500)
    desk.submit(C, 10)
    sent = [message for _, message in desk.flush()]
    assert sent == [batch(desk, A), batch(desk, B), batch(desk, C)]


def test_what_a_full_queue_refuses_waits_and_what_left_the_pool_does_not():
    desk = Desk(3, ("b", "c"))
    desk.full.add("b")
    desk.submit(A)
    desk.submit(B)
    assert [peer for peer, _ in desk.flush()] == ["c"]
    del desk.pool[A]
    desk.full.clear()
    assert desk.flush() == [("b", batch(desk, B))]
    assert desk.gossip.waiting_ids == 0


def test_what_waits_for_one_peer_is_bounded_and_the_oldest_goes_first():
    desk = Desk(2, ("b",), waiting_ids_max=2)
    for identifier in (A, B, C):
        desk.submit(identifier)
    assert desk.gossip.waiting_ids == 2
    assert desk.flush() == [("b", batch(desk, B, C))]


def test_a_new_peer_is_told_what_is_held():
    desk = Desk(4, ())
    desk.submit(A)
    desk.gossip.connected("b", desk.pool)
    assert desk.flush() == [("b", batch(desk, A))]


def test_an_announced_id_is_asked_of_one_and_sent_on_request():
    desk = Desk(9, ("b", "c"))
    desk.gossip.announced("b", [A, B], 0.0)
    desk.gossip.announced("c", [B, C], 0.0)
    assert desk.flush() == [("b", Request((A, B))), ("c", Request((C,)))]
    holder = Desk(9, ("x",))
    holder.pool[A] = TransactionItem(b"a", ())
    holder.gossip.requested("x", [A, B])
    assert holder.flush() == [("x", batch(holder, A))]


def test_who_does_not_answer_is_passed_over_for_the_next_announcer():
    desk = Desk(9, ("b", "c", "d"), answer_s=2.0)
    for peer in "bcd":
        desk.gossip.announced(peer, [A], 0.0)
    assert desk.flush(0.0) == [("b", Request((A,)))]
    assert desk.flush(1.9) == []
    assert desk.flush(2.0) == [("c", Request((A,)))]
    desk.gossip.disconnected("c")
    assert desk.flush(2.1) == [("d", Request((A,)))]
    desk.submit(A, source="d")
    assert desk.gossip.wanted_ids == 0
    assert not any(isinstance(message, Request) for _, message in desk.flush(9.0))


def test_an_id_that_nobody_delivers_is_given_up_and_can_be_announced_again():
    desk = Desk(9, ("b",))
    desk.gossip.announced("b", [A], 0.0)
    desk.flush(0.0)
    assert desk.flush(2.0) == []
    assert desk.gossip.wanted_ids == 0
    desk.gossip.announced("b", [A], 3.0)
    assert desk.flush(3.0) == [("b", Request((A,)))]


def test_a_peer_that_announces_without_end_is_asked_for_a_bounded_number():
    desk = Desk(9, ("b", "c"), asked_ids_max=3)
    desk.gossip.announced("b", [bytes([i]) * 32 for i in range(200)], 0.0)
    assert desk.gossip.wanted_ids == 3
    desk.gossip.announced("c", [A], 0.0)
    assert ("c", Request((A,))) in desk.flush()


def test_announcements_from_who_is_not_connected_are_ignored():
    desk = Desk(9, ())
    desk.gossip.announced("b", [A], 0.0)
    desk.gossip.requested("b", [A])
    assert desk.flush() == []


def test_seen_remembers_the_last_ids_and_no_more():
    seen = Seen(2)
    assert seen.add(A)
    assert not seen.add(A)
    assert seen.add(B)
    assert seen.add(C)
    assert (A in seen, B in seen, C in seen, len(seen)) == (False, True, True, 2)
    seen.discard(C)
    assert seen.add(C)
