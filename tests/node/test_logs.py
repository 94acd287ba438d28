"""Logs: structured lines in which nothing stands that is somebody's."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain.errors import InvalidMessage
from node.config import NodeConfig
from node.logs import configure

NAME = "Marisol Quillfeather"


@pytest.fixture(autouse=True)
def untouched_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in list(root.handlers):
        root.removeHandler(handler)
        if handler not in handlers:
            handler.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def lines(tmp_path: Path) -> list[str]:
    return (tmp_path / "node.log").read_text("utf-8").splitlines()


def log_to(tmp_path: Path, log_format: str = "json") -> logging.Logger:
    configure(NodeConfig(log_target="file", log_format=log_format), tmp_path)
    return logging.getLogger("medlock.test")


def caught(error: Exception) -> Exception:
    """`error` as it is after it was raised here."""
    with pytest.raises(type(error)):
        raise error
    return error


def test_an_event_is_one_json_line_with_its_fields(tmp_path: Path) -> None:
    log_to(tmp_path).info("block %d committed", 7, extra={"height": 7, "peer": "hospital-b"})
    (line,) = lines(tmp_path)
    event = json.loads(line)
    assert event.pop("time").endswith("Z")
    assert event == {
        "level": "info",
        "logger": "medlock.test",
        "event": "block 7 committed",
        "height": 7,
        "peer": "hospital-b",
    }


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_bytes_long_strings_and_structures_never_get_through(
    tmp_path: Path, log_format: str
) -> None:
    log = log_to(tmp_path, log_format)
    log.warning("%s", NAME.encode())
    log.warning("%s %r", "Q" * 300, [NAME])
    log.warning("%(who)s", {"who": NAME.encode()})
    log.warning("fields", extra={"a": NAME.encode(), "b": {"name": NAME}, "c": memoryview(b"xy")})
    text = "\n".join(lines(tmp_path))
    assert "Quillfeather" not in text
    assert "QQQ" not in text
    for shown in ("<20 bytes>", "<300 characters>", "<1 items>", "<dict>", "<2 bytes>"):
        assert shown in text


def test_foreign_exceptions_show_their_place_and_not_their_message(tmp_path: Path) -> None:
    log = log_to(tmp_path)
    error = caught(KeyError(NAME))
    log.error("failed: %s", error, exc_info=error)
    event = json.loads(lines(tmp_path)[0])
    assert "Quillfeather" not in json.dumps(event)
    assert event["exception"].startswith("KeyError\n")
    assert "test_logs.py" in event["exception"]


def test_our_own_exceptions_show_their_code_even_in_groups(tmp_path: Path) -> None:
    log = log_to(tmp_path)
    group = ExceptionGroup(
        "tasks", [caught(InvalidMessage("codec.malformed", "block")), ValueError(NAME)]
    )
    log.error("failed", exc_info=group)
    text = lines(tmp_path)[0]
    assert "codec.malformed" in text
    assert "ValueError" in text
    assert "Quillfeather" not in text


def test_levels_below_the_configured_one_are_not_written(tmp_path: Path) -> None:
    configure(NodeConfig(log_target="file", log_level="warning"), tmp_path)
    logging.getLogger("medlock").info("no")
    logging.getLogger("medlock").warning("yes")
    assert [json.loads(line)["event"] for line in lines(tmp_path)] == ["yes"]


def test_stderr_is_the_other_place(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    configure(NodeConfig(log_format="text"), tmp_path)
    logging.getLogger("medlock").error("over here")
    assert "ERROR   medlock: over here" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
