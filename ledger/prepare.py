"""From the bytes of a transaction to what the rules take: everything that needs no state.

Whatever fails here is malformed: no block holds it.
"""

from chain.codec import Value
from chain.errors import InvalidMessage
from chain.genesis import Parameters
from chain.readiness import SignedReadiness, check_readiness
from chain.transaction import (
    BODY,
    SIGNED,
    SignedTransaction,
    Transaction,
    check_approvals,
    check_shape,
)
from ledger.actions import Action, attachments_of, decode_action
from ledger.governance_actions import NodeAnnounce, ProposalVote
from ledger.lanes import Lane, lane_of
from ledger.weights import weight_of
from ledger.wellformed import check_action


class Prepared(Value, frozen=True, eq=False):
    """A well-formed transaction, decoded once for good. `raw` encodes `signed`."""

    raw: bytes
    signed: SignedTransaction
    transaction: Transaction
    id: bytes
    actions: tuple[Action, ...]
    lane: Lane
    weight: int

    @property
    def signature(self) -> bytes:
        """The sender's, not checked yet."""
        return self.signed.signature


def prepare(raw: bytes, parameters: Parameters) -> Prepared:
    """Decodes an encoded `SignedTransaction`.

    Raises `InvalidMessage` where it is malformed or beyond the limits of `parameters`; the field
    points into the transaction (`actions[3].record`). Signatures are the caller's to check.
    """
    _check_size(raw, parameters)
    signed = SIGNED.decode(raw)
    transaction = BODY.decode(signed.body)
    _check_counts(transaction, parameters)
    check_shape(transaction)
    actions = tuple(
        [_decode_action(action, index) for index, action in enumerate(transaction.actions)]
    )
    _check_attachments(transaction, actions)
    weight = sum([weight_of(action) for action in actions])
    _check_weight(weight, parameters)
    return Prepared(raw, signed, transaction, signed.id, actions, lane_of(actions), weight)


def check_signed_within(prepared: Prepared, genesis_hash: bytes) -> None:
    """Checks every signature but the sender's against the key that it names; whose keys these are,
    the rules judge. Raises `InvalidMessage` with a pointer."""
    check_approvals(prepared.transaction, genesis_hash)
    for index, action in enumerate(prepared.actions):
        match action:
            case ProposalVote():
                for place, signed in enumerate(action.readiness):
                    here = f"actions[{index}].readiness[{place}]"
                    _check_readiness(signed, genesis_hash, here)
            case NodeAnnounce():
                _check_readiness(action.readiness, genesis_hash, f"actions[{index}].readiness")
            case _:
                pass


def check_limits(prepared: Prepared, parameters: Parameters) -> None:
    """Size, counts and weight; the parameters may have changed since `prepare`."""
    _check_size(prepared.raw, parameters)
    _check_counts(prepared.transaction, parameters)
    _check_weight(prepared.weight, parameters)


def _check_weight(weight: int, parameters: Parameters) -> None:
    if weight > parameters.transaction_weight_max:
        raise InvalidMessage(
            "transaction.too_heavy",
            "actions",
            f"weight {weight}, at most {parameters.transaction_weight_max}",
        )


def _check_size(raw: bytes, parameters: Parameters) -> None:
    if len(raw) > parameters.transaction_bytes_max:
        raise InvalidMessage(
            "transaction.too_large",
            "transaction",
            f"{len(raw)} bytes, at most {parameters.transaction_bytes_max}",
        )


def _check_counts(transaction: Transaction, parameters: Parameters) -> None:
    if len(transaction.actions) > parameters.actions_max:
        raise InvalidMessage(
            "transaction.too_many_actions", "actions", f"at most {parameters.actions_max}"
        )
    if len(transaction.attachments) > parameters.attachments_max:
        raise InvalidMessage(
            "transaction.too_many_attachments",
            "attachments",
            f"at most {parameters.attachments_max}",
        )
    for index, attachment in enumerate(transaction.attachments):
        if attachment.size > parameters.attachment_bytes_max:
            raise InvalidMessage(
                "transaction.attachment_too_large",
                f"attachments[{index}].size",
                f"at most {parameters.attachment_bytes_max} bytes",
            )


def _check_readiness(signed: SignedReadiness, genesis_hash: bytes, field: str) -> None:
    try:
        check_readiness(signed, genesis_hash)
    except InvalidMessage as error:
        raise InvalidMessage(error.code, f"{field}.{error.field}", error.cause) from None


def _decode_action(raw: bytes, index: int) -> Action:
    field = f"actions[{index}]"
    action = decode_action(raw, field)
    check_action(action, field)
    return action


def _check_attachments(transaction: Transaction, actions: tuple[Action, ...]) -> None:
    """Actions name the transaction's attachments, all of them and no others."""
    listed = {attachment.hash: False for attachment in transaction.attachments}
    for index, action in enumerate(actions):
        for name, named in attachments_of(action):
            if named not in listed:
                raise InvalidMessage(
                    "transaction.missing_attachment",
                    f"actions[{index}].{name}",
                    "not among the transaction's attachments",
                )
            listed[named] = True
    for index, used in enumerate(listed.values()):
        if not used:
            raise InvalidMessage(
                "transaction.unused_attachment",
                f"attachments[{index}].hash",
                "no action names it",
            )
