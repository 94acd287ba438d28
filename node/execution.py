"""From transactions to a block and back: what a proposal says happened must happen here too.

Pure work on top of the tip: nothing is changed before `commit`. Runs in worker threads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chain.block import Block, Header, Result, result_tree
from chain.errors import InvalidMessage
from chain.genesis import Genesis
from chain.merkle import MerkleTree
from chain.transaction import merkle_leaf
from chain.validators import ValidatorSet
from ledger.execute import Execution, admissible, execute, execute_admissible
from ledger.keyspace import VALIDATORS_KEY
from ledger.prepare import Prepared
from ledger.request import BlockContext
from ledger.state import DecodedState, decoded
from node.mempool import Entry
from storage.protocols import StagedState, Store


@dataclass(frozen=True, slots=True)
class Executed:
    """A block with all that committing it takes."""

    block: Block
    block_hash: bytes
    prepared: Sequence[Prepared]
    results: tuple[Result, ...]
    writes: Mapping[bytes, bytes | None]
    staged: StagedState
    validators: ValidatorSet


class InvalidBlock(Exception):  # noqa: N818 - the verdict, as `InvalidMessage` is
    """A proposal that no correct primary makes; `code` says which rule, for log and evidence."""

    def __init__(self, code: str, cause: str = "") -> None:
        super().__init__(f"{code}: {cause}" if cause else code)
        self.code = code
        self.cause = cause


class Executor:
    """Executes on top of the store's tip. Changes nothing; `Store.commit` does."""

    def __init__(self, genesis: Genesis, store: Store) -> None:
        self._genesis = genesis
        self._store = store

    @property
    def tip_height(self) -> int:
        """Of the block that the next one goes on top of."""
        tip = self._store.tip()
        assert tip is not None, "a running node has a genesis block"
        return tip.header.height

    def build(
        self,
        tip: Header,
        validators: ValidatorSet,
        entries: Sequence[Entry],
        timestamp_ms: int,
        proposer: str,
    ) -> tuple[Executed, list[Entry]]:
        """A block of those of `entries` that are admissible, and the others: they never will be."""
        context = BlockContext(tip.height + 1, timestamp_ms)
        state = decoded(self._store.state)
        carried: list[Entry] = []
        stale: list[Entry] = []
        for entry in entries:
            (carried if _still_admissible(state, context, entry) else stale).append(entry)
        prepared = [entry.prepared for entry in carried]
        execution = execute_admissible(state, context, prepared)
        executed = self._assemble(tip, validators, context, proposer, prepared, execution)
        return executed, stale

    def validate(
        self, tip: Header, validators: ValidatorSet, block: Block, entries: Sequence[Entry]
    ) -> Executed:
        """Executes `block`, whose transactions are `entries` in order, and compares every root.

        The caller has checked signatures, and that none comes twice. Raises `InvalidBlock`.
        """
        header = block.header
        self.check_header(tip, validators, block)
        context = BlockContext(header.height, header.timestamp_ms)
        state = decoded(self._store.state)
        for index, entry in enumerate(entries):
            if not _still_admissible(state, context, entry):
                raise InvalidBlock("block.inadmissible", f"transactions[{index}]")
        prepared = [entry.prepared for entry in entries]
        execution = execute_admissible(state, context, prepared)
        executed = self._assemble(tip, validators, context, header.proposer, prepared, execution)
        return self._agreed(header, executed, block)

    def replay(
        self, tip: Header, validators: ValidatorSet, block: Block, prepared: Sequence[Prepared]
    ) -> Executed:
        """Executes a certified block: its certificate stands for signatures and admissibility."""
        self.check_header(tip, validators, block)
        context = BlockContext(block.header.height, block.header.timestamp_ms)
        try:
            execution = execute(self._store.state, context, prepared)
        except InvalidMessage as refusal:
            raise InvalidBlock("block.inadmissible", refusal.field) from refusal
        executed = self._assemble(
            tip, validators, context, block.header.proposer, prepared, execution
        )
        return self._agreed(block.header, executed, block)

    def check_header(self, tip: Header, validators: ValidatorSet, block: Block) -> None:
        """What a header must say before anything is executed."""
        header = block.header
        if header.chain_id != self._genesis.chain_id:
            raise InvalidBlock("block.other_chain")
        if (header.height, header.parent_hash) != (tip.height + 1, tip.hash):
            raise InvalidBlock("block.other_parent")
        if header.timestamp_ms <= tip.timestamp_ms:
            raise InvalidBlock("block.time_not_rising")
        if header.validators_hash != validators.hash:
            raise InvalidBlock("block.other_validators")

    def _assemble(
        self,
        tip: Header,
        validators: ValidatorSet,
        context: BlockContext,
        proposer: str,
        prepared: Sequence[Prepared],
        execution: Execution,
    ) -> Executed:
        staged = self._store.stage(execution.writes)
        changed = execution.writes.get(VALIDATORS_KEY)
        following = validators if changed is None else ValidatorSet.decode(changed)
        leaves = [merkle_leaf(each.id, each.signature) for each in prepared]
        header = Header(
            self._genesis.chain_id,
            context.height,
            tip.hash,
            context.timestamp_ms,
            proposer,
            MerkleTree(leaves).root,
            result_tree(execution.results).root,
            staged.root,
            validators.hash,
            following.hash,
        )
        block = Block(header, tuple(each.raw for each in prepared))
        return Executed(
            block,
            header.hash,
            prepared,
            execution.results,
            execution.writes,
            staged,
            following,
        )

    @staticmethod
    def _agreed(header: Header, executed: Executed, block: Block) -> Executed:
        ours = executed.block.header
        for root in (
            "transaction_root",
            "result_root",
            "state_root",
            "next_validators_hash",
        ):
            if getattr(header, root) != getattr(ours, root):
                raise InvalidBlock("block.other_root", root)
        assert executed.block_hash == header.hash, "all fields were compared"
        assert executed.block.transactions == block.transactions, "the root was compared"
        return executed


def _still_admissible(state: DecodedState, context: BlockContext, entry: Entry) -> bool:
    """Keys and time may have moved on since the signature was checked."""
    try:
        keys = admissible(state, context, entry.prepared)
    except InvalidMessage:
        return False
    return entry.key in keys
