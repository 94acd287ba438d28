"""Scenario files: a network, what happens to it and when, and what has to come of it. TOML.

Reading is strict: an unknown key, an impossible node, an event that can never fire and a file that
expects nothing are errors with file, line and cause. What the words mean is `node.simulator.story`.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from chain.validators import faults_max
from node.simulator.adversaries import ADVERSARIES
from node.simulator.consortium import MEMBERS_MAX, NAMES
from node.simulator.network import Weather
from node.simulator.swarm import TWINS

Step = Literal["proposed", "accepted", "prepared", "view_change", "new_view", "committed"]
STEPS: Final = ("proposed", "accepted", "prepared", "view_change", "new_view", "committed")
ROLES: Final = ("primary", "backup", "any")
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
    """One event: a deed, and the time or the state at which it is done."""

    line: int
    deed: str
    arguments: Mapping[str, Any]
    at_s: float | None = None
    when: When | None = None


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


_ARGUMENTS: Final[dict[str, dict[str, type | tuple[type, ...]]]] = {
    "submit": {"node": str, "count": int, "attachment_bytes": int},
    "crash": {"node": str, "loss": str, "after_effects": int, "kind": str},
    "restart": {"node": str},
    "pause": {"node": str},
    "resume": {"node": str},
    "slow": {"node": str, "factor": (int, float)},
    "wipe": {"node": str, "what": str},
    "back_up": {"node": str},
    "restore_backup": {"node": str, "votes": str},
    "fill_disk": {"node": str},
    "fail_syncs": {"node": str},
    "mend": {"node": str},
    "shift_clock": {"node": str, "offset_ms": int},
    "partition": {"groups": list, "abrupt": bool},
    "isolate": {"node": str, "abrupt": bool},
    "cut_one_way": {"source": str, "target": str},
    "ring": {},
    "bridge": {"node": str},
    "drop": {"message": str, "source": str, "target": str, "height": int, "view": int},
    "show_twin": {"node": str, "to": list},
    "heal": {},
}
_OPTIONAL: Final = {
    "count", "attachment_bytes", "loss", "after_effects", "kind", "what", "abrupt", "message",
    "source", "target", "height", "view", "votes",
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
    "live": bool,
    "violation": str,
}
_TOP: Final = {"title", "nodes", "seconds", "timing", "weather", "byzantine", "event", "expect"}


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
        self._twins: set[str] = set()

    def fault(self, line: int, cause: str) -> InputFault:
        return InputFault(f"{self._path}:{line}: {cause}")

    def scenario(self, document: dict[str, Any]) -> Scenario:
        self._known(document, _TOP, "")
        self._nodes = self._integer(document, "nodes", 1, MEMBERS_MAX)
        byzantine = self._byzantine(document.get("byzantine", {}))
        self._twins = {name for name, kind in byzantine.items() if kind == TWINS}
        seconds = self._seconds(document)
        timing = document.get("timing", {})
        self._known(timing, {"timeout_base_ms", "timeout_ms_max"}, "timing")
        happenings = self._happenings(document.get("event", []), seconds)
        title = document.get("title", "")
        if not isinstance(title, str) or not title:
            raise self.fault(self._line("title"), "title: one sentence that says what happens")
        return Scenario(
            self._path,
            title,
            self._nodes,
            seconds,
            self._integer(timing, "timeout_base_ms", 10, 60_000, 1_000),
            self._integer(timing, "timeout_ms_max", 10, 600_000, 8_000),
            self._weather(document.get("weather", {})),
            byzantine,
            happenings,
            self._expectations(document.get("expect", {})),
        )

    # Tables.

    def _byzantine(self, table: object) -> dict[str, str]:
        line = self._line("[byzantine]")
        if not isinstance(table, dict):
            raise self.fault(line, "byzantine: a table of nodes and kinds")
        for name, kind in table.items():
            at = self._line(name, line)
            self._node(name, at)
            if kind not in ADVERSARIES and kind != TWINS:
                known = ", ".join((*ADVERSARIES, TWINS))
                raise self.fault(at, f"byzantine.{name}: no adversary {kind!r}; there are {known}")
        most = faults_max(self._nodes)
        if len(table) > most:
            raise self.fault(line, f"{len(table)} of {self._nodes} lie; the promise is for {most}")
        return dict(table)

    def _weather(self, table: object) -> Weather:
        line = self._line("[weather]")
        weather = Weather()
        if not isinstance(table, dict):
            raise self.fault(line, "weather: a table")
        for name, value in table.items():
            at = self._line(name, line)
            if not hasattr(weather, name):
                known = ", ".join(Weather.__dataclass_fields__)
                raise self.fault(at, f"weather.{name}: unknown key; there are {known}")
            most = 60_000 if "_ms" in name else 1
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise self.fault(at, f"weather.{name}: a number")
            if not 0 <= value <= most:
                raise self.fault(at, f"weather.{name}: between 0 and {most}")
            setattr(weather, name, float(value))
        return weather

    def _expectations(self, table: object) -> dict[str, Any]:
        line = self._line("[expect]")
        if not isinstance(table, dict) or not table:
            raise self.fault(line, "no expectation: a scenario that expects nothing tests nothing")
        for name, value in table.items():
            at = self._line(name, line)
            kind = _EXPECTED.get(name)
            if kind is None:
                known = ", ".join(_EXPECTED)
                raise self.fault(at, f"expect.{name}: unknown key; there are {known}")
            if not _is(value, kind):
                raise self.fault(at, f"expect.{name}: {_named(kind)}")
            if value is False:
                raise self.fault(at, f"expect.{name}: false expects nothing; leave it out")
        return dict(table)

    def _happenings(self, events: object, seconds: float) -> tuple[Happening, ...]:
        if not isinstance(events, list) or len(events) > EVENTS_MAX:
            raise self.fault(1, f"event: at most {EVENTS_MAX} tables, each [[event]]")
        lines = [
            number
            for number, line in enumerate(self._lines, 1)
            if re.match(r"\s*\[\[\s*event\s*\]\]", line)
        ]
        lines += [1] * (len(events) - len(lines))
        return tuple(
            self._happening(event, line, seconds)
            for event, line in zip(events, lines, strict=False)
        )

    def _happening(self, event: dict[str, Any], line: int, seconds: float) -> Happening:
        deed = event.get("do")
        if deed not in _ARGUMENTS:
            raise self.fault(line, f"do = {deed!r}; an event does one of {', '.join(_ARGUMENTS)}")
        allowed = _ARGUMENTS[deed]
        for name in event:
            if name not in {"do", "at", "when", *allowed}:
                at = self._line(name, line)
                known = ", ".join(("at", "when", *allowed))
                raise self.fault(at, f"{name}: unknown key; {deed} has {known}")
        arguments = {name: event[name] for name in allowed if name in event}
        self._arguments(deed, arguments, line)
        at_s, when = event.get("at"), event.get("when")
        if (at_s is None) == (when is None):
            raise self.fault(line, "an event has either `at` (seconds) or `when` (a state)")
        if when is not None:
            return Happening(line, deed, arguments, None, self._when(when, line))
        if isinstance(at_s, bool) or not isinstance(at_s, int | float) or at_s < 0:
            raise self.fault(self._line("at", line), "at: seconds, 0 or more")
        if at_s > seconds:
            cause = f"at = {at_s}: this can never fire, the run ends after {seconds:g} s"
            raise self.fault(self._line("at", line), cause)
        return Happening(line, deed, arguments, float(at_s))

    def _arguments(self, deed: str, arguments: dict[str, Any], line: int) -> None:
        for name, kind in _ARGUMENTS[deed].items():
            if name not in arguments:
                if name in _OPTIONAL and deed != "cut_one_way":
                    continue
                raise self.fault(line, f"{deed} needs {name}")
            at, value = self._line(name, line), arguments[name]
            if not _is(value, kind):
                raise self.fault(at, f"{name}: {_named(kind)}")
            self._argument(name, value, at)

    def _argument(self, name: str, value: Any, line: int) -> None:
        if name in {"node", "source", "target"}:
            self._node(value, line, role=name == "node")
        elif name in _CHOICES and value not in _CHOICES[name]:
            raise self.fault(line, f"{name} = {value!r}: one of {', '.join(_CHOICES[name])}")
        elif name == "groups":
            for group in value:
                for node in group if isinstance(group, list) else [group]:
                    self._node(node, line)
        elif name == "to":
            for node in value:
                self._node(node, line)
        elif isinstance(value, int) and name != "offset_ms" and value < 0:
            raise self.fault(line, f"{name}: not below 0")

    def _when(self, table: object, line: int) -> When:
        at = self._line("when", line)
        if not isinstance(table, dict):
            raise self.fault(at, "when: a table like {height = 3, view = 0, step = ...}")
        for name in table:
            if name not in {"height", "view", "step", "node"}:
                raise self.fault(at, f"when.{name}: unknown key; height, view, step, node")
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
        names = NAMES[: self._nodes]
        twins = {f"{each}2" for each in self._twins}
        if name in names or name in twins or (role and name in ROLES):
            return
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
                listed = ", ".join(sorted(known))
                raise self.fault(self._line(name), f"{place}: unknown key; there are {listed}")

    def _line(self, name: str, after: int = 1) -> int:
        """Where `name` stands first, from line `after` on; `after` where it is not found."""
        pattern = re.compile(
            re.escape(name)
            if name.startswith("[")
            else rf'(^|[\s{{,\[.])"?{re.escape(name)}"?\s*[=\].]'
        )
        for number in range(after, len(self._lines) + 1):
            if pattern.search(self._lines[number - 1]):
                return number
        return after


def _is(value: object, kind: type | tuple[type, ...]) -> bool:
    """A boolean is no number here."""
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _named(kind: type | tuple[type, ...]) -> str:
    names = {int: "a whole number", str: "a string", bool: "true or false", list: "a list"}
    return names.get(kind, "a number") if isinstance(kind, type) else "a number"
