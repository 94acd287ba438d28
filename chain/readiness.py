"""Readiness: a node's own word, signed with its consensus key, of how far it holds the chain.

It shows that somebody who runs a node has the key, and when. Whose key that is, and whether the
word is fresh, is the ledger's to judge. No clock, no network.
"""

from typing import Final

from chain.codec import Codec, Record
from chain.errors import InvalidMessage
from chain.keys import Domain, SigningKey, payload, verify
from chain.types import MemberId, Milliseconds, PublicKey, Signature, Unsigned


class Readiness(Record, frozen=True):
    """`member`'s node holds the chain up to `height` and `consensus_key`, at `at_ms` by its own
    clock, or by the chain's time where that is ahead of it."""

    member: MemberId
    consensus_key: PublicKey
    height: Unsigned
    at_ms: Milliseconds


class SignedReadiness(Record, frozen=True):
    """`signature` is `readiness.consensus_key`'s over `READINESS.encode(readiness)`."""

    readiness: Readiness
    signature: Signature


READINESS: Final = Codec[Readiness](Readiness, name="readiness", bytes_max=512)


def sign_readiness(readiness: Readiness, key: SigningKey, genesis_hash: bytes) -> SignedReadiness:
    """Signs with the key that `readiness` names."""
    assert readiness.consensus_key == key.public, "a node speaks for the key that it holds"
    signature = key.sign(genesis_hash, Domain.READINESS, READINESS.encode(readiness))
    return SignedReadiness(readiness, signature)


def check_readiness(signed: SignedReadiness, genesis_hash: bytes) -> None:
    """Raises `InvalidMessage` unless the key that is named signed this, for this network."""
    canonical = READINESS.encode(signed.readiness)
    message = payload(genesis_hash, Domain.READINESS, canonical)
    if not verify(signed.readiness.consensus_key, signed.signature, message):
        raise InvalidMessage("readiness.wrong_signature", "signature", "does not verify")
