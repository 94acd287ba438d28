"""Stores and vote records that are not what was written: the node says so, and keeps silent."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.network.world import Testnet, medlock, until

pytestmark = pytest.mark.network
DAMAGED = "wholesaler"


def flip_a_bit(data: Path) -> None:
    path = largest(data)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0x04
    path.write_bytes(raw)


def cut_the_tail(data: Path) -> None:
    """What LevelDB itself takes for a normal end."""
    path = max(data.glob("*.log"), key=lambda each: each.name)
    path.write_bytes(path.read_bytes()[:-40])


def lose_a_file(data: Path) -> None:
    (data / "CURRENT").unlink()


def largest(data: Path) -> Path:
    files = [*data.glob("*.log"), *data.glob("*.ldb")]
    return max(files, key=lambda each: each.stat().st_size)


@pytest.fixture
def stopped(whole: Testnet, tmp_path: Path) -> Path:
    """A copy of the directory of a node that was killed after it had committed."""
    whole.up()
    whole.testnet("kill", DAMAGED)
    return Path(shutil.copytree(whole.path / DAMAGED, tmp_path / DAMAGED))


@pytest.mark.parametrize("damage", [flip_a_bit, cut_the_tail, lose_a_file])
async def test_a_damaged_store_is_named_and_the_node_does_not_start(
    network: Testnet, stopped: Path, damage: Callable[[Path], None]
) -> None:
    await network.commit("hospital-a")
    medlock("inspect", "--dir", stopped)
    damage(stopped / "data")
    said = medlock("run", "--dir", stopped, exit_code=7)
    assert "error[E051]" in said.err
    assert "(store." in said.err
    inspected = medlock("inspect", "--dir", stopped, "--json", exit_code=7).document
    assert not inspected["chain"]["whole"]
    assert inspected["votes"]["whole"]


async def test_a_wiped_store_is_learnt_again_and_wiped_attachments_alone_are_not(
    whole: Testnet,
) -> None:
    height = await whole.commit("hospital-a")
    directory = whole.path / DAMAGED
    whole.testnet("kill", DAMAGED)
    shutil.rmtree(directory / "attachments")
    said = medlock("run", "--dir", directory, exit_code=7)
    assert "error[E051]" in said.err
    assert "attachments is gone" in said.err
    assert not (directory / "attachments").exists()
    shutil.rmtree(directory / "data")
    whole.testnet("restart", DAMAGED)
    await whole.agreement(height)
    assert (await whole.ask(DAMAGED))["phase"] != "abstaining", "its votes were kept"
    whole.testnet("kill", "manufacturer")
    await whole.commit("hospital-a")


async def test_a_node_with_a_damaged_vote_record_keeps_silent(whole: Testnet) -> None:
    await whole.agreement(await whole.commit("hospital-a"))
    whole.testnet("kill", DAMAGED)
    for slot in (whole.path / DAMAGED / "votes").glob("slot-*"):
        raw = bytearray(slot.read_bytes())
        raw[-1] ^= 0x01
        slot.write_bytes(raw)
    said = medlock("inspect", "--dir", whole.path / DAMAGED, exit_code=7).out.decode()
    assert "votes: the vote record is corrupt" in said
    whole.testnet("kill", "manufacturer")
    whole.testnet("restart", DAMAGED)
    before = await whole.ask(DAMAGED)
    assert before["phase"] == "abstaining"
    assert "vote record is corrupt" in whole.testnet("logs", DAMAGED).out.decode()

    work = whole.work()
    async with whole.api("hospital-a", "hospital-a-administrator") as api:
        await api.submit(work.raw, wait="accepted")

    async def given_up() -> bool:
        """Two ask for another primary; a third vote would be enough for a quorum."""
        stalled = await whole.why_stalled("hospital-b")
        return stalled["waiting_for"] == "view-changes" and DAMAGED in stalled["missing"]

    await until(given_up)
    said = whole.member("why-stalled", "--node", DAMAGED).out.decode()
    assert "lost its vote record and does not vote until that is safe" in said
    assert (await whole.ask("hospital-b"))["height"] == before["height"]

    whole.testnet("restart", "manufacturer")

    async def committed() -> bool:
        return await whole.is_on_all([work.id])

    await until(committed)
