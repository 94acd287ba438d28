"""The state tree against a plain dict: roots, proofs of presence and of absence, forgeries."""

import itertools
from collections.abc import Mapping
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.errors import InvalidMessage
from chain.state_proof import ARITY, PAIR_BYTES, STATE_PROOF, StateProof, verify_state_proof
from storage.errors import StoreDamaged
from storage.state import StateTree
from tests.storage.held_buckets import HeldBuckets

KEYS = st.sampled_from([b"key %d" % i for i in range(40)])
WRITES = st.lists(
    st.dictionaries(KEYS, st.one_of(st.none(), st.binary(max_size=3)), max_size=12), max_size=8
)
BUCKETS = st.sampled_from([1, 16, 256])


class Twin:
    """A tree with its buckets, beside a plain dict."""

    def __init__(self, buckets: int) -> None:
        self.stored = HeldBuckets()
        self.tree = StateTree(buckets)
        self.model: dict[bytes, bytes] = {}

    def write(self, writes: Mapping[bytes, bytes | None]) -> None:
        staged = self.tree.stage(self.stored, writes)
        self.stored.apply(staged)
        self.tree.apply(staged)
        assert self.tree.root == staged.root
        for key, value in writes.items():
            if value is None:
                self.model.pop(key, None)
            else:
                self.model[key] = value

    def prove(self, key: bytes) -> StateProof:
        key_digest = sha256(key).digest()
        bucket = self.stored.get(self.tree.bucket_index(key_digest), b"")
        return self.tree.prove(bucket, key_digest)


def root_by_definition(model: Mapping[bytes, bytes], buckets: int) -> bytes:
    """The root from scratch, as `chain.state_proof` defines it."""
    digests = sorted((sha256(k).digest(), sha256(v).digest()) for k, v in model.items())
    grouped: list[bytes] = [b""] * buckets
    for key, value in digests:
        grouped[int.from_bytes(key, "big") * buckets >> 256] += key + value
    level = [sha256(b"\0" + bucket).digest() for bucket in grouped]
    while len(level) > 1:
        level = [
            sha256(b"\1" + b"".join(level[i : i + ARITY])).digest()
            for i in range(0, len(level), ARITY)
        ]
    return level[0]


@settings(max_examples=60, deadline=None)
@given(blocks=WRITES, buckets=BUCKETS)
def test_any_history_gives_the_root_of_its_content(
    blocks: list[dict[bytes, bytes | None]], buckets: int
) -> None:
    twin = Twin(buckets)
    for writes in blocks:
        twin.write(writes)
        assert twin.tree.root == root_by_definition(twin.model, buckets)
    again = StateTree(buckets)
    again.load(sorted(twin.stored.items()))
    assert again.root == twin.tree.root


@settings(max_examples=60, deadline=None)
@given(blocks=WRITES, buckets=BUCKETS, key=st.one_of(KEYS, st.binary(max_size=4)))
def test_every_key_can_be_proven_present_or_absent(
    blocks: list[dict[bytes, bytes | None]], buckets: int, key: bytes
) -> None:
    twin = Twin(buckets)
    for writes in blocks:
        twin.write(writes)
    proof = STATE_PROOF.decode(STATE_PROOF.encode(twin.prove(key)))
    shown = verify_state_proof(proof, key, twin.tree.root)
    value = twin.model.get(key)
    assert shown == (None if value is None else sha256(value).digest())


@pytest.fixture
def full() -> Twin:
    twin = Twin(16)
    twin.write({b"key %d" % i: b"value %d" % i for i in range(60)})
    return twin


@settings(max_examples=100, deadline=None)
@given(place=st.integers(min_value=0), bit=st.integers(0, 7))
def test_no_changed_proof_verifies(place: int, bit: int) -> None:
    twin = Twin(16)
    twin.write({b"key %d" % i: b"value %d" % i for i in range(60)})
    raw = bytearray(STATE_PROOF.encode(twin.prove(b"key 1")))
    raw[place % len(raw)] ^= 1 << bit
    with pytest.raises(InvalidMessage):
        verify_state_proof(STATE_PROOF.decode(bytes(raw)), b"key 1", twin.tree.root)


def test_a_proof_shows_nothing_about_another_root_or_another_bucket(full: Twin) -> None:
    proof = full.prove(b"key 1")
    with pytest.raises(InvalidMessage, match="wrong_root"):
        verify_state_proof(proof, b"key 1", bytes(32))
    for other in range(60):
        key = b"key %d" % other
        try:
            shown = verify_state_proof(proof, key, full.tree.root)
        except InvalidMessage:
            continue
        assert shown == sha256(b"value %d" % other).digest()


def test_a_dishonest_root_cannot_hide_a_key(full: Twin) -> None:
    """Pairs out of order, repeated, cut, or at home elsewhere are refused even under their root."""
    proof = full.prove(b"key 1")
    pairs = [proof.bucket[i : i + PAIR_BYTES] for i in range(0, len(proof.bucket), PAIR_BYTES)]
    assert len(pairs) > 1
    foreign = next(
        digest
        for digest in (sha256(b"%d" % i).digest() for i in itertools.count())
        if digest[0] >> 4 != pairs[0][0] >> 4
    )
    for bucket in (
        b"".join(reversed(pairs)),
        pairs[0] + pairs[0],
        proof.bucket[:-1],
        b"".join(sorted([*pairs, foreign + bytes(32)])),
    ):
        with pytest.raises(InvalidMessage, match="pairs"):
            verify_state_proof(StateProof(bucket, proof.siblings), b"key 1", full.tree.root)


def test_a_value_equal_to_a_key_is_no_key(full: Twin) -> None:
    """Its digest stands in the bucket as a value, and must not be taken for a pair."""
    full.write({b"holder": b"absent"})
    assert verify_state_proof(full.prove(b"absent"), b"absent", full.tree.root) is None


def test_a_bucket_that_was_changed_on_disk_is_not_proven(full: Twin) -> None:
    index = full.tree.bucket_index(sha256(b"key 1").digest())
    bucket = bytearray(full.stored[index])
    bucket[40] ^= 1
    full.stored[index] = bytes(bucket)
    with pytest.raises(StoreDamaged, match="bucket_damaged"):
        full.prove(b"key 1")


def test_a_staged_tree_is_worth_nothing_once_the_tip_moved(full: Twin) -> None:
    staged = full.tree.stage(full.stored, {b"key 1": b"x"})
    full.write({b"key 2": b"y"})
    with pytest.raises(AssertionError):
        full.tree.apply(staged)


@pytest.mark.parametrize("buckets", [0, 2, 17, 16**7])
def test_bucket_counts_are_powers_of_sixteen(buckets: int) -> None:
    with pytest.raises(ValueError, match="power of 16"):
        StateTree(buckets)
