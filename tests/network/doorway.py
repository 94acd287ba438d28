"""Lets a test into a network namespace: listens on loopback where it is started, and passes every
connection on to the same port of loopback in the namespace.

    python -m tests.network.doorway NAMESPACE PORT

Prints a line when it is open. A listening socket stays where it was made; whatever is made after
`setns` belongs to the namespace, so one process stands on both sides. Needs root.
"""

import asyncio
import ctypes
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

CLONE_NEWNET = 0x40000000
PIECE_BYTES = 1 << 16


def enter(namespace: str) -> None:
    """Moves this process into the network namespace of that name."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/run/netns", namespace).open("rb") as file:
        if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything from `reader` to `writer`, then the end of it."""
    with suppress(OSError):
        while piece := await reader.read(PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
    writer.close()


async def pass_through(listener: socket.socket, port: int) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    server = await asyncio.start_server(connected, sock=listener)
    sys.stdout.write("open\n")
    sys.stdout.flush()
    await server.serve_forever()


def main() -> None:
    namespace, port = sys.argv[1], int(sys.argv[2])
    listener = socket.create_server(("127.0.0.1", port))
    enter(namespace)
    asyncio.run(pass_through(listener, port))


if __name__ == "__main__":
    main()
