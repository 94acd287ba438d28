"""Blocks that change the validators, end to end: judged, executed by two nodes, stored, and proven
to a stranger who has the genesis file."""

import io
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace

from chain.block import OK
from chain.certificate import COMMIT, Certificate, Commit, Seal
from chain.errors import InvalidMessage
from chain.keys import Domain
from chain.readiness import SignedReadiness
from chain.receipt import RECEIPT, verify_receipt
from chain.transaction import SIGNED, Transaction, sign_transaction
from chain.validators import ValidatorSet
from ledger import queries
from ledger.actions import ACTION, Action
from ledger.governance_actions import NodeAnnounce
from ledger.prepare import prepare
from ledger.request import BlockContext
from node.admission import Admission, Admitted, Offered, Outcome
from node.assembly import begin_chain
from node.chain_file import ChainEntry, ChainWriter, verify_chain
from node.errors import OperatorError
from node.execution import Executed, Executor, InvalidBlock
from node.mempool import Entry
from node.receipts import ReceiptWriter
from storage.attachments import AttachmentStore
from storage.memory import MemoryKeyValues, memory_store
from tests.ledger.governance_world import (
    admission,
    announcement,
    node_of,
    ready,
    removal,
    vote,
    votes_of,
)
from tests.ledger.ledger_world import BLOCK_MS, START_MS, genesis, key, person

GENESIS = genesis()
FIRST = GENESIS.validators.members
FOUR = tuple(sorted((*FIRST, "regulator")))
BUCKETS = GENESIS.parameters.state_buckets


class Chain:
    """A proposer and a follower, each with a store; validators sign whatever both agree on."""

    def __init__(self, path: Path) -> None:
        self.stores = [memory_store(BUCKETS), memory_store(BUCKETS)]
        for store in self.stores:
            begin_chain(store, GENESIS)
        self.proposer, self.follower = (Executor(GENESIS, store) for store in self.stores)
        self.attachments = AttachmentStore.create(
            path / "attachments", lambda: START_MS, pending_bytes_max=1, pairs=MemoryKeyValues()
        )
        self.judge = Admission(GENESIS, self.stores[0], self.attachments, self._now_ms)
        self.keys = {member: key(votes_of(member)) for member in FOUR}
        self._nonces = count()

    @property
    def height(self) -> int:
        return self.proposer.tip_height

    @property
    def next_block(self) -> BlockContext:
        return BlockContext(self.height + 1, self._now_ms())

    @property
    def validators(self) -> ValidatorSet:
        here, there = (queries.validators(store.state) for store in self.stores)
        assert here == there
        return here

    def _now_ms(self) -> int:
        tip = self.stores[0].tip()
        assert tip is not None
        return tip.header.timestamp_ms + BLOCK_MS

    def signed(self, sender: str, *actions: Action) -> bytes:
        transaction = Transaction(
            person(sender),
            next(self._nonces).to_bytes(16, "big"),
            self.next_block.timestamp_ms + 60_000,
            tuple(ACTION.encode(action) for action in actions),
            (),
            (),
        )
        return SIGNED.encode(sign_transaction(transaction, key(sender), GENESIS.hash))

    def offered(self, raw: bytes, *, strict: bool = True) -> Outcome:
        (outcome,) = self.judge.admit([Offered(raw, ())], GENESIS.parameters, strict=strict)
        return outcome

    def believed(self, raw: bytes) -> Entry:
        outcome = self.offered(raw, strict=False)
        assert isinstance(outcome, Admitted), outcome
        return Entry(outcome.prepared, outcome.key, 0.0, "api")

    def built(self, *transactions: bytes) -> tuple[Executed, list[Entry]]:
        entries = [self.believed(raw) for raw in transactions]
        tip = self.stores[0].tip()
        assert tip is not None
        executed, stale = self.proposer.build(
            tip.header, self.validators, entries, self._now_ms(), FIRST[0]
        )
        assert not stale
        return executed, entries

    def commit(self, *transactions: bytes, seals: Sequence[str] | None = None) -> Executed:
        """One block, which both nodes execute, certified by `seals` (a quorum, if not given)."""
        executed, entries = self.built(*transactions)
        voting = self.validators
        tip = self.stores[1].tip()
        assert tip is not None
        agreed = self.follower.validate(tip.header, voting, executed.block, entries)
        certificate = self.certified(executed, seals or voting.members[: voting.quorum])
        for store, mine in zip(self.stores, (executed, agreed), strict=True):
            changed = mine.validators != voting
            store.commit(
                mine.block,
                certificate,
                mine.results,
                mine.writes,
                mine.staged,
                mine.validators.encode() if changed else None,
                transaction_ids=[each.id for each in mine.prepared],
            )
        return executed

    def certified(self, executed: Executed, seals: Sequence[str]) -> Certificate:
        height, block_hash = executed.block.header.height, executed.block_hash
        word = COMMIT.encode(Commit(height, 0, block_hash))
        signed = (
            Seal(each, self.keys[each].sign(GENESIS.hash, Domain.COMMIT, word)) for each in seals
        )
        return Certificate(height, 0, block_hash, tuple(signed))

    def receipt(self, raw: bytes) -> bytes:
        here, there = (ReceiptWriter(store).write(SIGNED.decode(raw).id) for store in self.stores)
        assert here == there
        assert here is not None
        return here

    def export(self) -> io.BytesIO:
        file = io.BytesIO()
        writer = ChainWriter(file, GENESIS.chain_id, GENESIS.hash)
        store = self.stores[0]
        for height in range(1, self.height + 1):
            block, certificate = store.block(height), store.certificate(height)
            results = store.results(height)
            assert block is not None
            assert certificate is not None
            assert results is not None
            writer.add(ChainEntry(block, certificate, results))
        file.seek(0)
        return file


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    return Chain(tmp_path)


def admit_regulator(chain: Chain) -> Executed:
    """Announced, asked for, admitted: the block of the deciding vote."""
    chain.commit(chain.signed("admin-r", announcement(chain, "regulator")))
    chain.commit(chain.signed("admin-a", admission("in", "regulator"), vote("in")))
    chain.commit(chain.signed("admin-b", vote("in")))
    return chain.commit(chain.signed("admin-w", vote("in", "for", ready(chain, "regulator"))))


def plain(chain: Chain) -> bytes:
    """Any transaction."""
    return chain.signed("admin-a", removal(f"{chain.height}", "wholesaler"))


def test_the_block_that_admits_is_the_old_validators_and_the_next_one_the_new_ones(
    chain: Chain,
) -> None:
    change = admit_regulator(chain)
    header = change.block.header
    assert change.results == (OK,)
    assert header.validators_hash == GENESIS.validators.hash
    assert chain.validators.members == FOUR
    assert header.next_validators_hash == chain.validators.hash
    following = chain.commit(plain(chain))
    assert following.block.header.validators_hash == chain.validators.hash
    assert following.block.header.next_validators_hash == chain.validators.hash
    for store in chain.stores:
        assert store.lineage(100) == [header.height]
        (step,) = store.lineage_steps(100)
        assert ValidatorSet.decode(step.validators).members == FOUR


def test_a_receipt_from_after_a_change_convinces_who_has_the_genesis_file(chain: Chain) -> None:
    admit_regulator(chain)
    sent = plain(chain)
    chain.commit(sent, seals=("hospital-b", "regulator", "wholesaler"))
    verified = verify_receipt(RECEIPT.decode(chain.receipt(sent)), GENESIS)
    assert (verified.signatures, verified.validators) == (3, 4)


def test_a_receipt_of_the_change_itself_is_certified_by_those_before_it(chain: Chain) -> None:
    chain.commit(chain.signed("admin-r", announcement(chain, "regulator")))
    chain.commit(chain.signed("admin-a", admission("in", "regulator"), vote("in")))
    chain.commit(chain.signed("admin-b", vote("in")))
    deciding = chain.signed("admin-w", vote("in", "for", ready(chain, "regulator")))
    chain.commit(deciding)
    receipt = RECEIPT.decode(chain.receipt(deciding))
    assert receipt.lineage == ()
    assert verify_receipt(receipt, GENESIS).validators == 3


def refusal(receipt: bytes) -> str:
    with pytest.raises(InvalidMessage) as refused:
        verify_receipt(RECEIPT.decode(receipt), GENESIS)
    return refused.value.code


def test_after_a_rotation_the_new_key_counts_and_the_old_one_no_more(chain: Chain) -> None:
    chain.commit(chain.signed("admin-a", announcement(chain, "hospital-a", 1)))
    by_the_old_key = plain(chain)
    chain.commit(by_the_old_key, seals=FIRST)
    assert refusal(chain.receipt(by_the_old_key)) == "certificate.wrong_signature"
    chain.keys["hospital-a"] = key(votes_of("hospital-a", 1))
    by_the_new_key = plain(chain)
    chain.commit(by_the_new_key, seals=FIRST)
    verified = verify_receipt(RECEIPT.decode(chain.receipt(by_the_new_key)), GENESIS)
    assert (verified.signatures, verified.validators) == (3, 3)


def test_who_was_removed_certifies_nothing_any_more(chain: Chain) -> None:
    for voter, more in (("admin-a", [removal("out", "wholesaler", forced=True)]), ("admin-b", [])):
        chain.commit(chain.signed(voter, *more, vote("out")))
    chain.commit(chain.signed("admin-r", vote("out")))
    assert chain.validators.members == ("hospital-a", "hospital-b")
    with_the_removed = plain_of_two(chain)
    chain.commit(with_the_removed, seals=FIRST)
    assert refusal(chain.receipt(with_the_removed)) == "certificate.unknown_validator"
    by_two = plain_of_two(chain)
    chain.commit(by_two, seals=("hospital-a", "hospital-b"))
    assert verify_receipt(RECEIPT.decode(chain.receipt(by_two)), GENESIS).validators == 2


def plain_of_two(chain: Chain) -> bytes:
    return chain.signed("admin-a", removal(f"{chain.height}", "hospital-b"))


def test_validators_that_change_and_change_back_within_a_block_do_not_change(chain: Chain) -> None:
    there = chain.signed("admin-a", announcement(chain, "hospital-a", 1))
    back = chain.signed("admin-a", announcement(chain, "hospital-a"))
    executed = chain.commit(there, back)
    assert executed.results == (OK, OK)
    header = executed.block.header
    assert header.next_validators_hash == header.validators_hash
    assert chain.stores[0].lineage(100) == []
    sent = plain(chain)
    chain.commit(sent)
    assert verify_receipt(RECEIPT.decode(chain.receipt(sent)), GENESIS).validators == 3


def test_a_proposal_that_names_other_validators_for_the_next_height_is_invalid(
    chain: Chain,
) -> None:
    executed, entries = chain.built(chain.signed("admin-a", announcement(chain, "hospital-a", 1)))
    tip = chain.stores[1].tip()
    assert tip is not None
    header = replace(executed.block.header, next_validators_hash=GENESIS.validators.hash)
    lying = replace(executed.block, header=header)
    with pytest.raises(InvalidBlock) as refused:
        chain.follower.validate(tip.header, GENESIS.validators, lying, entries)
    assert (refused.value.code, refused.value.cause) == ("block.other_root", "next_validators_hash")


def test_an_export_with_changes_verifies(chain: Chain) -> None:
    admit_regulator(chain)
    chain.commit(
        chain.signed("admin-b", announcement(chain, "hospital-b", 1)),
        seals=("hospital-a", "regulator", "wholesaler"),
    )
    chain.keys["hospital-b"] = key(votes_of("hospital-b", 1))
    chain.commit(plain(chain), seals=("hospital-b", "regulator", "wholesaler"))
    verified = verify_chain(chain.export(), GENESIS, lambda _: None)
    assert (verified.height, verified.rejected) == (6, 0)


def test_an_export_in_which_the_old_validators_go_on_does_not(chain: Chain) -> None:
    admit_regulator(chain)
    chain.commit(plain(chain), seals=FIRST[:2])
    with pytest.raises(OperatorError) as refused:
        verify_chain(chain.export(), GENESIS, lambda _: None)
    assert "certificate.no_quorum" in refused.value.cause


def forged(chain: Chain) -> bytes:
    """The administrator's own signature, around readiness that is signed by nobody."""
    said = SignedReadiness(ready(chain, "regulator").readiness, bytes(64))
    return chain.signed("admin-r", NodeAnnounce(node_of("regulator"), said))


def test_an_export_with_readiness_that_nobody_signed_does_not_verify(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    def credulous(raw: bytes) -> Entry:
        return Entry(prepare(raw, GENESIS.parameters), key("admin-r").public, 0.0, "api")

    monkeypatch.setattr(chain, "believed", credulous)
    chain.commit(forged(chain))
    with pytest.raises(OperatorError) as refused:
        verify_chain(chain.export(), GENESIS, lambda _: None)
    assert "readiness.wrong_signature at actions[0].readiness" in refused.value.cause


@pytest.mark.parametrize("strict", [True, False])
def test_no_node_takes_readiness_that_nobody_signed(chain: Chain, strict: bool) -> None:
    outcome = chain.offered(forged(chain), strict=strict)
    assert isinstance(outcome, InvalidMessage)
    assert (outcome.code, outcome.field) == (
        "readiness.wrong_signature",
        "actions[0].readiness.signature",
    )
    by_itself = chain.signed("admin-r", announcement(chain, "regulator"))
    assert isinstance(chain.offered(by_itself, strict=strict), Admitted)
