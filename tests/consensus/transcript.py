"""Plays the stories of `tests/scenarios/*.txt` on a cluster of replicas, and writes what happens.

A file is prose (lines that begin with `#`) and steps. A step is one command or more, a line of four
dashes, and what followed, which the player writes:

    submit put
    ----
     0.000  a           proposes #1 "put" at 1/0
     0.006  b c d       Prepare #1 at 1/0

`1/0` is height 1, view 0. Every frame takes five milliseconds and judging a block takes one, so
that what nodes do at the same time stands in one line. What a node says again is left out.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from chain.block import Block
from chain.certificate import Certificate, Commit
from consensus.effects import AskAround, Broadcast, CatchUp, Effect, FetchBlock, Send
from consensus.messages import Message, NewView, Packet, Prepare, PrePrepare, ViewChange
from tests.consensus.cluster import Cluster

ANSWER: Final = "----"
TRAVEL_S: Final = 0.005
WITHIN_S: Final = 60.0
KINDS: Final[dict[str, type[Message]]] = {
    kind.__name__: kind for kind in (PrePrepare, Prepare, Commit, ViewChange, NewView)
}


class Unclear(Exception):  # noqa: N818 - a state of the file
    """A command that cannot be played: which, and why."""


@dataclass
class Step:
    """The `line` it begins at, its commands, and what is written below them."""

    line: int
    prose: list[str]
    commands: list[str]
    answer: list[str]

    def __str__(self) -> str:
        answered = [ANSWER, *self.answer] if self.commands else []
        return "\n".join([*self.prose, *self.commands, *answered])


def parse(text: str) -> list[Step]:
    """The steps, one empty line between them; prose may stand alone."""
    steps: list[Step] = []
    line = 1
    for paragraph in text.removesuffix("\n").split("\n\n"):
        lines = paragraph.split("\n")
        prose = list(takewhile(lambda each: each.startswith("#"), lines))
        rest = lines[len(prose) :]
        end = rest.index(ANSWER) if ANSWER in rest else len(rest)
        steps.append(Step(line, prose, rest[:end], rest[end + 1 :]))
        line += len(lines) + 1
    return steps


def play(text: str) -> str:
    """`text` with what happens now instead of what it says. `Unclear` names the line."""
    steps, stage = parse(text), _Stage()
    for step in steps:
        for place, command in enumerate(step.commands):
            try:
                stage.do(command)
            except Unclear as unclear:
                line = step.line + len(step.prose) + place
                raise Unclear(f"line {line}: {command}: {unclear}") from None
        step.answer = stage.told()
    return "\n\n".join(map(str, steps)) + "\n"


class _Stage:
    """One file's cluster, and the commands that work on it."""

    def __init__(self) -> None:
        self._cluster: _Recorder | None = None

    def told(self) -> list[str]:
        """What happened since this was asked last."""
        return self._cluster.told() if self._cluster is not None else []

    def do(self, command: str) -> None:
        """One command."""
        name, *words = command.split() or [""]
        deed: Callable[..., None] | None = getattr(self, f"_do_{name.replace('-', '_')}", None)
        if deed is None:
            raise Unclear("no such command")
        try:
            deed(*words)
        except (TypeError, ValueError, KeyError) as error:
            raise Unclear(f"not so: {error}") from error

    @property
    def _there(self) -> "_Recorder":
        if self._cluster is None:
            raise Unclear("first of all: nodes N")
        return self._cluster

    def _node(self, name: str) -> str:
        if name not in self._there.nodes:
            raise Unclear(f"no node is called {name!r}")
        return name

    def _do_nodes(self, count: str, observers: str = "0") -> None:
        """nodes N [OBSERVERS]: the first N vote."""
        if self._cluster is not None:
            raise Unclear("there are nodes already")
        self._cluster = _Recorder(int(count), observers=int(observers))
        self._cluster.run(1.0)
        self._cluster.told()

    def _do_submit(self, *transactions: str) -> None:
        """submit TRANSACTION…: all nodes hold them, in this order."""
        self._there.submit(*(each.encode() for each in transactions))

    def _do_run(self, seconds: str) -> None:
        """run SECONDS"""
        self._there.run(float(seconds))

    def _do_until(self, *words: str) -> None:
        """until TRANSACTION… [by NODE…]: time passes until these nodes, or all that are up, have
        them."""
        transactions, _, names = " ".join(words).partition(" by ")
        wanted = {each.encode() for each in transactions.split()}
        waiting = list(map(self._node, names.split())) or self._there.up()

        def is_there() -> bool:
            return all(wanted.issubset(self._there.committed(name)) for name in waiting)

        try:
            self._there.run_until(is_there, within=WITHIN_S)
        except AssertionError as error:
            raise Unclear(str(error)) from error

    def _do_crash(self, name: str, effects: str = "") -> None:
        """crash NODE [EFFECTS]: now, or when it has had so many effects more."""
        if effects:
            self._there.effects_left[self._node(name)] = int(effects)
        else:
            self._there.crash(self._node(name))

    def _do_start(self, name: str) -> None:
        """start NODE: with what it had persisted."""
        self._there.start(self._node(name))

    def _do_start_without_votes(self, name: str) -> None:
        """start-without-votes NODE: its vote record is gone, and it knows."""
        node = self._there.nodes[self._node(name)]
        node.record, node.blocks = None, {}
        self._there.start(name, abstaining=True)

    def _do_partition(self, *words: str) -> None:
        """partition NODE… | NODE…"""
        groups = [tuple(map(self._node, side.split())) for side in " ".join(words).split("|")]
        self._there.partition(*groups)

    def _do_heal(self) -> None:
        """heal: links and messages."""
        self._there.hidden.clear()
        self._there.heal()

    def _do_hide(self, kind: str, *to: str) -> None:
        """hide KIND [NODE…]: such messages do not reach these nodes (or any), until heal."""
        if kind not in KINDS:
            raise Unclear(f"one of {', '.join(KINDS)}")
        self._there.hidden[KINDS[kind]] = tuple(map(self._node, to)) or self._there.names

    def _do_state(self) -> None:
        """state: where every node stands, and what it waits for."""
        self._there.tell_state()


class _Recorder(Cluster):
    """A cluster that writes down what its nodes do."""

    def __init__(self, n: int, *, observers: int) -> None:
        self.hidden: dict[type[Message], tuple[str, ...]] = {}
        self._lines: list[tuple[float, str, str]] = []
        self._said: set[tuple[str, str]] = set()
        self._names: dict[bytes, str] = {}
        self._contents: dict[bytes, str] = {}
        super().__init__(n, observers=observers)
        self.filter = self._is_shown

    def told(self) -> list[str]:
        """What was written since, with those together who did the same at the same time."""
        lines, self._lines = self._lines, []
        together: dict[tuple[float, str], list[str]] = {}
        for at_s, name, deed in lines:
            together.setdefault((at_s, deed), []).append(name)
        return [
            f"{at_s:7.3f}  {' '.join(sorted(names)):<10}  {deed}"
            for (at_s, deed), names in together.items()
        ]

    def crash(self, name: str) -> None:
        self._tell(name, "is down")
        super().crash(name)

    def start(self, name: str, *, abstaining: bool = False) -> None:
        self._tell(name, "starts without its votes" if abstaining else "starts")
        super().start(name, abstaining=abstaining)

    def tell_state(self) -> None:
        """A line for each node that is up."""
        for name in self.up():
            seen = self.replica(name).explain()
            missing = f" of {' '.join(seen.missing)}" if seen.missing else ""
            waits = f", waits for {seen.waiting_for}{missing}" if seen.waiting_for else ""
            self._tell(name, f"is at {seen.height}/{seen.view}, {seen.phase}{waits}")

    def _restart_later(self, name: str) -> None:
        """The story says when."""

    def _delay(self) -> float:
        return TRAVEL_S

    def _is_shown(self, source: str, target: str, packet: Packet) -> bool:
        del source
        return target not in self.hidden.get(type(packet.signed.message), ())

    def _effect(self, name: str, effect: Effect) -> None:
        for deed in self._deeds(effect):
            if (name, deed) not in self._said:
                self._said.add((name, deed))
                self._tell(name, deed)
        super()._effect(name, effect)

    def _deeds(self, effect: Effect) -> Iterator[str]:
        match effect:
            case Broadcast(packet=packet) | Send(packet=packet):
                yield from self._words(packet)
            case FetchBlock(height=height, block_hash=block_hash):
                yield f"asks for {self._name(block_hash)} of height {height}"
            case CatchUp(certificate=certificate, source=source):
                yield f"hears from {source} that height {certificate.height} is decided"
            case AskAround():
                yield "asks around for blocks"
            case _:
                pass

    def _words(self, packet: Packet) -> Iterator[str]:
        message = packet.signed.message
        at = f"at {message.height}/{message.view}"
        match message:
            case PrePrepare(block_hash=block_hash):
                yield f"proposes {self._block(block_hash, packet.block)} {at}"
            case Prepare(block_hash=block_hash) | Commit(block_hash=block_hash):
                yield f"{type(message).__name__} {self._name(block_hash)} {at}"
            case ViewChange(prepared=None):
                yield f"ViewChange {at}"
            case ViewChange(prepared=prepared) if prepared is not None:
                name = self._name(prepared.block_hash)
                yield f"ViewChange {at}, {name} was prepared in view {prepared.view}"
            case NewView(block_hash=block_hash, view_changes=asked):
                who = " ".join(each.sender for each in asked)
                yield f"NewView {at} asked for by {who}: {self._block(block_hash, packet.block)}"
            case _:
                pass

    def _name(self, block_hash: bytes) -> str:
        return self._names.setdefault(block_hash, f"#{len(self._names) + 1}")

    def _block(self, block_hash: bytes, block: Block | None) -> str:
        """Said again, a proposal is sent without the block."""
        if block is not None:
            words = " ".join(each.decode() for each in block.transactions)
            self._contents[block_hash] = f'{self._name(block_hash)} "{words}"'
        return self._contents[block_hash]

    def _commit(self, name: str, block: Block, certificate: Certificate) -> None:
        if block.header.height == self.height(name) + 1:
            sealed = " ".join(seal.validator for seal in certificate.seals)
            what = f"height {certificate.height}: {self._name(certificate.block_hash)}"
            self._tell(name, f"decides {what} in view {certificate.view}, sealed by {sealed}")
        super()._commit(name, block, certificate)

    def _tell(self, name: str, deed: str) -> None:
        self._lines.append((round(self.now, 3), name, deed))
