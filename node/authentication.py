"""Every signature of a consensus packet, checked before the replica sees it.

The replica has no crypto; this is where it gets the right to believe. Signatures, and certificates
inside messages, are checked against the validators of the height being decided, the only ones that
a node can know. A message of a height with others fails here; that is nobody's fault.
"""

from collections.abc import Iterable, Iterator

from chain.block import Block
from chain.certificate import Certificate
from chain.errors import InvalidMessage
from chain.keys import Domain, payload, verify
from chain.merkle import MerkleTree
from chain.transaction import SIGNED, merkle_leaf
from chain.validators import ValidatorSet
from consensus.messages import (
    DOMAINS,
    MESSAGE,
    Message,
    NewView,
    Packet,
    Prepare,
    PreparedCertificate,
    PrePrepare,
    Signed,
    Status,
    ViewChange,
)


class Unverified(InvalidMessage):
    """A signature that is not of these validators: the fault of whoever knows them, and they are
    those of the message's height."""


Check = tuple[str, bytes, bytes]
"""Who signed, the signature, the bytes that it covers."""


def signing_payload(message: Message, genesis_hash: bytes) -> bytes:
    """The bytes that a validator signs for `message`."""
    return payload(genesis_hash, DOMAINS[type(message)], MESSAGE.encode(message))


def authenticate(packet: Packet, validators: ValidatorSet, genesis_hash: bytes) -> None:
    """Raises `Unverified` unless every signature in `packet` is its validator's, and
    `InvalidMessage` where a block is not the one of its header."""
    signed = packet.signed
    if packet.block is not None:
        check_body(packet.block)
    covered = signing_payload(signed.message, genesis_hash)
    _verify(validators, signed.sender, signed.signature, covered)
    for check in _nested(signed, genesis_hash):
        _verify(validators, *check)


def _verify(validators: ValidatorSet, member: str, signature: bytes, covered: bytes) -> None:
    public_key = validators.key(member)
    if public_key is None:
        raise Unverified("consensus.unknown_validator", "sender")
    if not verify(public_key, signature, covered):
        raise Unverified("consensus.wrong_signature", "signature")


def proof_of(message: Message, height: int) -> Certificate | None:
    """What a Status proves the decision of `height` with; None where it does not claim it.

    Its author vouches for it. A peer that relays it may be at another height, where it is no more
    than a hint that nobody can check.
    """
    tip = message.tip if isinstance(message, Status) else None
    return tip if tip is not None and tip.height == height else None


def check_body(block: Block) -> None:
    """The transactions are those that the header commits to; what they say is checked later."""
    leaves = []
    for raw in block.transactions:
        signed = SIGNED.decode(raw)
        leaves.append(merkle_leaf(signed.id, signed.signature))
    if MerkleTree(leaves).root != block.header.transaction_root:
        raise InvalidMessage("block.other_root", "block.header.transaction_root")


def checks(packet: Packet) -> int:
    """How much `authenticate` has to do, in signatures and transactions: tells whether it belongs
    in a thread."""
    transactions = len(packet.block.transactions) if packet.block is not None else 0
    return transactions + _signatures(packet)


def _signatures(packet: Packet) -> int:
    match packet.signed.message:
        case NewView(view_changes=changes):
            return 2 + sum(1 + _prepares(change.view_change.prepared) for change in changes)
        case ViewChange(prepared=prepared):
            return 1 + _prepares(prepared)
        case Status(tip=tip):
            return 1 + (len(tip.seals) if tip else 0)
        case _:
            return 1


def _prepares(certificate: PreparedCertificate | None) -> int:
    return len(certificate.prepares) if certificate else 0


def _nested(signed: Signed, genesis_hash: bytes) -> Iterable[Check]:
    """What others have signed, and the proposal of a NewView."""
    match signed.message:
        case ViewChange(height=height, prepared=prepared):
            return _prepared(height, prepared, genesis_hash)
        case NewView() as new_view:
            return _new_view(signed.sender, new_view, genesis_hash)
        case _:
            return ()


def _new_view(sender: str, new_view: NewView, genesis_hash: bytes) -> Iterator[Check]:
    proposal = PrePrepare(new_view.height, new_view.view, new_view.block_hash)
    yield sender, new_view.pre_prepare_signature, signing_payload(proposal, genesis_hash)
    for change in new_view.view_changes:
        yield (
            change.sender,
            change.signature,
            signing_payload(change.view_change, genesis_hash),
        )
        yield from _prepared(new_view.height, change.view_change.prepared, genesis_hash)


def _prepared(
    height: int, certificate: PreparedCertificate | None, genesis_hash: bytes
) -> Iterator[Check]:
    if certificate is None:
        return
    covered = payload(
        genesis_hash,
        Domain.PREPARE,
        MESSAGE.encode(Prepare(height, certificate.view, certificate.block_hash)),
    )
    for prepare in certificate.prepares:
        yield prepare.sender, prepare.signature, covered
