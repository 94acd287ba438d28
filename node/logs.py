"""Logs: one event a line, as JSON or text, and nothing in it that is somebody's.

What is logged is what programmers wrote plus short scalars. Bytes never get through, long strings
are cut, and of a foreign exception only its type and place are shown, because its message may
repeat input. Must not know what the node does.
"""

import datetime as dt
import json
import logging
import logging.handlers
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from chain.errors import InvalidMessage, Rejected
from node.config import NodeConfig
from node.errors import OperatorError

LOG_FILE_BYTES_MAX: Final = 16 << 20
LOG_FILES_MAX: Final = 5
STRING_CHARACTERS_MAX: Final = 200
FRAMES_MAX: Final = 20
_OURS: Final = (InvalidMessage, Rejected, OperatorError, AssertionError, OSError)
"""Exceptions whose messages we, or the operating system, wrote."""
_STANDARD: Final = frozenset(
    (*logging.LogRecord("", 0, "", 0, "", (), None).__dict__, "message", "asctime", "taskName")
)


class NoContent(logging.Filter):
    """Replaces every argument and extra field by what may be shown of it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always lets the record through, cleaned."""
        if isinstance(record.args, dict):
            record.args = {name: presentable(each) for name, each in record.args.items()}
        elif record.args:
            record.args = tuple(presentable(each) for each in record.args)
        for name, value in list(record.__dict__.items()):
            if name not in _STANDARD:
                record.__dict__[name] = presentable(value)
        if record.exc_info:
            record.exc_text = _exception(record.exc_info)
            record.exc_info = None
        return True


def presentable(value: object) -> Any:  # noqa: PLR0911 - one visible match
    """Numbers, booleans and short strings as they are; of everything else, its type and size."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return value if len(value) <= STRING_CHARACTERS_MAX else f"<{len(value)} characters>"
        case bytes() | bytearray() | memoryview():
            return f"<{len(value)} bytes>"
        case BaseException():
            return _says(value)
        case Path():
            return presentable(str(value))
        case list() | tuple():
            return f"<{len(value)} items>"
        case _:
            return f"<{type(value).__name__}>"


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, event, then the extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        } | _extras(record)
        if record.exc_text:
            line["exception"] = record.exc_text
        return json.dumps(line, ensure_ascii=False)


class TextLines(logging.Formatter):
    """The same for a person's eyes."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the exception below it."""
        extras = "".join(f" {name}={value}" for name, value in _extras(record).items())
        line = f"{_time(record)} {record.levelname:<7} {record.name}: {record.getMessage()}{extras}"
        return f"{line}\n{record.exc_text}" if record.exc_text else line


def configure(config: NodeConfig, log_path: Path) -> None:
    """Sends every logger's records where the configuration says, and only there."""
    sink: logging.Handler
    if config.log_target == "file":
        sink = logging.handlers.RotatingFileHandler(
            log_path / "node.log",
            maxBytes=LOG_FILE_BYTES_MAX,
            backupCount=LOG_FILES_MAX - 1,
            encoding="utf-8",
        )
    else:
        sink = logging.StreamHandler(sys.stderr)
    sink.addFilter(NoContent())
    sink.setFormatter(JsonLines() if config.log_format == "json" else TextLines())
    root = logging.getLogger()
    for other in list(root.handlers):
        root.removeHandler(other)
        other.close()
    root.addHandler(sink)
    root.setLevel(config.log_level.upper())
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def _time(record: logging.LogRecord) -> str:
    moment = dt.datetime.fromtimestamp(record.created, dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD}


def _says(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, BaseExceptionGroup):
        return f"{name}[{', '.join(_says(each) for each in error.exceptions[:FRAMES_MAX])}]"
    return f"{name}: {presentable(str(error))}" if isinstance(error, _OURS) else name


def _exception(
    info: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
) -> str:
    error = info[1]
    if error is None:
        return ""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
    places = [f"  {Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    lines = [_says(error), *places]
    if isinstance(error, BaseExceptionGroup):
        lines.extend(
            _exception((type(each), each, each.__traceback__))
            for each in error.exceptions[:FRAMES_MAX]
        )
    cause = error.__cause__
    if cause is not None:
        lines.append("caused by " + _exception((type(cause), cause, cause.__traceback__)))
    return "\n".join(lines)
