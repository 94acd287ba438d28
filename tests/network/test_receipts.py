"""Receipts of a real network: what they prove without it, and that no byte of one can be bent."""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from chain.genesis import Genesis
from chain.receipt import RECEIPT
from client.genesis_file import load_genesis
from client.verifier import NotVerified, verify
from tests.network.world import NODES, Testnet, medlock, run

pytestmark = pytest.mark.network
WITHOUT_NETWORK = """
import sys
def refuse(event, arguments):
    if event in {"socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto"}:
        raise AssertionError("the network was used")
sys.addaudithook(refuse)
from node.cli.main import main
main(sys.argv[1:])
"""


@dataclass(frozen=True)
class Kept:
    """A receipt as `receipt get` wrote it."""

    path: Path
    genesis_path: Path

    @property
    def raw(self) -> bytes:
        return self.path.read_bytes()

    @property
    def genesis(self) -> Genesis:
        return load_genesis(self.genesis_path)


@pytest.fixture
async def kept(network: Testnet, tmp_path: Path) -> Kept:
    work = network.work()
    async with network.api("hospital-a", "hospital-a-administrator") as api:
        await api.submit(work.raw)
    path = tmp_path / "receipt"
    network.member("receipt", "get", work.id.hex(), "-o", path)
    return Kept(path, network.path / "genesis.json")


def test_a_receipt_is_valid_without_a_network(kept: Kept) -> None:
    arguments = ("receipt", "verify", kept.path, "--genesis", kept.genesis_path)
    said = run([sys.executable, "-P", "-c", WITHOUT_NETWORK, *map(str, arguments)])
    assert said.exit_code == 0, said.err
    proven = verify(kept.raw, kept.genesis)
    assert proven.signatures in {3, 4}
    assert said.out.decode() == (
        f"VALID height {proven.height}, {proven.signatures} of 4 signatures, result ok\n"
    )
    known = f"{proven.height}:{proven.block_hash.hex()}"
    medlock(*arguments, "--trusted", known)
    medlock(*arguments, "--trusted", f"{proven.height}:{'0' * 64}", exit_code=7)


def test_no_byte_of_a_receipt_can_be_flipped(kept: Kept) -> None:
    raw, genesis = kept.raw, kept.genesis
    for place in range(len(raw)):
        for flip in (0x01, 0x80, 0xFF):
            with pytest.raises(NotVerified):
                verify(flipped(raw, place, flip), genesis)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 1.0])
def test_the_command_refuses_a_flipped_byte(kept: Kept, share: float) -> None:
    raw = kept.raw
    kept.path.write_bytes(flipped(raw, int(share * (len(raw) - 1)), 0x10))
    said = medlock("receipt", "verify", kept.path, "--genesis", kept.genesis_path, exit_code=7)
    assert b"VALID" not in said.out
    assert "error[E050]" in said.err


async def test_one_transaction_at_three_nodes_commits_once_with_one_receipt(
    network: Testnet,
) -> None:
    before = (await network.agreement())["height"]
    work = network.work()

    async def submit(node: str) -> tuple[int | None, int | None]:
        async with network.api(node, "hospital-a-administrator") as api:
            submitted = await api.submit(work.raw)
        return submitted.height, submitted.index

    places = await asyncio.gather(*map(submit, NODES[1:]))
    assert len(set(places)) == 1
    after = (await network.agreement(await network.commit("hospital-a")))["height"]
    committed: list[str] = []
    receipts = []
    for node in NODES:
        async with network.api(node) as api:
            receipts.append(RECEIPT.decode(await api.receipt(work.id)))
            if node == "hospital-b":
                for height in range(before + 1, after + 1):
                    block = await api.get_document(f"/v1/blocks/{height}")
                    committed += [each["id"] for each in block["transactions"]]
    assert committed.count(work.id.hex()) == 1
    seals = receipts[0].certificate
    assert len({msgspec.structs.replace(each, certificate=seals) for each in receipts}) == 1


def flipped(raw: bytes, place: int, flip: int) -> bytes:
    return raw[:place] + bytes([raw[place] ^ flip]) + raw[place + 1 :]
