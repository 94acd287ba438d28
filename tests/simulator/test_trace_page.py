"""The trace page: what it holds, that nothing breaks out of it, and that it stays bounded."""

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from node.simulator import page
from node.simulator.page import ARRIVED, COPY, DROPPED, LATE, NEVER, Cast, write_page
from node.simulator.run import Outcome
from node.simulator.telling import Telling
from node.simulator.trace import Event, EventKind
from node.simulator.world import World

CAST = Cast("a run", {"a": True, "b": True, "c": False})


class Reader(HTMLParser):
    """What a browser would see: elements, attributes, and the text of each."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "input", "br"}:
            self._open.append(dict(attrs).get("id") or tag)

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        name = self._open[-1] if self._open else ""
        self.texts[name] = self.texts.get(name, "") + data

    @property
    def run(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.texts["run"])
        return document


def read(events: list[Event], cast: Cast = CAST) -> Reader:
    file = io.StringIO()
    write_page(events, cast, file)
    return Reader(file.getvalue())


def event(at_us: int, kind: EventKind, node: str, peer: str = "", **rest: Any) -> Event:
    return Event(at_us, kind, node, peer, **rest)


def prepare(at_us: int, kind: EventKind, node: str, peer: str) -> Event:
    return event(at_us, kind, node, peer, what="prepare", height=1, view=0, block="00ff00ff")


def test_a_page_needs_nothing_but_itself() -> None:
    page_of_a_run = read([prepare(1, "send", "a", "b")])
    assert not [
        (tag, attributes)
        for tag, attributes in page_of_a_run.elements
        if tag in {"link", "img", "iframe", "object", "base"} or {"src", "href"} & set(attributes)
    ]
    policies = [each for _, each in page_of_a_run.elements if "http-equiv" in each]
    assert policies[0]["http-equiv"] == "Content-Security-Policy"
    assert (policies[0]["content"] or "").startswith("default-src 'none';")
    template = (Path(page.__file__).parent / "trace_page.html").read_text(encoding="utf-8")
    assert not re.findall(r"https?://|import\(|fetch\(|XMLHttpRequest|innerHTML", template)


def test_a_message_is_an_arrow_from_its_sending_to_its_arrival() -> None:
    run = read([prepare(10, "send", "a", "b"), prepare(35, "deliver", "b", "a")]).run
    assert run["arrows"] == [[10, 35, 0, 1, "prepare", 1, 0, "00ff00ff", "", ARRIVED]]
    assert run["lanes"] == [["a", True], ["b", True], ["c", False]]


def test_what_became_of_messages_is_told() -> None:
    run = read(
        [
            prepare(5, "deliver", "c", "b"),
            prepare(10, "send", "a", "b"),
            prepare(10, "drop", "a", "b"),
            prepare(20, "send", "a", "c"),
            prepare(25, "deliver", "c", "a"),
            prepare(30, "deliver", "c", "a"),
            prepare(40, "send", "b", "a"),
            event(45, "disconnect", "a", "b"),
            prepare(50, "send", "b", "a"),
            prepare(60, "deliver", "a", "b"),
        ]
    ).run
    fates = [(begun, ended, fate) for begun, ended, *_, fate in run["arrows"]]
    assert fates == [
        (5, 5, LATE),
        (10, 10, DROPPED),
        (20, 25, ARRIVED),
        (20, 30, COPY),
        (40, 40, NEVER),
        (50, 60, ARRIVED),
    ]


def test_bands_say_height_and_view_and_spans_say_who_was_away() -> None:
    run = read(
        [
            event(0, "start", "a", height=0),
            event(10, "view", "a", height=1, view=2),
            event(20, "commit", "a", height=1, view=2),
            event(30, "pause", "a"),
            event(40, "resume", "a"),
            event(50, "crash", "a", note="torn"),
            event(70, "start", "a", height=1),
            event(90, "commit", "a", height=2),
        ],
        Cast("a run", {"a": True}),
    ).run
    assert run["bands"] == [
        [0, 10, 0, 1, 0],
        [10, 20, 0, 1, 2],
        [20, 50, 0, 2, 0],
        [70, 90, 0, 2, 0],
    ]
    assert run["absences"] == [[30, 40, 0, "paused"], [50, 70, 0, "down"]]


def test_partitions_last_until_the_next_or_until_they_heal() -> None:
    run = read(
        [
            event(10, "partition", "", note="ab | c"),
            event(20, "partition", "", note="a | bc"),
            event(30, "heal", ""),
            event(40, "partition", "", note="a ↛ b"),
            event(50, "partition", "", note="b ↛ c"),
            event(60, "note", "", note="over"),
        ]
    ).run
    assert run["partitions"] == [
        [10, 20, "ab | c"],
        [20, 30, "a | bc"],
        [40, 50, "a ↛ b"],
        [50, 60, "a ↛ b, b ↛ c"],
    ]


EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&amp;\u2028'\"@@data@@"


def test_no_text_breaks_out_of_the_page() -> None:
    cast = Cast(EVIL, {EVIL: True}, found=EVIL, reproduce=EVIL, commit=EVIL, last=[EVIL, EVIL])
    seen = read([event(1, "note", EVIL, EVIL, what=EVIL, note=EVIL)], cast)
    assert [tag for tag, _ in seen.elements].count("script") == 2
    assert "img" not in [tag for tag, _ in seen.elements]
    assert seen.texts["h1"] == seen.texts["verdict"] == EVIL
    assert seen.texts["last"] == f"{EVIL}\n{EVIL}"
    assert seen.run["lanes"] == [[EVIL, True]]
    assert seen.run["marks"][0][7] == EVIL


def test_a_long_run_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "EVENTS_MAX", 10)
    monkeypatch.setattr(page, "MARKS_MAX", 3)
    monkeypatch.setattr(page, "SPANS_MAX", 2)
    events = [prepare(at, "send", "a", "b") for at in range(30)]
    events += [event(30 + at, "commit", "a", height=at) for at in range(5)]
    seen = read(events)
    assert "messages among the first 25 are cut" in str(seen.texts)
    assert "the first 2 marks are cut" in str(seen.texts)
    assert "height and view spans are cut" in str(seen.texts)
    assert seen.run["shownFrom"] == 25
    assert len(seen.run["arrows"]) == 5
    assert len(seen.run["marks"]) == 3
    assert len(seen.run["bands"]) == 2


def test_the_largest_page_is_still_one_that_opens() -> None:
    note = "x" * 10_000
    messages = [prepare(at, "send", "a", "b") for at in range(page.EVENTS_MAX + 1)]
    seen = io.StringIO()
    write_page([*messages, event(99_999, "note", "a", note=note)], CAST, seen)
    assert len(seen.getvalue()) < 3_000_000
    assert note not in seen.getvalue()


def test_an_empty_run_is_a_page_too() -> None:
    assert read([]).run["end"] == 0


def test_a_run_is_told_from_its_start_to_its_violation(tmp_path: Path) -> None:
    telling = Telling()
    with World(4, seed=3, keep_trace=True) as world:
        world.start()
        world.advance(1)
        submission = world.submit("a")
        world.until(lambda: submission.state == "acknowledged")
        world.partition({"a", "b"}, {"c", "d"})
        world.advance(1)
        world.crash("d", "torn")
        telling(world)
    file = tmp_path / "run.html"
    outcome = Outcome(3, 4, "S1", "S1 at a, height 1: two blocks", last=["1.0 commit a"])
    telling.write(file, outcome, "abc")
    seen = Reader(file.read_text(encoding="utf-8"))
    assert seen.texts["verdict"] == "S1 at a, height 1: two blocks"
    assert seen.run["found"] == "S1 at a, height 1: two blocks"
    assert {"start", "persist", "commit", "submit", "crash", "partition"} <= {
        mark[2] for mark in seen.run["marks"]
    }
    assert [span[2] for span in seen.run["partitions"]] == ["ab | cd"]
    votes = {arrow[4] for arrow in seen.run["arrows"]}
    assert {"pre-prepare", "prepare", "commit"} <= votes
