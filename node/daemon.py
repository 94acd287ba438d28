"""`medlock run`: opens a directory, puts the parts together on the real machine, runs until told to
stop, and leaves everything closed.

All tasks live in one TaskGroup: one that dies ends the process, with the reason in the log.
"""

import asyncio
import contextlib
import gc
import logging
import os
import random
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chain.genesis import Genesis
from node.api.app import make_app
from node.api.listener import TlsFiles, serve
from node.api.registered_keys import RegisteredKeys
from node.assembly import assemble, begin_chain
from node.clock import Clock, SystemClock
from node.config import NodeConfig, split_address
from node.descriptors import Shares, raise_limit, share_out
from node.desk import Desk
from node.directory import Directory
from node.errors import OperatorError
from node.gateway.gateway import ErasingOnly, Gateway
from node.gateway.rest.extension import extension_of
from node.gateway.supply.supply import EpcisSettings
from node.keys import NodeKeys, find_passphrase, load_node_keys
from node.member import MemberNode, Parts, PeerEvents
from node.mempool import Mempool, MempoolLimits
from node.metrics import Metrics
from node.peers import peer_addresses
from node.seat import look
from node.workers import ThreadWorkers
from p2p.limits import Limits
from p2p.network import Network
from storage.attachments import AttachmentStore
from storage.errors import StoreBusy, StoreProblem
from storage.integrity import create_store, open_store
from storage.leveldb import Compression
from storage.protocols import Store
from storage.votes import VoteStore

_LOG: Final = logging.getLogger("medlock.daemon")
SWITCH_S: Final = 0.0005
"""How long a thread may keep the interpreter while the event loop wants it: ten times shorter than
Python's own choice, for a vote is a few of these."""
GARBAGE_OBJECTS: Final = 20_000
"""New objects, of those that can be in a cycle, between two looks for garbage."""
_COMPRESSION: Final[dict[str, Compression]] = {"snappy": "snappy", "none": None}


@dataclass(frozen=True, slots=True)
class _Opened:
    """What is closed at the end."""

    store: Store
    attachments: AttachmentStore
    votes: VoteStore
    workers: ThreadWorkers
    door: ThreadWorkers


async def run_node(directory: Directory, config: NodeConfig) -> None:
    """Runs the node in `directory` until SIGTERM or SIGINT. Raises `OperatorError`."""
    sys.setswitchinterval(SWITCH_S)
    # What a node makes by the thousand is in no cycle: looking for some all the time is waste.
    gc.set_threshold(GARBAGE_OBJECTS, 20, 20)
    genesis = directory.genesis()
    limit = raise_limit()
    passphrase = find_passphrase(directory.keys_path, config.keys_passphrase_file)
    keys = load_node_keys(directory.keys_path, passphrase)
    _check_membership(genesis, keys)
    registered = RegisteredKeys(directory.clients_path)
    registered.check()
    with contextlib.ExitStack() as closing:
        store = _open_store(directory, genesis, config)
        closing.callback(store.close)
        attachments = _open_attachments(directory.attachments_path, config, _height(store))
        closing.callback(attachments.close)
        votes = VoteStore(directory.votes_path)
        closing.callback(votes.close)
        workers, door = ThreadWorkers(config.workers), ThreadWorkers(config.workers)
        closing.callback(workers.close)
        closing.callback(door.close)
        opened = _Opened(store, attachments, votes, workers, door)
        shares = share_out(limit, len(peer_addresses(store.state, keys.member, {})))
        for level, sentence in look(
            store.state,
            keys.member,
            [key.public for key in keys.consensus],
            keys.transport.certificate_der,
        ):
            _LOG.log(level, "%s", sentence)
        limits = Limits(dial_cap_s=config.dial_cap_s, handshakes_max=shares.handshakes_max)
        node, network = _assemble(genesis, keys, config, opened, limits)
        desk = Desk(node)
        attending = _attend(directory, passphrase, config, desk, node.parts.clock)
        closing.callback(attending.close)
        gc.freeze()
        await _run(node, network, desk, attending, config, shares, registered)


def _check_membership(genesis: Genesis, keys: NodeKeys) -> None:
    """A node runs for a member. Which of its keys count, the chain says, and it may change."""
    if all(member.id != keys.member for member in genesis.members):
        raise OperatorError("E007", f"genesis names no member {keys.member}")


def _open_store(directory: Directory, genesis: Genesis, config: NodeConfig) -> Store:
    """The checked store. A node without one starts from genesis and learns the rest: its votes are
    kept apart, so an empty store endangers nothing."""
    compression = _COMPRESSION[config.leveldb_compression]
    path = directory.data_path
    try:
        if not path.exists():
            _LOG.info("no store yet: starting from genesis")
            fresh = create_store(
                path,
                genesis.parameters.state_buckets,
                compression=compression,
                cache_bytes=config.leveldb_cache_bytes,
            )
            begin_chain(fresh, genesis)
            fresh.close()
        return open_store(
            path,
            genesis.hash,
            compression=compression,
            cache_bytes=config.leveldb_cache_bytes,
        )
    except StoreProblem as problem:
        raise _explained(problem) from problem


def _height(store: Store) -> int:
    tip = store.tip()
    assert tip is not None, "an opened store has a chain"
    return tip.header.height


def _open_attachments(path: Path, config: NodeConfig, blocks: int) -> AttachmentStore:
    """A new one on a chain without blocks only: those of committed ones would never be asked for,
    because what is committed is not executed again."""
    clock_ms = SystemClock(config.clock_offset_ms).wall_ms
    compression = _COMPRESSION[config.leveldb_compression]
    is_gone = not path.exists() or not any(path.iterdir())
    if is_gone and blocks > 0:
        raise OperatorError(
            "E051",
            f"{path} is gone, and the store holds {blocks} blocks that name attachments",
            fix="put it back, or delete data/ as well (never votes/): both are then learnt again",
        )
    try:
        if is_gone:
            AttachmentStore.create(path, clock_ms, compression=compression).close()
        return AttachmentStore.open(path, clock_ms, compression=compression)
    except StoreProblem as problem:
        raise _explained(problem) from problem


def _explained(problem: StoreProblem) -> OperatorError:
    code = "E014" if isinstance(problem, StoreBusy) else "E051"
    return OperatorError(code, f"{problem.what} ({problem.code})", fix=problem.fix)


def _assemble(
    genesis: Genesis, keys: NodeKeys, config: NodeConfig, opened: _Opened, limits: Limits
) -> tuple[MemberNode, Network]:
    clock = SystemClock(config.clock_offset_ms)
    events = PeerEvents()
    network = Network(
        keys.member,
        keys.transport,
        genesis.hash,
        split_address(config.p2p_listen),
        clock.monotonic_s,
        random.SystemRandom(),
        limits,
        events,
    )
    network.latency_s = config.p2p_latency_ms / 1_000
    mempool = Mempool(
        MempoolLimits(
            config.mempool_bytes_max,
            config.mempool_transactions_max,
            config.mempool_sender_share_percent,
        )
    )
    parts = Parts(
        keys.member,
        genesis,
        opened.store,
        opened.attachments,
        network,
        mempool,
        clock,
        opened.workers,
        opened.door,
        Metrics(),
        config.peers,
    )
    node = assemble(parts, keys.consensus, opened.votes)
    events.node = node
    return node, network


def _attend(
    directory: Directory, passphrase: bytes, config: NodeConfig, desk: Desk, clock: Clock
) -> Gateway | ErasingOnly:
    """The gateway; without the organisation's service wallet, or where the operator wants none, a
    node still deletes what is erased."""
    gateway = None
    if config.gateway_enabled:
        wallets = config.gateway_patient_wallets
        try:
            gateway = Gateway.open(
                directory.path,
                passphrase,
                desk,
                clock,
                os.urandom,
                wallets,
                EpcisSettings(
                    config.gateway_epcis_policy == "binding",
                    config.gateway_epcis_private_targets,
                    "parties" if config.gateway_epcis_visibility == "parties" else "consortium",
                ),
            )
        except StoreProblem as problem:
            raise _explained(problem) from problem
    if gateway is not None:
        desk.gateway = gateway.document
        return gateway
    why = "keys/ holds no service wallet" if config.gateway_enabled else "gateway.enabled is false"
    _LOG.warning("no gateway: %s. Erasures are carried out, and not attested", why)
    return ErasingOnly(directory.path, desk)


async def _run(
    node: MemberNode,
    network: Network,
    desk: Desk,
    attending: Gateway | ErasingOnly,
    config: NodeConfig,
    shares: Shares,
    registered: RegisteredKeys,
) -> None:
    stopped = asyncio.Event()
    try:
        await network.start()
    except OSError as error:
        raise OperatorError("E011", f"p2p.listen {config.p2p_listen}: {error.strerror}") from None
    app = make_app(
        desk,
        development=config.development,
        clock=lambda: node.parts.clock.wall_ms() / 1_000,
        extension=extension_of(attending) if isinstance(attending, Gateway) else None,
        registered=registered,
    )
    runner = await serve(app, config.api_listen, _tls_files(config), shares.connections_max)
    with _signals(stopped):
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(runner.run())
                running = [
                    tasks.create_task(network.run()),
                    tasks.create_task(node.run()),
                    tasks.create_task(node.keep_house()),
                    tasks.create_task(attending.run()),
                ]
                _LOG.info("node is up")
                await stopped.wait()
                _LOG.info("stopping")
                for task in running:
                    task.cancel()
                await runner.cleanup()
        finally:
            await runner.cleanup()
            await network.stop()


def _tls_files(config: NodeConfig) -> TlsFiles | None:
    if config.api_tls_certificate is None or config.api_tls_key is None:
        return None
    return TlsFiles(config.api_tls_certificate, config.api_tls_key)


@contextlib.contextmanager
def _signals(stopped: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
