"""Proofs that a key has a value in the state, or has none, and their verifier. Pure.

The state is a tree over hash buckets. A key's digest is SHA-256 of the key; its first bits number
its bucket. A bucket is the sorted pairs key digest (32) ‖ value digest (32) of all its keys; its
digest is SHA-256(0x00 ‖ pairs). Above, every node has `ARITY` children and the digest
SHA-256(0x01 ‖ their digests). A proof shows the whole bucket, so it proves absence just as well.
"""

from hashlib import sha256
from typing import Annotated, Final

from msgspec import Meta

from chain.codec import Codec, Record
from chain.errors import InvalidMessage

ARITY: Final = 16
ARITY_BITS: Final = 4
DIGEST_BYTES: Final = 32
PAIR_BYTES: Final = 64
LEVELS_MAX: Final = 6
BUCKET_BYTES_MAX: Final = 1 << 20

_Siblings = Annotated[
    bytes,
    Meta(min_length=(ARITY - 1) * DIGEST_BYTES, max_length=(ARITY - 1) * DIGEST_BYTES),
]


class StateProof(Record, frozen=True):
    """`bucket` holds the pairs of the key's bucket; `siblings`, from the bucket up, the digests of
    the other children of each node on the way, concatenated in order."""

    bucket: Annotated[bytes, Meta(max_length=BUCKET_BYTES_MAX)]
    siblings: Annotated[tuple[_Siblings, ...], Meta(max_length=LEVELS_MAX)]


STATE_PROOF: Final = Codec[StateProof](
    StateProof, name="state_proof", bytes_max=BUCKET_BYTES_MAX + 4_096
)


def bucket_index(key_digest: bytes, levels: int) -> int:
    """The number of the bucket of a key, in a tree with `levels` levels above its buckets."""
    return int.from_bytes(key_digest[:4], "big") >> (32 - ARITY_BITS * levels)


def verify_state_proof(proof: StateProof, key: bytes, root: bytes) -> bytes | None:
    """SHA-256 of the value that `key` has under `root`, or None where it has none.

    Raises `InvalidMessage` (`state_proof.*`) where the proof shows neither.
    """
    key_digest = sha256(key).digest()
    levels = len(proof.siblings)
    pairs = _pairs(proof.bucket, key_digest, levels)
    digest = sha256(b"\0" + proof.bucket).digest()
    index = bucket_index(key_digest, levels)
    for siblings in proof.siblings:
        place = index % ARITY * DIGEST_BYTES
        digest = sha256(b"\1" + siblings[:place] + digest + siblings[place:]).digest()
        index //= ARITY
    if digest != root:
        raise InvalidMessage("state_proof.wrong_root", "siblings", "leads to another root")
    return pairs.get(key_digest)


def _pairs(bucket: bytes, key_digest: bytes, levels: int) -> dict[bytes, bytes]:
    """The pairs of a bucket, refused unless each is whole, in order and at home in it.

    An honest root commits to nothing else; this keeps a dishonest one from hiding a key.
    """
    if len(bucket) % PAIR_BYTES:
        raise InvalidMessage("state_proof.pairs", "bucket", "not whole pairs")
    digests = [bucket[i : i + DIGEST_BYTES] for i in range(0, len(bucket), PAIR_BYTES)]
    if any(digests[i] >= digests[i + 1] for i in range(len(digests) - 1)):
        raise InvalidMessage("state_proof.pairs", "bucket", "not in order")
    home = bucket_index(key_digest, levels)
    if any(bucket_index(digest, levels) != home for digest in digests):
        raise InvalidMessage("state_proof.pairs", "bucket", "a key of another bucket")
    values = range(DIGEST_BYTES, len(bucket), PAIR_BYTES)
    return {digest: bucket[i : i + DIGEST_BYTES] for digest, i in zip(digests, values, strict=True)}
