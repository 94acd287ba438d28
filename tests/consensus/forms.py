"""Blocks, votes and their signatures, made by hand: what replicas in tests say to each other.

Signatures are keyed hashes; `is_genuine` and `is_certified` check them as a shell would.
"""

from collections.abc import Mapping
from hashlib import sha256

import nacl.bindings
from msgspec.structs import replace

from chain.block import ZERO_HASH, Block, Header
from chain.certificate import Certificate, Commit
from chain.validators import Validator, ValidatorSet
from consensus.messages import (
    MESSAGE,
    Message,
    NewView,
    Packet,
    Prepare,
    PrePrepare,
    Signed,
    SignedPrepare,
    SignedViewChange,
    ViewChange,
)
from consensus.tip import Tip

NAMES = ("a", "b", "c", "d", "e", "f", "g")
TERM_BLOCKS = 1_000
KEYS = {
    name: nacl.bindings.crypto_sign_seed_keypair(sha256(name.encode()).digest())[0]
    for name in (*NAMES, *map(str.upper, NAMES))
}
"""Public keys by name: a member's first one has its name, the one after that the capital."""
_KEY_NAMES = {key: name for name, key in KEYS.items()}


def validators_of(n: int) -> ValidatorSet:
    return seats({name: name for name in NAMES[:n]})


def seats(keys: Mapping[str, str]) -> ValidatorSet:
    """Validators by name, each with the key of that name."""
    return ValidatorSet(tuple(Validator(member, KEYS[name]) for member, name in keys.items()))


def key_name(validators: ValidatorSet, member: str) -> str:
    """The name of the key that a member signs with; none that anybody has, without a seat."""
    key = validators.key(member)
    return _KEY_NAMES.get(key, member) if key is not None else ""


def genesis_tip(n: int) -> Tip:
    validators = validators_of(n)
    header = Header(
        "test",
        0,
        ZERO_HASH,
        1,
        "a",
        ZERO_HASH,
        ZERO_HASH,
        ZERO_HASH,
        validators.hash,
        validators.hash,
    )
    return Tip(header, None, validators)


def seal(key: str, message: Message) -> bytes:
    """The signature with the key of that name."""
    digest = sha256(key.encode() + b"\0" + MESSAGE.encode(message)).digest()
    return digest + digest


def signed(member: str, message: Message, block: Block | None = None) -> Packet:
    return Packet(Signed(member, message, seal(member, message)), block)


def state_root(parent: bytes, transactions: tuple[bytes, ...]) -> bytes:
    return sha256(parent + b"".join(transactions)).digest()


def validators_after(before: ValidatorSet, transactions: tuple[bytes, ...]) -> ValidatorSet:
    """`+e` gives e a seat, `-e` takes it unless it is the last, `~e` puts its second key there."""
    changes = [one for one in transactions if one[:1] in {b"+", b"-", b"~"}]
    if not changes:
        return before
    keys = {member: key_name(before, member) for member in before.members}
    for kind, member in ((one[:1], one[1:].decode()) for one in changes):
        if kind == b"+":
            keys.setdefault(member, member)
        elif kind == b"-" and len(keys) > 1:
            keys.pop(member, None)
        elif kind == b"~" and member in keys:
            keys[member] = member.upper()
    return seats(keys)


def block_on(tip: Tip, proposer: str, *transactions: bytes, late_ms: int = 1) -> Block:
    parent = tip.header
    header = Header(
        parent.chain_id,
        parent.height + 1,
        tip.hash,
        parent.timestamp_ms + late_ms,
        proposer,
        sha256(b"".join(transactions)).digest(),
        ZERO_HASH,
        state_root(parent.state_root, transactions),
        tip.validators.hash,
        validators_after(tip.validators, transactions).hash,
    )
    return Block(header, transactions)


def changing(block: Block, validators: ValidatorSet) -> Block:
    """`block`, with other validators after it."""
    header = replace(block.header, next_validators_hash=validators.hash)
    return Block(header, block.transactions)


def is_genuine(packet: Packet, validators: ValidatorSet) -> bool:
    """What a shell verifies before a replica sees a packet: every signature, and the block."""
    outer, block = packet.signed, packet.block
    author = key_name(validators, outer.sender)
    if seal(author, outer.message) != outer.signature:
        return False
    if block is not None and not body_matches(block):
        return False
    message = outer.message
    if isinstance(message, ViewChange):
        return _prepares_genuine(message, validators)
    if isinstance(message, NewView):
        proposal = PrePrepare(message.height, message.view, message.block_hash)
        return seal(author, proposal) == message.pre_prepare_signature and all(
            seal(key_name(validators, nested.sender), nested.view_change) == nested.signature
            and _prepares_genuine(nested.view_change, validators)
            for nested in message.view_changes
        )
    return True


def body_matches(block: Block) -> bool:
    return block.header.transaction_root == sha256(b"".join(block.transactions)).digest()


def _prepares_genuine(view_change: ViewChange, validators: ValidatorSet) -> bool:
    prepared = view_change.prepared
    if prepared is None:
        return True
    vote = Prepare(view_change.height, prepared.view, prepared.block_hash)
    return all(
        seal(key_name(validators, one.sender), vote) == one.signature for one in prepared.prepares
    )


def is_certified(certificate: Certificate, validators: ValidatorSet) -> bool:
    commit = Commit(certificate.height, certificate.view, certificate.block_hash)
    names = [one.validator for one in certificate.seals]
    return (
        names == sorted(set(names))
        and all(name in validators for name in names)
        and len(names) >= validators.quorum
        and all(
            seal(key_name(validators, one.validator), commit) == one.signature
            for one in certificate.seals
        )
    )


def prepares(height: int, view: int, block_hash: bytes, *members: str) -> tuple[SignedPrepare, ...]:
    vote = Prepare(height, view, block_hash)
    return tuple(SignedPrepare(member, seal(member, vote)) for member in members)


def nested(member: str, view_change: ViewChange) -> SignedViewChange:
    return SignedViewChange(member, view_change, seal(member, view_change))


def new_view(
    sender: str, height: int, view: int, block: Block, *view_changes: SignedViewChange
) -> Packet:
    block_hash = block.header.hash
    proposal = seal(sender, PrePrepare(height, view, block_hash))
    return signed(sender, NewView(height, view, view_changes, block_hash, proposal), block)
