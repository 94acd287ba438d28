"""A member whose clock is wrong, and one that is set up as for production."""

import json
import time
from collections.abc import Iterator

import pytest

from tests.network.world import Testnet

AHEAD_MS = 11_000


@pytest.fixture(scope="module")
def askew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testnet]:
    """Hospital A, the first primary, is ahead by more than the parameter of genesis allows; the
    wholesaler's node is no development node."""
    made = Testnet(tmp_path_factory.mktemp("clock") / "testnet")
    options = (f"hospital-a:clock_offset_ms={AHEAD_MS}", "wholesaler:development=false")
    made.up(*(each for option in options for each in ("--set", option)))
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
def test_only_a_development_node_lets_its_links_be_cut(askew: Testnet) -> None:
    said = askew.testnet("partition", "wholesaler/hospital-a,hospital-b,manufacturer", exit_code=3)
    assert "error[E019]" in said.err
    assert "set development = true in" in said.err
    assert "error[E019]" in askew.testnet("heal", exit_code=3).err
