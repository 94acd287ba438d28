"""Cables that are cut: frames are lost and nobody is told."""

from collections.abc import Iterator

import pytest

from tests.network.namespaces import Switch, apart, unavailable
from tests.network.register import register
from tests.network.test_linearizability import progress
from tests.network.world import NODES, Testnet, until

pytestmark = pytest.mark.network
Joined = tuple[Testnet, Switch]


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Joined]:
    if (reason := unavailable()) is not None:
        pytest.skip(reason)
    with apart(tmp_path_factory.mktemp("namespaces") / "testnet") as network_and_switch:
        yield network_and_switch


async def test_a_cable_is_cut_and_mended_while_clients_watch(joined: Joined) -> None:
    network, switch = joined
    async with register(network) as seen:
        await progress(seen)
        primary = str((await network.ask("hospital-a"))["primary"])
        rest = [name for name in NODES if name != primary]
        switch.split(rest)
        await progress(seen)
        switch.split(NODES[:2], NODES[2:])

        async def given_up() -> bool:
            stalls = [await network.why_stalled(name) for name in NODES]
            return all(each["waiting_for"] == "view-changes" for each in stalls)

        await until(given_up)
        switch.heal()
        await progress(seen)
    await seen.check()


async def test_one_that_sends_and_cannot_hear_does_not_stop_the_others(joined: Joined) -> None:
    network, switch = joined
    deaf = str((await network.agreement())["primary"])
    hearing = next(name for name in NODES if name != deaf)
    switch.deafen(deaf)
    try:
        heights = [await network.commit(hearing) for _ in range(3)]
        assert (await network.ask(hearing))["primary"] != deaf
        assert (await network.ask(deaf))["height"] < heights[-1]
    finally:
        switch.undeafen(deaf)
    await network.agreement(heights[-1])
