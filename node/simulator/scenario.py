"""Scenario files: a network, what happens to it and when, and what has to come of it. TOML.

Reading is strict: an unknown key, an impossible node, an event that can never fire and a file that
expects nothing are errors with file, line and cause. What the words mean is `node.simulator.story`.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from chain.validators import faults_max
from node.simulator.adversaries import ADVERSARIES
from node.simulator.consortium import MEMBERS_MAX, NAMES, PARAMETERS
from node.simulator.network import Weather
from node.simulator.swarm import LOSSES, TWINS, Knobs

STEPS: Final = ("proposed", "accepted", "prepared", "view_change", "new_view", "committed")
ROLES: Final = ("primary", "backup", "any")
SAME: Final = "same"
"""The node to which the event before was done."""
TIMEOUT_BASE_MS: Final = PARAMETERS.timeout_base_ms
TIMEOUT_MS_MAX: Final = PARAMETERS.timeout_ms_max
SECONDS_MAX: Final = 86_400.0
EVENTS_MAX: Final = 1_000
HEIGHT_MAX: Final = 100_000


class InputFault(Exception):  # noqa: N818 - whose fault it is
    """The command's input cannot be used."""


@dataclass(frozen=True, slots=True)
class When:
    """A state of the protocol. `node` is a name, or a role at that view."""

    step: str
    node: str = "any"
    height: int | None = None
    view: int | None = None


@dataclass(frozen=True, slots=True)
class Happening:
    """One event: a deed, and when it is done: at a time, in a state, or `delay_s` after the event
    whose `id` is `after`."""

    line: int
    deed: str
    arguments: Mapping[str, Any]
    at_s: float | None = None
    when: When | None = None
    after: str = ""
    delay_s: float = 0.0
    id: str = ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A file that was understood."""

    path: Path
    title: str
    nodes: int
    seconds: float
    timeout_base_ms: int
    timeout_ms_max: int
    weather: Weather
    byzantine: Mapping[str, str]
    happenings: tuple[Happening, ...]
    expectations: Mapping[str, Any]
    seed: int = 1
    """Unless the command line gives others."""
    drift_ppm: Mapping[str, int] = field(default_factory=dict)
    """How much too fast a member's clock goes."""
    swarm: Knobs | None = None
    """Random trouble instead of events."""
    spares: int = 0
    """Members beyond `nodes` that have a machine, and no seat in the beginning."""


_NODES: Final = (str, list)
_ARGUMENTS: Final[dict[str, dict[str, type | tuple[type, ...]]]] = {
    "submit": {
        "node": str,
        "count": int,
        "attachment_bytes": int,
        "again": str,
        "by_node_clock": bool,
    },
    "crash": {"node": str, "loss": str, "after_effects": int, "kind": str},
    "restart": {"node": str},
    "pause": {"node": str},
    "resume": {"node": str},
    "slow": {"node": str, "factor": (int, float)},
    "wipe": {"node": str, "what": str},
    "back_up": {"node": str},
    "restore_backup": {"node": str, "votes": str},
    "rot": {"node": str},
    "fill_disk": {"node": str, "full": bool},
    "fail_syncs": {"node": str, "fail": bool},
    "mend": {"node": str},
    "shift_clock": {"node": str, "offset_ms": int},
    "partition": {"groups": list, "abrupt": bool},
    "isolate": {"node": str, "abrupt": bool},
    "cut_one_way": {"source": str, "target": str},
    "ring": {},
    "bridge": {"node": str},
    "drop": {"message": str, "source": _NODES, "target": _NODES, "height": int, "view": int},
    "show_twin": {"node": str, "to": list},
    "announce": {"node": str},
    "rotate": {"node": str},
    "admit": {"node": str},
    "remove": {"node": str, "forced": bool},
    "heal": {},
}
_OPTIONAL: Final = {
    "count", "attachment_bytes", "loss", "after_effects", "kind", "what", "abrupt", "message",
    "source", "target", "height", "view", "votes", "again", "full", "fail", "forced",
    "by_node_clock",
}  # fmt: skip
_CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "loss": ("kept", "lost", "torn"),
    "kind": ("send", "write", "sync", "work"),
    "votes": ("kept", "slots", "image"),
    "what": ("data", "votes", "all"),
    "message": (
        "pre-prepare", "prepare", "commit", "view-change", "new-view", "status", "transactions",
        "announce", "request", "block-request", "block-by-hash-request", "block-range",
        "attachment-request", "attachment-chunk", "attachment-have",
    ),
}  # fmt: skip
_EXPECTED: Final[dict[str, type | tuple[type, ...]]] = {
    "height_at_least": int,
    "acknowledged_at_least": int,
    "all_acknowledged": bool,
    "converged": bool,
    "view_at_least": int,
    "decided_view_at_most": int,
    "validators": list,
    "changes_decided": bool,
    "live": bool,
    "violation": str,
}
PROMISES: Final = (
    "S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "S9", "seat", "valid", "blame", "held", "live",
    "leak", "stopped", "stuck",
)  # fmt: skip
"""What a run may report as broken (`node.simulator.invariants` and `run`)."""
_TOP: Final = {
    "title", "seed", "nodes", "spares", "seconds", "timing", "weather", "byzantine", "drift_ppm",
    "swarm", "event", "expect",
}  # fmt: skip
_EVENT: Final = ("do", "at", "when", "after", "delay_s", "id")
_UNDONE: Final = {"restore_backup": "back_up", "resume": "pause"}
"""What has to come first."""
_NOT_RATES: Final = {"n", "spares", "chaos_s", "weather", "byzantine", "disk_losers"}
"""Knobs of a swarm that the file tells elsewhere, or otherwise."""
RATE_MAX: Final = 100_000
DRIFT_PPM_MAX: Final = 100_000
SEED_MAX: Final = 2**63 - 1


def swarm_rates() -> list[str]:
    """The knobs of `[swarm]` that are numbers."""
    return [each for each in Knobs.__dataclass_fields__ if each not in _NOT_RATES]


def load_scenario(path: Path) -> Scenario:
    """Reads and checks the file. Raises `InputFault`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputFault(f"{path}: cannot be read: {error}") from None
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+)", str(error))
        line = place.group(1) if place else max(1, text.count("\n"))
        raise InputFault(f"{path}:{line}: {error}") from None
    return _Reader(path, text).scenario(document)


class _Reader:
    """Knows where things are in the text, for errors: TOML's parser does not tell."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = text.splitlines()
        self._nodes = 0
        self._spares = 0
        self._twins: set[str] = set()

    def fault(self, line: int, cause: str) -> InputFault:
        return InputFault(f"{self._path}:{line}: {cause}")

    def scenario(self, document: dict[str, Any]) -> Scenario:
        self._known(document, _TOP, "")
        self._nodes = self._integer(document, "nodes", 1, MEMBERS_MAX)
        self._spares = self._integer(document, "spares", 0, MEMBERS_MAX - self._nodes, 0)
        byzantine = self._byzantine(document.get("byzantine", {}))
        self._twins = {name for name, kind in byzantine.items() if kind == TWINS}
        seconds = self._seconds(document)
        timing = document.get("timing", {})
        self._known(timing, {"timeout_base_ms", "timeout_ms_max"}, "timing")
        happenings = self._happenings(document.get("event", []), seconds)
        swarm = self._swarm(document, byzantine)
        title = document.get("title", "")
        if not isinstance(title, str) or not title:
            raise self.fault(self._line("title"), "title: one sentence that says what happens")
        return Scenario(
            self._path,
            title,
            self._nodes,
            seconds,
            self._integer(timing, "timeout_base_ms", 10, 60_000, TIMEOUT_BASE_MS),
            self._integer(timing, "timeout_ms_max", 10, 600_000, TIMEOUT_MS_MAX),
            self._weather(document.get("weather", {})),
            byzantine,
            happenings,
            self._expectations(document.get("expect", {})),
            self._integer(document, "seed", 0, SEED_MAX, 1),
            self._drift(document.get("drift_ppm", {})),
            swarm,
            self._spares,
        )

    # Tables.

    def _byzantine(self, table: object) -> dict[str, str]:
        line = self._line("byzantine")
        if not isinstance(table, dict):
            raise self.fault(line, "byzantine: a table of nodes and kinds")
        for name, kind in table.items():
            at = self._line(name, line)
            self._node(name, at)
            if kind not in ADVERSARIES and kind != TWINS:
                known = _known_words(kind, (*ADVERSARIES, TWINS))
                raise self.fault(at, f"byzantine.{name}: no adversary {kind!r}{known}")
        self._few(line, table, "lie")
        return dict(table)

    def _few(self, line: int, names: Iterable[str], what: str) -> None:
        """At most f of those who vote in the beginning; later ones are looked at when they come."""
        faulty, most = len(set(names).intersection(NAMES[: self._nodes])), faults_max(self._nodes)
        if faulty > most:
            raise self.fault(line, f"{faulty} of {self._nodes} {what}; the promise is for {most}")

    def _weather(self, table: object) -> Weather:
        line = self._line("weather")
        weather = Weather()
        if not isinstance(table, dict):
            raise self.fault(line, "weather: a table")
        for name, value in table.items():
            at = self._line(name, line)
            if name not in Weather.__dataclass_fields__:
                known = _known_words(name, Weather.__dataclass_fields__)
                raise self.fault(at, f"weather.{name}: unknown key{known}")
            most = 60_000 if "_ms" in name else 1
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise self.fault(at, f"weather.{name}: a number")
            if not 0 <= value <= most:
                raise self.fault(at, f"weather.{name}: between 0 and {most}")
            setattr(weather, name, float(value))
        return weather

    def _drift(self, table: object) -> dict[str, int]:
        line = self._line("drift_ppm")
        if not isinstance(table, dict):
            raise self.fault(line, "drift_ppm: a table of nodes and numbers")
        for name, value in table.items():
            at = self._line(name, line)
            self._node(name, at)
            if not _is(value, int) or abs(value) > DRIFT_PPM_MAX:
                most = f"{-DRIFT_PPM_MAX} to {DRIFT_PPM_MAX}"
                raise self.fault(at, f"drift_ppm.{name}: a whole number from {most}")
        return dict(table)

    def _swarm(self, document: dict[str, Any], byzantine: Mapping[str, str]) -> Knobs | None:
        """The knobs of random trouble; the network's own are those of the whole file."""
        table, line = document.get("swarm"), self._line("swarm")
        if table is None:
            return None
        if "event" in document:
            raise self.fault(line, "swarm: it makes its own events; leave [[event]] out")
        knobs = Knobs(self._nodes, byzantine=dict(byzantine), spares=self._spares)
        self._known(table, {*swarm_rates(), "disk_losers"}, "swarm")
        for name, value in table.items():
            at, default = self._line(name, line), getattr(knobs, name)
            if name == "disk_losers":
                self._losers(value, knobs, at)
            elif isinstance(default, int) and not _is(value, int):
                raise self.fault(at, f"swarm.{name}: a whole number")
            elif isinstance(value, bool) or not isinstance(value, int | float):
                raise self.fault(at, f"swarm.{name}: a number")
            elif not 0 <= value <= RATE_MAX:
                raise self.fault(at, f"swarm.{name}: between 0 and {RATE_MAX}")
            else:
                setattr(knobs, name, type(default)(value))
        return knobs

    def _losers(self, table: object, knobs: Knobs, line: int) -> None:
        if not isinstance(table, dict):
            raise self.fault(line, "swarm.disk_losers: a table of nodes and kinds")
        for name, kind in table.items():
            self._node(name, line)
            if kind not in LOSSES:
                known = _known_words(kind, LOSSES)
                raise self.fault(line, f"swarm.disk_losers.{name} = {kind!r}{known}")
            knobs.disk_losers[name] = kind
        self._few(line, {*knobs.byzantine, *knobs.disk_losers}, "fail")

    def _expectations(self, table: object) -> dict[str, Any]:
        line = self._line("expect")
        if not isinstance(table, dict) or not table:
            raise self.fault(line, "no expectation: a scenario that expects nothing tests nothing")
        for name, value in table.items():
            at = self._line(name, line)
            kind = _EXPECTED.get(name)
            if kind is None:
                known = _known_words(name, _EXPECTED)
                raise self.fault(at, f"expect.{name}: unknown key{known}")
            if not _is(value, kind):
                raise self.fault(at, f"expect.{name}: {_named(kind)}")
            if value is False:
                raise self.fault(at, f"expect.{name}: false expects nothing; leave it out")
            if name == "validators":
                self._nodes_of(value, at)
            if name.endswith("_at_least") and value < 1:
                raise self.fault(at, f"expect.{name}: below 1 it expects nothing; leave it out")
            if name.endswith("_at_most") and value < 0:
                raise self.fault(at, f"expect.{name}: below 0 nothing can be")
            if name == "violation" and value not in PROMISES:
                known = _known_words(value, PROMISES)
                raise self.fault(at, f"expect.violation: no promise {value!r}{known}")
        return dict(table)

    def _happenings(self, events: object, seconds: float) -> tuple[Happening, ...]:
        if not isinstance(events, list) or len(events) > EVENTS_MAX:
            raise self.fault(1, f"event: at most {EVENTS_MAX} tables, each [[event]]")
        lines = [
            number
            for number, line in enumerate(self._lines, 1)
            if re.match(r"\s*\[\[\s*event\s*\]\]", line)
        ]
        if len(lines) != len(events):
            raise self.fault(self._line("event"), "event: tables, each under [[event]]")
        happenings = tuple(
            self._happening(event, line, seconds) for event, line in zip(events, lines, strict=True)
        )
        self._connected(happenings, seconds)
        return happenings

    def _connected(self, happenings: tuple[Happening, ...], seconds: float) -> None:
        """What events say of each other is possible."""
        by_id: dict[str, Happening] = {}
        for each in happenings:
            if each.id in by_id:
                before = by_id[each.id].line
                raise self.fault(each.line, f"id {each.id!r} is taken, in line {before}")
            if each.id:
                by_id[each.id] = each
        for each in happenings:
            again = each.arguments.get("again", "")
            for word, other in (("after", each.after), ("again", again)):
                if other and other not in by_id:
                    at = self._line(word, each.line)
                    known = _known_words(other, by_id)
                    raise self.fault(at, f"{word}: no event has the id {other!r}{known}")
            if again and by_id[again].deed != "submit":
                raise self.fault(self._line("again", each.line), f"again: {again!r} is no submit")
            self._follows(each, by_id, seconds)
            self._prepared(each, happenings)

    def _follows(self, happening: Happening, by_id: dict[str, Happening], seconds: float) -> None:
        """It has a beginning, and comes before the end."""
        chain, delay_s = [happening], happening.delay_s
        while chain[-1].after:
            before = by_id[chain[-1].after]
            if before in chain:
                ids = " waits for ".join(each.after for each in chain)
                raise self.fault(happening.line, f"{ids} waits for itself: this can never fire")
            chain.append(before)
            delay_s += before.delay_s
        at_s = chain[-1].at_s or 0.0
        if at_s + delay_s > seconds:
            cause = f"not before {at_s + delay_s:g} s: this can never fire, the run ends after"
            raise self.fault(happening.line, f"{cause} {seconds:g} s")

    def _prepared(self, happening: Happening, happenings: tuple[Happening, ...]) -> None:
        """A backup was made before it is restored, a process stopped before it goes on."""
        first = _UNDONE.get(happening.deed)
        if first is None:
            return
        node = happening.arguments["node"]
        known = {*NAMES, *(f"{each}2" for each in NAMES)}
        for each in happenings:
            both_named = node in known and each.arguments.get("node") in known
            is_other = both_named and each.arguments["node"] != node
            is_later = (
                each.at_s is not None and happening.at_s is not None and each.at_s > happening.at_s
            )
            if each.deed == first and not is_other and not is_later:
                return
        cause = f"{happening.deed} of {node}: no {first} comes before it, this can never fire"
        raise self.fault(happening.line, cause)

    def _happening(self, event: dict[str, Any], line: int, seconds: float) -> Happening:
        deed = event.get("do")
        if not isinstance(deed, str) or deed not in _ARGUMENTS:
            raise self.fault(line, f"do = {deed!r}{_known_words(deed, _ARGUMENTS)}")
        allowed = _ARGUMENTS[deed]
        for name in event:
            if name not in {*_EVENT, *allowed}:
                at = self._line(name, line)
                known = _known_words(name, (*_EVENT, *allowed))
                raise self.fault(at, f"{name}: unknown key of {deed}{known}")
        arguments = {name: event[name] for name in allowed if name in event}
        after, mark = event.get("after", ""), event.get("id", "")
        for name, value in (("after", after), ("id", mark)):
            if not isinstance(value, str):
                raise self.fault(self._line(name, line), f"{name}: a string")
        self._arguments(deed, arguments, line, follows=bool(after))
        if sum(name in event for name in ("at", "when", "after")) != 1:
            cause = "an event has either `at` (seconds), `when` (a state) or `after` (another's id)"
            raise self.fault(line, cause)
        if "delay_s" in event and not after:
            raise self.fault(self._line("delay_s", line), "delay_s: only with `after`")
        at_s = self._moment(event, "at", line, seconds) if "at" in event else None
        delay_s = self._moment(event, "delay_s", line, seconds) if "delay_s" in event else 0.0
        when = self._when(event["when"], line) if "when" in event else None
        return Happening(line, deed, arguments, at_s, when, after, delay_s, mark)

    def _moment(self, event: dict[str, Any], name: str, line: int, seconds: float) -> float:
        value, at = event[name], self._line(name, line)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            raise self.fault(at, f"{name}: seconds, 0 or more")
        if value > seconds:
            cause = f"{name} = {value}: this can never fire, the run ends after {seconds:g} s"
            raise self.fault(at, cause)
        return float(value)

    def _arguments(self, deed: str, arguments: dict[str, Any], line: int, *, follows: bool) -> None:
        for name, kind in _ARGUMENTS[deed].items():
            if name == "node" and follows and arguments.get(name) == SAME:
                continue
            if name not in arguments:
                if name in _OPTIONAL and deed != "cut_one_way":
                    continue
                raise self.fault(line, f"{deed} needs {name}")
            at, value = self._line(name, line), arguments[name]
            if not _is(value, kind):
                raise self.fault(at, f"{name}: {_named(kind)}")
            self._argument(name, value, at)
        node = arguments.get("node")
        if deed == "show_twin" and node not in self._twins:
            at = self._line("node", line)
            raise self.fault(at, f"{node} has no twin: [byzantine] {node} = {TWINS!r} is missing")

    def _argument(self, name: str, value: Any, line: int) -> None:
        if name in {"node", "source", "target"} and isinstance(value, str):
            self._node(value, line, role=name == "node")
        elif name in _CHOICES and value not in _CHOICES[name]:
            raise self.fault(line, f"{name} = {value!r}: one of {', '.join(_CHOICES[name])}")
        elif name == "groups":
            if not all(isinstance(group, list) for group in value):
                raise self.fault(line, "groups: a list of lists of nodes")
            self._nodes_of([node for group in value for node in group], line)
        elif isinstance(value, list):
            self._nodes_of(value, line)
        elif isinstance(value, int) and name != "offset_ms" and value < 0:
            raise self.fault(line, f"{name}: not below 0")

    def _nodes_of(self, nodes: list[object], line: int) -> None:
        for index, node in enumerate(nodes):
            self._node(node, line)
            if node in nodes[:index]:
                raise self.fault(line, f"{node} is named twice")

    def _when(self, table: object, line: int) -> When:
        at = self._line("when", line)
        if not isinstance(table, dict):
            raise self.fault(at, "when: a table like {height = 3, view = 0, step = ...}")
        for name in table:
            if name not in {"height", "view", "step", "node"}:
                known = _known_words(name, ("height", "view", "step", "node"))
                raise self.fault(at, f"when.{name}: unknown key{known}")
        step, node = table.get("step"), table.get("node", "any")
        height, view = table.get("height"), table.get("view")
        if step not in STEPS:
            raise self.fault(at, f"when.step = {step!r}: one of {', '.join(STEPS)}")
        self._node(node, at, role=True)
        for name, value, least in (("height", height, 1), ("view", view, 0)):
            if value is None:
                continue
            if not _is(value, int) or not least <= value <= HEIGHT_MAX:
                raise self.fault(at, f"when.{name} = {value!r}: this can never fire")
        self._possible(step, node, view, at)
        return When(step, node, height, view)

    def _possible(self, step: str, node: str, view: int | None, line: int) -> None:
        """Some states never come, whatever happens."""
        if step in {"view_change", "new_view"} and view == 0:
            raise self.fault(line, f"when: a {step} has a view above 0, this can never fire")
        if step in {"proposed", "new_view"} and node == "backup":
            raise self.fault(line, "when: a backup never proposes, this can never fire")
        if step == "proposed" and view is not None and view > 0:
            raise self.fault(line, "when: above view 0 it is a new_view, this can never fire")

    # Values.

    def _node(self, name: object, line: int, *, role: bool = False) -> None:
        names = NAMES[: self._nodes + self._spares]
        twins = {f"{each}2" for each in self._twins}
        if name in names or name in twins or (role and name in ROLES):
            return
        if role and name == SAME:
            raise self.fault(line, "node = 'same' is the node of the event before: only with after")
        raise self.fault(line, f"no node {name!r}: there are {', '.join(names)}")

    def _seconds(self, document: dict[str, Any]) -> float:
        value = document.get("seconds", 60)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.fault(self._line("seconds"), "seconds: a number")
        if not 0 < value <= SECONDS_MAX:
            raise self.fault(self._line("seconds"), f"seconds: above 0, at most {SECONDS_MAX:g}")
        return float(value)

    def _integer(
        self, table: Any, name: str, least: int, most: int, default: int | None = None
    ) -> int:
        value = table.get(name, default)
        if not _is(value, int) or not least <= value <= most:
            raise self.fault(self._line(name), f"{name}: a whole number from {least} to {most}")
        return int(value)

    def _known(self, table: object, known: set[str], where: str) -> None:
        if not isinstance(table, dict):
            raise self.fault(self._line(where), f"{where}: a table")
        for name in table:
            if name not in known:
                place = f"{where}.{name}" if where else name
                listed = _known_words(name, sorted(known))
                raise self.fault(self._line(name), f"{place}: unknown key{listed}")

    def _line(self, name: str, after: int = 1) -> int:
        """Where `name` stands first, from line `after` on; `after` where it is not found."""
        pattern = re.compile(rf'(^|[\s{{,\[.])"?{re.escape(name)}"?\s*[=\].]')
        for number in range(after, len(self._lines) + 1):
            if pattern.search(self._lines[number - 1]):
                return number
        return after


def _known_words(word: object, known: Iterable[str]) -> str:
    """The likely one, and all that there are."""
    words = list(known)
    close = get_close_matches(str(word), words, 1)
    likely = f"; did you mean {close[0]!r}?" if close else ""
    return f"{likely}; there are {', '.join(words)}" if words else likely


def _is(value: object, kind: type | tuple[type, ...]) -> bool:
    """A boolean is no number here."""
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _named(kind: type | tuple[type, ...]) -> str:
    names = {int: "a whole number", str: "a string", bool: "true or false", list: "a list"}
    return names.get(kind, "a number") if isinstance(kind, type) else "a number"
