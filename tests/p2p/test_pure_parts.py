"""Frames, wire messages, outbox, scores, rate and back-off, without a socket."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import InvalidMessage
from p2p import frames, wire
from p2p.dialer import Backoff
from p2p.hello import GREETING
from p2p.outbox import ENTRY_BYTES, Outbox
from p2p.rate import Bucket
from p2p.scores import Scores

FRAMES = st.lists(st.tuples(st.integers(16, 255), st.binary(max_size=40)), min_size=1, max_size=8)
HASH = b"h" * 32
MESSAGES = [
    wire.TransactionBatch((wire.TransactionItem(b"t", (b"", b"attachment")),)),
    wire.Announce((HASH,)),
    wire.Request((HASH, HASH)),
    wire.BlockRequest(2**32 - 1, 2**63 - 1, wire.RANGE_BLOCKS_MAX),
    wire.BlockByHashRequest(1, HASH),
    wire.BlockRange(1, ()),
    wire.BlockRange(1, (wire.CertifiedBlock(b"b", b"c"), wire.CertifiedBlock(b"b", None))),
    wire.AttachmentRequest(2**32 - 1, HASH, 2**48, wire.CHUNK_BYTES_MAX),
    wire.AttachmentChunk(2**32 - 1, 2**48, bytes(wire.CHUNK_BYTES_MAX)),
    wire.AttachmentChunk(1, None, b""),
    wire.AttachmentHave((HASH,) * wire.ANNOUNCED_IDS_MAX),
    wire.AttachmentOffer(HASH, 2**48 - 1),
]


@given(FRAMES)
def test_frames_survive_their_message(sent):
    assert frames.decode(frames.encode(sent), 8) == sent


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda raw: b"\x01\x02" + raw))
def test_any_bytes_are_frames_or_refused(raw):
    try:
        received = frames.decode(raw, 1_000)
    except InvalidMessage:
        return
    assert frames.encode(received) == raw


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
def test_messages_survive_the_wire_and_fit_their_limits(message):
    kind, payload = wire.encode(message)
    assert wire.decode(kind, payload) == message


@given(st.integers(0, 255), st.binary(max_size=100))
def test_any_payload_is_a_message_or_refused(kind, payload):
    try:
        message = wire.decode(kind, payload)
    except InvalidMessage:
        return
    assert wire.encode(message) == (kind, payload)


@given(st.binary(max_size=100))
def test_any_bytes_are_a_greeting_or_refused(raw):
    try:
        greeting = GREETING.decode(raw)
    except InvalidMessage:
        return
    assert GREETING.encode(greeting) == raw


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (wire.Kind.ANNOUNCE, wire.Announce(())),
        (wire.Kind.ANNOUNCE, wire.Announce((HASH[:31],))),
        (wire.Kind.ANNOUNCE, wire.Announce((HASH,) * (wire.ANNOUNCED_IDS_MAX + 1))),
        (wire.Kind.TRANSACTIONS, wire.TransactionBatch(())),
        (wire.Kind.BLOCK_REQUEST, wire.BlockRequest(0, 0, wire.RANGE_BLOCKS_MAX + 1)),
        (wire.Kind.BLOCK_REQUEST, wire.BlockRequest(-1, 0, 1)),
        (wire.Kind.ATTACHMENT_REQUEST, wire.AttachmentRequest(0, HASH, 0, 1 << 30)),
    ],
)
def test_messages_beyond_their_limits_are_refused(kind, message):
    with pytest.raises(InvalidMessage):
        wire.decode(kind, wire.CODECS[kind].encode(message))


def test_a_consensus_packet_is_no_bulk_message():
    for kind in (wire.Kind.PACKET, 200):
        with pytest.raises(InvalidMessage, match=r"frame\.unknown_kind"):
            wire.decode(kind, b"\x01\x90")


class TestOutbox:
    """Bytes are bounded; droppable frames make room; order is kept."""

    def test_small_frames_leave_together_and_large_ones_alone(self):
        outbox = Outbox(10_000)
        for size in (10, 10, 500, 10):
            assert outbox.put((32, bytes(size)), 0.0)
        taken = [outbox.take(0.0, 400, 100) for _ in range(4)]
        assert [[len(p) for _, p in some] for some in taken] == [[10, 10], [500], [10], []]
        assert outbox.bytes == 0

    def test_it_is_bounded_in_bytes_and_counts_what_a_frame_costs(self):
        outbox = Outbox(3 * ENTRY_BYTES)
        assert [outbox.put((32, b""), 0.0) for _ in range(4)] == [True, True, True, False]
        assert len(outbox) == 3

    def test_the_oldest_droppable_frames_make_room_and_nothing_else_does(self):
        outbox = Outbox(4 * ENTRY_BYTES)
        for kind, droppable in ((33, True), (32, False), (34, True), (35, True)):
            assert outbox.put((kind, b""), 0.0, droppable=droppable)
        assert outbox.put((36, b""), 0.0)
        assert outbox.dropped == 1
        assert not outbox.put((37, bytes(4 * ENTRY_BYTES)), 0.0)
        assert outbox.dropped == 1, "what would not fit anyway drops nothing"
        assert [kind for kind, _ in outbox.take(0.0, 10_000, 10)] == [32, 34, 35, 36]

    def test_control_frames_go_first_and_alone(self):
        outbox = Outbox(10_000)
        outbox.put((32, b"a"), 0.0)
        outbox.put_control((0, bytes(8)), 0.0)
        assert outbox.take(0.0, 10_000, 10) == [(0, bytes(8))]
        assert outbox.take(0.0, 10_000, 10) == [(32, b"a")]

    def test_delayed_frames_wait_for_their_time(self):
        outbox = Outbox(10_000)
        outbox.put((32, b"a"), 1.0)
        outbox.put((32, b"b"), 2.0)
        assert outbox.take(0.9, 10_000, 10) == []
        assert outbox.next_due_s() == 1.0
        assert outbox.take(1.0, 10_000, 10) == [(32, b"a")]

    @given(st.lists(st.tuples(st.integers(0, 300), st.booleans(), st.booleans()), max_size=60))
    def test_its_count_of_bytes_is_what_it_holds(self, steps):
        outbox = Outbox(2_000)
        for size, droppable, take in steps:
            outbox.put((32, bytes(size)), 0.0, droppable=droppable)
            if take:
                outbox.take(0.0, 500, 3)
            rows = (outbox._control, outbox._kept, outbox._droppable)
            assert outbox.bytes == sum(e.size for row in rows for e in row) <= 2_000
            assert outbox._droppable_bytes == sum(e.size for e in outbox._droppable)


def test_points_fade_ban_and_start_again():
    scores = Scores(ban_points=100, ban_s=60.0, forgiven_points_per_s=1.0)
    assert not scores.add("b", 60, 0.0)
    assert scores.score("b", 20.0) == 40.0
    assert not scores.add("b", 59, 20.0)
    assert scores.add("b", 2, 20.0)
    assert scores.banned_until_s("b", 79.9) == 80.0
    assert scores.banned_until_s("b", 80.0) is None
    assert scores.score("b", 80.0) == 0.0
    assert scores.score("c", 0.0) == 0.0
    assert not scores.add("b", 99, 80.0)
    scores.forget("b")
    assert scores.score("b", 80.0) == 0.0


def test_points_during_a_ban_do_not_shorten_it():
    scores = Scores(ban_points=10, ban_s=60.0, forgiven_points_per_s=1.0)
    scores.add("b", 10, 0.0)
    scores.add("b", 1, 30.0)
    assert scores.banned_until_s("b", 30.0) == 60.0


def test_the_bucket_lets_a_second_through_at_once_and_then_the_rate():
    bucket = Bucket(100.0, 0.0)
    assert bucket.take(100, 0.0) == 0.0
    assert bucket.take(50, 0.0) == 0.5
    assert bucket.take(10, 0.5) == pytest.approx(0.1)
    assert bucket.take(100, 1_000.0) == 0.0


def test_back_off_doubles_to_its_cap_with_jitter_from_its_own_stream():
    backoff = Backoff(0.1, 1.0, Random(1))
    delays = [backoff.next_s() for _ in range(8)]
    for delay, ceiling in zip(delays, (0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0), strict=True):
        assert ceiling / 2 <= delay <= ceiling
    assert delays == [Backoff(0.1, 1.0, Random(1)).next_s(), *delays[1:]]
    assert len({round(delay, 6) for delay in delays[4:]}) == 4
    backoff.reset()
    assert backoff.next_s() <= 0.1
