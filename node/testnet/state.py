"""What a test network remembers between commands: `testnet.json` in its directory."""

import json
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from client.files import write_whole
from node.directory import Directory
from node.errors import OperatorError

STATE_FILE: Final = "testnet.json"
WALLETS: Final = "wallets"
PASSPHRASE: Final = "passphrase"  # noqa: S105 - a file's name
DEFAULT_DIRECTORY: Final = Path(".medlock/testnet")


@dataclass(frozen=True, slots=True)
class TestnetNode:
    """One process. `pid` is the one started last; whether it runs, its directory's lock tells."""

    __test__ = False

    name: str
    org: str
    role: str
    api: str
    p2p: str
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class Testnet:
    """A network in `path`. `organizations` are all members, those without a node included.

    `launcher` is a command that starts each node's own, as a shell would write it; `{node}` in it
    stands for the node's name.
    """

    __test__ = False

    path: Path
    chain_id: str
    genesis_hash: str
    seed: int | None
    latency_ms: int
    organizations: tuple[str, ...]
    nodes: tuple[TestnetNode, ...]
    launcher: str = ""

    @property
    def wallets(self) -> Path:
        """Where the demo wallets lie, with their passphrase."""
        return self.path / WALLETS

    @property
    def genesis(self) -> Path:
        """The network's genesis file."""
        return self.path / "genesis.json"

    def directory(self, name: str) -> Directory:
        """The node's directory."""
        return Directory(self.path / self.node(name).name)

    def node(self, name: str) -> TestnetNode:
        """The node of that name; E061 names those that there are."""
        for node in self.nodes:
            if node.name == name:
                return node
        names = ", ".join(node.name for node in self.nodes)
        raise OperatorError("E061", f"no node is named {name!r}; there are {names}")

    def launcher_of(self, name: str) -> list[str]:
        """The words that stand before the command of the node `name`."""
        return [word.replace("{node}", name) for word in shlex.split(self.launcher)]

    def wallet(self, name: str) -> Path | None:
        """The demo wallet of that name, if there is one."""
        path = self.wallets / f"{name}.wallet"
        return path if path.is_file() else None


def is_testnet(path: Path) -> bool:
    """True where a test network was made in `path`."""
    return (path / STATE_FILE).is_file()


def load_testnet(path: Path) -> Testnet:
    """The network in `path`; E060 where there is none."""
    if not is_testnet(path):
        raise OperatorError("E060", f"no test network in {path}")
    try:
        document = json.loads((path / STATE_FILE).read_bytes())
        nodes = tuple(TestnetNode(**each) for each in document.pop("nodes"))
        organizations = tuple(document.pop("organizations"))
        return Testnet(path=path, organizations=organizations, nodes=nodes, **document)
    except (ValueError, TypeError, KeyError) as error:
        raise OperatorError(
            "E060", f"{path / STATE_FILE} is damaged ({type(error).__name__})"
        ) from None


def save_testnet(testnet: Testnet) -> None:
    """Writes the state, whole or not at all."""
    document = asdict(testnet)
    del document["path"]
    text = json.dumps(document, indent=2)
    write_whole(testnet.path / STATE_FILE, f"{text}\n".encode(), 0o644)
