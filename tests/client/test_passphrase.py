"""Passphrases come from a descriptor, a file or a terminal; never from arguments."""

import io
import os
import resource
from pathlib import Path

import pytest

from client.errors import WalletError
from client.passphrase import FILE_VARIABLE, read_passphrase


def refused(*, environment: dict[str, str] | None = None, **how: object) -> str:
    with pytest.raises(WalletError) as caught:
        read_passphrase("Passphrase", environment or {}, **how)  # type: ignore[arg-type]
    assert "CANARY" not in str(caught.value)
    return caught.value.code


def test_a_file_named_by_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "phrase"
    for content in (b"with spaces \n", b"with spaces \r\n", b"with spaces "):
        path.write_bytes(content)
        assert read_passphrase("", {FILE_VARIABLE: str(path)}) == b"with spaces "


def test_a_descriptor_goes_before_the_file(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"from the pipe\n")
    os.close(writing)
    environment = {FILE_VARIABLE: str(tmp_path / "none")}
    assert read_passphrase("", environment, descriptor=reading) == b"from the pipe"
    os.close(reading)


def test_a_prompt_asks_twice_for_a_new_one() -> None:
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return "grün"

    assert read_passphrase("New", {}, confirm=True, ask=ask) == "grün".encode()
    assert asked == ["New: ", "New (again): "]


def test_two_that_differ_are_refused() -> None:
    answers = iter(("CANARY one", "CANARY two"))
    assert refused(confirm=True, ask=lambda _: next(answers)) == "passphrase.differs"


@pytest.mark.parametrize(
    ("typed", "code"),
    [("", "passphrase.empty"), ("\n", "passphrase.empty"), ("C" * 1_025, "passphrase.too_long")],
)
def test_empty_and_endless_ones_are_refused(typed: str, code: str) -> None:
    assert refused(ask=lambda _: typed) == code


def test_sources_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    missing = {FILE_VARIABLE: str(tmp_path / "none")}
    assert refused(environment=missing) == "passphrase.unreadable"
    assert refused(descriptor=987) == "passphrase.unreadable"


def test_without_a_terminal_there_is_nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("piped"))
    assert refused() == "passphrase.none"


def test_no_core_dump_after_it_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[tuple[int, tuple[int, int]]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda *limit: limits.append(limit))
    read_passphrase("", {}, ask=lambda _: "secret")
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    assert limits == [(resource.RLIMIT_CORE, (0, hard))]
