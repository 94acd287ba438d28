"""Keeps what a run leaves for readers, and writes it: a page to look at, or lines for programs."""

from pathlib import Path
from typing import Final

from node.simulator.page import Cast, write_page
from node.simulator.report import found_in, reproducing
from node.simulator.run import Outcome
from node.simulator.scenario import InputFault
from node.simulator.trace import Event, write_lines
from node.simulator.world import World

PAGES: Final = (".html", ".htm")


class Telling:
    """Called with a world before it is closed."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._lanes: dict[str, bool] = {}

    def __call__(self, world: World) -> None:
        """Keeps its events."""
        self._events = list(world.trace)
        self._lanes = {name: machine.honest for name, machine in world.machines.items()}

    def write(self, path: Path, outcome: Outcome, commit: str) -> None:
        """A page where the name ends like one, else one JSON object a line."""
        cast = Cast(
            title=f"{outcome.scenario or 'medlock simulate'}, seed {outcome.seed}",
            lanes=self._lanes,
            found="" if outcome.passed else found_in(outcome),
            reproduce=reproducing(outcome),
            commit=commit,
            trace_hash=outcome.trace_hash,
            last=outcome.last,
        )
        try:
            with path.open("w", encoding="utf-8") as file:
                if path.suffix.lower() in PAGES:
                    write_page(self._events, cast, file)
                else:
                    write_lines(self._events, file)
        except OSError as error:
            raise InputFault(f"--trace {path}: {error}") from None
