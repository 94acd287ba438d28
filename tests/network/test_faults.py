"""Processes that die, links that fail, and what the network keeps and does in spite of it."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from tests.network.world import NODES, Testnet, load, until

pytestmark = pytest.mark.network
SLACK_S = 0.5


def base_timeout_s(network: Testnet) -> float:
    genesis = json.loads((network.path / "genesis.json").read_bytes())
    return float(genesis["parameters"]["timeout_base_ms"]) / 1_000


async def test_the_primary_is_killed_under_load(whole: Testnet) -> None:
    primary = str((await whole.ask("hospital-b"))["primary"])
    survivors = tuple(name for name in NODES if name != primary)

    async def busy() -> bool:
        return len(acknowledged) >= 40

    async with load(whole, NODES) as acknowledged:
        await until(busy)
        whole.kill_at_once(primary)
        killed_s = time.monotonic()
        await whole.commit(survivors[0])
        resumed_s = time.monotonic() - killed_s
    after = await whole.ask(survivors[0])
    assert after["primary"] != primary
    assert resumed_s <= base_timeout_s(whole) + SLACK_S

    whole.testnet("restart", primary)
    await whole.agreement(int(after["height"]))
    assert await whole.is_on_all(acknowledged)


async def test_a_network_in_two_halves_commits_nothing_and_says_why(whole: Testnet) -> None:
    before = await whole.agreement()
    whole.testnet("partition", "hospital-a,hospital-b/manufacturer,wholesaler")
    waiting = [whole.work(), whole.work()]
    for node, work in zip(("hospital-a", "wholesaler"), waiting, strict=True):
        async with whole.api(node, "hospital-a-administrator") as api:
            await api.submit(work.raw, wait="accepted")

    async def given_up() -> bool:
        """Both halves have asked for another primary, which takes a quorum as well."""
        stalls = [await whole.why_stalled(name) for name in ("hospital-a", "wholesaler")]
        return all(each["waiting_for"] == "view-changes" for each in stalls)

    await until(given_up)
    said = whole.member("why-stalled", "--node", "hospital-a", "--json").document
    assert said["stalled"]
    assert (said["quorum"], said["votes_needed"]) == (3, 1)
    assert said["missing"] == ["manufacturer", "wholesaler"]
    words = whole.member("why-stalled", "--node", "wholesaler").out.decode()
    for name in ("hospital-a", "hospital-b"):
        assert f"{name}: the link is cut by the development switch." in words
    assert {node["height"] for node in whole.nodes().values()} == {before["height"]}

    async def committed() -> bool:
        return await whole.is_on_all([work.id for work in waiting])

    whole.testnet("heal")
    await until(committed, timeout_s=2.0)
    await whole.agreement(before["height"] + 1)


async def test_a_bundle_put_without_a_quorum_is_finished_by_the_next_put(
    whole: Testnet, fhir: Path
) -> None:
    before = set((whole.path / "wallets").glob("patient-*"))
    whole.testnet("partition", "hospital-a,hospital-b/manufacturer,wholesaler")
    put = ("put", fhir / "Buster_Hoeger.json", "--as", "hospital-a", "--json")
    said = whole.member("record", *put, "--timeout", 2, exit_code=6)
    error = json.loads(said.err.splitlines()[-1])["error"]
    assert error["code"] == "E040"
    (wallet,) = set((whole.path / "wallets").glob("patient-*")) - before
    whole.testnet("heal")
    done = whole.member("record", *put).document
    assert done["transaction"] in error["cause"]
    assert {f"patient-{each['patient']}" for each in done["records"]} == {wallet.stem}
    again = whole.member("record", *put).document
    assert {each["patient"] for each in again["records"]} == {done["records"][0]["patient"]}
    assert set((whole.path / "wallets").glob("patient-*")) - before == {wallet}


async def test_three_go_on_without_the_fourth_and_it_catches_up(whole: Testnet) -> None:
    before = await whole.agreement()
    whole.testnet("partition", "wholesaler/hospital-a,hospital-b,manufacturer")
    heights = [await whole.commit("hospital-b") for _ in range(5)]
    assert heights[-1] > before["height"]
    assert (await whole.ask("wholesaler"))["height"] == before["height"]
    whole.testnet("heal")
    await whole.agreement(heights[-1])


async def test_all_four_are_killed_at_once_under_load(whole: Testnet) -> None:
    async def busy() -> bool:
        return len(acknowledged) >= 40

    async with load(whole, NODES) as acknowledged:
        await until(busy)
        whole.kill_at_once(*NODES)
    await asyncio.to_thread(whole.up)
    assert await whole.is_on_all(acknowledged)
    await whole.agreement(await whole.commit("hospital-a"))
