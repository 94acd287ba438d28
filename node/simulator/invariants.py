"""What must never happen, each rule a small class that watches every event: S1 to S9.

They know the protocol's promises and nothing of how the code keeps them: what a quorum is they
count for themselves. A checker reports; the world stops at the first report.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from chain.certificate import COMMIT, Commit
from chain.keys import Domain, payload, verify
from chain.transaction import BODY, SIGNED, Transaction
from consensus.messages import (
    DOMAINS,
    MESSAGE,
    Message,
    Prepare,
    PreparedCertificate,
    Signed,
    Status,
    ViewChange,
)
from consensus.votes import Accepted, VoteRecord
from node.simulator.observers import Committed, Observer
from storage import keyspace
from storage.blocks import BlockReader

if TYPE_CHECKING:
    from node.simulator.machine import Machine


class Violation(Exception):  # noqa: N818 - what a simulation finds
    """A promise that was broken: which, where, and one sentence."""

    def __init__(self, invariant: str, node: str, height: int, sentence: str) -> None:
        super().__init__(f"{invariant} at {node}, height {height}: {sentence}")
        self.invariant = invariant
        self.node = node
        self.height = height
        self.sentence = sentence

    def __reduce__(self) -> tuple[type["Violation"], tuple[str, str, int, str]]:
        return Violation, (self.invariant, self.node, self.height, self.sentence)


def quorum_of(n: int) -> int:
    """The smallest number of which any two sets among `n` share more than f members."""
    byzantine_max = (n - 1) // 3
    return next(size for size in range(1, n + 1) if 2 * size - n > byzantine_max)


class Invariant(Observer):
    """One promise. `name` is how reports call it."""

    name: str

    def broken(self, node: str, height: int, sentence: str) -> None:
        """Reports a violation; the world raises it as soon as the present callback is over."""
        self.world.report(Violation(self.name, node, height, sentence))


class OneBlockAHeight(Invariant):
    """S1: no two honest nodes commit different blocks at one height."""

    name = "S1"

    def __init__(self) -> None:
        self._blocks: dict[int, tuple[str, bytes]] = {}

    def committed(self, machine: "Machine", committed: Committed) -> None:
        """Compares with the first that was committed at the height."""
        if not machine.honest:
            return
        header = committed.block.header
        first, block_hash = self._blocks.setdefault(header.height, (machine.name, header.hash))
        if block_hash != header.hash:
            self.broken(
                machine.name,
                header.height,
                f"committed {_short(header.hash)}, {first} committed {_short(block_hash)}",
            )


class PrefixChains(Invariant):
    """S2: every chain grows block by block on its own tip, its time with it and no faster than the
    clocks, and no restart takes any of it back."""

    name = "S2"

    def __init__(self) -> None:
        self._tips: dict[str, tuple[int, bytes]] = {}
        self._times_ms: dict[bytes, int] = {}

    def started(self, machine: "Machine", height: int, block_hash: bytes) -> None:
        """What was durable must be there again, unless the disk was taken away."""
        before = self._tips.get(machine.name)
        if before is not None and machine.honest and not machine.data_lost and height < before[0]:
            self.broken(
                machine.name, before[0], f"restarted at height {height}, {before[0]} was durable"
            )
        self._tips[machine.name] = (height, block_hash)

    def committed(self, machine: "Machine", committed: Committed) -> None:
        """The next block names the one before, and is younger, by no more than clocks say."""
        if not machine.honest:
            return
        header = committed.block.header
        height, block_hash = self._tips[machine.name]
        parent_ms = self._times_ms.get(header.parent_hash)
        self._times_ms[header.hash] = header.timestamp_ms
        if header.height != height + 1:
            self.broken(machine.name, header.height, f"committed on top of height {height}")
        elif header.parent_hash != block_hash:
            self.broken(
                machine.name,
                header.height,
                f"its parent is {_short(header.parent_hash)}, the tip was {_short(block_hash)}",
            )
        elif parent_ms is not None and header.timestamp_ms <= parent_ms:
            self.broken(machine.name, header.height, "it is no younger than its parent")
        elif header.timestamp_ms > max(self._latest_ms(header.height), (parent_ms or 0) + 1):
            self.broken(machine.name, header.height, "its time is ahead of the clocks")
        self._tips[machine.name] = (header.height, header.hash)

    def _latest_ms(self, height: int) -> int:
        """The latest that a block may say: a quorum has taken it, of whom f+1 are honest, so it was
        within the limit of the slowest clock of f+1."""
        world = self.world
        honest = [each.clock.latest_ms() for each in world.machines.values() if each.honest]
        fastest = sorted(honest, reverse=True)
        limit_ms = world.genesis.parameters.timestamp_drift_ms_max
        return fastest[min(world.seats.at(height).f, len(fastest) - 1)] + limit_ms


class EqualEffects(Invariant):
    """S3: the same block does the same everywhere: results, indexes, state, state tree."""

    name = "S3"

    def __init__(self) -> None:
        self._effects: dict[bytes, tuple[str, bytes]] = {}

    def committed(self, machine: "Machine", committed: Committed) -> None:
        """Compares digests of all that was written."""
        if not machine.honest:
            return
        header = committed.block.header
        first, effects = self._effects.setdefault(header.hash, (machine.name, committed.effects))
        if effects != committed.effects:
            self.broken(machine.name, header.height, f"executing it wrote other than at {first}")


class OneWord(Invariant):
    """S4: no honest signer ever sends two different messages for one (height, view, kind), nor one
    of a view that it left by asking for a later one."""

    name = "S4"

    def __init__(self) -> None:
        self._said: dict[tuple[str, type[Message], int, int], Message] = {}
        self._asked: dict[tuple[str, int], int] = {}

    def sent(self, machine: "Machine", signed: Signed) -> None:
        """Compares with the first one and the last view, whatever restarts lie between."""
        message = signed.message
        if not machine.honest or isinstance(message, Status):
            return
        key = (machine.name, type(message), message.height, message.view)
        first = self._said.setdefault(key, message)
        if first != message:
            kind = type(message).__name__
            self.broken(
                machine.name, message.height, f"a second, different {kind} in view {message.view}"
            )
        at = (machine.name, message.height)
        asked = self._asked.get(at, 0)
        if isinstance(message, ViewChange):
            self._asked[at] = max(asked, message.view)
        elif message.view < asked:
            kind = type(message).__name__
            self.broken(
                machine.name,
                message.height,
                f"a {kind} in view {message.view} after it had asked for view {asked}",
            )


class Certified(Invariant):
    """S5: a committed block carries a quorum of distinct valid seals of its height's validators. It
    names these, and those of the next height."""

    name = "S5"

    def __init__(self) -> None:
        self._sound: set[bytes] = set()

    def committed(self, machine: "Machine", committed: Committed) -> None:
        """Checks every seal, once for each certificate."""
        certificate, header = committed.certificate, committed.block.header
        if not machine.honest:
            return
        if (certificate.height, certificate.block_hash) != (header.height, header.hash):
            self.broken(machine.name, header.height, "its certificate is another block's")
            return
        seats, height = self.world.seats, header.height
        named = (header.validators_hash, header.next_validators_hash)
        if named != (seats.at(height).hash, seats.at(height + 1).hash):
            self.broken(machine.name, height, "it names other validators than its height has")
            return
        print_ = b"".join(seal.signature for seal in certificate.seals)
        if print_ in self._sound:
            return
        self._sound.add(print_)
        commit = Commit(certificate.height, certificate.view, certificate.block_hash)
        signed = payload(self.world.genesis.hash, Domain.COMMIT, COMMIT.encode(commit))
        keys = {each.member: each.public_key for each in seats.at(height)}
        valid = {
            seal.validator
            for seal in certificate.seals
            if seal.validator in keys and verify(keys[seal.validator], seal.signature, signed)
        }
        needed = quorum_of(len(keys))
        if len(valid) < needed:
            self.broken(
                machine.name,
                header.height,
                f"{len(valid)} members sealed it, {needed} of {len(keys)} are needed",
            )


class LockedValue(Invariant):
    """S6: what could have been decided is what every later proposal at that height carries.

    A block could have been decided in a view once so many honest members committed to it that the
    Byzantine ones complete a quorum. No honest member may then prepare another in a later view.
    """

    name = "S6"

    def __init__(self) -> None:
        self._committers: dict[tuple[int, int, bytes], set[str]] = {}
        self._locked: dict[int, list[tuple[int, bytes]]] = {}
        self._prepared: dict[int, list[tuple[int, bytes, str]]] = {}

    def sent(self, machine: "Machine", signed: Signed) -> None:
        """Keeps who committed to what, and who prepared what."""
        if not machine.honest:
            return
        match signed.message:
            case Commit(height=height, view=view, block_hash=block_hash):
                self._commit(machine.member, height, view, block_hash)
            case Prepare(height=height, view=view, block_hash=block_hash):
                self._prepared.setdefault(height, []).append((view, block_hash, machine.name))
                for at, locked in self._locked.get(height, ()):
                    self._compare(height, (at, locked), (view, block_hash, machine.name))
            case _:
                pass

    def _commit(self, member: str, height: int, view: int, block_hash: bytes) -> None:
        voters = self.world.seats.at(height).members
        if member not in voters:
            return
        committers = self._committers.setdefault((height, view, block_hash), set())
        committers.add(member)
        enough = quorum_of(len(voters)) - len(self.world.byzantine.intersection(voters))
        locks = self._locked.setdefault(height, [])
        if len(committers) >= enough and (view, block_hash) not in locks:
            locks.append((view, block_hash))
            for prepared in self._prepared.get(height, ()):
                self._compare(height, (view, block_hash), prepared)

    def _compare(
        self, height: int, lock: tuple[int, bytes], prepared: tuple[int, bytes, str]
    ) -> None:
        view, block_hash, node = prepared
        if view > lock[0] and block_hash != lock[1]:
            self.broken(
                node,
                height,
                f"prepared {_short(block_hash)} in view {view}, though {_short(lock[1])} "
                f"could have been decided in view {lock[0]}",
            )


class PersistBeforeSend(Invariant):
    """S7: whatever a node says, its disk already holds, and below it every decided block."""

    name = "S7"

    def __init__(self) -> None:
        self._records: dict[str, VoteRecord] = {}
        self._heights: dict[str, int] = {}

    def started(self, machine: "Machine", height: int, block_hash: bytes) -> None:
        """The tip is durable; so is the vote record that the node begins with."""
        del block_hash
        self._heights[machine.name] = height
        if machine.stored_record is None:
            self._records.pop(machine.name, None)
        else:
            self._records[machine.name] = machine.stored_record

    def persisted(self, machine: "Machine", record: VoteRecord, *, durable: bool) -> None:
        """A record counts where the disk says that it cannot be lost."""
        if durable:
            self._records[machine.name] = record

    def committed(self, machine: "Machine", committed: Committed) -> None:
        """The tip is durable."""
        self._heights[machine.name] = committed.block.header.height

    def sent(self, machine: "Machine", signed: Signed) -> None:
        """Compares with what a restart would find."""
        message = signed.message
        if not machine.honest:
            return
        durable = self._heights[machine.name]
        if message.height > durable + 1:
            self.broken(
                machine.name,
                message.height,
                f"says {_name(message)} while its durable tip is {durable}",
            )
        elif not isinstance(message, Status) and not _covers(
            self._records.get(machine.name), signed
        ):
            self.broken(
                machine.name,
                message.height,
                f"sent {_name(message)} in view {message.view} before it was durable",
            )


class Seated(Invariant):
    """Who has no seat at a height says nothing of it; who has one signs with that seat's key."""

    name = "seat"

    def sent(self, machine: "Machine", signed: Signed) -> None:
        """Looks the author up among the validators of the height that the message is of."""
        message = signed.message
        if not machine.honest:
            return
        seats = {each.member: each.public_key for each in self.world.seats.at(message.height)}
        key = seats.get(signed.sender)
        canonical = MESSAGE.encode(message)
        said = payload(self.world.genesis.hash, DOMAINS[type(message)], canonical)
        if key is None:
            self.broken(machine.name, message.height, f"says {_name(message)} without a seat")
        elif not verify(key, signed.signature, said):
            sentence = f"signed {_name(message)} with another key than its seat's"
            self.broken(machine.name, message.height, sentence)


class ExecutedOnce(Invariant):
    """S8: a transaction is in one block at most, once."""

    name = "S8"

    def __init__(self) -> None:
        self._heights: dict[bytes, int] = {}
        self._seen: set[bytes] = set()

    def committed(self, machine: "Machine", committed: Committed) -> None:
        """Looks at each block once."""
        header = committed.block.header
        if not machine.honest or header.hash in self._seen:
            return
        self._seen.add(header.hash)
        for identifier in committed.transaction_ids:
            height = self._heights.setdefault(identifier, header.height)
            if height != header.height:
                self.broken(
                    machine.name,
                    header.height,
                    f"transaction {_short(identifier)} was executed at height {height} already",
                )
        if len(set(committed.transaction_ids)) != len(committed.transaction_ids):
            self.broken(machine.name, header.height, "a transaction is in it twice")


class OnlySigned(Invariant):
    """What is executed was signed, byte for byte, by somebody who may."""

    name = "valid"

    def committed(self, machine: "Machine", committed: Committed) -> None:
        """The members' wallets know what they signed."""
        if not machine.honest:
            return
        for raw in committed.block.transactions:
            if raw not in self.world.consortium.signed:
                height = committed.block.header.height
                self.broken(machine.name, height, "executed a transaction that nobody signed")


class WithinLimits(Invariant):
    """S9: queues, vote tables and buffers stay within their limits."""

    name = "S9"

    def sampled(self) -> None:
        """Asks every node what it holds."""
        for machine in self.world.machines.values():
            if machine.life is None or not machine.honest:
                continue
            node = machine.life.node
            for table in node.occupancy():
                if table.held > table.limit:
                    self.broken(
                        machine.name,
                        node.engine.replica.height,
                        f"{table.name} holds {table.held}, at most {table.limit} are allowed",
                    )


class Blameless(Invariant):
    """No honest node punishes an honest one: that would cut the network by itself."""

    name = "blame"

    def punished(self, machine: "Machine", member: str, reason: str) -> None:
        """Honest members give no cause."""
        if machine.honest and member not in self.world.byzantine:
            height = machine.life.node.engine.replica.height if machine.life else -1
            self.broken(machine.name, height, f"punished the honest {member}: {reason}")


class AttachmentsHeld(Invariant):
    """Whoever votes for a block holds what it names; what a block named does not expire."""

    name = "held"

    def __init__(self) -> None:
        self._given: set[tuple[str, int, Accepted]] = set()

    def persisted(self, machine: "Machine", record: VoteRecord, *, durable: bool) -> None:
        """Every attachment of the block is on the disk of a voter when the vote is given. It is
        given once: who lost that disk since, and not the vote, says it again without them."""
        del durable
        if not machine.honest or machine.life is None or record.accepted is None:
            return
        vote = (machine.name, record.height, record.accepted)
        if vote in self._given:
            return
        self._given.add(vote)
        block = machine.life.node.engine.replica.block(record.accepted.block_hash)
        for transaction in map(_transaction, block.transactions if block is not None else ()):
            for ref in transaction.attachments:
                if machine.index.pairs.get(keyspace.ATTACHMENT + ref.hash) is None:
                    sentence = f"voted for a block without its attachment {_short(ref.hash)}"
                    self.broken(machine.name, record.height, sentence)

    def committed(self, machine: "Machine", committed: Committed) -> None:
        """None of the block before is among those that go when nobody commits them: a block is
        durable first, and a crash may come before its attachments are marked."""
        if not machine.honest or machine.life is None:
            return
        height = committed.block.header.height - 1
        reader = BlockReader(machine.ledger.pairs)
        before, results = reader.block(height), reader.results(height)
        if before is None or results is None:
            return
        waiting = {each.hash for each in machine.life.node.parts.attachments.pending()}
        for raw, result in zip(before.transactions, results, strict=True):
            named = {ref.hash for ref in _transaction(raw).attachments} if result.ok else set()
            for attachment in sorted(named & waiting):
                sentence = f"its attachment {_short(attachment)} still counts as uncommitted"
                self.broken(machine.name, height, sentence)


INVARIANTS: Final[tuple[Callable[[], Invariant], ...]] = (
    OneBlockAHeight,
    PrefixChains,
    EqualEffects,
    OneWord,
    Certified,
    LockedValue,
    PersistBeforeSend,
    Seated,
    ExecutedOnce,
    OnlySigned,
    WithinLimits,
    AttachmentsHeld,
    Blameless,
)


def _covers(record: VoteRecord | None, signed: Signed) -> bool:
    """True where a restart from `record` repeats `signed`, or says nothing at its view any more."""
    message = signed.message
    if record is None or record.height != message.height:
        return False
    if isinstance(message, Commit):
        return record.committed and _holds(record.prepared, message, above=True)
    if record.view > message.view or isinstance(message, Status):
        return True
    if isinstance(message, Prepare):
        return _holds(record.accepted, message)
    held = record.view_change if isinstance(message, ViewChange) else record.proposal
    return held is not None and held.message == message


def _holds(
    vote: Accepted | PreparedCertificate | None, message: Prepare | Commit, *, above: bool = False
) -> bool:
    """True where `vote` is of the message's view and block, or with `above` of a later view."""
    if vote is None:
        return False
    is_same = (vote.view, vote.block_hash) == (message.view, message.block_hash)
    return is_same or (above and vote.view > message.view)


@lru_cache(maxsize=1_024)
def _transaction(raw: bytes) -> Transaction:
    return BODY.decode(SIGNED.decode(raw).body)


def _name(message: Message) -> str:
    return f"a {type(message).__name__} of height {message.height}"


def _short(digest: bytes) -> str:
    return digest.hex()[:8]
