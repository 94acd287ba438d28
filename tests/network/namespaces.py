"""A network whose nodes each live in a network namespace of their own, joined by a switch.

Links fail here as cables do: nobody is told. Frames are lost in the kernel while both ends keep
their sockets, which the nodes' own fault injection cannot do, for it closes them. Needs root and
`ip`; the node's code, and its TLS over TCP, are what they always are.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.network.world import NODES, Testnet

ROOT = Path(__file__).parents[2]
P2P_PORT = 7_071
API_PORT = 21_071
"""The first one; below those that systems give to outgoing connections."""


def unavailable() -> str | None:
    """Why this machine cannot do it; None where it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program in ("ip", "bridge"):
        if shutil.which(program) is None:
            return f"there is no `{program}` (iproute2)"
    probe = _name("probe")
    try:
        _ip("netns", "add", probe)
        _ip("netns", "del", probe)
    except AssertionError as refusal:
        return f"no network namespace is to be had: {refusal}"
    return None


class Switch:
    """Connects the nodes' namespaces. Nodes are in one segment until `split`."""

    def __init__(self) -> None:
        self.namespace = _name("switch")

    def split(self, *groups: Sequence[str]) -> None:
        """Each group has a segment of its own; whoever is in none hears nobody."""
        for name in NODES:
            segment = next((i for i, group in enumerate(groups) if name in group), len(NODES))
            self._ip("link", "set", _port(name), "master", f"segment{segment}")

    def heal(self) -> None:
        """All in one segment."""
        self.split(NODES)

    def deafen(self, name: str) -> None:
        """What `name` sends arrives; what is meant for it ends at a neighbour's."""
        other = next(each for each in NODES if each != name)
        self._bridge(
            "fdb", "replace", hardware(name), "dev", _port(other), "master", "static", "sticky"
        )

    def undeafen(self, name: str) -> None:
        """Undoes `deafen`."""
        other = next(each for each in NODES if each != name)
        self._bridge("fdb", "del", hardware(name), "dev", _port(other), "master")

    def build(self) -> None:
        """One bridge for every possible segment, one cable to every node."""
        for index in range(len(NODES)):
            self._ip("link", "add", f"segment{index}", "type", "bridge")
            self._ip("link", "set", f"segment{index}", "up")
        self._ip("link", "add", f"segment{len(NODES)}", "type", "bridge")
        for name in NODES:
            inner = _name(name)
            self._ip("link", "add", _port(name), "type", "veth", "peer", "eth0", "netns", inner)
            self._ip("link", "set", _port(name), "up")
            _ip("-n", inner, "link", "set", "eth0", "address", hardware(name))
            _ip("-n", inner, "address", "add", f"{address(name)}/24", "dev", "eth0")
            _ip("-n", inner, "link", "set", "eth0", "up")
            _ip("-n", inner, "link", "set", "lo", "up")
            for other in (each for each in NODES if each != name):
                known = ("lladdr", hardware(other), "nud", "permanent")
                _ip("-n", inner, "neighbour", "add", address(other), "dev", "eth0", *known)
        self.heal()

    def _ip(self, *words: str) -> None:
        _ip("-n", self.namespace, *words)

    def _bridge(self, *words: str) -> None:
        _run("bridge", "-n", self.namespace, *words)


@contextmanager
def apart(path: Path) -> Iterator[tuple[Testnet, Switch]]:
    """Four nodes in `path`, each in its namespace, at one block; all gone at the end."""
    switch = Switch()
    with ExitStack() as closing:
        for namespace in (switch.namespace, *map(_name, NODES)):
            _ip("netns", "add", namespace)
            closing.callback(_ip, "netns", "del", namespace)
        switch.build()
        for index, name in enumerate(NODES):
            closing.enter_context(_doorway(_name(name), API_PORT + index))
        network = Testnet(path)
        settings = [
            f"{name}:{key}={value}"
            for index, name in enumerate(NODES)
            for key, value in (
                ("p2p.listen", f"{address(name)}:{P2P_PORT}"),
                ("api.listen", f"127.0.0.1:{API_PORT + index}"),
            )
        ]
        closing.callback(network.down)
        network.up(
            "--launcher",
            f"ip netns exec {_name('{node}')}",
            *(word for each in settings for word in ("--set", each)),
        )
        yield network, switch


def address(name: str) -> str:
    """Where the node's cable ends."""
    return f"10.77.0.{NODES.index(name) + 1}"


def hardware(name: str) -> str:
    """The Ethernet address of the node's end; fixed, so that nobody has to ask around for it."""
    return f"02:00:00:00:00:{NODES.index(name) + 1:02x}"


@contextmanager
def _doorway(namespace: str, port: int) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.network.doorway", namespace, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        try:
            yield
        finally:
            process.kill()


def _name(node: str) -> str:
    return f"medlock-{os.getpid()}-{node}"


def _port(node: str) -> str:
    """A link's name has 15 characters at most."""
    return f"port{NODES.index(node)}"


def _ip(*words: str) -> None:
    _run("ip", *words)


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr.decode().strip()}"
