"""Errors: one table, every exception of the rooms ends in it, and what the operator reads."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from chain.errors import InvalidMessage, Rejected
from client.errors import ApiError, ClientError, NotForUs, Tampered, WalletError
from client.verifier import NotVerified
from node.cli.blame import explain
from node.cli.output import print_error
from node.errors import ERRORS, Exit, OperatorError
from storage.errors import StoreBusy, StoreDamaged, StoreExists, StoreMissing


def test_every_code_says_what_why_and_how_to_go_on() -> None:
    for code, entry in ERRORS.items():
        error = OperatorError(code)
        assert code[0] == "E"
        assert code[1:].isdigit()
        assert error.cause
        assert error.why
        assert error.fix
        assert error.exit_code is entry.exit_code
        assert error.exit_code in {
            Exit.CHECK_FAILED,
            Exit.USAGE,
            Exit.CONFIG,
            Exit.UNREACHABLE,
            Exit.DENIED,
            Exit.NO_QUORUM,
            Exit.INTEGRITY,
        }


def test_an_error_prints_as_code_why_and_fix(capsys: pytest.CaptureFixture[str]) -> None:
    error = OperatorError("E014", "data directory is in use by process 4121", fix="stop it")
    assert print_error(error, as_json=False) == 3
    assert capsys.readouterr().err == (
        "error[E014] data directory is in use by process 4121\n"
        "  why: LevelDB allows one process per directory\n"
        "  fix: stop it\n"
    )


def test_a_passphrase_that_was_not_read_is_not_called_wrong() -> None:
    for code in ("passphrase.none", "passphrase.unreadable", "passphrase.empty"):
        assert "wrong" not in explain(WalletError(code, "x")).why
    assert "wrong" in explain(WalletError("wallet.does_not_open", "x")).why


@pytest.mark.parametrize(
    ("raised", "code", "exit_code"),
    [
        (ApiError("api.unreachable", "x"), "E020", 4),
        (ApiError("api.connection_lost", "x"), "E020", 4),
        (ApiError("api.timeout", "x"), "E043", 6),
        (ApiError("api.url", "x"), "E070", 2),
        (ApiError("auth.no", "x", status=401), "E030", 5),
        (ApiError("auth.no", "x", status=403), "E030", 5),
        (ApiError("record.unknown", "x", status=404), "E034", 1),
        (ApiError("codec.malformed", "x", status=400), "E035", 1),
        (ApiError("mempool.full", "x", status=503), "E023", 4),
        (ApiError("http.too_many", "x", status=429), "E023", 4),
        (ApiError("transaction.slow", "x", status=504), "E040", 6),
        (ApiError("api.strange", "x", status=500), "E022", 4),
        (WalletError("wallet.does_not_open", "x"), "E031", 5),
        (NotForUs("key.not_sealed_to_us", "x"), "E032", 5),
        (Tampered("attachment.other_bytes", "x"), "E050", 7),
        (NotVerified("receipt.wrong_path", "x"), "E050", 7),
        (ClientError("client.other", "x"), "E035", 1),
        (StoreDamaged("store.damaged", "x", "y"), "E051", 7),
        (StoreMissing("store.missing", "x", "y"), "E051", 7),
        (StoreDamaged("store.other_genesis", "x", "y"), "E017", 3),
        (StoreExists("votes.exist", "x", "y"), "E008", 3),
        (StoreBusy("store.busy", "x", "y"), "E014", 3),
        (InvalidMessage("bundle.no_entries", "entry", "x"), "E018", 1),
        (Rejected("record.version", "actions[0].version"), "E033", 1),
        (FileNotFoundError(errno.ENOENT, "No such file", "somewhere"), "E016", 3),
        (ExceptionGroup("tasks", [StoreBusy("store.busy", "x", "y")]), "E014", 3),
        (OperatorError("E007"), "E007", 3),
        (RuntimeError("content of somebody"), "E099", 1),
    ],
)
def test_what_rooms_raise_becomes_a_code_and_an_exit(
    raised: Exception, code: str, exit_code: int
) -> None:
    error = explain(raised)
    assert (error.code, int(error.exit_code)) == (code, exit_code)


def test_an_unexpected_exception_does_not_show_its_message() -> None:
    error = explain(KeyError("Marisol Quillfeather"))
    assert "Quillfeather" not in f"{error.cause}{error.why}{error.fix}"
    assert "KeyError" in error.cause


def test_the_exit_code_does_not_depend_on_room_for_words(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "node.cli", "run", "--dir", str(tmp_path)]
    with Path("/dev/full").open("wb") as full:
        for environment in ({}, {"PYTHONUNBUFFERED": "1"}):
            ended = subprocess.run(
                command, stderr=full, stdout=full, check=False, timeout=60, env=environment
            )
            assert ended.returncode == Exit.CONFIG, environment
