"""Runs the console blocks of a document, and compares what they print with what it says.

`…` stands for anything in a line, a line of it for any number of lines, `<NAME>` for a word that
later commands use as `$NAME`. Runs of spaces count as one, so that columns need not be as wide as
ids are.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.network import zygote

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120.0
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PART = re.compile(r"(…|<[A-Z]+>| +)")


@dataclass(frozen=True)
class Typed:
    """A command and what it prints, line by line."""

    command: str
    prints: tuple[str, ...]


def blocks_of(text: str) -> list[list[Typed]]:
    """The commands of each console block."""
    return [list(_typed(match[1].splitlines())) for match in _BLOCK.finditer(text)]


def _typed(lines: list[str]) -> list[Typed]:
    found: list[Typed] = []
    for line in lines:
        if line.startswith("$ "):
            found.append(Typed(line[2:], ()))
        else:
            assert found, f"no command prints {line!r}"
            found[-1] = Typed(found[-1].command, (*found[-1].prints, line))
    return found


def pattern_of(prints: tuple[str, ...]) -> re.Pattern[str]:
    """What matches the whole output of a command."""
    return re.compile("".join(map(_line, prints)), re.DOTALL)


def _line(line: str) -> str:
    if line.strip() == "…":
        return r"(?:[^\n]*\n)*?"
    return "".join(map(_part, _PART.split(line.rstrip()))) + r" *\n"


def _part(part: str) -> str:
    if part == "…":
        return r"[^\n]*?"
    if part.startswith("<") and part.endswith(">"):
        return rf"(?P<{part[1:-1]}>\S+)"
    return r" +" if part.isspace() else re.escape(part)


@dataclass
class Shell:
    """Where a reader types, in `folder`."""

    folder: Path
    path: str
    learnt: dict[str, str] = field(default_factory=dict)

    def follow(self, block: list[Typed]) -> None:
        """Types each command, and demands that it prints what the document says."""
        for each in block:
            printed = self.type(each.command)
            match = pattern_of(each.prints).fullmatch(printed)
            assert match is not None, (
                f"$ {each.command}\nprinted:\n{printed}\nand should have printed:\n"
                + "\n".join(each.prints)
            )
            self.learnt |= match.groupdict()

    def type(self, command: str) -> str:
        """What `command` prints, on both streams."""
        ours = {name: text for name, text in os.environ.items() if not name.startswith("MEDLOCK_")}
        done = subprocess.run(
            ["bash", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=ours | self.learnt | {"PATH": self.path},
            cwd=self.folder,
            check=False,
            timeout=PATIENCE_S,
        )
        text = done.stdout.decode()
        return text if not text or text.endswith("\n") else text + "\n"


@contextmanager
def reading(blocks: list[list[Typed]], folder: Path) -> Iterator[Shell]:
    """A reader's terminal in a checkout (`folder`, empty as yet), where the first of `blocks` has
    been typed, and the last one is at the end; no test network stays behind."""
    (folder / "configs").symlink_to(ROOT / "configs")
    program = folder / "bin" / "medlock"
    program.parent.mkdir()
    reader = Shell(folder, f"{program.parent}:{os.environ['PATH']}")
    with zygote.serving(program):
        try:
            reader.follow(blocks[0])
            yield reader
            reader.follow(blocks[-1])
        finally:
            reader.type("medlock testnet down")
