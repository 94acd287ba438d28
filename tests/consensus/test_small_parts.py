"""The parts beside the replica: relaying, evidence, the watch on censorship."""

from itertools import pairwise

from msgspec.structs import replace

from chain.certificate import Commit
from chain.validators import faults_max, quorum
from consensus.abstention import statuses_needed
from consensus.ballots import Ballots
from consensus.censorship import WATCHED_TRANSACTIONS_MAX, CensorshipWatch, CommittedBlock
from consensus.evidence import EVIDENCE_MAX, MESSAGES_PER_AUTHOR_MAX, EvidenceLog
from consensus.messages import (
    NewView,
    Prepare,
    PreparedCertificate,
    PrePrepare,
    Signed,
    Status,
    ViewChange,
)
from consensus.relay import RELAYED_MESSAGES_MAX, RelayTable
from consensus.standing import Standing
from consensus.timing import Backoff, Timing
from tests.consensus.forms import block_on, genesis_tip, nested, new_view, seal, validators_of

X, Y = b"x" * 32, b"y" * 32


def said(member: str, message: Prepare | PrePrepare | Commit | ViewChange | Status) -> Signed:
    return Signed(member, message, seal(member, message))


def test_r1_two_quorums_share_an_honest_member_and_two_f_plus_1_would_not() -> None:
    for n in range(1, 101):
        f = faults_max(n)
        assert 2 * quorum(n) - n >= f + 1
        assert n - f >= quorum(n)
    assert 2 * (2 * faults_max(6) + 1) - 6 < faults_max(6) + 1


def test_enough_statuses_meet_every_quorum_in_an_honest_member() -> None:
    for n in range(2, 8):
        validators = validators_of(n)
        assert statuses_needed(validators) - validators.f + validators.quorum > n


def test_a_back_off_doubles_up_to_its_cap() -> None:
    backoff = Backoff(next_at=1.0, interval_s=1.0)
    asked = [tick for tick in range(40) if backoff.passed(float(tick), 8.0)]
    assert asked == [1, 3, 7, 15, 23, 31, 39]


def test_what_the_record_names_is_kept_even_where_no_copy_is_in_memory() -> None:
    standing = Standing("b", genesis_tip(4), 1_000, Timing(), lambda effect: None)
    held, stored = block_on(standing.tip, "a", b"x"), block_on(standing.tip, "b", b"y")
    prepared = PreparedCertificate(0, stored.header.hash, ())
    proposal = said("b", PrePrepare(1, 1, held.header.hash))
    standing.record = replace(standing.record, prepared=prepared, proposal=proposal)
    standing.candidates.add(held)
    persist = standing.persist()
    assert (persist.blocks, persist.keep) == ((held,), (stored.header.hash,))


class TestBallots:
    def ballots(self) -> Ballots:
        return Ballots(validators_of(4))

    def test_one_slot_for_each_validator_and_kind_its_highest_view(self) -> None:
        ballots = self.ballots()
        for view in (3, 5, 4):
            ballots.add(said("a", Prepare(1, view, X)))
        assert [len(ballots.prepares(view, X)) for view in (3, 4, 5)] == [0, 0, 1]

    def test_of_two_hashes_in_one_view_the_first_stays(self) -> None:
        ballots = self.ballots()
        for block_hash in (X, Y):
            ballots.add(said("a", Prepare(1, 0, block_hash)))
        assert ballots.voters(Prepare, 0, X) == {"a"}
        assert ballots.voters(Prepare, 0, Y) == set()

    def test_a_certificate_is_a_quorum_for_one_view_and_hash_in_order(self) -> None:
        ballots = self.ballots()
        for member, vote in (("d", X), ("c", Y), ("b", X), ("e", X)):
            ballots.add(said(member, Commit(1, 2, vote)))
        assert ballots.certificate() is None
        ballots.add(said("a", Commit(1, 2, X)))
        certificate = ballots.certificate()
        assert certificate is not None
        assert [one.validator for one in certificate.seals] == ["a", "b", "d"]

    def test_each_validator_counts_once_at_its_highest_view(self) -> None:
        ballots = self.ballots()
        ballots.add(said("a", Prepare(1, 4, X)))
        ballots.hear("a", 2)
        ballots.hear("b", 7)
        ballots.hear("g", 9)
        assert ballots.views_above(0, "d") == [4, 7]
        assert ballots.views_above(0, "a") == [7]
        assert [ballots.others_at(view, "d") for view in (4, 5, 8)] == [2, 1, 0]

    def test_a_new_view_counts_as_those_inside_who_asked_for_exactly_it(self) -> None:
        ballots = self.ballots()
        block = block_on(genesis_tip(4), "b", b"x")
        inside = [nested("a", ViewChange(1, 1, None)), nested("c", ViewChange(1, 9, None))]
        message = new_view("b", 1, 1, block, *inside).signed.message
        assert isinstance(message, NewView)
        ballots.hear_new_view("b", message)
        assert [ballots.view_of(member) for member in "abc"] == [1, 1, None]


class TestRelay:
    def table(self) -> RelayTable:
        """b, among a, c and d; d does not hear a."""
        table = RelayTable("b")
        for peer, heard in (("a", "bcd"), ("c", "abd"), ("d", "bc")):
            table.connected(peer)
            table.heard(peer, tuple(heard))
        return table

    def test_to_whoever_does_not_hear_the_author(self) -> None:
        assert self.table().targets("a", "a", b"1", 0.0) == ("d",)
        assert self.table().targets("c", "c", b"1", 0.0) == ()

    def test_copies_that_come_by_other_ways_are_passed_on_once(self) -> None:
        table = self.table()
        passed = [table.targets("a", "a", b"1", at / 8) for at in range(9)]
        assert [at for at, to in enumerate(passed) if to] == [0, 4, 8]
        assert table.targets("a", "a", b"2", 0.1) == ("d",)

    def test_each_retransmission_is_passed_on_though_it_comes_early(self) -> None:
        """They leave their author a second apart, and a network delays one more than the next."""
        table = self.table()
        at_s = [0.040, 1.001, 2.039, 3.002, 4.000]
        assert min(later - at for at, later in pairwise(at_s)) < Timing().retransmit_s
        assert [table.targets("a", "a", b"1", at) for at in at_s] == [("d",)] * 5

    def test_never_back_to_where_it_came_from_and_never_own_messages(self) -> None:
        table = self.table()
        assert table.targets("a", "d", b"1", 0.0) == ()
        table.heard("c", ("d",))
        assert table.targets("b", "a", b"1", 0.0) == ()

    def test_not_to_a_peer_that_has_not_said_whom_it_hears_or_is_gone(self) -> None:
        table = self.table()
        assert table.targets("a", "a", b"1", 0.0) == ("d",)
        table.disconnected("d")
        assert table.targets("a", "a", b"2", 0.0) == ()
        table.heard("d", ())
        table.connected("d")
        assert table.targets("a", "a", b"2", 0.0) == ()

    def test_what_a_peer_says_last_counts(self) -> None:
        table = self.table()
        assert table.targets("a", "a", b"1", 0.0) == ("d",)
        table.heard("d", ("a", "b", "c"))
        table.heard("c", ("b", "d"))
        assert table.targets("a", "a", b"2", 0.0) == ("c",)

    def test_memory_is_bounded(self) -> None:
        table = self.table()
        for number in range(2 * RELAYED_MESSAGES_MAX):
            table.targets("a", "a", b"%d" % number, 0.0)
        assert len(table._passed) == RELAYED_MESSAGES_MAX


class TestEvidence:
    def test_two_hashes_for_one_height_view_and_kind(self) -> None:
        for kind in (Prepare, Commit, PrePrepare):
            log = EvidenceLog()
            assert log.observe(said("a", kind(1, 0, X))) is None
            assert log.observe(said("a", kind(1, 0, X))) is None
            found = log.observe(said("a", kind(1, 0, Y)))
            assert found is not None
            assert found.author == "a"
            assert {found.first, found.second} == {
                said("a", kind(1, 0, X)),
                said("a", kind(1, 0, Y)),
            }

    def test_the_same_pair_again_is_no_news(self) -> None:
        log = EvidenceLog()
        for block_hash in (X, Y, X, Y):
            log.observe(said("a", Prepare(1, 0, block_hash)))
        assert len(log) == 1

    def test_honest_changes_of_mind_are_none(self) -> None:
        log = EvidenceLog()
        for signed in (
            said("a", Prepare(1, 0, X)),
            said("a", Prepare(1, 1, Y)),
            said("a", Prepare(2, 0, Y)),
            said("a", Commit(1, 0, Y)),
            said("b", Prepare(1, 0, Y)),
            said("a", ViewChange(1, 1, None)),
            said("a", Status(1, 0, "new", None, (), 1)),
            said("a", Status(1, 1, "new", None, (), 1)),
        ):
            assert log.observe(signed) is None

    def test_the_proposal_of_a_new_view_is_one(self) -> None:
        log = EvidenceLog()
        tip = genesis_tip(4)
        changes = [nested(member, ViewChange(1, 1, None)) for member in "acd"]
        for transaction in (b"x", b"y"):
            block = block_on(tip, "b", transaction)
            found = log.observe(new_view("b", 1, 1, block, *changes).signed)
        assert found is not None
        assert found.second.signature == seal("b", found.second.message)

    def test_memory_is_bounded(self) -> None:
        log = EvidenceLog()
        for height in range(2 * EVIDENCE_MAX):
            for block_hash in (X, Y):
                log.observe(said("a", Prepare(height, 0, block_hash)))
        assert len(log.found) == EVIDENCE_MAX
        assert len(log._authors["a"]) == MESSAGES_PER_AUTHOR_MAX


def block_of(
    *transactions: bytes,
    room: int = 0,
    proposer: str = "a",
    received_s: dict[int, float] | None = None,
) -> CommittedBlock:
    return CommittedBlock(proposer, transactions, received_s or {}, room, room, room)


class TestCensorship:
    def watch(self, *, lane: int = 1) -> CensorshipWatch:
        watch = CensorshipWatch()
        watch.hold(b"mine", lane, 10, 10, 0.0)
        return watch

    def test_two_blocks_with_room_and_five_seconds(self) -> None:
        watch = self.watch()
        watch.committed(block_of(room=100), 1.0)
        assert watch.suspect(7.0) is None
        watch.committed(block_of(room=100), 2.0)
        assert watch.suspect(5.9) is None
        assert watch.suspect(6.0) == "a"

    def test_one_vote_for_each_transaction_and_primary(self) -> None:
        watch = self.watch()
        for at in range(1, 20):
            watch.committed(block_of(room=100), float(at))
        assert watch.suspect(20.0) == "a"
        assert watch.suspect(21.0) is None
        for at in range(22, 40):
            watch.committed(block_of(room=100, proposer="b"), float(at))
        assert [watch.suspect(40.0), watch.suspect(41.0)] == ["b", None]

    def test_a_later_one_of_no_higher_priority_overtakes(self) -> None:
        for lane, overtakes in ((0, False), (1, True), (2, True)):
            watch = self.watch()
            for number in (5, 6):
                young = {lane: float(number)}
                watch.committed(block_of(b"%d" % number, received_s=young), float(number))
            assert (watch.suspect(10.0) == "a") is overtakes

    def test_r33_what_came_a_moment_later_here_may_have_come_earlier_there(self) -> None:
        watch = self.watch()
        for number in range(100):
            young = {1: number / 21}
            watch.committed(block_of(b"%d" % number, received_s=young), float(number))
            assert watch.suspect(float(number)) is None

    def test_r33_a_backlog_of_minutes_in_order_is_not_censorship(self) -> None:
        watch = CensorshipWatch()
        names = [b"%d" % number for number in range(1_000)]
        for at, name in enumerate(names):
            watch.hold(name, 1, 10, 10, at / 1_000)
        for at in range(0, 1_000, 5):
            young = {1: (at + 4) / 1_000}
            watch.committed(block_of(*names[at : at + 5], received_s=young), float(at))
            assert watch.suspect(float(at)) is None

    def test_what_is_too_large_for_the_room_was_not_passed_over(self) -> None:
        watch = self.watch()
        for at in range(1, 20):
            watch.committed(block_of(room=9), float(at))
        assert watch.suspect(30.0) is None

    def test_blocks_of_different_primaries_do_not_add_up(self) -> None:
        watch = self.watch()
        for at in range(1, 20):
            watch.committed(block_of(room=100, proposer="ab"[at % 2]), float(at))
        assert watch.suspect(30.0) is None

    def test_what_is_gone_accuses_nobody(self) -> None:
        watch = self.watch()
        watch.committed(block_of(room=100), 1.0)
        watch.committed(block_of(room=100), 2.0)
        watch.release(b"mine")
        assert watch.suspect(30.0) is None

    def test_memory_is_bounded(self) -> None:
        watch = CensorshipWatch()
        for number in range(2 * WATCHED_TRANSACTIONS_MAX):
            watch.hold(b"%d" % number, 1, 10, 10, 0.0)
        assert len(watch) == WATCHED_TRANSACTIONS_MAX
