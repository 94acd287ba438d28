"""One run as a page that needs nothing else: a lane a node, messages as arrows, time rightwards.

The page is `trace_page.html` with the run's data in it, as JSON that no text in it can break out
of. It is bounded: of longer runs it shows the end, and says so. Must not know how runs are made.

A trace does not say which arrival belongs to which sending. An arrow joins a sending with the next
arrival of the same words between the same two nodes; one more arrival is a copy.
"""

import json
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from typing import Any, Final, TextIO

from node.simulator.trace import Event

EVENTS_MAX: Final = 20_000
"""Of longer runs messages are shown among the newest so many events."""
MARKS_MAX: Final = 10_000
"""Events that do not travel: the newest so many."""
SPANS_MAX: Final = 5_000
"""Bands of heights and views, and spans of partitions: the newest so many of each."""
NOTE_CHARS_MAX: Final = 300

ARRIVED, DROPPED, NEVER, COPY, LATE = range(5)
"""What became of a message: `NEVER` is one whose connection broke, or that the end found under way;
`LATE` one that was sent before what is shown."""
_TRAVELS: Final = frozenset({"send", "deliver", "drop"})
_PLACEHOLDER: Final = re.compile(r"@@([a-z]+)@@")
_Words = tuple[str, int, int, str]


@dataclass(frozen=True, slots=True)
class Cast:
    """What the page says besides the events."""

    title: str
    lanes: Mapping[str, bool]
    """Machines in order, and whether they are honest."""
    found: str = ""
    """The violation, in a sentence; empty where every promise held."""
    reproduce: str = ""
    commit: str = ""
    trace_hash: str = ""
    last: Sequence[str] = ()
    """The last transitions."""


@dataclass(slots=True)
class _Picture:
    """What is drawn. Rows of numbers and short strings, for the page's script."""

    lanes: dict[str, int]
    arrows: list[list[Any]] = field(default_factory=list)
    """[sent at, arrived at, from lane, to lane, what, height, view, block, note, fate]"""
    marks: list[list[Any]] = field(default_factory=list)
    """[at, lane or -1, kind, peer, height, view, block, note]"""
    bands: list[list[int]] = field(default_factory=list)
    """[from, to, lane, height, view]"""
    absences: list[list[Any]] = field(default_factory=list)
    """[from, to, lane, "down" or "paused"]"""
    partitions: list[list[Any]] = field(default_factory=list)
    """[from, to, shape]"""


def write_page(events: Sequence[Event], cast: Cast, file: TextIO) -> None:
    """Writes the page of these events, all of one run and in order."""
    end_us = events[-1].at_us if events else 0
    shown = events[-EVENTS_MAX:]
    picture = _Picture({name: index for index, name in enumerate(cast.lanes)})
    _draw_messages(shown, picture)
    still = [event for event in events if event.kind not in _TRAVELS]
    picture.marks += [_mark(event, picture) for event in still[-MARKS_MAX:]]
    _draw_bands(events, end_us, picture)
    _draw_absences(events, end_us, picture)
    _draw_partitions(events, end_us, picture)
    cut = len(events) - len(shown)
    document = {
        "lanes": [[name, honest] for name, honest in cast.lanes.items()],
        "end": end_us,
        "shownFrom": shown[0].at_us if cut else 0,
        "found": cast.found,
        "arrows": picture.arrows,
        "marks": picture.marks,
        "bands": picture.bands[-SPANS_MAX:],
        "absences": picture.absences[-SPANS_MAX:],
        "partitions": picture.partitions[-SPANS_MAX:],
    }
    texts = {
        "title": cast.title,
        "found": cast.found or "every promise held",
        "verdict": "broken" if cast.found else "held",
        "reproduce": cast.reproduce,
        "commit": cast.commit,
        "hash": cast.trace_hash,
        "extent": _extent(len(events), cut, max(0, len(still) - MARKS_MAX), end_us, picture),
        "last": "\n".join(cast.last) or "Nothing is wrong.",
    }
    filled = {name: escape(_short(text, name)) for name, text in texts.items()}
    filled["data"] = _json(document)
    template = files(__package__).joinpath("trace_page.html").read_text(encoding="utf-8")
    file.write(_PLACEHOLDER.sub(lambda match: filled[match.group(1)], template))


def _extent(total: int, cut: int, marks_cut: int, end_us: int, picture: _Picture) -> str:
    words = f"{total:,} events in {end_us / 1e6:.3f} virtual seconds"
    if cut:
        words += f"; messages among the first {cut:,} are cut (--trace FILE.jsonl writes all)"
    if marks_cut:
        words += f"; the first {marks_cut:,} marks are cut"
    for name, spans in (("height and view", picture.bands), ("partition", picture.partitions)):
        if len(spans) > SPANS_MAX:
            words += f"; the first {len(spans) - SPANS_MAX:,} {name} spans are cut"
    return words


def _short(text: str, name: str) -> str:
    return text if name == "last" else text[: 4 * NOTE_CHARS_MAX]


def _json(document: object) -> str:
    """JSON that may stand inside a script element."""
    text = json.dumps(document, ensure_ascii=True, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _draw_messages(events: Sequence[Event], picture: _Picture) -> None:
    """Arrows."""
    travelling: dict[tuple[str, str], dict[_Words, deque[int]]] = {}
    sent: dict[tuple[str, str, _Words], int] = {}
    for event in events:
        node, peer = event.node, event.peer
        words = (event.what, event.height, event.view, event.block)
        match event.kind:
            case "send":
                waiting = travelling.setdefault((node, peer), {}).setdefault(words, deque())
                waiting.append(len(picture.arrows))
                sent[node, peer, words] = event.at_us
                _add_arrow(picture, event, node, peer, event.at_us, NEVER)
            case "drop":
                waiting = travelling.get((node, peer), {}).get(words, deque())
                if waiting:
                    picture.arrows[waiting.pop()][-1] = DROPPED
                else:
                    _add_arrow(picture, event, node, peer, event.at_us, DROPPED)
            case "deliver":
                waiting = travelling.get((peer, node), {}).get(words, deque())
                if waiting:
                    arrow = picture.arrows[waiting.popleft()]
                    arrow[1], arrow[-1] = event.at_us, ARRIVED
                else:
                    begun_us = sent.get((peer, node, words))
                    fate = LATE if begun_us is None else COPY
                    begun_us = event.at_us if begun_us is None else begun_us
                    _add_arrow(picture, event, peer, node, begun_us, fate)
            case "disconnect":
                travelling.pop((node, peer), None)
                travelling.pop((peer, node), None)


def _add_arrow(
    picture: _Picture, event: Event, source: str, target: str, begun_us: int, fate: int
) -> None:
    picture.arrows.append(
        [
            begun_us,
            event.at_us,
            picture.lanes.get(source, -1),
            picture.lanes.get(target, -1),
            event.what,
            event.height,
            event.view,
            event.block,
            event.note[:NOTE_CHARS_MAX],
            fate,
        ]
    )


def _mark(event: Event, picture: _Picture) -> list[Any]:
    return [
        event.at_us,
        picture.lanes.get(event.node, -1),
        event.kind,
        event.peer,
        event.height,
        event.view,
        event.block,
        event.note[:NOTE_CHARS_MAX],
    ]


def _draw_bands(events: Sequence[Event], end_us: int, picture: _Picture) -> None:
    """At which height and in which view each node is."""
    at: dict[str, tuple[int, int, int]] = {}

    def close(node: str, at_us: int) -> None:
        if node in at:
            since_us, height, view = at.pop(node)
            if since_us < at_us:
                lane = picture.lanes.get(node, -1)
                picture.bands.append([since_us, at_us, lane, height, view])

    for event in events:
        node, place = event.node, None
        match event.kind:
            case "start" | "commit":
                place = (event.height + 1, 0)
            case "view" | "persist":
                place = (event.height, event.view)
            case "crash" | "stop":
                close(node, event.at_us)
        if place is not None and place > at.get(node, (0, -1, -1))[1:]:
            close(node, event.at_us)
            at[node] = (event.at_us, *place)
    for node in list(at):
        close(node, end_us)
    picture.bands.sort()


def _draw_absences(events: Sequence[Event], end_us: int, picture: _Picture) -> None:
    """When a node's process was down or stopped."""
    since: dict[str, tuple[int, str]] = dict.fromkeys(picture.lanes, (0, "down"))

    def close(node: str, at_us: int) -> None:
        since_us, state = since.pop(node, (at_us, ""))
        if since_us < at_us:
            picture.absences.append([since_us, at_us, picture.lanes.get(node, -1), state])

    for event in events:
        if event.kind in {"start", "resume"}:
            close(event.node, event.at_us)
        elif event.kind in {"crash", "stop", "pause"}:
            close(event.node, event.at_us)
            since[event.node] = (event.at_us, "paused" if event.kind == "pause" else "down")
    for node in list(since):
        close(node, end_us)
    picture.absences.sort()


def _draw_partitions(events: Sequence[Event], end_us: int, picture: _Picture) -> None:
    """A new one takes the place of the last, except that one-way cuts add up."""
    begun_us, shape = 0, ""
    for event in events:
        if event.kind not in {"partition", "heal"}:
            continue
        if shape and begun_us < event.at_us:
            picture.partitions.append([begun_us, event.at_us, shape[:NOTE_CHARS_MAX]])
        adds = event.kind == "partition" and "↛" in event.note and shape
        begun_us = event.at_us
        shape = f"{shape}, {event.note}" if adds else event.note if event.kind != "heal" else ""
    if shape:
        picture.partitions.append([begun_us, end_us, shape[:NOTE_CHARS_MAX]])
