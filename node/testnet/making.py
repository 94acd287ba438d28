"""Makes a test network on disk: members, keys, genesis, directories, demo wallets."""

import os
import shutil
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from client.files import write_whole
from client.genesis_file import save_genesis, save_member
from client.sealing import Random
from client.wallet import save_wallet
from node.config import load_file
from node.directory import Directory
from node.errors import OperatorError
from node.founding import make_genesis
from node.keys import (
    RANDOM_PASSPHRASE,
    Organization,
    new_organization,
    new_passphrase,
    save_organization,
)
from node.testnet.plan import HOST, free_ports, plan_members, seeded
from node.testnet.state import PASSPHRASE, WALLETS, Testnet, TestnetNode, save_testnet
from node.tomlfile import node_toml
from storage.votes import VoteStore

CHAIN_ID: Final = "medlock-testnet"
DIAL_CAP_S: Final = 1
ADMINISTRATOR: Final = "-administrator"
"""Follows the organisation's id in the name of its administrator's demo wallet."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to make it. `overrides` maps a node ("" for all) to keys of node.toml; `launcher` is that
    of the network (see `Testnet`)."""

    validators: int = 4
    seed: int | None = None
    latency_ms: int = 0
    overrides: Mapping[str, Mapping[str, object]] | None = None
    launcher: str = ""

    def given(self, name: str) -> dict[str, object]:
        """What is overridden at the node `name`."""
        overrides = self.overrides or {}
        return {**overrides.get("", {}), **overrides.get(name, {})}


def make_testnet(path: Path, settings: Settings) -> Testnet:
    """A network in `path` that has never run. Replaces what an interrupted attempt left."""
    random = os.urandom if settings.seed is None else seeded(settings.seed)
    members = plan_members(settings.validators)
    _check_overrides(settings, [member.id for member in members if member.with_node])
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    organizations = [
        new_organization(member.id, member.name, member.role, random, with_node=member.with_node)
        for member in members
    ]
    ports = iter(free_ports(2 * settings.validators))
    nodes = tuple(
        _placed(each, settings.given(each.id), (next(ports), next(ports)))
        for each in organizations
        if each.node is not None
    )
    p2p = {node.name: node.p2p for node in nodes}
    cards = [each.card((p2p.get(each.id, ""),)) for each in organizations]
    genesis = make_genesis(cards, CHAIN_ID, None, {}, time.time_ns() // 1_000_000)
    testnet = Testnet(
        path,
        CHAIN_ID,
        genesis.hash.hex(),
        settings.seed,
        settings.latency_ms,
        tuple(each.id for each in organizations),
        nodes,
        settings.launcher,
    )
    save_genesis(testnet.genesis, genesis)
    for organization, card in zip(organizations, cards, strict=True):
        directory = _lay_out(testnet, organization, settings, random)
        save_member(directory.card_path, card)
    _save_wallets(testnet.wallets, organizations, random)
    save_testnet(testnet)
    return testnet


def _placed(
    organization: Organization, given: Mapping[str, object], ports: tuple[int, int]
) -> TestnetNode:
    """The node where its configuration puts it, which is on loopback unless something is given."""
    api = given.get("api.listen", f"{HOST}:{ports[0]}")
    scheme = "https" if "api.tls_certificate" in given else "http"
    return TestnetNode(
        organization.id,
        organization.id,
        organization.role,
        f"{scheme}://{api}",
        str(given.get("p2p.listen", f"{HOST}:{ports[1]}")),
    )


def _check_overrides(settings: Settings, names: Collection[str]) -> None:
    for name in settings.overrides or {}:
        if name and name not in names:
            raise OperatorError("E061", f"no node is named {name!r}; there are {', '.join(names)}")


def _lay_out(
    testnet: Testnet, organization: Organization, settings: Settings, random: Random
) -> Directory:
    path = testnet.path / organization.id
    if path.exists():
        shutil.rmtree(path)
    directory = Directory(path)
    directory.create()
    save_organization(directory.keys_path, organization, None, random)
    if organization.node is not None:
        node = testnet.node(organization.id)
        write_whole(directory.config_path, node_toml(_node_settings(node, settings)).encode())
        load_file(directory.config_path, {}, {})
        write_whole(directory.genesis_path, testnet.genesis.read_bytes(), 0o644)
        VoteStore(directory.votes_path).create()
    return directory


def _node_settings(node: TestnetNode, settings: Settings) -> dict[str, object]:
    made: dict[str, object] = {
        "development": True,
        "api.listen": node.api.removeprefix("http://"),
        "p2p.listen": node.p2p,
        "p2p.dial_cap_s": DIAL_CAP_S,
        "p2p.latency_ms": settings.latency_ms,
        "gateway.patient_wallets": f"../{WALLETS}",
        "log.target": "file",
        # The nodes share this machine: threads beyond its cores would only take turns.
        "workers": max(1, min(2, (os.cpu_count() or 1) // settings.validators)),
    }
    return made | settings.given(node.name)


def _save_wallets(path: Path, organizations: list[Organization], random: Random) -> None:
    if path.exists():
        shutil.rmtree(path)
    path.mkdir(mode=0o700)
    assert path.name == WALLETS
    passphrase = new_passphrase(random)
    write_whole(path / PASSPHRASE, passphrase + b"\n")
    for each in organizations:
        wallets = {each.id: each.service, each.id + ADMINISTRATOR: each.administrator}
        for name, wallet in wallets.items():
            save_wallet(path / f"{name}.wallet", wallet, passphrase, random, RANDOM_PASSPHRASE)
