"""Transactions: what a principal asks of the ledger, signed once for any number of actions.

The id is SHA-256 of the signed bytes and excludes the signature, so a wrong signature can never
mark the id of somebody's transaction as seen. Actions are canonical bytes of their own that only
the ledger understands. Attachments are named by hash and size; their bytes travel and live
elsewhere.
"""

from hashlib import sha256
from typing import Annotated, Final

from msgspec import Meta, msgpack

from chain.codec import Codec, Record
from chain.errors import InvalidMessage
from chain.keys import Domain, SigningKey, check_public_key, payload, verify
from chain.types import Hash, Milliseconds, Nonce, PrincipalId, PublicKey, Signature, Unsigned

TRANSACTION_BYTES_MAX: Final = 1 << 20
"""What a decoder will look at. The consortium's own, lower limit is a parameter."""
ACTIONS_MAX: Final = 4_096
ATTACHMENTS_MAX: Final = 4_096
APPROVALS_MAX: Final = 16
ACTION_BYTES_MAX: Final = 1 << 16

ActionBytes = Annotated[bytes, Meta(min_length=2, max_length=ACTION_BYTES_MAX)]


class AttachmentRef(Record, frozen=True):
    """Names an attachment by SHA-256 of its bytes; `size` is their number."""

    hash: Hash
    size: Unsigned


class Approval(Record, frozen=True):
    """A co-signature over sender, nonce and actions: by another principal, or by the sender with a
    second key, to prove that it has that too."""

    principal: PrincipalId
    public_key: PublicKey
    signature: Signature


class Transaction(Record, frozen=True):
    """The signed part. `valid_until_ms` is compared with block time and ends the id's life."""

    sender: PrincipalId
    nonce: Nonce
    valid_until_ms: Milliseconds
    actions: Annotated[tuple[ActionBytes, ...], Meta(min_length=1, max_length=ACTIONS_MAX)]
    attachments: Annotated[tuple[AttachmentRef, ...], Meta(max_length=ATTACHMENTS_MAX)]
    approvals: Annotated[tuple[Approval, ...], Meta(max_length=APPROVALS_MAX)]


class SignedTransaction(Record, frozen=True):
    """`body` is the canonical encoding of a `Transaction`."""

    body: Annotated[bytes, Meta(max_length=TRANSACTION_BYTES_MAX)]
    signature: Signature

    @property
    def id(self) -> bytes:
        """The transaction's id."""
        return sha256(self.body).digest()


BODY: Final = Codec[Transaction](Transaction, name="transaction", bytes_max=TRANSACTION_BYTES_MAX)
SIGNED: Final = Codec[SignedTransaction](
    SignedTransaction, name="signed_transaction", bytes_max=TRANSACTION_BYTES_MAX + 128
)


def merkle_leaf(transaction_id: bytes, signature: bytes) -> bytes:
    """The leaf in a block's transaction tree."""
    return transaction_id + signature


def sign_transaction(
    transaction: Transaction, key: SigningKey, genesis_hash: bytes
) -> SignedTransaction:
    """Signs with the sender's key."""
    body = BODY.encode(transaction)
    return SignedTransaction(body, key.sign(genesis_hash, Domain.TRANSACTION, body))


def signing_payload(signed: SignedTransaction, genesis_hash: bytes) -> bytes:
    """The bytes that the sender's signature covers."""
    return payload(genesis_hash, Domain.TRANSACTION, signed.body)


def approval_payload(
    genesis_hash: bytes, sender: bytes, nonce: bytes, actions: tuple[bytes, ...]
) -> bytes:
    """The bytes that a co-signer signs: who asks, once, for what."""
    return payload(genesis_hash, Domain.APPROVAL, msgpack.encode((sender, nonce, actions)))


def check_shape(transaction: Transaction) -> None:
    """What holds for every transaction without knowing the state; `InvalidMessage` where not."""
    hashes = [attachment.hash for attachment in transaction.attachments]
    if len(set(hashes)) != len(hashes):
        raise InvalidMessage("transaction.repeated_attachment", "attachments")
    principals = [approval.principal for approval in transaction.approvals]
    if len(set(principals)) != len(principals):
        raise InvalidMessage("transaction.repeated_approval", "approvals")
    for index, approval in enumerate(transaction.approvals):
        check_public_key(approval.public_key, f"approvals[{index}].public_key")


def check_approvals(transaction: Transaction, genesis_hash: bytes) -> None:
    """Checks every co-signature against the key it names; the ledger judges whose key that is."""
    if not transaction.approvals:
        return
    message = approval_payload(
        genesis_hash, transaction.sender, transaction.nonce, transaction.actions
    )
    for index, approval in enumerate(transaction.approvals):
        if not verify(approval.public_key, approval.signature, message):
            raise InvalidMessage(
                "transaction.wrong_approval", f"approvals[{index}].signature", "does not verify"
            )
