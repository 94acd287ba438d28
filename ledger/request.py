"""A transaction as the rules see it: who asks, with whose consent, when, on which state."""

from collections.abc import Sequence
from dataclasses import dataclass

from chain.errors import Rejected
from chain.genesis import Parameters
from chain.transaction import Approval
from ledger.entries import PRINCIPAL, PrincipalEntry
from ledger.ids import organization_owner
from ledger.keyspace import principal_key
from ledger.state import Overlay


@dataclass(frozen=True, slots=True)
class BlockContext:
    """The block that is executed; `timestamp_ms` is the only clock."""

    height: int
    timestamp_ms: int


class Request:
    """One transaction on its way through the rules."""

    __slots__ = (
        "_approvals",
        "_proven",
        "action_index",
        "author",
        "block",
        "organization",
        "parameters",
        "principal",
        "sender",
        "state",
        "transaction_id",
    )

    def __init__(
        self,
        state: Overlay,
        block: BlockContext,
        parameters: Parameters,
        transaction_id: bytes,
        sender: bytes,
        principal: PrincipalEntry,
        approvals: Sequence[Approval],
    ) -> None:
        self.state = state
        self.block = block
        self.parameters = parameters
        self.transaction_id = transaction_id
        self.sender = sender
        self.principal = principal
        self.action_index = 0
        """Which of the transaction's actions is at work."""
        self._approvals = approvals
        self._proven: set[bytes] = set()
        patient = principal.kind == "patient"
        self.organization = None if patient else principal.organization
        """For whom the sender acts; None for a patient, who acts for himself."""
        self.author = sender if patient else organization_owner(principal.organization)
        """The 16 bytes under which category keys name the sender as an author."""

    def require_proof(self, principal: bytes, public_key: bytes, field: str) -> None:
        """Demands that `public_key`, which is new to the state, co-signed for `principal`."""
        for approval in self._approvals:
            if approval.principal == principal and approval.public_key == public_key:
                self._proven.add(principal)
                return
        raise Rejected("approval.missing", field)

    def require_approval(self, principal: bytes, field: str) -> None:
        """Demands that `principal` co-signed; `judge_approvals` says with which keys it may."""
        if all(approval.principal != principal for approval in self._approvals):
            raise Rejected("approval.missing", field)

    def judge_approvals(self) -> None:
        """Demands of every other approval a key that is its principal's at this block's time.

        An approval that proves nothing must not stand on the chain as if it did.
        """
        for index, approval in enumerate(self._approvals):
            if approval.principal in self._proven:
                continue
            field = f"approvals[{index}]"
            entry = self.state.read(principal_key(approval.principal), PRINCIPAL)
            if entry is None:
                raise Rejected("approval.unknown_principal", f"{field}.principal")
            if approval.public_key not in valid_keys(entry, self.block.timestamp_ms):
                raise Rejected("approval.key_not_valid", f"{field}.public_key")


def valid_keys(entry: PrincipalEntry, at_ms: int) -> tuple[bytes, ...]:
    """The keys whose signatures count at block time `at_ms`."""
    return tuple(
        key.public_key
        for key in entry.signing_keys
        if key.valid_until_ms is None or at_ms < key.valid_until_ms
    )
