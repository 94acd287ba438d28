"""What runs found, added up: as text, as a document, as JUnit XML, as a table for documents.

Reports of several ranges of seeds add up to one. Must not know how runs are made.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any, Final, NamedTuple
from xml.sax.saxutils import escape, quoteattr

from node.simulator.goals import GOALS, SEEDS_FOR_GOALS
from node.simulator.run import Outcome
from node.simulator.scenario import InputFault


class Ending(IntEnum):
    """How `medlock simulate` ends; the worst one counts."""

    PASS = 0
    VIOLATION = 1
    UNREACHED = 2
    NONDETERMINISM = 3
    HARNESS = 4
    INTERRUPTED = 130


class Case(NamedTuple):
    """One run, as CI counts it."""

    name: str
    wall_s: float
    failure: Outcome | None


@dataclass(slots=True)
class Report:
    """What runs found."""

    first: int
    last: int
    commit: str
    seeds: int = 0
    """Runs that were counted."""
    wall_s: float = 0.0
    virtual_s: float = 0.0
    heights: int = 0
    acknowledged: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    views: Counter[int] = field(default_factory=Counter)
    """Seeds in which a view was seen."""
    goals: Counter[str] = field(default_factory=Counter)
    """Seeds that reached a goal."""
    sizes: Counter[int] = field(default_factory=Counter)
    failures: list[Outcome] = field(default_factory=list)
    nondeterministic: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    """Errors of the simulator that belong to no run."""
    scenarios: Counter[str] = field(default_factory=Counter)
    """Runs by scenario file; empty for a swarm, and only a swarm is held to the goals."""
    done: list[int] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    """Seeds that were asked for, and not run because somebody interrupted."""
    interrupted: bool = False
    cases: list[Case] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Counts one run."""
        self.seeds += 1
        self.virtual_s += outcome.virtual_s
        self.heights += outcome.heights
        self.acknowledged += outcome.acknowledged
        self.faults.update(outcome.faults)
        self.views.update(outcome.views)
        self.goals.update(outcome.goals)
        self.sizes[outcome.n] += 1
        if outcome.scenario:
            self.scenarios[outcome.scenario] += 1
        else:
            self.done.append(int(outcome.seed))
        if outcome.other_hash:
            self.nondeterministic.append(f"{_place(outcome)}: {found_in(outcome)}")
        if not outcome.passed:
            self.failures.append(outcome)
        failure = None if outcome.passed else outcome
        self.cases.append(Case(_place(outcome), outcome.wall_s, failure))

    @property
    def unreached(self) -> list[str]:
        """Goals that no seed reached, where there were seeds enough."""
        if self.seeds < SEEDS_FOR_GOALS or self.scenarios:
            return []
        return [goal for goal in GOALS if not self.goals[goal]]

    @property
    def ending(self) -> Ending:
        """The worst of what was found."""
        if self.interrupted or self.missing:
            return Ending.INTERRUPTED
        if self.troubles or any(each.harness for each in self.failures):
            return Ending.HARNESS
        if self.nondeterministic:
            return Ending.NONDETERMINISM
        if self.failures:
            return Ending.VIOLATION
        return Ending.UNREACHED if self.unreached else Ending.PASS

    # As a document.

    def document(self) -> dict[str, Any]:
        """For `--json` and `--report`; `merged` reads it."""
        return {
            "seeds": {"first": self.first, "last": self.last, "run": self.seeds},
            "ranges": ranges_of(self.done),
            "missing": ranges_of(self.missing),
            "commit": self.commit,
            "ending": self.ending.name.lower(),
            "wall_s": round(self.wall_s, 3),
            "virtual_hours": round(self.virtual_s / 3_600, 6),
            "blocks": self.heights,
            "acknowledged": self.acknowledged,
            "sizes": {str(n): count for n, count in sorted(self.sizes.items())},
            "faults": dict(sorted(self.faults.items())),
            "views": {str(view): count for view, count in sorted(self.views.items())},
            "goals": {} if self.scenarios else {goal: self.goals[goal] for goal in GOALS},
            "unreached": self.unreached,
            "nondeterministic": self.nondeterministic,
            "troubles": self.troubles,
            "scenarios": dict(sorted(self.scenarios.items())),
            "failures": [_failure(each) for each in self.failures],
        }

    # As JUnit.

    def junit(self) -> str:
        """One test case a run, in the schema that CI servers read; and one a goal, where seeds were
        enough to judge it."""
        cases = list(self._cases())
        failures = sum("<failure " in each for each in cases)
        errors = sum("<error " in each for each in cases)
        counts = f'tests="{len(cases)}" failures="{failures}" errors="{errors}"'
        time = f'time="{self.wall_s:.3f}"'
        return "\n".join(
            [
                '<?xml version="1.0" encoding="UTF-8"?>',
                f'<testsuites name="medlock simulate" {counts} {time}>',
                f' <testsuite name="medlock simulate" {counts} skipped="0" {time}>',
                "  <properties>",
                f'   <property name="commit" value={_quoted(self.commit)}/>',
                f'   <property name="virtual_hours" value="{self.virtual_s / 3_600:.3f}"/>',
                "  </properties>",
                *cases,
                " </testsuite>",
                "</testsuites>\n",
            ]
        )

    def _cases(self) -> Iterator[str]:
        for name, wall_s, failure in self.cases:
            inner = "" if failure is None else _junit_failure(failure, self.commit)
            yield _junit_case(name, wall_s, inner)
        for trouble in self.troubles:
            yield _junit_case("workers", 0, f'<error type="harness" message={_quoted(trouble)}/>')
        if self.missing:
            sentence = f"not run: {words_of_ranges(ranges_of(self.missing))}"
            inner = f'<error type="interrupted" message={_quoted(sentence)}/>'
            yield _junit_case("all seeds were run", 0, inner)
        if self.goals and not self.scenarios and self.seeds >= SEEDS_FOR_GOALS:
            for goal, meaning in GOALS.items():
                inner = f'<failure type="goal" message={_quoted(f"never reached: {meaning}")}/>'
                yield _junit_case(f"goal: {goal}", 0, "" if self.goals[goal] else inner)

    # As text.

    def lines(self) -> list[str]:
        """For people."""
        lines = [line for each in self.failures for line in failure_lines(each, self.commit)]
        lines += self.troubles
        lines += [f"nondeterministic: {each}" for each in self.nondeterministic]
        lines += [f"goal unreached: {goal}: {GOALS[goal]}" for goal in self.unreached]
        failed = Counter(each.scenario for each in self.failures)
        for path, count in self.scenarios.items():
            verdict = f"{failed[path]} of {count} failed" if failed[path] else "holds"
            lines.append(f"{path}: {verdict}")
        lines += [
            (
                f"{self.seeds:,} runs, {self.virtual_s / 3_600:.2f} virtual hours, "
                f"{self.heights:,} blocks, {self.acknowledged:,} receipts"
            ),
            "sizes    " + _counts(self.sizes),
            "faults   " + _counts(self.faults),
            "views    " + _counts(self.views),
        ]
        if not self.scenarios:
            lines.append("goals    " + _counts(self.goals))
        if self.missing:
            missing = words_of_ranges(ranges_of(self.missing))
            lines.append(f"interrupted; the rest: medlock simulate --seeds {missing}")
        elif self.interrupted:
            lines.append("interrupted")
        return [*lines, f"{self.ending.name.lower()}, commit {self.commit}"]

    def table(self) -> str:
        """The figures as a Markdown table, for `docs/reliability.md`."""
        rate = self.seeds / self.wall_s if self.wall_s else 0.0
        reached = sum(1 for goal in GOALS if self.goals[goal])
        rows = [
            ("commit", self.commit),
            ("seeds", f"{self.seeds:,} ({words_of_ranges(ranges_of(self.done))})"),
            ("ending", self.ending.name.lower()),
            ("violations", f"{len(self.failures):,}"),
            ("wall clock", f"{self.wall_s / 60:,.1f} minutes, {rate:.1f} seeds a second"),
            ("virtual time", f"{self.virtual_s / 3_600:,.1f} hours"),
            ("blocks decided", f"{self.heights:,}"),
            ("receipts held to", f"{self.acknowledged:,}"),
            ("seeds by members", _counts(self.sizes)),
            ("faults injected", f"{self.faults.total():,}: {_counts(self.faults)}"),
            ("seeds by view seen", _counts(self.views)),
            ("goals reached", f"{reached} of {len(GOALS)}: {_counts(self.goals)}"),
        ]
        return "\n".join(["| figure | |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)])


def failure_lines(failure: Outcome, commit: str) -> list[str]:
    """What a failed run prints: where, what, the last transitions, the line that reproduces it."""
    return [
        f"{_place(failure)} ({failure.n} nodes), commit {commit}: {found_in(failure)}",
        *(f"  {line}" for line in failure.last),
        f"  reproduce: {reproducing(failure)}",
        "",
    ]


def found_in(outcome: Outcome) -> str:
    """What is wrong with it, in a sentence."""
    if outcome.other_hash:
        return f"another trace hash: {outcome.trace_hash} and {outcome.other_hash}"
    return outcome.violation or outcome.harness


def reproducing(outcome: Outcome) -> str:
    """The command that runs it again."""
    story = f" {outcome.scenario}" if outcome.scenario else ""
    return f"medlock simulate{story} --repro {outcome.seed}"


# Ranges of seeds.


def ranges_of(seeds: Iterable[int]) -> list[list[int]]:
    """Ascending [first, last] pairs that hold exactly `seeds`."""
    ranges: list[list[int]] = []
    for seed in sorted(seeds):
        if ranges and ranges[-1][1] >= seed - 1:
            ranges[-1][1] = seed
        else:
            ranges.append([seed, seed])
    return ranges


def words_of_ranges(ranges: Sequence[Sequence[int]]) -> str:
    """As `--seeds` takes them."""
    return ",".join(f"{a}..{b}" for a, b in ranges)


# Merging.


def merged(documents: Sequence[tuple[str, Any]]) -> Report:
    """The reports of ranges that do not overlap, as one: (name of the file, what is in it). Raises
    `InputFault`."""
    reports = []
    for name, document in documents:
        try:
            reports.append(_read(document))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            cause = f"{type(error).__name__}: {error}"
            raise InputFault(f"{name}: no report of medlock simulate ({cause})") from None
    if not reports:
        raise InputFault("--merge needs the reports (JSON files that --report wrote)")
    whole = Report(
        min(each.first for each in reports), max(each.last for each in reports), reports[0].commit
    )
    for (name, _), each in zip(documents, reports, strict=True):
        if each.commit != whole.commit:
            cause = f"commit {each.commit}, the others ran {whole.commit}"
            raise InputFault(f"{name}: {cause}; figures of two programs are not one campaign")
        if twice := sorted(set(whole.done) & set(each.done)):
            where = words_of_ranges(ranges_of(twice))
            raise InputFault(f"{name}: seeds {where} are counted already, in an earlier file")
        _add(whole, each)
    whole.missing = sorted(set(whole.missing) - set(whole.done))
    return whole


def _add(whole: Report, part: Report) -> None:
    for name in ("seeds", "wall_s", "virtual_s", "heights", "acknowledged"):
        setattr(whole, name, getattr(whole, name) + getattr(part, name))
    whole.faults.update(part.faults)
    whole.views.update(part.views)
    whole.goals.update(part.goals)
    whole.sizes.update(part.sizes)
    whole.failures += part.failures
    whole.nondeterministic += part.nondeterministic
    whole.troubles += part.troubles
    whole.done += part.done
    whole.missing += part.missing
    failures = {each.seed: each for each in part.failures}
    for seed in part.done:
        whole.cases.append(Case(f"seed {seed}", 0.0, failures.get(seed)))


def _read(document: Any) -> Report:
    if document["scenarios"]:
        raise ValueError("of scenario files; only seeds of a swarm can be added up")
    report = Report(document["seeds"]["first"], document["seeds"]["last"], document["commit"])
    report.seeds = int(document["seeds"]["run"])
    report.wall_s = float(document["wall_s"])
    report.virtual_s = float(document["virtual_hours"]) * 3_600
    report.heights = int(document["blocks"])
    report.acknowledged = int(document["acknowledged"])
    report.sizes.update({int(n): int(count) for n, count in document["sizes"].items()})
    report.faults.update({str(name): int(count) for name, count in document["faults"].items()})
    report.views.update({int(view): int(count) for view, count in document["views"].items()})
    report.goals.update({str(name): int(count) for name, count in document["goals"].items()})
    report.nondeterministic += map(str, document["nondeterministic"])
    report.troubles += map(str, document["troubles"])
    report.done = _seeds_of(document["ranges"])
    report.missing = _seeds_of(document["missing"])
    if len(report.done) != report.seeds:
        raise ValueError("ranges and the number of seeds differ")
    for failure in document["failures"]:
        fields = {name: value for name, value in failure.items() if name != "reproduce"}
        report.failures.append(Outcome(**{**fields, "faults": Counter(fields["faults"])}))
    return report


def _seeds_of(ranges: list[list[int]]) -> list[int]:
    return [seed for first, last in ranges for seed in range(first, last + 1)]


# Words.


def _place(outcome: Outcome) -> str:
    seed = f"seed {outcome.seed}"
    return f"{outcome.scenario}, {seed}" if outcome.scenario else seed


def _failure(outcome: Outcome) -> dict[str, Any]:
    document = asdict(outcome)
    document["reproduce"] = reproducing(outcome)
    document["faults"] = dict(outcome.faults)
    document["wall_s"] = round(outcome.wall_s, 3)
    return document


def _junit_case(name: str, wall_s: float, inner: str) -> str:
    head = f'  <testcase classname="medlock.simulate" name={_quoted(name)} time="{wall_s:.3f}"'
    return f"{head}>{inner}</testcase>" if inner else f"{head}/>"


def _junit_failure(failure: Outcome, commit: str) -> str:
    tag, kind = "failure", failure.invariant
    if failure.harness:
        tag, kind = "error", "harness"
    elif failure.other_hash:
        kind = "nondeterminism"
    text = escape(_printable("\n".join(failure_lines(failure, commit))))
    return f"<{tag} type={_quoted(kind)} message={_quoted(found_in(failure))}>{text}</{tag}>"


_UNPRINTABLE: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _printable(text: str) -> str:
    """XML has no way to say a control character."""
    return _UNPRINTABLE.sub("\ufffd", text)


def _quoted(text: str) -> str:
    return quoteattr(_printable(text))


def _counts(counts: dict[Any, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())) or "none"
