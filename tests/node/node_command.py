"""Runs `medlock` inside the test's process, as its entry point does."""

import json
import os
from dataclasses import dataclass
from typing import Any

import pytest

from node.cli.main import main


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON on stdout."""
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The JSON error on stderr."""
        return json.loads(self.err.splitlines()[-1])["error"]


def forget_settings(patch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have settings of his own."""
    for name in list(os.environ):
        if name.startswith("MEDLOCK_"):
            patch.delenv(name)


class Terminal:
    """Where commands run."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def run(self, *arguments: object) -> Outcome:
        """Runs `medlock` with `arguments`."""
        self._capture.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(each) for each in arguments])
        captured = self._capture.readouterr()
        return Outcome(int(ended.value.code or 0), captured.out, captured.err)
