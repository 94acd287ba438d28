"""The local log: accesses written down here first, while there is no quorum to log them with.

    file = magic ‖ version ‖ entries before ‖ head before        line = size ‖ access ‖ head after

Heads chain the lines as `ledger.local_log` says, so the chain takes them up in their order only. A
mark beside the file says how many lines were durable, under a key that whoever edits files has not
got: a line that was changed, left out, or cut off is found, at the start and before anything is
committed. Then nothing is deferred any more, until a person has looked. What comes behind the
marked lines and is not whole was torn by a crash before anybody relied on it.

Lines hold pseudonyms, as the chain will. Blocks; must not know who reads why.
"""

import logging
import struct
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from threading import RLock
from typing import Final, NamedTuple

from chain.errors import InvalidMessage
from ledger.consent_actions import AccessLog
from ledger.consent_entries import LocalLogEntry
from ledger.fields import Deferred
from ledger.local_log import EMPTY, LOCAL_ACCESS, local_access, next_head
from storage.disk import RealDisk
from storage.errors import StoreDamaged, StoreMissing
from storage.marks import HighWaterMark, Mark
from storage.protocols import Disk

_LOG: Final = logging.getLogger("medlock.gateway")
LINES_MAX: Final = 65_536
"""Lines of the file, committed ones included until all of them are."""
FILE_BYTES_MAX: Final = 64 << 20
LOG_FILE: Final = "local.log"
MARK_FILE: Final = "local.mark"
_NEW: Final = "local.new"
_BEGUN: Final = "local.begun"
_MAGIC: Final = b"MLLOCAL\x01"
_HEADER: Final = struct.Struct(">8sQ32s")
_HEAD_BYTES: Final = 32
_SIZE_BYTES: Final = 4
_BLANK: Final = bytes(_HEAD_BYTES)


class LocalLogBroken(Exception):  # noqa: N818 - says what is the matter
    """The log is not what was written. `line` counts from 1, over the organisation's whole log."""

    code: Final = "local_log.broken"

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}")
        self.line = line
        self.what = what


class LocalLogFull(Exception):  # noqa: N818 - says what is the matter
    """No more is deferred before the chain has taken up what waits."""

    code: Final = "local_log.full"


class _Line(NamedTuple):
    action: AccessLog
    head: bytes
    raw: bytes


class LocalLog:
    """One writer; any thread. What does not fit is kept in `problem`, and raised whenever something
    shall be written or committed."""

    def __init__(self, folder: Path, key: bytes, disk: Disk | None = None) -> None:
        """Reads the log in `folder` (DIR/gateway), or begins it. `key` authenticates the mark."""
        self._disk = disk or RealDisk()
        self._folder = folder
        self._path = folder / LOG_FILE
        self._key = key
        self._changing = RLock()
        self._base = EMPTY
        self._lines: list[_Line] = []
        self._bytes = _HEADER.size
        self._committed = 0
        self._mark: HighWaterMark | None = None
        self.problem: LocalLogBroken | None = None
        try:
            self._open()
        except LocalLogBroken as broken:
            self._break(broken)

    def append(self, actions: Sequence[AccessLog], accessed_ms: int) -> None:
        """Writes accesses that are about to happen, on disk at return.

        `accessed_ms` is the time for which they were decided. Raises `LocalLogBroken`,
        `LocalLogFull`, `OSError`.
        """
        with self._changing:
            self._raise_problem()
            lines: list[_Line] = []
            head = self._head
            for action in actions:
                lines.append(_line(action, accessed_ms, head))
                head = lines[-1].head
            raw = b"".join(line.raw for line in lines)
            full = len(self._lines) + len(lines) > LINES_MAX
            if full or self._bytes + len(raw) > FILE_BYTES_MAX:
                raise LocalLogFull
            self._write(raw)
            self._lines += lines
            self._bytes += len(raw)
            self._raise_mark()

    def pending(self, known: LocalLogEntry) -> tuple[AccessLog, ...]:
        """What the chain, which knows the log up to `known`, has not taken up, in its order; each
        is to be committed as it is. Raises `LocalLogBroken`."""
        with self._changing:
            self._check_file()
            self.follow(known)
            self._raise_problem()
            return tuple(line.action for line in self._lines[self._committed :])

    def follow(self, known: LocalLogEntry) -> None:
        """Compares the log with what the chain knows of it; notes what is committed."""
        with self._changing:
            if self.problem is not None:
                return
            try:
                self._follow(known)
            except LocalLogBroken as broken:
                self._break(broken)

    def committed(self, head: bytes) -> None:
        """The chain has taken up everything up to `head`. A crash before this is harmless:
        `follow` finds it out."""
        with self._changing:
            for index, line in enumerate(self._lines):
                if line.head == head:
                    self._committed = max(self._committed, index + 1)
            self._begin_anew()

    def close(self) -> None:
        """Releases the mark."""
        if self._mark is not None:
            self._mark.close()
            self._mark = None

    # The chain's view.

    @property
    def _entries(self) -> int:
        return self._base.entries + len(self._lines)

    @property
    def _head(self) -> bytes:
        return self._lines[-1].head if self._lines else self._base.head

    def _follow(self, known: LocalLogEntry) -> None:
        if known.entries < self._base.entries:
            return  # This node's own state is behind: it is still catching up.
        position = known.entries - self._base.entries
        if position > len(self._lines):
            if self._entries == 0:
                self._rebase(known)
                return
            raise LocalLogBroken(self._entries + 1, "missing, and the chain knows it")
        head = self._lines[position - 1].head if position else self._base.head
        if head != known.head:
            raise LocalLogBroken(known.entries, "another one than the chain took up")
        self._committed = max(self._committed, position)
        self._begin_anew()

    def _begin_anew(self) -> None:
        """A file of which everything is committed starts over."""
        if self.problem is None and self._lines and self._committed == len(self._lines):
            self._rebase(LocalLogEntry(self._head, self._entries))

    def _rebase(self, base: LocalLogEntry) -> None:
        self._write_header(base)
        self._base, self._lines = base, []
        self._bytes, self._committed = _HEADER.size, 0
        self._raise_mark()

    # The files.

    def _open(self) -> None:
        for leftover in (_NEW, _BEGUN):
            self._disk.remove(self._folder / leftover)
        mark_path = self._folder / MARK_FILE
        if not self._disk.exists(mark_path):
            if self._disk.exists(self._path):
                raise LocalLogBroken(1, "the mark beside the log is gone")
            self._begin_mark(mark_path)
        self._mark = self._open_mark(mark_path)
        if not self._disk.exists(self._path):
            if self._mark.mark.number:
                raise LocalLogBroken(1, "the log is gone")
            self._write_header(EMPTY)
        self._read()

    def _begin_mark(self, path: Path) -> None:
        begun = self._folder / _BEGUN
        HighWaterMark.create(self._disk, begun, Mark(0, self._note(0, EMPTY.head))).close()
        self._disk.replace(begun, path)
        self._disk.sync_directory(self._folder)

    def _open_mark(self, path: Path) -> HighWaterMark:
        try:
            return HighWaterMark(self._disk, path)
        except (StoreDamaged, StoreMissing):
            raise LocalLogBroken(1, "the mark beside the log is damaged") from None

    def _read(self) -> None:
        raw = self._raw_file()
        durable = self._mark_of().number
        if len(raw) < _HEADER.size or raw[: len(_MAGIC)] != _MAGIC:
            raise LocalLogBroken(1, "no local log, or one of a newer release")
        _, entries, head = _HEADER.unpack(raw[: _HEADER.size])
        self._base = LocalLogEntry(head, entries)
        end = _HEADER.size
        while end < len(raw):
            line = _read_line(raw, end, self._head)
            if line is None:
                break
            self._lines.append(line)
            end += len(line.raw)
        if self._entries < durable:
            raise LocalLogBroken(self._entries + 1, "changed, or missing")
        self._check_mark(durable)
        if end < len(raw):
            _LOG.warning("the local log: %d torn bytes cut", len(raw) - end)
            self._cut(end)
        self._bytes = end
        self._raise_mark()

    def _check_mark(self, durable: int) -> None:
        """The heads are ours up to where the mark says so."""
        if durable == 0 and not self._lines:
            return  # Nothing was ever deferred here; the chain may know of an earlier log.
        position = durable - self._base.entries
        if position < 0:
            raise LocalLogBroken(self._base.entries, "the mark is older than the log")
        head = self._lines[position - 1].head if position else self._base.head
        if self._mark_of().note != self._note(durable, head):
            raise LocalLogBroken(max(durable, 1), "changed, with the lines before it")

    def _check_file(self) -> None:
        """Nobody has touched the file since it was written."""
        if self.problem is not None:
            return
        raw = self._raw_file()
        end = _HEADER.size
        if raw[:end] != _HEADER.pack(_MAGIC, self._base.entries, self._base.head):
            self._break(LocalLogBroken(self._base.entries + 1, "what stands before it was changed"))
            return
        for number, line in enumerate(self._lines, start=self._base.entries + 1):
            if raw[end : end + len(line.raw)] != line.raw:
                self._break(LocalLogBroken(number, "changed, or missing"))
                return
            end += len(line.raw)
        if end != len(raw):
            self._break(LocalLogBroken(self._entries + 1, "nobody wrote it here"))

    def _raw_file(self) -> bytes:
        try:
            file = self._disk.open(self._path)
        except FileNotFoundError:
            return b""
        try:
            return file.read_at(0, FILE_BYTES_MAX + 1)
        finally:
            file.close()

    def _write(self, raw: bytes) -> None:
        file = self._disk.open(self._path)
        try:
            try:
                file.write_at(self._bytes, raw)
            except OSError:
                file.truncate(self._bytes)
                raise
            try:
                file.sync()
            except OSError:
                self._break(LocalLogBroken(self._entries + 1, "the disk did not take it"))
                raise
        finally:
            file.close()

    def _write_header(self, base: LocalLogEntry) -> None:
        fresh = self._folder / _NEW
        file = self._disk.open(fresh, create=True)
        try:
            file.truncate(0)
            file.write_at(0, _HEADER.pack(_MAGIC, base.entries, base.head))
            file.sync()
        finally:
            file.close()
        self._disk.replace(fresh, self._path)
        self._disk.sync_directory(self._folder)

    def _cut(self, end: int) -> None:
        file = self._disk.open(self._path)
        try:
            file.truncate(end)
            file.sync()
        finally:
            file.close()

    def _raise_mark(self) -> None:
        assert self._mark is not None, "opened"
        self._mark.rise(Mark(self._entries, self._note(self._entries, self._head)))

    def _mark_of(self) -> Mark:
        assert self._mark is not None, "opened"
        return self._mark.mark

    def _note(self, entries: int, head: bytes) -> bytes:
        return blake2b(entries.to_bytes(8, "big") + head, key=self._key, digest_size=32).digest()

    def _raise_problem(self) -> None:
        if self.problem is not None:
            raise self.problem

    def _break(self, broken: LocalLogBroken) -> None:
        self.problem = broken
        _LOG.error("the local log of accesses is broken, nothing is deferred: %s", str(broken))


def _line(action: AccessLog, accessed_ms: int, previous: bytes) -> _Line:
    blank = Deferred(accessed_ms, previous, _BLANK)
    head = next_head(action, blank)
    deferred = Deferred(accessed_ms, previous, head)
    whole = AccessLog(
        action.access,
        action.actor,
        action.category,
        action.author,
        action.records,
        action.purpose,
        action.basis,
        action.cited,
        deferred,
    )
    access = LOCAL_ACCESS.encode(local_access(whole, deferred))
    return _Line(whole, head, len(access).to_bytes(_SIZE_BYTES, "big") + access + head)


def _read_line(raw: bytes, start: int, previous: bytes) -> _Line | None:
    """The line at `start`; None where it is not whole, or does not follow `previous`."""
    size = int.from_bytes(raw[start : start + _SIZE_BYTES], "big")
    body = start + _SIZE_BYTES
    end = body + size + _HEAD_BYTES
    if end > len(raw):
        return None
    try:
        access = LOCAL_ACCESS.decode(raw[body : body + size])
    except InvalidMessage:
        return None
    action = AccessLog(
        access.access,
        access.actor,
        access.category,
        access.author,
        access.records,
        access.purpose,
        access.basis,
        access.cited,
        None,
    )
    line = _line(action, access.accessed_ms, previous)
    return line if line.raw == raw[start:end] else None
