"""One simulated machine and the lives of the process on it: the shipped node on simulated parts.

The machine keeps what a restart finds: keys, disk, databases, clock. A `Life` is one run of the
node, from its start to its end.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextvars import Context, copy_context
from functools import partial
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final, Literal

from chain.block import ZERO_HASH
from chain.genesis import Genesis
from chain.keys import Domain, SigningKey
from consensus.messages import MESSAGE, Message
from consensus.votes import VOTE_RECORD, VoteRecord
from ledger.keyspace import VALIDATORS_KEY
from node.assembly import assemble, begin_chain
from node.desk import Desk
from node.member import MemberNode, Parts, PeerEvents
from node.mempool import Mempool, MempoolLimits
from node.metrics import Metrics
from node.simulator.clocks import InlineWorkers, MachineClock
from node.simulator.consortium import Keyring
from node.simulator.disk import Files, Loss, MachineDisk, Platter
from node.simulator.keyvalues import Batch, MachineKeyValues, Tables
from node.simulator.loop import OWNER, Owner, VirtualLoop
from node.simulator.network import Endpoint, MachineMesh, Network
from node.simulator.observers import Committed
from node.simulator.power import Power, PowerCut
from storage import keyspace
from storage.attachments import AttachmentStore
from storage.blocks import BlockReader
from storage.errors import StoreMissing
from storage.integrity import create_over, mark_path, open_over
from storage.keyspace import at_height
from storage.protocols import Store
from storage.votes import BLOCK_BYTES_INLINE_MAX, StoredVotes, VoteStore

if TYPE_CHECKING:
    from node.simulator.byzantine import Adversary

OldVotes = Literal["kept", "slots", "image"]
"""With a restored backup: the vote record stays as it is; or its slots are old, which the mark in
its own file tells; or all of it is old, which no node can notice: it then counts as a liar."""
ROOT: Final = Path("/node")
VOTES: Final = ROOT / "votes"
DATA: Final = ROOT / "data"
ATTACHMENTS: Final = ROOT / "attachments"
CYCLE_CHANGES: Final = 32
"""So few that a run of a minute makes several files of buckets."""
MEMPOOL: Final = MempoolLimits(bytes_max=1 << 20, transactions_max=2_000)
_OWN_KEYS: Final = (keyspace.CERTIFICATE, keyspace.JOURNAL, keyspace.BUCKET_FILE)
"""What a block writes at one node and not at another: its votes, and when its files are made."""
_VALIDATORS: Final = keyspace.STATE + VALIDATORS_KEY
_VOTE_FILES: Final = tuple(VOTES / name for name in ("slot-0", "slot-1", "mark"))
_UNTOLD: Final = {Domain.STATUS, Domain.READINESS}
_RESTORE: Final = "put them back, or delete the data as well"


class Watch:
    """What a machine reports; the world fills it in."""

    def persisted(self, machine: "Machine", record: VoteRecord, *, durable: bool) -> None:
        """A vote record was saved."""

    def signed(self, machine: "Machine", message: Message) -> None:
        """The node signed a message, Status aside; it may never be sent."""

    def committed(self, machine: "Machine", committed: Committed) -> None:
        """A block is durable."""

    def cut(self, machine: "Machine") -> None:
        """An armed crash came."""


class _WatchedVotes(VoteStore):
    """The shipped vote store, which tells when a save has returned."""

    def __init__(self, machine: "Machine", disk: MachineDisk, watch: Watch) -> None:
        super().__init__(VOTES, disk)
        self._machine = machine
        self._watch = watch

    def load(self) -> StoredVotes:
        """See `VoteStore.load`."""
        stored = super().load()
        record = stored.record
        self._machine.stored_record = VOTE_RECORD.decode(record) if record is not None else None
        return stored

    def save(
        self, record: bytes, blocks: Mapping[bytes, bytes], keep: Collection[bytes] = ()
    ) -> None:
        """See `VoteStore.save`."""
        super().save(record, blocks, keep)
        self._watch.persisted(
            self._machine,
            VOTE_RECORD.decode(record),
            durable=self._machine.has_durable_votes(blocks),
        )


class _WatchedKey(SigningKey):
    """A key of the member, which tells what it signs in consensus."""

    __slots__ = ("_machine", "_watch")

    def __init__(self, machine: "Machine", key: SigningKey, watch: Watch) -> None:
        super().__init__(key.seed)
        self._machine = machine
        self._watch = watch

    def sign(self, genesis_hash: bytes, domain: Domain, canonical: bytes) -> bytes:
        """See `SigningKey.sign`."""
        signature = super().sign(genesis_hash, domain, canonical)
        if domain not in _UNTOLD:
            self._watch.signed(self._machine, MESSAGE.decode(canonical))
        return signature


class Life:
    """One run of the node. Nothing of it survives."""

    def __init__(self, machine: "Machine", network: Network, cut: Callable[[], None]) -> None:
        self.power = Power(cut)
        self.owner = Owner(machine.name)
        self.context: Context = copy_context()
        self.context.run(OWNER.set, self.owner)
        self.events = PeerEvents()
        self.endpoint = Endpoint(
            machine.name, machine.member, self.events, self.context, self.power
        )
        self.mesh = MachineMesh(network, self.endpoint, machine.members)
        self.node: MemberNode
        self.desk: Desk
        self.store: Store
        self.tasks: list[asyncio.Task[None]] = []
        self.held: tuple[bytes, ...] = tuple(key.public for key in machine.keyring.held)
        """The public halves of the consensus keys that it found at its start."""
        self.spoken: set[bytes] = set()
        """Signatures of own messages that were sent."""

    @property
    def alive(self) -> bool:
        """True while the process has power."""
        return self.power.on


class Machine:
    """A member's machine. `name` differs from `member` for the second of twins."""

    def __init__(
        self,
        name: str,
        member: str,
        *,
        genesis: Genesis,
        keyring: Keyring,
        loop: VirtualLoop,
        chance: Random,
        watch: Watch,
    ) -> None:
        self.name = name
        self.member = member
        self.genesis = genesis
        self.members = genesis.validators.members
        self.keyring = keyring
        self.clock = MachineClock(loop)
        self.platter = Platter()
        self.ledger = Tables(self.platter.faults)
        self.index = Tables(self.platter.faults)
        self.slowness = 1.0
        self.honest = True
        self.data_lost = False
        """The disk was damaged or taken away: the chain here may be shorter than it was."""
        self.votes_lost = False
        """The vote record was damaged or taken away, or is an old one."""
        self.damaged = False
        """Once, something that was synced was damaged, taken away or replaced: see `is_sound`."""
        self.refused = False
        """The last start ended in a refusal."""
        self.adversary: Adversary | None = None
        self.life: Life | None = None
        self.stored_record: VoteRecord | None = None
        """What the last start found of its votes."""
        self._backup: tuple[Files, Tables, Tables] | None = None
        self._loop = loop
        self._chance = chance
        self._watch = watch
        self._initialise()

    def _initialise(self) -> None:
        """`medlock init`: an empty vote record, before the first start."""
        self.platter.make_directory(ROOT)
        VoteStore(VOTES, MachineDisk(self.platter, Power(_never))).create()

    def has_durable_votes(self, blocks: Mapping[bytes, bytes]) -> bool:
        """True where no loss of power can take what was saved."""
        paths = [
            VOTES / "blocks" / name.hex()
            for name, raw in blocks.items()
            if len(raw) > BLOCK_BYTES_INLINE_MAX
        ]
        return all(map(self.platter.is_durable, (*_VOTE_FILES, *paths)))

    def boot(self, network: Network, metrics: Metrics) -> Life:
        """Starts a life: opens what is stored, as the daemon does, and assembles the node.

        Raises `StoreProblem` or `OSError` where the node refuses to start, `PowerCut` where an
        armed crash falls into the start.
        """
        life = self.life = Life(self, network, partial(self._watch.cut, self))
        life.context.run(self._assemble, life, metrics)
        return life

    def _assemble(self, life: Life, metrics: Metrics) -> None:
        disk = MachineDisk(self.platter, life.power)
        votes = _WatchedVotes(self, disk, self._watch)
        life.store = self._open_store(life.power, disk)
        attachments = self._open_attachments(life.power, disk)
        workers = InlineWorkers(life.power, self._chance, lambda: self.slowness)
        parts = Parts(
            self.member,
            self.genesis,
            life.store,
            attachments,
            life.mesh,
            Mempool(MEMPOOL),
            self.clock,
            workers,
            workers,
            metrics,
        )
        life.endpoint.slowness = self.slowness
        keys = tuple(_WatchedKey(self, key, self._watch) for key in self.keyring.held)
        life.node = life.events.node = assemble(parts, keys, votes)
        life.desk = Desk(life.node)

    def _open_store(self, power: Power, disk: MachineDisk) -> Store:
        pairs = MachineKeyValues(self.ledger, power, self._written)
        if self.ledger.pairs.get(keyspace.FORMAT) is None and not self._is_begun():
            self.data_lost = self.data_lost or disk.exists(mark_path(DATA))
            begin_chain(
                create_over(
                    pairs,
                    DATA,
                    self.genesis.parameters.state_buckets,
                    disk,
                    cycle_changes=CYCLE_CHANGES,
                ),
                self.genesis,
            )
        return open_over(pairs, DATA, self.genesis.hash, disk, cycle_changes=CYCLE_CHANGES)

    def _is_begun(self) -> bool:
        """A database that lost its first keys only is damaged, not new."""
        return next(iter(self.ledger.pairs.scan(b"", None)), None) is not None

    def _open_attachments(self, power: Power, disk: MachineDisk) -> AttachmentStore:
        pairs = MachineKeyValues(self.index, power)
        if not disk.names(ATTACHMENTS):
            if self.tip[0] > 0:
                # As the daemon: attachments of committed blocks would never be asked for.
                raise StoreMissing(
                    "attachments.missing", "attachments are gone, blocks are there", _RESTORE
                )
            AttachmentStore.create(ATTACHMENTS, self.clock.wall_ms, disk=disk, pairs=pairs).close()
        return AttachmentStore.open(ATTACHMENTS, self.clock.wall_ms, disk=disk, pairs=pairs)

    def _written(self, batch: Batch) -> None:
        """A batch that moves the tip is a commit."""
        key, tip = batch[-1]
        if key != keyspace.TIP or tip is None or not int.from_bytes(tip, "big"):
            return
        height = int.from_bytes(tip, "big")
        reader = BlockReader(self.ledger.pairs)
        block, certificate = reader.block(height), reader.certificate(height)
        assert block is not None, "the tip was just written"
        assert certificate is not None, "the tip was just written"
        effects, validators = sha256(), None
        for name, value in batch:
            if not name.startswith(_OWN_KEYS):
                effects.update(name + b"\0" + (value or b"\0"))
            if name == _VALIDATORS:
                validators = value
        ids = reader.transaction_ids(height)
        self._watch.committed(
            self, Committed(block, certificate, effects.digest(), ids, validators)
        )

    def lose_power(self, loss: Loss) -> int:
        """The disk becomes what a restart finds; returns how many files were torn."""
        self.ledger.lose_power(loss, self._chance)
        self.index.lose_power(loss, self._chance)
        return self.platter.lose_power(loss, self._chance)

    def wipe_data(self) -> None:
        """The chain, its state and all attachments are deleted; the votes stay."""
        self.data_lost = self.damaged = True
        self.ledger = Tables(self.platter.faults)
        self.index = Tables(self.platter.faults)
        self.platter.wipe(DATA)
        self.platter.wipe(ATTACHMENTS)
        self.platter.remove(mark_path(DATA))

    def wipe_votes(self) -> None:
        """The vote record is deleted."""
        self.votes_lost = self.damaged = True
        self.platter.wipe(VOTES)

    def back_up(self) -> None:
        """Copies what is durable."""
        self._backup = (self.platter.copy(ROOT), self.ledger.copy(), self.index.copy())

    @property
    def has_backup(self) -> bool:
        """True once `back_up` was called."""
        return self._backup is not None

    def restore_backup(self, votes: OldVotes) -> None:
        """Puts the copy in place of what is there; `votes` says what becomes of the vote record."""
        assert self._backup is not None, "nothing was backed up"
        files, ledger, index = self._backup
        self.ledger, self.index = ledger.copy(), index.copy()
        self.data_lost = self.damaged = True
        votes_now = self.platter.copy(VOTES)
        self.platter.restore(ROOT, files)
        if votes == "kept":
            self.platter.restore(VOTES, votes_now)
            return
        self.votes_lost = True
        if votes == "image":
            self.honest = False
            return
        for path, names in self.platter.copy(VOTES).items():
            marks = {name: file for name, file in votes_now.get(path, {}).items() if name == "mark"}
            self.platter.restore(Path(path), {path: names | marks})

    def rot(self) -> str:
        """Flips a bit somewhere; returns where."""
        self.data_lost = self.votes_lost = self.damaged = True
        files = self.platter.files_below(VOTES)
        draw = self._chance.random()
        if files and draw < 0.5:
            self._chance.choice(files).flip(self._chance.randrange(1 << 20))
            return "in the vote record"
        keys = [key for key, _ in self.ledger.pairs.scan(b"", None)]
        if keys:
            self.ledger.rotten.add(self._chance.choice(keys))
        return "in the ledger's database"

    @property
    def is_sound(self) -> bool:
        """True where all that was ever synced is as it was: the node has no cause to refuse it."""
        return not (self.damaged or self.ledger.rotten)

    @property
    def height(self) -> int:
        """Of the durable tip."""
        return int.from_bytes(self.ledger.pairs.get(keyspace.TIP) or b"", "big")

    @property
    def tip(self) -> tuple[int, bytes]:
        """Height and hash of the durable tip; a header is hashed as it is stored."""
        height = self.height
        header = self.ledger.pairs.get(at_height(keyspace.HEADER, height))
        return (height, sha256(header).digest()) if header is not None else (0, ZERO_HASH)


def _never() -> None:
    """A life that ends by nobody's hand."""
    raise PowerCut
