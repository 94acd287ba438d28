"""`receipt verify` convinces with the genesis file alone, and nothing bent convinces."""

import pytest

from chain.errors import InvalidMessage
from chain.receipt import RECEIPT
from client.verifier import NotVerified, parse_trusted, statement, verify
from tests.chain.chain_world import World


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def test_a_receipt_is_stated_in_one_line(world: World) -> None:
    accepted = verify(RECEIPT.encode(world.receipt(0)), world.genesis)
    assert statement(accepted) == "VALID height 7, 3 of 4 signatures, result ok"
    refused = verify(RECEIPT.encode(world.receipt(1)), world.genesis)
    assert statement(refused).endswith("result rejected record.exists")


def test_no_flipped_byte_is_valid(world: World) -> None:
    raw = RECEIPT.encode(world.receipt(3))
    for place in range(len(raw)):
        bent = bytearray(raw)
        bent[place] ^= 0xFF
        with pytest.raises(NotVerified):
            verify(bytes(bent), world.genesis)


@pytest.mark.parametrize("raw", [b"", b"\x01", b"VALID", bytes(1_000)])
def test_what_is_no_receipt_is_refused(world: World, raw: bytes) -> None:
    with pytest.raises(NotVerified) as caught:
        verify(raw, world.genesis)
    assert caught.value.code.startswith("codec.")
    assert caught.value.fix


def test_bytes_after_the_end_are_refused(world: World) -> None:
    with pytest.raises(NotVerified):
        verify(RECEIPT.encode(world.receipt()) + b"\0", world.genesis)


def test_a_trusted_block_is_compared(world: World) -> None:
    receipt = world.receipt()
    raw = RECEIPT.encode(receipt)
    text = f"7:{receipt.header.hash.hex()}"
    assert verify(raw, world.genesis, parse_trusted(text)).height == 7
    with pytest.raises(NotVerified) as caught:
        verify(raw, world.genesis, (7, bytes(32)))
    assert caught.value.code == "receipt.other_history"


@pytest.mark.parametrize(
    "text", ["", "7", "7:", ":00", "7:zz", "-1:" + "00" * 32, "7:" + "00" * 31]
)
def test_trusted_points_have_one_spelling(text: str) -> None:
    with pytest.raises(InvalidMessage):
        parse_trusted(text)
