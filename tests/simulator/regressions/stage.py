"""A world to tell a story in: roles instead of names, and the faults that stories are made of.

A perturbation changes who plays which role, how long frames take, whether they overtake and double.
Telling 0 changes nothing.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from random import Random

from chain.block import Block
from chain.certificate import Certificate
from chain.genesis import Parameters
from consensus.messages import Message, Packet, Signed, ViewChange
from consensus.votes import VOTE_RECORD, VoteRecord
from node.simulator.byzantine import Adversary
from node.simulator.clients import Submission
from node.simulator.consortium import NAMES, PARAMETERS
from node.simulator.disk import MachineDisk
from node.simulator.machine import VOTES, Machine
from node.simulator.network import Frame, Weather
from node.simulator.observers import Committed, Observer
from node.simulator.power import Power
from node.simulator.world import World
from storage.blocks import BlockReader
from storage.votes import VoteStore

Kinds = type[Message] | tuple[type[Message], ...]


@dataclass(frozen=True)
class Perturbation:
    """One telling of a story."""

    seed: int

    def __str__(self) -> str:
        return f"telling-{self.seed}"

    def chance(self) -> Random:
        return Random(f"perturbation/{self.seed}")

    def first(self, n: int) -> str:
        """Who is the primary when the story begins."""
        return NAMES[self.seed % n]

    def weather(self) -> Weather:
        if self.seed == 0:
            return Weather()
        chance = self.chance()
        return Weather(
            delay_ms_min=chance.choice((0.1, 0.5, 5.0)),
            delay_ms_max=chance.choice((5.0, 15.0, 40.0)),
            reordering=chance.choice((0.0, 0.1, 0.5)),
            duplicates=chance.choice((0.0, 0.05, 0.5)),
        )


class Books(Observer):
    """What each node committed at each height, said, and persisted last."""

    def __init__(self) -> None:
        self.commits: dict[tuple[str, int], list[Committed]] = {}
        self.records: dict[str, VoteRecord] = {}
        self.said: dict[str, list[Message]] = {}
        self.punished_: list[tuple[str, str, str]] = []

    def persisted(self, machine: Machine, record: VoteRecord, *, durable: bool) -> None:
        self.records[machine.name] = record

    def sent(self, machine: Machine, signed: Signed) -> None:
        self.said.setdefault(machine.name, []).append(signed.message)

    def punished(self, machine: Machine, member: str, reason: str) -> None:
        self.punished_.append((machine.name, member, reason))

    def committed(self, machine: Machine, committed: Committed) -> None:
        key = (machine.name, committed.block.header.height)
        self.commits.setdefault(key, []).append(committed)


class Stage(World):
    """A world whose machines are told by their role: `cast` begins with the first primary."""

    def __init__(
        self,
        perturbation: Perturbation,
        n: int = 4,
        *,
        parameters: Parameters = PARAMETERS,
        observers: Collection[Observer] = (),
    ) -> None:
        self.books = Books()
        first = perturbation.first(n)
        super().__init__(
            n,
            f"story/{perturbation.seed}",
            parameters=parameters,
            weather=perturbation.weather(),
            observers=(self.books, *observers),
            first=first,
        )
        turn = NAMES.index(first)
        self.cast = NAMES[turn:n] + NAMES[:turn]
        self.chance = perturbation.chance()

    def begin(self) -> int:
        """All start and commit something; returns the height that the story is about."""
        self.start()
        self.until(lambda: all(self.is_connected(name) for name in self.cast), 5)
        self.commit(by=self.cast[0])
        self.until(lambda: set(self.heights().values()) == {1}, 5)
        assert self.primary() == self.cast[0]
        return 2

    def is_connected(self, name: str) -> bool:
        life = self.machines[name].life
        return life is not None and len(life.node.connected()) == self.seats.present.n - 1

    def relays_to_nobody(self, name: str) -> bool:
        """All its peers have told it that they hear everyone themselves."""
        life = self.machines[name].life
        assert life is not None, f"{name} is down"
        heard = life.node.engine._relay._heard
        everyone = {self.machines[each].member for each in self.cast}
        return len(heard) == len(everyone) - 1 and all(
            told is not None and everyone <= {*told, peer} for peer, told in heard.items()
        )

    def honest_running(self) -> list[str]:
        return [name for name in self.running if self.machines[name].honest]

    def commit(
        self, *, by: str | None = None, among: Collection[str] = (), within_s: float = 20.0
    ) -> Submission:
        """A transaction, until all honest running nodes (or `among`) have it in a block."""
        wanted = list(among) or self.honest_running()
        submission = self.submit(by or self.chance.choice(wanted))
        self.until_committed(submission, wanted, within_s)
        return submission

    def until_committed(
        self, submission: Submission, among: Collection[str] = (), within_s: float = 20.0
    ) -> float:
        """Waits, and tells how many seconds that took."""
        begun_s = self.now_s
        wanted = list(among) or self.honest_running()

        def is_there() -> bool:
            assert submission.state != "refused", submission.refusal
            return submission.id != b"" and all(
                self.has_transaction(name, submission.id) for name in wanted
            )

        self.until(is_there, within_s)
        return self.now_s - begun_s

    # What is lost on the way.

    def show_only(
        self,
        kinds: Kinds,
        to: Collection[str] = (),
        *,
        height: int | None = None,
        view: int | None = None,
        by: Collection[str] | None = None,
    ) -> None:
        """Messages of `kinds` (of `height`, `view`, `by` some) reach `to` only, until heal."""

        def is_lost(frame: Frame, packet: Packet | None) -> bool:
            if packet is None or frame.target in to:
                return False
            message = packet.signed.message
            return (
                isinstance(message, kinds)
                and height in {None, message.height}
                and view in {None, message.view}
                and (by is None or packet.signed.sender in by)
            )

        self.drop(is_lost)

    # What there is to see.

    def block(self, name: str, height: int) -> Block:
        block = BlockReader(self.machines[name].ledger.pairs).block(height)
        assert block is not None, f"{name} has no block {height}"
        return block

    def certificate(self, name: str, height: int) -> Certificate:
        certificate = BlockReader(self.machines[name].ledger.pairs).certificate(height)
        assert certificate is not None, f"{name} has no certificate of {height}"
        return certificate

    def prepared(self, name: str) -> bytes | None:
        """The hash of the block that `name` prepared at its height, as persisted."""
        record = self.books.records.get(name)
        if record is None or record.prepared is None or record.height != self.height(name) + 1:
            return None
        return record.prepared.block_hash

    def asked(self, name: str) -> int:
        """The highest view that `name` ever asked for."""
        said = self.books.said.get(name, [])
        return max((each.view for each in said if isinstance(each, ViewChange)), default=0)

    def write_record(self, name: str, record: VoteRecord) -> None:
        """What `name`, which is down, said last."""
        votes = VoteStore(VOTES, MachineDisk(self.machines[name].platter, Power(lambda: None)))
        assert votes.load().condition == "ok"
        votes.save(VOTE_RECORD.encode(record), {})


def rival_block(adversary: Adversary) -> Block:
    """Another valid block of the height that the liar's node is deciding."""
    life = adversary.machine.life
    assert life is not None
    tip, pool = life.node.engine.tip, life.node.parts.mempool
    now_ms = adversary.machine.clock.wall_ms()
    executor = life.node.proposals._executor
    executed, _ = executor.build(tip.header, tip.validators, list(pool), now_ms, adversary.me)
    return executed.block


Story = Callable[[Perturbation], None]
