"""From parts to a node that can run: the same for the real machine and for a simulated one."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from chain.block import BLOCK, ZERO_HASH, Header, result_tree
from chain.genesis import GENESIS, Genesis
from chain.keys import SigningKey
from chain.merkle import EMPTY_ROOT
from chain.validators import ValidatorSet
from consensus.evidence import EvidenceLog
from consensus.messages import DOMAINS, MESSAGE, Message
from consensus.relay import RelayTable
from consensus.replica import Replica
from consensus.timing import Timing
from consensus.tip import Tip
from consensus.votes import VOTE_RECORD
from ledger.genesis import genesis_writes
from ledger.queries import validators as validators_of
from node.engine import Engine
from node.member import MemberNode, Parts
from node.overrides import latest
from storage.protocols import Store
from storage.votes import VoteStore

_LOG: Final = logging.getLogger("medlock.node")


def begin_chain(store: Store, genesis: Genesis) -> None:
    """Writes block 0, the same on every node: nobody proposed it, nobody votes for it."""
    writes = genesis_writes(genesis)
    validators_hash = genesis.validators.hash
    header = Header(
        genesis.chain_id,
        0,
        ZERO_HASH,
        genesis.time_ms,
        genesis.first_proposer,
        EMPTY_ROOT,
        result_tree(()).root,
        store.stage(writes).root,
        validators_hash,
        validators_hash,
    )
    store.begin(header, GENESIS.encode(genesis), writes)


def timing_of(genesis: Genesis) -> Timing:
    """The replica's patience, as the consortium agreed on it."""
    parameters = genesis.parameters
    return Timing(
        base_s=parameters.timeout_base_ms / 1_000,
        cap_s=parameters.timeout_ms_max / 1_000,
        idle_s=parameters.idle_timeout_ms / 1_000,
    )


def assemble(parts: Parts, keys: Sequence[SigningKey], votes: VoteStore) -> MemberNode:
    """A node on `parts` that holds the consensus `keys`: at each height the one that its seat has
    there votes, and where none of them is the seat's, it observes.

    Without a trustworthy vote record it abstains until that is safe.
    """
    genesis_hash = parts.genesis.hash
    stored = votes.load()
    if stored.condition != "ok":
        _LOG.error(
            "vote record is %s: this node abstains until it is provably past what it may have said",
            stored.condition,
        )
    override = latest(votes.overrides())
    if override is not None:
        _LOG.warning("%s", override.sentence(), extra={"reason": override.reason})
    found = parts.store.tip()
    assert found is not None, "the chain has begun"
    tip = Tip(found.header, found.certificate, validators_of(parts.store.state))

    def signer(validators: ValidatorSet) -> Callable[[Message], bytes] | None:
        seat = validators.key(parts.me)
        key = next((each for each in keys if each.public == seat), None)
        if key is None:
            return None
        return lambda message: key.sign(
            genesis_hash, DOMAINS[type(message)], MESSAGE.encode(message)
        )

    replica = Replica(
        parts.me,
        tip,
        timing_of(parts.genesis),
        parts.genesis.parameters.term_blocks,
        signer,
        VOTE_RECORD.decode(stored.record) if stored.record is not None else None,
        {name: BLOCK.decode(raw) for name, raw in stored.blocks.items()},
        abstaining=stored.condition != "ok",
        first_sequence=parts.clock.wall_ms(),
    )
    node = MemberNode(parts)
    node.keys = tuple(keys)
    node.vote_override = override
    node.engine = Engine(
        me=parts.me,
        genesis_hash=genesis_hash,
        replica=replica,
        tip=tip,
        surroundings=node,
        votes=votes,
        clock=parts.clock,
        workers=parts.workers,
        relay=RelayTable(parts.me),
        evidence=EvidenceLog(),
    )
    return node
