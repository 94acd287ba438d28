"""The gateway as a whole: opened where the organisation's keys are, and told of in `status`."""

import asyncio
import logging
from pathlib import Path
from typing import Any, cast

import pytest

from node.config import NodeConfig
from node.daemon import _attend
from node.directory import Directory
from node.errors import OperatorError
from node.gateway.gateway import ErasingOnly, Gateway
from node.keys import SERVICE_WALLET, find_passphrase, new_organization, save_organization
from tests.node.gateway.attending import log, soon
from tests.node.gateway.gateway_world import WallClock, World

TEXT = b'{"resourceType":"Condition"}'


@pytest.fixture
def directory(world: World) -> Path:
    """Hospital A's node, with the keys that genesis names."""
    path = world.path / "node"
    keys = path / "keys"
    keys.mkdir(parents=True, mode=0o700)
    organization = new_organization(
        "hospital-a", "A", "hospital", world.hospitals.random, with_node=False
    )
    staff = world.hospitals.staff["hospital-a"]
    save_organization(
        keys,
        type(organization)(
            organization.id,
            organization.name,
            organization.role,
            staff["service"],
            staff["administrator"],
            None,
        ),
        None,
        world.hospitals.random,
    )
    return path


def opened(world: World, directory: Path) -> Gateway:
    gateway = Gateway.open(
        directory,
        find_passphrase(directory / "keys"),
        world.solo,
        WallClock(world.clock),
        world.hospitals.random,
    )
    assert gateway is not None
    return gateway


async def test_it_runs_by_itself_what_its_parts_do(world: World, directory: Path) -> None:
    (record,) = await world.register(TEXT)
    consent = await world.grant()
    gateway = opened(world, directory)
    assert gateway.document()["attendants"] == {}
    running = asyncio.create_task(gateway.run())
    await log(world, world.b, consent, records=[record])
    await soon(lambda: world.b.keyring.kept(world.name(record)) is None)
    (again,) = await world.b.reading.open(world.b.reader(), [record])
    assert again.content == TEXT
    (ours,) = await gateway.reading.open(world.a.reader(), [record])
    assert ours.content == TEXT
    heights = gateway.document
    await soon(lambda: set(heights()["attendants"].values()) == {world.height()})
    assert set(heights()) == {"attendants", "deferred", "epcis", "local_log"}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    gateway.close()
    reopened = opened(world, directory)
    assert reopened.vault.cursor("release") == world.height()
    assert reopened.vault.category_key(world.name(record)) is not None
    reopened.close()


def attend(world: World, path: Path, config: NodeConfig) -> tuple[Gateway | ErasingOnly, Any]:
    desk = cast("Any", world.solo)
    desk.gateway = None
    directory = Directory(path)
    passphrase = find_passphrase(path / "keys")
    return _attend(directory, passphrase, config, desk, WallClock(world.clock)), desk


def test_the_daemon_opens_it_and_status_tells_of_it(world: World, directory: Path) -> None:
    wallets = world.path / "patients"
    gateway, desk = attend(world, directory, NodeConfig(gateway_patient_wallets=wallets))
    assert isinstance(gateway, Gateway)
    assert desk.gateway() == gateway.document()
    assert gateway.wallets.path(bytes(16)).parent == wallets
    gateway.close()


@pytest.mark.parametrize("reason", ["holds no service wallet", "gateway.enabled is false"])
def test_without_one_the_daemon_says_so_once_and_erases_all_the_same(
    world: World, directory: Path, caplog: pytest.LogCaptureFixture, reason: str
) -> None:
    config = NodeConfig()
    if "enabled" in reason:
        config = NodeConfig(gateway_enabled=False)
    else:
        (directory / "keys" / SERVICE_WALLET).unlink()
    with caplog.at_level(logging.WARNING):
        erasing, desk = attend(world, directory, config)
    assert isinstance(erasing, ErasingOnly)
    assert desk.gateway is None
    assert [reason in each.getMessage() for each in caplog.records] == [True]
    erasing.close()


def test_a_vault_that_does_not_open_stops_the_start(world: World, directory: Path) -> None:
    opened(world, directory).close()
    key = directory / "keys" / "gateway.key"
    key.write_bytes(b"x" + key.read_bytes())
    with pytest.raises(OperatorError):
        opened(world, directory)
