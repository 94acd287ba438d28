"""A node's directory: what lies where, who may read it, and that one process at a time works in it.

Must not know what the files mean, beyond the public ones (genesis.json, card.json).
"""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from chain.document import from_document, to_document
from chain.errors import InvalidMessage
from chain.genesis import GENESIS_BYTES_MAX, Genesis, Member, check_genesis
from node.config import Loaded, load
from node.errors import OperatorError

DOCUMENT_BYTES_MAX: Final = 4 * GENESIS_BYTES_MAX
LOCK_TRIES_MAX: Final = 10
LOCK_PAUSE_S: Final = 0.02
"""Someone who only looks whether a node runs holds the lock for an instant."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Running:
    """The process that holds the directory; `api` is the base URL of its HTTP API."""

    pid: int
    api: str


class Directory:
    """The layout. Nothing is created but by `create`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_path = path / "node.toml"
        self.genesis_path = path / "genesis.json"
        self.card_path = path / "card.json"
        self.keys_path = path / "keys"
        self.votes_path = path / "votes"
        self.data_path = path / "data"
        self.attachments_path = path / "attachments"
        self.log_path = path / "log"
        self.lock_path = path / "lock"

    def create(self) -> None:
        """Makes the directory and those below it that `init` fills. Refuses one that is used."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any(self.path.iterdir()):
                raise OperatorError("E008", f"{self.path} already holds something")
            for below in (self.keys_path, self.attachments_path, self.log_path):
                below.mkdir(mode=0o700)
        except OSError as error:
            raise unusable(self.path, error) from None

    def load_config(self, flags: Mapping[str, object], environ: Mapping[str, str]) -> Loaded:
        """The configuration (see `node.config.load`)."""
        return load(self.path, flags, environ)

    def genesis(self) -> Genesis:
        """The network that this directory belongs to; E006 where the file is of no use."""
        return read_genesis(self.genesis_path)

    def card(self) -> Member:
        """This member's public card."""
        return read_card(self.card_path)

    @contextlib.contextmanager
    def lock(self, api: str) -> Iterator[None]:
        """Holds the directory for this process; E014 names the process that has it."""
        try:
            descriptor = os.open(self.lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise unusable(self.lock_path, error) from None
        try:
            self._acquire(descriptor)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "api": api}).encode(), 0)
            yield
            os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)

    def running(self) -> Running | None:
        """The process that holds the directory now, if any."""
        try:
            descriptor = os.open(self.lock_path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unusable(self.lock_path, error) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _holder(descriptor)
        finally:
            os.close(descriptor)
        return None

    def _acquire(self, descriptor: int) -> None:
        for _ in range(LOCK_TRIES_MAX):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(LOCK_PAUSE_S)
            else:
                return
        holder = _holder(descriptor)
        who = f"process {holder.pid}" if holder else "another process"
        raise OperatorError(
            "E014",
            f"data directory is in use by {who}",
            fix=f"medlock stop --dir {self.path}, or choose another --dir",
        )


def _holder(descriptor: int) -> Running | None:
    """What the holder wrote; None in the instant before it has."""
    try:
        held = json.loads(os.pread(descriptor, 4_096, 0))
        return Running(int(held["pid"]), str(held["api"]))
    except (ValueError, KeyError, TypeError):
        return None


def read_genesis(path: Path) -> Genesis:
    """The checked genesis in `path`; E006 says what is wrong with it."""
    try:
        genesis = read_document(path, Genesis)
        check_genesis(genesis)
        _ = genesis.validators
    except InvalidMessage as refusal:
        raise OperatorError("E006", f"{path}: {_sentence(refusal)}") from None
    return genesis


def read_card(path: Path) -> Member:
    """The member card in `path`; E013 says what is wrong with it."""
    try:
        return read_document(path, Member)
    except InvalidMessage as refusal:
        raise OperatorError("E013", f"{path}: {_sentence(refusal)}") from None


def read_document(path: Path, shape: type[T]) -> T:
    """A `Record` from its JSON document. Raises `InvalidMessage`, or `OperatorError` (E016)."""
    try:
        if path.stat().st_size > DOCUMENT_BYTES_MAX:
            raise InvalidMessage("document.too_large", "", f"above {DOCUMENT_BYTES_MAX} bytes")
        document: Any = json.loads(path.read_bytes())
    except OSError as error:
        raise unusable(path, error) from None
    except (ValueError, RecursionError):
        raise InvalidMessage("document.malformed", "", "not JSON") from None
    return from_document(shape, document)


def write_document(path: Path, record: object) -> None:
    """Writes a `Record` as the JSON document that `read_document` reads."""
    write_public(path, json.dumps(to_document(record), indent=2).encode() + b"\n")


def write_public(path: Path, content: bytes) -> None:
    """Replaces `path` as a whole, readable by everyone whom the directory lets in."""
    _write(path, content, 0o644)


def write_private(path: Path, content: bytes) -> None:
    """Replaces `path` as a whole, readable by its owner only, and syncs it."""
    _write(path, content, 0o600)


def read_private(path: Path) -> bytes:
    """The content; E010 where group or others may read it, E016 where nobody can."""
    try:
        if path.stat().st_mode & 0o077:
            raise OperatorError("E010", f"{path} can be read by others")
        return path.read_bytes()
    except OSError as error:
        raise unusable(path, error) from None


def unusable(path: Path, error: OSError) -> OperatorError:
    """E016 with what the operating system said."""
    return OperatorError("E016", f"{path}: {error.strerror or type(error).__name__}")


def _write(path: Path, content: bytes, mode: int) -> None:
    beside = path.with_name(f".{path.name}.new")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise unusable(path, error) from None


def _sentence(refusal: InvalidMessage) -> str:
    where = f" at {refusal.field}" if refusal.field else ""
    return f"{refusal.code}{where}" + (f" ({refusal.cause})" if refusal.cause else "")
