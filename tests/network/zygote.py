"""Runs `medlock` commands in forks of one process that has imported everything, because a document
of fifty commands would spend its time on imports otherwise.

`python zygote.py SOCKET` serves; the program that `write_program` leaves behind hands over its
arguments, environment, folder and streams, and ends with the command's exit code.
"""

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
REQUEST_BYTES_MAX = 1 << 20
_PROGRAM = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as zygote:
    zygote.connect({place!r})
    request = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
    socket.send_fds(zygote, [b"\\0"], [0, 1, 2])
    zygote.sendall(request)
    zygote.shutdown(socket.SHUT_WR)
    code = zygote.recv(1)
sys.exit(code[0] if code else 99)
"""


@contextmanager
def serving(program: Path) -> Iterator[None]:
    """While the block lasts, the file `program` is the command line."""
    place = str(program.with_name("zygote"))
    command = [sys.executable, "-P", str(Path(__file__)), place]
    with subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        program.write_text(_PROGRAM.format(python=sys.executable, place=place), "utf-8")
        program.chmod(0o755)
        try:
            yield
        finally:
            server.terminate()


def serve(place: str) -> None:
    """Answers until terminated."""
    from node.cli.main import PLACES  # noqa: PLC0415 - the program alone needs no such path

    for each in PLACES.values():
        importlib.import_module(f"node.cli.{each.module}")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        listener.listen()
        print("ready", flush=True)  # noqa: T201 - whoever started this waits for it
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                run(connection)
            connection.close()


def run(connection: socket.socket) -> None:
    """One command, in a process of its own. Never returns."""
    from node.cli.main import main  # noqa: PLC0415

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    raw = bytearray()
    while piece := connection.recv(1 << 16):
        raw += piece
        assert len(raw) <= REQUEST_BYTES_MAX
    arguments, environment, folder = json.loads(raw)
    for stream, descriptor in enumerate(streams):
        os.dup2(descriptor, stream)
        os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    code: object = 98
    try:
        main(arguments)
    except SystemExit as ended:
        code = ended.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        connection.send(bytes([int(str(code or 0))]))
        os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
