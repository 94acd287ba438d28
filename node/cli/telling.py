"""Steps of a story: commands that are run as a member would type them, each with what it is for and
whether it came out as it should.
"""

import contextlib
import io
import json
import re
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from node.cli.errand import Errand, Visit
from node.cli.main import main
from node.cli.reach import Asked
from node.errors import Exit, OperatorError
from node.testnet.state import Testnet

PATIENCE_S: Final = 60.0
POLL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Told:
    """A step: what for, what was typed, what came of it."""

    number: int
    says: str
    command: str
    outcome: str
    as_expected: bool

    def document(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "step": self.number,
            "says": self.says,
            "command": self.command,
            "outcome": self.outcome,
            "as_expected": self.as_expected,
        }


class Broken(Exception):  # noqa: N818 - says what is the matter
    """A step came out as it should not; what follows would mean nothing."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended; `printed` is its document, also where a check failed, `error` the code
    and cause of a refusal."""

    exit_code: int
    printed: Any
    error: str


@dataclass
class Teller:
    """Takes the steps in `folder`, on the network, and tells each one as it is done."""

    network: Testnet
    folder: Path
    tell: Callable[[Told], None]
    told: list[Told] = field(default_factory=list)

    def do(self, says: str, *arguments: str, outcome: Callable[[Any], str]) -> Any:
        """A command that must succeed; its document."""
        ran = self.run(*arguments)
        if ran.exit_code != Exit.OK:
            self._add(says, arguments, f"exit {ran.exit_code}: {ran.error}", as_expected=False)
        self._add(says, arguments, outcome(ran.printed), as_expected=True)
        return ran.printed

    def refuse(self, says: str, *arguments: str, code: str) -> None:
        """A command that must be refused, with `code` in what it says."""
        ran = self.run(*arguments)
        if ran.exit_code == Exit.OK:
            self._add(says, arguments, "it was allowed", as_expected=False)
        self._add(
            says,
            arguments,
            f"refused, exit {ran.exit_code}: {ran.error}",
            as_expected=code in ran.error,
        )

    def wait(
        self,
        says: str,
        *arguments: str,
        until: Callable[[Any], bool],
        outcome: Callable[[Any], str],
    ) -> Any:
        """A command that must come to say what `until` asks, in `PATIENCE_S`."""
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            ran = self.run(*arguments)
            if ran.exit_code == Exit.OK and until(ran.printed):
                self._add(says, arguments, outcome(ran.printed), as_expected=True)
                return ran.printed
            if time.monotonic() > deadline_s:
                found = outcome(ran.printed) if ran.exit_code == Exit.OK else ran.error
                self._add(says, arguments, f"not in time: {found}", as_expected=False)
            time.sleep(POLL_S)

    def look(self, says: str, holds: bool, outcome: str, otherwise: str) -> None:  # noqa: FBT001
        """Something that no command shows."""
        self._add(says, (), outcome if holds else otherwise, as_expected=holds)

    def run(self, *arguments: str) -> Ran:
        """Runs a command in this process, as its entry point does."""
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        err = io.StringIO()
        code: object = Exit.OK
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main([*arguments, *self._where(arguments), "--json"])
            except SystemExit as ended:
                code = ended.code
        if code == Exit.INTERRUPTED:
            raise KeyboardInterrupt
        raw = out.buffer
        assert isinstance(raw, io.BytesIO), "it was made so"
        printed = json.loads(raw.getvalue()) if raw.getvalue() else None
        if code:
            return Ran(int(str(code)), printed, "" if printed else _error(err.getvalue()))
        return Ran(Exit.OK, printed, "")

    def visit(self, says: str, wallet: str, work: Callable[[Visit], Any]) -> Any:
        """Does `work`, which must succeed, as the demo wallet of that name; for what no command
        does. Tells of it only where it fails."""
        asked = Asked(None, None, self.network.path, wallet, None, PATIENCE_S)
        try:
            return Errand(asked, None).run(work)
        except OperatorError as error:
            outcome = f"exit {int(error.exit_code)}: [{error.code}] {error.cause}"
            self._add(says, (), outcome, as_expected=False)
            raise  # never reached: a step that breaks ends the story

    def file(self, name: str, content: str) -> str:
        """A file for a command to read; its path."""
        path = self.folder / name
        path.write_text(content, "utf-8")
        return str(path)

    def _where(self, arguments: tuple[str, ...]) -> list[str]:
        verifies = arguments[:2] in {("chain", "verify"), ("receipt", "verify")}
        return [] if verifies else ["--dir", str(self.network.path)]

    def _add(
        self, says: str, arguments: tuple[str, ...], outcome: str, *, as_expected: bool
    ) -> None:
        command = shlex.join(("medlock", *arguments)) if arguments else ""
        told = Told(
            len(self.told) + 1,
            says,
            command.replace(f"{self.folder}/", ""),
            outcome.replace(f"{self.folder}/", ""),
            as_expected,
        )
        self.told.append(told)
        self.tell(told)
        if not as_expected:
            raise Broken(says)


def _error(said: str) -> str:
    """The code and the cause of the error that a command printed last."""
    try:
        error = json.loads(said.splitlines()[-1])["error"]
    except (ValueError, IndexError, KeyError):
        return re.sub(r"\s+", " ", said)[-200:]
    return f"[{error['code']}] {error['cause']}"
