"""A member whose clock is wrong, or whose certificate has ended."""

import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.api import connect
from client.errors import ApiError
from client.transport import Patience
from node.directory import Directory
from node.testnet import processes
from tests.network.world import Testnet, until
from tests.node.api.test_listener import certificate_for

AHEAD_MS = 11_000
HOUR_MS = 3_600_000
JUMPY = "wholesaler"


@pytest.fixture(scope="module")
def askew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testnet]:
    """Hospital A, the first primary, is ahead by more than the parameter of genesis allows."""
    made = Testnet(tmp_path_factory.mktemp("clock") / "testnet")
    made.up("--set", f"hospital-a:clock_offset_ms={AHEAD_MS}")
    yield made
    made.down()


@pytest.mark.network
async def test_a_primary_ahead_of_time_is_replaced_and_not_followed(askew: Testnet) -> None:
    genesis = json.loads((askew.path / "genesis.json").read_bytes())
    assert genesis["first_proposer"] == "hospital-a"
    assert genesis["parameters"]["timestamp_drift_ms_max"] < AHEAD_MS
    height = await askew.commit("hospital-b")
    now = await askew.agreement(height)
    assert now["primary"] != "hospital-a"
    async with askew.api("hospital-b") as api:
        for each in range(1, now["height"] + 1):
            header = (await api.get_document(f"/v1/blocks/{each}"))["header"]
            assert header["proposer"] != "hospital-a"
            assert header["timestamp_ms"] <= time.time() * 1_000


@pytest.mark.network
@pytest.mark.parametrize("hours", [1, -1])
async def test_a_clock_that_jumps_an_hour_is_named_and_stops_nobody_else(
    whole: Testnet, hours: int
) -> None:
    toml = whole.path / JUMPY / "node.toml"
    right = toml.read_text()
    whole.testnet("kill", JUMPY)
    offset = f"clock_offset_ms = {hours * HOUR_MS}\n"
    toml.write_text(right.replace("development = true\n", f"development = true\n{offset}"))
    directory = Directory(whole.path / JUMPY)
    process = processes.spawn(directory)
    try:

        async def named() -> bool:
            await whole.commit("hospital-a")
            return "block.time_off" in (directory.log_path / "node.log").read_text()

        await until(named)
    finally:
        toml.write_text(right)
        process.kill()
        process.wait()
    whole.testnet("restart", JUMPY)
    await whole.agreement(await whole.commit("hospital-a"))


@pytest.mark.network
async def test_an_expired_certificate_keeps_clients_away_and_the_vote_goes_on(
    whole: Testnet, tmp_path: Path
) -> None:
    expired = certificate_for(tmp_path, "127.0.0.1", days=(-10, -1))
    toml = whole.path / JUMPY / "node.toml"
    right = toml.read_text()
    whole.testnet("kill", JUMPY)
    expired.key.chmod(0o600)
    files = f'[api]\ntls_certificate = "{expired.certificate}"\ntls_key = "{expired.key}"\n'
    toml.write_text(right.replace("[api]\n", files))
    directory = Directory(whole.path / JUMPY)
    process = processes.spawn(directory)
    try:
        context = ssl.create_default_context(cafile=str(expired.certificate))
        base = whole.base(JUMPY).replace("http://", "https://")

        async def refused() -> bool:
            """Nobody listens yet, or a certificate is shown that no client takes."""
            async with connect(base, None, Patience(deadline_s=2.0), tls=context) as api:
                with pytest.raises(ApiError) as caught:
                    await api.get_document("/healthz")
            return caught.value.code == "api.tls"

        await until(refused)
        assert "certificate of the API has expired" in (directory.log_path / "node.log").read_text()
        whole.testnet("kill", "hospital-b")
        await whole.commit("hospital-a")
    finally:
        toml.write_text(right)
        process.kill()
        process.wait()
    whole.up()
    await whole.agreement()
