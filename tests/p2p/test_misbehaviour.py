"""Members that misbehave: each offence costs points and the connection, enough of them a ban."""

import asyncio
import struct

import pytest

from chain.errors import InvalidMessage
from p2p import frames
from p2p.hello import Hello
from p2p.mesh import Channel
from p2p.scores import MALFORMED_POINTS

SMALL = {"bulk_frame_bytes_max": 4_096, "batch_frames_max": 4}


def batch(*entries: tuple[int, bytes]) -> bytes:
    rows = (struct.pack(">BI", kind, len(payload)) + payload for kind, payload in entries)
    return b"\x01\x02" + b"".join(rows)


GARBAGE = {
    "empty": (b"", "frame.malformed"),
    "one byte": (b"\x01", "frame.malformed"),
    "another version": (b"\x02\x20abc", "frame.version_unsupported"),
    "a reserved kind": (b"\x01\x07abc", "frame.malformed"),
    "a ping too long": (b"\x01\x00" + bytes(9), "frame.malformed"),
    "a pong unasked": (b"\x01\x01" + b"\xff" * 8, "frame.unasked_pong"),
    "an empty batch": (batch(), "frame.malformed"),
    "a batch of one": (batch((32, b"x")), "frame.malformed"),
    "a batch cut short": (batch((32, b"x"), (32, b"y"))[:-1], "frame.malformed"),
    "a batch cut in an entry": (batch((32, b"x"), (32, b"y")) + b"\x20", "frame.malformed"),
    "a batch that lies": (b"\x01\x02" + b"\x20\xff\xff\xff\xff", "frame.malformed"),
    "a ping in a batch": (batch((32, b"x"), (0, bytes(8))), "frame.malformed"),
    "a batch in a batch": (batch((32, b"x"), (2, b"")), "frame.malformed"),
    "too many in a batch": (batch(*[(32, b"")] * 5), "frame.too_many"),
}


@pytest.mark.parametrize("what", GARBAGE)
async def test_garbage_costs_points_and_the_connection(world, wait_until, what):
    raw, code = GARBAGE[what]
    node = await world.node_that_knows("mallory", limits=SMALL)
    stranger = await world.stranger(node)
    await stranger.greet()
    stranger.message(raw)
    await stranger.hung_up()
    await wait_until(lambda: node.view("mallory").score > 0)
    assert code in node.view("mallory").last_error
    assert node.events.frames == []
    assert node.events.downs == node.events.ups == [("mallory", Channel.BULK)]


async def _offend(stranger, how: str) -> None:
    match how:
        case "text":
            stranger.message(b"\x01\x20text", opcode=1)
        case "a WebSocket ping":
            stranger.message(b"", opcode=9)
        case "oversize":
            stranger.message(b"\x01\x20" + bytes(4_096))
        case "oversize in fragments":
            for opcode in (2, 0, 0):
                stranger.write(bytes([opcode, 0xFE, 0x08, 0x00]) + bytes(4) + bytes(2_048))
        case "a length of four gigabytes":
            stranger.write(b"\x82\xff" + struct.pack(">Q", 1 << 32) + bytes(4))
        case "a length of the whole address space":
            stranger.write(b"\x82\xff" + b"\xff" * 8 + bytes(4))
        case "an unknown opcode":
            stranger.message(b"", opcode=5)
        case "a compressed frame":
            stranger.write(bytes([0xC2, 0x81]) + bytes(4) + b"x")


@pytest.mark.parametrize(
    "how",
    [
        "text",
        "a WebSocket ping",
        "oversize",
        "oversize in fragments",
        "a length of four gigabytes",
        "a length of the whole address space",
        "an unknown opcode",
        "a compressed frame",
    ],
)
async def test_a_breach_of_websocket_costs_points_and_the_connection(world, wait_until, how):
    node = await world.node_that_knows("mallory", limits=SMALL)
    stranger = await world.stranger(node)
    await stranger.greet()
    await _offend(stranger, how)
    await stranger.hung_up()
    await wait_until(lambda: node.view("mallory").score > 0)
    assert node.view("mallory").last_error.startswith("frame.")
    assert node.sees("mallory") == ()
    assert node.events.frames == []


async def test_what_the_node_finds_invalid_is_its_senders_fault(world, wait_until):
    node = await world.node_that_knows("mallory", clock="fake")

    def refuse(kind, payload):
        raise InvalidMessage("announce.malformed", "ids")

    node.events.answer = refuse
    stranger = await world.stranger(node)
    await stranger.greet()
    stranger.message(b"\x01\x20anything")
    await stranger.hung_up()
    await wait_until(lambda: node.view("mallory").score == MALFORMED_POINTS)
    assert "announce.malformed" in node.view("mallory").last_error


async def test_a_ban_ends_both_connections_and_ends_itself_by_the_clock(world, wait_until):
    node = await world.node_that_knows("mallory", clock="fake", limits={"ban_s": 60.0})
    both = [await world.stranger(node) for _ in Channel]
    for stranger, channel in zip(both, Channel, strict=True):
        await stranger.greet(channel)
    await wait_until(lambda: len(node.sees("mallory")) == 2)
    node.network.punish("mallory", 99, "a reason")
    assert len(node.sees("mallory")) == 2
    node.network.punish("mallory", 1, "the last straw")
    assert node.sees("mallory") == ()
    assert node.view("mallory").banned_until == 60.0
    for stranger in both:
        await stranger.hung_up()
    node.now_s = 59.9
    refused = await world.stranger(node)
    assert (await refused.greet()).code == "hello.banned"
    node.now_s = 60.0
    forgiven = await world.stranger(node)
    assert isinstance(await forgiven.greet(), Hello)
    assert node.view("mallory").banned_until is None


async def test_a_banned_peer_is_dialled_again_when_the_ban_is_over(world, wait_until):
    alice = await world.node("alice", clock="fake")
    bob = await world.node("bob")
    world.introduce([alice, bob])
    await wait_until(lambda: len(alice.sees("bob")) == 2)
    alice.network.punish("bob", 100, "a reason")
    await wait_until(lambda: "hello.banned" in (bob.view("alice").last_error or ""))
    alice.now_s = 61.0
    await wait_until(lambda: len(alice.sees("bob")) == len(bob.sees("alice")) == 2)


async def test_a_full_consensus_queue_ends_the_connection(world, wait_until):
    node = await world.node_that_knows("mallory", limits={"consensus_queue_bytes_max": 1 << 20})
    stranger = await world.stranger(node)
    await stranger.greet(Channel.CONSENSUS)
    await wait_until(lambda: node.sees("mallory"))
    stranger.writer.transport.pause_reading()
    payload = bytes(100_000)
    sent = 0
    while node.network.send("mallory", Channel.CONSENSUS, 16, payload):
        sent += 1
        assert node.view("mallory").queue_bytes <= 1 << 20
        assert sent < 1_000, "the queue is bounded"
        await asyncio.sleep(0)
    await wait_until(lambda: node.sees("mallory") == ())
    assert node.view("mallory").last_error == "queue full"
    assert node.view("mallory").score == 0


async def test_a_full_bulk_queue_refuses_and_goes_on_once_it_drains(world, wait_until):
    node = await world.node_that_knows("mallory", limits={"bulk_queue_bytes_max": 1 << 20})
    stranger = await world.stranger(node)
    await stranger.greet()
    await wait_until(lambda: node.sees("mallory"))
    stranger.writer.transport.pause_reading()
    payload = bytes(100_000)
    sent = 0
    while node.send("mallory", payload):
        sent += 1
        assert sent < 1_000, "the queue is bounded"
        await asyncio.sleep(0)
    assert node.sees("mallory") == (Channel.BULK,)
    stranger.writer.transport.resume_reading()
    received = 0
    while received < sent:
        raw = await stranger.read_message()
        received += len([f for f in frames.decode(raw, 1_024) if f[0] == 32])
    assert node.send("mallory", payload)


async def test_a_peer_that_takes_no_bytes_or_says_nothing_is_dropped(world, wait_until):
    node = await world.node_that_knows("mallory", clock="fake")
    stuck = await world.stranger(node)
    await stuck.greet()
    await wait_until(lambda: node.sees("mallory"))
    stuck.writer.transport.pause_reading()
    for _ in range(400):
        node.send("mallory", bytes(100_000))
    while node.sees("mallory"):  # it takes a while until the kernel's buffers are full
        node.now_s += 9.0
        seen = len(node.payloads)
        stuck.message(b"\x01\x20alive")
        await wait_until(lambda n=seen: len(node.payloads) > n or not node.sees("mallory"))
    assert node.view("mallory").last_error == "takes no bytes"

    mute = await world.stranger(node)
    await mute.greet()
    await wait_until(lambda: node.sees("mallory"))
    node.now_s += 10.1
    await wait_until(lambda: node.sees("mallory") == ())
    assert node.view("mallory").last_error == "silent"


async def test_reading_is_slowed_down_to_the_rate_limit(world, wait_until):
    loop = asyncio.get_running_loop()
    node = await world.node_that_knows("mallory", limits={"bulk_receive_bytes_per_s": 1_000_000})
    stranger = await world.stranger(node)
    await stranger.greet()
    began = loop.time()
    for _ in range(15):
        stranger.message(b"\x01\x20" + bytes(100_000))
    await wait_until(lambda: len(node.payloads) == 15)
    assert loop.time() - began >= 0.3, "a second's worth at once, the rest at the rate"
    assert node.view("mallory").score == 0
