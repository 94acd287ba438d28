"""Which node a command speaks to, and as whom: from options, a directory or a test network."""

import functools
import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import aiohttp
import click

from client.api import Api
from client.passphrase import read_passphrase
from client.transport import Patience, Transport
from client.wallet import Wallet, load_wallet
from node.cli.arguments import Duration
from node.config import NodeConfig
from node.directory import Directory
from node.errors import OperatorError
from node.testnet.state import (
    DEFAULT_DIRECTORY,
    PASSPHRASE,
    Testnet,
    is_testnet,
    load_testnet,
)

TIMEOUT_S_DEFAULT: Final = 30.0
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Asked:
    """The options, as they were given."""

    api: str | None
    node: str | None
    directory: Path | None
    wallet: str | None
    passphrase_fd: int | None
    timeout_s: float


@dataclass(frozen=True, slots=True)
class HeldWallet:
    """An opened wallet; `path` and `passphrase` to write it again, where it is a member's file.

    A `demo` wallet is one of a test network's, under the random passphrase beside it.
    """

    wallet: Wallet
    path: Path | None = None
    passphrase: bytes = field(default=b"", repr=False)
    demo: bool = False


@dataclass(frozen=True, slots=True)
class Reach:
    """A node's API, and the wallet to speak as. `testnet` where it is one's."""

    base: str
    held: HeldWallet
    testnet: Testnet | None
    tls: ssl.SSLContext | None
    timeout_s: float

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[tuple[Api, Transport]]:
        """The node's calls, and the transport below them."""
        identity = (self.held.wallet.principal, self.held.wallet.signing_key)
        patience = Patience(deadline_s=self.timeout_s)
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None), cookie_jar=aiohttp.DummyCookieJar()
        ) as session:
            transport = Transport(self.base, session, identity, patience, tls=self.tls)
            yield Api(transport), transport


_OPTIONS: Final = (
    click.option("--api", envvar="MEDLOCK_API", help="The node's address: http(s)://HOST:PORT."),
    click.option("--node", envvar="MEDLOCK_NODE", help="A node of the test network, by name."),
    click.option(
        "--dir",
        "directory",
        type=click.Path(path_type=Path),
        envvar="MEDLOCK_DIR",
        help="A node's directory, or a test network's (default .medlock/testnet).",
    ),
    click.option(
        "--as",
        "wallet",
        envvar="MEDLOCK_AS",
        help="Whose wallet: a file, or the name of a demo wallet of the test network.",
    ),
    click.option(
        "--passphrase-fd", type=int, envvar="MEDLOCK_PASSPHRASE_FD", help="Read it from there."
    ),
    click.option(
        "--timeout",
        "timeout_s",
        type=Duration(),
        default=TIMEOUT_S_DEFAULT,
        help="Seconds to try for.",
    ),
)


def reach_options(command: Callable[..., R]) -> Callable[..., R]:
    """`--api`, `--node`, `--dir`, `--as`, …; the command gets one `asked: Asked` for them."""

    @functools.wraps(command)
    def wrapped(**given: Any) -> R:
        asked = Asked(
            given.pop("api"),
            given.pop("node"),
            given.pop("directory"),
            given.pop("wallet"),
            given.pop("passphrase_fd"),
            given.pop("timeout_s"),
        )
        return command(asked=asked, **given)

    result: Callable[..., R] = wrapped
    for option in reversed(_OPTIONS):
        result = option(result)
    return result


def resolve(asked: Asked) -> Reach:
    """Where to and as whom. Without `--as`, as the node's own service, from its directory."""
    testnet = find_testnet(asked)
    directory = _node_directory(asked, testnet)
    held = hold(asked, testnet) if asked.wallet is not None else None
    if directory is None and asked.api is None:
        assert testnet is not None, "else a directory was found or an error raised"
        directory = _default_node(testnet, held)
    config = _config(directory)
    if held is None:
        if directory is None:
            raise OperatorError(
                "E070", "--api needs --as", fix="say as whom, with --as WALLET, or give --dir"
            )
        held = HeldWallet(directory.load_wallet(config))
    base = asked.api or (_base_of(directory, config) if directory else "")
    return Reach(base, held, testnet, trust(config), asked.timeout_s)


def find_testnet(asked: Asked) -> Testnet | None:
    """The test network that is meant: in `--dir`, or in the default place."""
    if asked.directory is not None:
        return load_testnet(asked.directory) if is_testnet(asked.directory) else None
    if is_testnet(DEFAULT_DIRECTORY):
        return load_testnet(DEFAULT_DIRECTORY)
    return None


def hold(asked: Asked, testnet: Testnet | None) -> HeldWallet:
    """Opens the wallet of `--as`; the passphrase of demo wallets lies beside them."""
    assert asked.wallet is not None, "the caller has checked"
    path = find_wallet(asked.wallet, testnet)
    beside = path.parent / PASSPHRASE
    demo = asked.passphrase_fd is None and testnet is not None and _is_demo(path, testnet)
    if demo:
        passphrase = beside.read_bytes().strip()
    else:
        passphrase = read_passphrase(
            f"Passphrase of {path.name}", os.environ, descriptor=asked.passphrase_fd
        )
    return HeldWallet(load_wallet(path, passphrase), path, passphrase, demo)


def find_wallet(named: str, testnet: Testnet | None) -> Path:
    """A file, or a demo wallet by its name."""
    if testnet is not None and (demo := testnet.wallet(named)) is not None:
        return demo
    path = Path(named)
    if not path.is_file():
        names = sorted(each.stem for each in testnet.wallets.glob("*.wallet")) if testnet else []
        known = f"; demo wallets are {', '.join(names)}" if names else ""
        raise OperatorError("E070", f"there is no wallet {named!r}{known}")
    return path


def _is_demo(path: Path, testnet: Testnet) -> bool:
    return (
        path.resolve().parent == testnet.wallets.resolve() and (path.parent / PASSPHRASE).exists()
    )


def _node_directory(asked: Asked, testnet: Testnet | None) -> Directory | None:
    """The directory of the node that is meant; None where only `--api`, or nothing, tells."""
    if asked.node is not None:
        if testnet is None:
            raise OperatorError("E060", f"--node {asked.node} names a node of a test network")
        return testnet.directory(asked.node)
    if asked.directory is not None and testnet is None:
        return Directory(asked.directory)
    if asked.directory is None and testnet is None and asked.api is None:
        raise OperatorError("E070", "which node?", fix="give --api URL, --dir DIR or --node NAME")
    return None


def _default_node(testnet: Testnet, held: HeldWallet | None) -> Directory:
    """The own organisation's node, else the network's first."""
    own = held.wallet.organization if held else None
    chosen = next((node for node in testnet.nodes if node.org == own), testnet.nodes[0])
    return testnet.directory(chosen.name)


def _config(directory: Directory | None) -> NodeConfig:
    return directory.load_config({}, os.environ).config if directory else NodeConfig()


def _base_of(directory: Directory, config: NodeConfig) -> str:
    running = directory.running()
    return running.api if running else base_url(config)


def base_url(config: NodeConfig) -> str:
    """Where the node's API answers."""
    scheme = "https" if config.api_tls_certificate else "http"
    return f"{scheme}://{config.api_listen}"


def trust(config: NodeConfig) -> ssl.SSLContext | None:
    """The node's own certificate, where this machine has it; else what the system trusts."""
    if config.api_tls_certificate is None:
        return None
    return ssl.create_default_context(cafile=str(config.api_tls_certificate))
