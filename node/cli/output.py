"""What a command prints: one document on stdout, for people or as JSON; progress on stderr.

Must stay cheap to import; rich comes in when something turns out to take long.
"""

import functools
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TextIO, TypeVar

import click

from node.errors import OperatorError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SHOW_PROGRESS_AFTER_S: Final = 2.0
P = ParamSpec("P")
R = TypeVar("R")


def json_option(command: Callable[P, R]) -> Callable[P, R]:
    """`--json`, for every command; `print_document` finds it in the context."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        click.get_current_context().meta["medlock.json"] = kwargs.pop("as_json")
        return command(*args, **kwargs)

    return wrapped


def wants_json() -> bool:
    """True where the running command was given `--json`."""
    context = click.get_current_context(silent=True)
    return bool(context and context.meta.get("medlock.json"))


def print_document(document: object, text: str | None = None) -> None:
    """Prints `document` as JSON where asked, else `text` (or the document's own lines)."""
    if wants_json():
        click.echo(json.dumps(document, ensure_ascii=False))
    elif text is None:
        click.echo(lines(document))
    elif text:
        click.echo(text)


def lines(document: object) -> str:
    """Names and values, one a line, aligned; nested ones indented."""
    if not isinstance(document, dict) or not document:
        return str(document)
    width = max(len(str(name)) for name in document)
    return "\n".join(f"{name!s:<{width}}  {_value(value)}" for name, value in document.items())


def table(
    titles: Sequence[str], rows: Sequence[Sequence[object]], *, none: str | None = None
) -> str:
    """Left-aligned columns; `none`, where it is given, in place of a table without rows."""
    if none is not None and not rows:
        return none
    cells = [[str(each) for each in row] for row in (titles, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(titles))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def say(text: str) -> None:
    """A line of progress, on stderr."""
    click.echo(text, err=True)


def print_error(error: OperatorError, *, as_json: bool) -> int:
    """Prints the error, and returns its exit code, which must not depend on room for words."""
    if as_json:
        words = json.dumps(error.document(), ensure_ascii=False)
    else:
        words = f"error[{error.code}] {error.cause}\n  why: {error.why}\n  fix: {error.fix}"
    try:
        click.echo(words, err=True)
    except OSError:
        forget(sys.stderr)
    return int(error.exit_code)


def forget(stream: TextIO) -> None:
    """What `stream` still holds has nowhere to go; at exit it would fail again, as code 120."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, stream.fileno())
    os.close(descriptor)


class Bar:
    """A progress bar on stderr that shows itself once the work takes longer than two seconds.

    Where stderr is no terminal it stays silent.
    """

    def __init__(self, label: str, total: int | None = None) -> None:
        self._label = label
        self._total = total
        self._done = 0
        self._started_s = time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> "Bar":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def to(self, done: int, label: str | None = None) -> None:
        """`done` of the total are done; cheap enough to be called for every item."""
        self._done = done
        self._label = label or self._label
        if self._bar is None and self._due():
            self._show()
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, description=self._label)

    def advance(self, by: int = 1) -> None:
        """`by` more are done."""
        self.to(self._done + by)

    def _due(self) -> bool:
        return sys.stderr.isatty() and time.monotonic() - self._started_s > SHOW_PROGRESS_AFTER_S

    def _show(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - slow to import, seldom needed
        from rich.progress import Progress  # noqa: PLC0415

        self._bar = Progress(console=Console(stderr=True), transient=True)
        self._bar.start()
        self._task = self._bar.add_task(self._label, total=self._total)


def _value(value: object) -> str:
    match value:
        case dict() | list() if value:
            inner: Any = lines(value) if isinstance(value, dict) else "\n".join(map(_value, value))
            return "\n" + "\n".join(f"  {line}" for line in inner.splitlines())
        case dict() | list() | None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)
