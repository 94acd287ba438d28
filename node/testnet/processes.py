"""The processes of a test network: started, looked at, signalled, awaited.

A process runs exactly as long as it holds its directory's lock; a pid alone proves nothing.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from node.config import ENVIRONMENT_PREFIX
from node.directory import Directory, Running
from node.errors import OperatorError

ProcessState = Literal["running", "paused", "stopped"]
CONSOLE: Final = "console.log"
"""What a process says before its log is open, and after it has failed."""
START_S: Final = 60.0
STOP_S: Final = 15.0
KILL_S: Final = 5.0
POLL_S: Final = 0.02
TAIL_LINES: Final = 12


def spawn(directory: Directory, launcher: Sequence[str] = ()) -> "subprocess.Popen[bytes]":
    """Starts the node of `directory` in a session of its own, its output in log/console.log.

    `launcher` stands before its command, and must become it (exec) rather than stay beside it.
    Raises `OperatorError` (E041) where there is no such program.
    """
    directory.log_path.mkdir(exist_ok=True)
    console = os.open(
        directory.log_path / CONSOLE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
    )
    try:
        return subprocess.Popen(  # noqa: S603 - our own interpreter, the operator's launcher
            [
                *launcher,
                sys.executable,
                "-P",
                "-m",
                "node.cli",
                "run",
                "--dir",
                str(directory.path),
            ],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            env=_environment(os.environ),
            start_new_session=True,
        )
    except OSError as error:
        program = launcher[0] if launcher else sys.executable
        raise OperatorError("E041", f"{program}: {error.strerror}") from None
    finally:
        os.close(console)


def process_state(directory: Directory) -> tuple[ProcessState, Running | None]:
    """Whether the node of `directory` runs, is stopped by a signal, or is not there."""
    running = directory.running()
    if running is None:
        return "stopped", None
    return ("paused" if _is_paused(running.pid) else "running"), running


def kill(directory: Directory) -> bool:
    """SIGKILL, and waits until the directory is free. False where nothing ran."""
    running = directory.running()
    if running is None:
        return False
    _signal(running.pid, signal.SIGKILL)
    _await_free(directory, running.pid, KILL_S)
    return True


def stop(directory: Directory) -> bool:
    """SIGTERM, and waits for a clean end. False where nothing ran; E042 where it does not end."""
    running = directory.running()
    if running is None:
        return False
    ask_to_stop(running)
    _await_free(directory, running.pid, STOP_S)
    return True


def ask_to_stop(running: Running) -> None:
    """SIGTERM; a paused process is woken, else it could not obey."""
    _signal(running.pid, signal.SIGTERM)
    _signal(running.pid, signal.SIGCONT)


def pause(directory: Directory) -> bool:
    """SIGSTOP. False where nothing ran."""
    return _pass_on(directory, signal.SIGSTOP, _is_paused)


def resume(directory: Directory) -> bool:
    """SIGCONT. False where nothing ran."""
    return _pass_on(directory, signal.SIGCONT, lambda pid: not _is_paused(pid))


def last_words(directory: Directory) -> str:
    """The end of what the process wrote to its console: usually why it did not start."""
    path = directory.log_path / CONSOLE
    if not path.exists():
        return ""
    lines = path.read_text("utf-8", errors="replace").splitlines()
    return "\n".join(lines[-TAIL_LINES:])


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Polls `condition`; False where it does not come true in time."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline_s:
            return False
        time.sleep(POLL_S)
    return True


def _pass_on(directory: Directory, number: signal.Signals, done: Callable[[int], bool]) -> bool:
    running = directory.running()
    if running is None:
        return False
    _signal(running.pid, number)
    wait_until(lambda: done(running.pid), KILL_S)
    return True


def _await_free(directory: Directory, pid: int, timeout_s: float) -> None:
    def gone() -> bool:
        now = directory.running()
        return now is None or now.pid != pid

    if not wait_until(gone, timeout_s):
        raise OperatorError(
            "E042", f"process {pid} does not end within {timeout_s:g} s", fix=f"kill -9 {pid}"
        )


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError:
        raise OperatorError("E016", f"process {pid} belongs to somebody else") from None


def _is_paused(pid: int) -> bool:
    """As the kernel tells: state T in /proc, or in `ps` where there is no /proc."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_bytes().rpartition(b")")[2].split()[0] in {b"T", b"t"}
    except FileNotFoundError:
        pass
    shown = subprocess.run(  # noqa: S603 - a number is all that is passed
        ["/bin/ps", "-o", "state=", "-p", str(pid)], capture_output=True, check=False
    )
    return shown.stdout.strip().startswith(b"T")


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Ours without `MEDLOCK_*`: what is set for this command is not meant for every node."""
    return {
        name: value for name, value in environ.items() if not name.startswith(ENVIRONMENT_PREFIX)
    }
