"""A node that is short of something: descriptors that strangers take, room on its disk, its store.

It keeps what a vote needs, or stops and says why; the others go on.
"""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from client.errors import ApiError
from client.transport import Call
from tests import campaign
from tests.network.power import no_mounts, small_memory_disk
from tests.network.test_power_cut import keep_putting, running
from tests.network.world import NODES, Testnet, has_files, load, medlock, until

pytestmark = pytest.mark.network
CROWDED = "hospital-b"
FULL = "wholesaler"
FILLERS = ("blocks", "attachments")
CROWD = 100
"""Silent sockets at each port; more than the node may have open."""
MEMORY_GROWTH_KIB_MAX = 64 << 10


@contextmanager
def crowd(network: Testnet, name: str) -> Iterator[None]:
    """Strangers who connect to both ports of `name` and never say a word."""
    node = network.nodes()[name]
    with ExitStack() as sockets:
        for address in (node["api"].removeprefix("http://"), node["p2p"]):
            host, port = address.split(":")
            for _ in range(CROWD):
                sockets.enter_context(socket.create_connection((host, int(port))))
        yield


def peak_memory_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


async def test_a_node_with_64_descriptors_goes_on_voting_in_a_crowd(tmp_path: Path) -> None:
    limited = ("--launcher", "prlimit --nofile=64:64")
    with running(tmp_path / "testnet", *limited) as network, crowd(network, CROWDED):
        others = [name for name in NODES if name != CROWDED]
        network.testnet("kill", others[0])
        async with load(network, (CROWDED, others[1])) as acknowledged:

            async def served() -> bool:
                return len(acknowledged) >= 40

            await until(served)
        network.testnet("restart", others[0])
        await network.agreement(await network.commit(CROWDED))


async def test_a_length_of_four_gigabytes_costs_nothing(network: Testnet) -> None:
    pid = network.nodes()[CROWDED]["pid"]
    before_kib = peak_memory_kib(pid)

    async def lies() -> AsyncIterator[bytes]:
        yield b"\xff\xff\xff\xff" + bytes(1 << 16)

    body = {"Content-Type": "application/msgpack"}
    async with network.api(CROWDED, CROWDED) as api:
        call = Call("POST", "/v1/transactions/batch", {}, lies, body)
        with pytest.raises(ApiError, match=r"batch\.frame_too_large"):
            await api._transport.call(call)
        call = Call("POST", "/v1/transactions", {}, lies, body | {"Content-Length": str(1 << 32)})
        with pytest.raises(ApiError) as refused:
            await api._transport.call(call)
    assert refused.value.status == 413
    assert peak_memory_kib(pid) - before_kib < MEMORY_GROWTH_KIB_MAX
    await network.agreement(await network.commit(CROWDED))


@pytest.mark.parametrize("filled_by", FILLERS[: campaign.rounds(1)])
async def test_a_full_disk_stops_its_node_loudly_until_there_is_room(
    tmp_path: Path, filled_by: str
) -> None:
    if (reason := no_mounts(tmp_path / "try")) is not None:
        pytest.skip(reason)
    made = Testnet(tmp_path / "net")
    made.make()
    with small_memory_disk(tmp_path / "full", 1 << 20) as full:
        shutil.move(made.path / FULL, full / FULL)
        (made.path / FULL).symlink_to(full / FULL)
        with running(made.path) as network:
            await fill(network, full, filled_by)


async def fill(network: Testnet, full: Path, filled_by: str) -> None:
    """The disk of `FULL` fills up; the node ends, says so, and comes back when there is room."""
    pid = network.nodes()[FULL]["pid"]
    ballast = full / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(full).free - (64 << 10)))

    async def ended() -> bool:
        return not has_files(pid)

    if filled_by == "blocks":
        async with load(network, ("hospital-a",)) as acknowledged:
            await until(ended)
        assert acknowledged
    else:
        putting = asyncio.create_task(keep_putting(network, "hospital-a", []))
        await until(ended)
        putting.cancel()
        await asyncio.gather(putting, return_exceptions=True)
    assert "No space left on device" in network.testnet("logs", FULL).out.decode()
    said = medlock("run", "--dir", network.path / FULL, exit_code=3).err
    assert "error[E016]" in said
    assert "No space left on device" in said
    height = await network.commit("hospital-a")

    ballast.unlink()
    network.testnet("restart", FULL)
    await network.agreement(height)
    network.testnet("kill", FULL)
    medlock("inspect", "--dir", network.path / FULL)


async def test_two_of_four_lose_their_stores_and_learn_them_again(whole: Testnet) -> None:
    """Their vote records, which are kept apart, are what makes this safe."""
    height = await whole.commit("hospital-a")
    await whole.agreement(height)
    lost = ("hospital-b", "manufacturer")
    whole.kill_and_wait(*lost)
    for name in lost:
        shutil.rmtree(whole.path / name / "data")
        shutil.rmtree(whole.path / name / "attachments")
    whole.up()
    after = await whole.agreement(height)
    committed = [await whole.commit(name) for name in NODES]
    assert committed[0] > after["height"]
    await whole.agreement(committed[-1])
    assert [await whole.proofs_of_equivocation(name) for name in NODES] == [0] * len(NODES)
