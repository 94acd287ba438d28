"""Writes down what chaos does to a world, as events of a scenario.

Told again under the same seed, they do the same to the same world at the same moments.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from node.simulator.observers import Observer
from node.simulator.scenario import Happening
from node.simulator.world import World

_VERBS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "crash": ("crash", ("node", "loss")),
    "crash_after": ("crash", ("node", "after_effects", "kind", "loss")),
    "pause": ("pause", ("node",)),
    "resume": ("resume", ("node",)),
    "slow": ("slow", ("node", "factor")),
    "wipe": ("wipe", ("node", "what")),
    "back_up": ("back_up", ("node",)),
    "restore_backup": ("restore_backup", ("node", "votes")),
    "rot": ("rot", ("node",)),
    "fill_disk": ("fill_disk", ("node",)),
    "fail_syncs": ("fail_syncs", ("node",)),
    "shift_clock": ("shift_clock", ("node", "offset_ms")),
    "cut_one_way": ("cut_one_way", ("source", "target")),
    "ring": ("ring", ()),
    "bridge": ("bridge", ("node",)),
    "heal": ("heal", ()),
    "announce": ("announce", ("node",)),
    "rotate": ("rotate", ("node",)),
    "admit": ("admit", ("node",)),
    "remove": ("remove", ("node", "forced")),
}
"""What is done to a world: the event's word for it, and for its arguments in order."""
_OF_MEMBERSHIP: Final = ("announce", "rotate", "admit", "remove")
_OF_SUBMISSIONS: Final = ("attachment_bytes", "by_node_clock")
_OTHERS: Final = ("start", "submit", "partition", "show", "drop")


class Scribe(Observer):
    """Watches one world from its start until its scenario is told."""

    def __init__(self) -> None:
        self.happenings: list[Happening] = []
        self.end_s: float | None = None
        self._begun = False
        self.drift_ppm: dict[str, int] = {}
        """How much too fast clocks go."""
        self._depth = 0
        self._submitted: dict[bytes, str] = {}

    def attach(self, world: World) -> None:
        """Lays itself over the verbs of `world`."""
        super().attach(world)
        for name in (*_VERBS, *_OTHERS):
            owner = world.membership if name in _OF_MEMBERSHIP else world
            setattr(owner, name, self._watched(name, getattr(owner, name)))

    def told(self) -> None:
        """What is done from now on belongs to no scenario."""
        self.end_s = self.world.now_s

    def _watched(self, name: str, verb: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **named: Any) -> Any:
            if name == "start" and not self._begun:
                machines = self.world.machines.values()
                self.drift_ppm = {each.name: each.clock.drift_ppm for each in machines}
            is_ours = self._begun and self.end_s is None and not self._depth and not self._inside()
            self._begun = self._begun or name == "start"
            self._depth += 1
            try:
                done = verb(*arguments, **named)
            finally:
                self._depth -= 1
            if is_ours:
                self._write(name, arguments, named, done)
            return done

        return watched

    def _inside(self) -> bool:
        """True while a callback of the world runs: then an adversary does it, not chaos."""
        try:
            return asyncio.get_running_loop() is self.world.loop
        except RuntimeError:
            return False

    def _write(self, name: str, given: tuple[Any, ...], named: dict[str, Any], done: Any) -> None:
        if name == "start":
            for node in given:
                self._add("restart", {"node": node})
        elif name == "submit":
            self._write_submission(given[0] if given else done.node, named, done)
        elif name == "partition":
            self._add("partition", {"groups": [sorted(group) for group in given], **named})
        elif name == "show":
            self._add("show_twin", {"node": given[0], "to": list(given[1])})
        elif name == "drop":
            self._add("drop", dict(getattr(given[0], "arguments", {})))
        else:
            deed, words = _VERBS[name]
            arguments = {**dict(zip(words, given, strict=False)), **named}
            self._add(deed, {word: each for word, each in arguments.items() if each is not None})

    def _write_submission(self, node: str, named: dict[str, Any], done: Any) -> None:
        again = self._submitted.get(named.get("raw") or b"")
        if again is not None:
            self._add("submit", {"node": node, "again": again})
            return
        mark = f"t{len(self._submitted) + 1}"
        self._submitted[done.raw] = mark
        details = {word: named[word] for word in _OF_SUBMISSIONS if named.get(word)}
        self._add("submit", {"node": node, **details}, mark)

    def _add(self, deed: str, arguments: dict[str, Any], mark: str = "") -> None:
        line = len(self.happenings) + 1
        at_s = self.world.loop.now_us / 1e6
        self.happenings.append(Happening(line, deed, arguments, at_s, id=mark))
