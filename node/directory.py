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
from typing import Final

from chain.errors import InvalidMessage
from chain.genesis import Genesis, Member
from client.genesis_file import load_genesis, load_member
from client.wallet import Wallet
from node.config import Loaded, NodeConfig, load
from node.errors import OperatorError
from node.keys import (
    NODE_KEYS,
    NodeKeys,
    find_passphrase,
    load_administrator_wallet,
    load_node_keys,
    load_service_wallet,
)

LOCK_TRIES_MAX: Final = 10
LOCK_PAUSE_S: Final = 0.02
"""Someone who only looks whether a node runs holds the lock for an instant."""


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
        self.clients_path = path / "clients"
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

    def holds_member(self, org: str) -> bool:
        """True where `init --no-node` made this directory for `org`, and no node was added."""
        if not self.card_path.exists() or (self.keys_path / NODE_KEYS).exists():
            return False
        return self.card().id == org

    def complete(self) -> None:
        """Makes what a member's directory lacks to be a node's."""
        try:
            for below in (self.keys_path, self.attachments_path, self.log_path):
                below.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise unusable(self.path, error) from None

    def load_config(self, flags: Mapping[str, object], environ: Mapping[str, str]) -> Loaded:
        """The configuration (see `node.config.load`)."""
        return load(self.path, flags, environ)

    def genesis(self) -> Genesis:
        """The network that this directory belongs to; E006 where the file is of no use."""
        return read_genesis(self.genesis_path)

    def load_keys(self, config: NodeConfig) -> NodeKeys:
        """What the node votes and connects with."""
        return load_node_keys(self.keys_path, self.passphrase(config))

    def load_wallet(self, config: NodeConfig) -> Wallet:
        """The wallet of the organisation's service."""
        return load_service_wallet(self.keys_path, self.passphrase(config))

    def administrator(self, config: NodeConfig) -> Wallet:
        """The wallet of the organisation's first administrator."""
        return load_administrator_wallet(self.keys_path, self.passphrase(config))

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

    def passphrase(self, config: NodeConfig) -> bytes:
        """Under which the keys lie."""
        return find_passphrase(self.keys_path, config.keys_passphrase_file)

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
        genesis = load_genesis(path)
        _ = genesis.validators
    except InvalidMessage as refusal:
        raise OperatorError("E006", f"{path}: {sentence(refusal)}") from None
    except OSError as error:
        raise OperatorError("E006", f"{path}: {error.strerror}") from None
    return genesis


def read_card(path: Path) -> Member:
    """The member card in `path`; E013 says what is wrong with it."""
    try:
        return load_member(path)
    except InvalidMessage as refusal:
        raise OperatorError("E013", f"{path}: {sentence(refusal)}") from None
    except OSError as error:
        raise OperatorError("E013", f"{path}: {error.strerror}") from None


def unusable(path: Path, error: OSError) -> OperatorError:
    """E016 with what the operating system said."""
    return OperatorError("E016", f"{path}: {error.strerror or type(error).__name__}")


def sentence(refusal: InvalidMessage) -> str:
    """Code, place and cause of a refusal in one line."""
    where = f" at {refusal.field}" if refusal.field else ""
    return f"{refusal.code}{where}" + (f" ({refusal.cause})" if refusal.cause else "")
