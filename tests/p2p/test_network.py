"""Networks over loopback sockets: they find each other, keep one connection a channel, recover."""

import asyncio
from dataclasses import replace

import pytest

from p2p.certificates import create_identity
from p2p.mesh import Channel, PeerAddress

BOTH = (Channel.CONSENSUS, Channel.BULK)


async def test_three_nodes_connect_and_exchange_frames_in_order(world, wait_until):
    alice, bob, carol = await world.mesh("alice", "bob", "carol")
    sent = [b"%d" % number for number in range(500)]
    for payload in sent:
        assert alice.send("bob", payload, Channel.CONSENSUS)
    assert carol.network.broadcast(Channel.BULK, 40, b"to all") == ("alice", "bob")
    await wait_until(lambda: len(bob.payloads) == 501 and len(alice.payloads) == 1)
    assert [p for p in bob.payloads if p != b"to all"] == sent
    assert ("carol", Channel.BULK, 40, b"to all") in bob.events.frames
    assert alice.events.frames == [("carol", Channel.BULK, 40, b"to all")]


async def test_many_small_frames_share_a_message(world, wait_until):
    alice, bob = await world.mesh("alice", "bob")
    before = alice.view("bob").bytes_out
    for _ in range(100):
        assert alice.send("bob", b"x" * 10)
    await wait_until(lambda: len(bob.payloads) == 100)
    assert alice.view("bob").bytes_out - before <= 100 * 15 + 2


async def test_frames_of_the_limit_arrive_whole(world, wait_until):
    alice, bob = await world.mesh("alice", "bob", limits={"bulk_frame_bytes_max": 1 << 20})
    assert alice.send("bob", bytes((1 << 20) - 2))
    await wait_until(lambda: bob.payloads)
    assert len(bob.payloads[0]) == (1 << 20) - 2
    with pytest.raises(AssertionError):
        alice.send("bob", bytes((1 << 20) - 1))


async def test_of_two_crossing_dials_both_sides_keep_the_same(world, wait_until):
    def diallers(node, other):
        links = node.network._peers[other].links.values()
        return {link.connection.dialler for link in links if link.connection}

    async def delivered(sender, receiver, payload, channel):
        """Says it until it is heard: a frame on a connection that is replaced is lost."""
        entry = (sender.name, channel, 32, payload)

        def heard():
            sender.send(receiver.name, payload, channel)
            return entry in receiver.events.frames

        await wait_until(heard)

    alice, bob = await world.node("alice"), await world.node("bob")
    world.introduce([alice, bob])
    await wait_until(lambda: alice.sees("bob") == bob.sees("alice") == BOTH)
    crossed = 0
    for round_ in range(8):
        alice.network.cut({"bob"})
        bob.network.cut({"alice"})
        ended = len(alice.events.downs)
        bob.network.heal()
        alice.network.heal()
        await wait_until(lambda: alice.sees("bob") == bob.sees("alice") == BOTH)
        for channel in BOTH:
            await delivered(alice, bob, b"%d" % round_, channel)
            await delivered(bob, alice, b"%d" % round_, channel)
        crossed += len(alice.events.downs) - ended
    assert crossed, "some dials of this test cross"
    await wait_until(lambda: diallers(alice, "bob") == diallers(bob, "alice") != set())
    for node, other in ((alice, bob), (bob, alice)):
        assert len(node.events.ups) - len(node.events.downs) == 2, "one a channel"
        assert node.view(other.name).score == 0


async def test_a_settled_connection_refuses_the_larger_ids_second_dial(world, wait_until):
    """The smaller id dialled; a later dial of the other, same instance, is answered duplicate."""
    node = await world.node_that_knows("mallory")
    first = await world.stranger(node)
    await first.greet(instance=b"1" * 16)
    await wait_until(lambda: node.sees("mallory"))
    link = node.network._peers["mallory"].links[Channel.BULK]
    link.connection.dialler = "hospital"
    second = await world.stranger(node)
    answer = await second.greet(instance=b"1" * 16)
    assert answer.code == "hello.duplicate"
    restarted = await world.stranger(node)
    await restarted.greet(instance=b"2" * 16)
    await first.hung_up()
    assert node.sees("mallory") == (Channel.BULK,)


async def test_a_dead_connection_gives_way_soon_after_its_peer_dials_again(world, wait_until):
    node = await world.node_that_knows("mallory", limits={"probe_s": 0.1, "silence_s": 60.0})
    dead = await world.stranger(node)
    await dead.greet(instance=b"1" * 16)
    await wait_until(lambda: node.sees("mallory"))
    node.network._peers["mallory"].links[Channel.BULK].connection.dialler = "hospital"
    again = await world.stranger(node)
    assert (await again.greet(instance=b"1" * 16)).code == "hello.duplicate"
    await wait_until(lambda: not node.sees("mallory"))
    assert node.view("mallory").last_error == "silent when asked"


async def test_a_restarted_peer_is_connected_again(world, wait_until):
    alice, bob = await world.mesh("alice", "bob")
    port = bob.port
    await bob.stop()
    await wait_until(lambda: alice.sees("bob") == ())
    assert not alice.send("bob", b"nobody there")
    assert alice.view("bob").last_error
    again = await world.node("bob", port=port)
    world.introduce([alice, again])
    await wait_until(lambda: alice.sees("bob") == BOTH and again.sees("alice") == BOTH)
    assert alice.send("bob", b"hello again")
    await wait_until(lambda: again.payloads == [b"hello again"])


async def test_a_peer_that_comes_up_late_is_found_without_its_dialling(world, wait_until):
    alice, bob = await world.mesh("alice", "bob")
    card, port = bob.card, bob.port
    await bob.stop()
    await wait_until(lambda: alice.view("bob").last_error.startswith("cannot reach"))
    late = await world.node("bob", port=port)
    late.network.set_members([replace(alice.card, addresses=())])
    alice.network.set_members([card])
    await wait_until(lambda: alice.sees("bob") == BOTH)


async def test_a_cut_drops_and_refuses_until_healed_on_both_sides(world, wait_until):
    alice, bob, carol = await world.mesh("alice", "bob", "carol")
    world.introduce([alice, bob, carol])
    alice.network.cut({"bob"})
    assert alice.sees("bob") == ()
    assert alice.view("bob").cut
    assert not alice.send("bob", b"across")
    await wait_until(lambda: "hello.cut" in (bob.view("alice").last_error or ""))
    assert alice.sees("bob") == ()
    assert alice.sees("carol") == BOTH
    alice.network.heal()
    await wait_until(lambda: alice.sees("bob") == BOTH and bob.sees("alice") == BOTH)
    assert not alice.view("bob").cut


async def test_a_member_that_left_is_disconnected_and_trusted_no_more(world, wait_until):
    alice, bob, carol = await world.mesh("alice", "bob", "carol")
    world.introduce([alice, bob, carol])
    alice.network.set_members([alice.card, carol.card])
    assert [peer.member for peer in alice.network.peers()] == ["carol"]
    refused = alice.network.refused_count
    await wait_until(lambda: alice.network.refused_count > refused)
    await wait_until(lambda: bob.sees("alice") == ())
    assert alice.sees("carol") == BOTH
    alice.network.set_members([bob.card, carol.card])
    await wait_until(lambda: alice.sees("bob") == BOTH)


async def test_a_changed_certificate_counts_at_once(world, wait_until):
    alice, bob = await world.mesh("alice", "bob")
    fresh = create_identity("bob")
    await bob.stop()
    renewed = await world.node("bob", identity=fresh, port=0)
    renewed.network.set_members([alice.card])
    await wait_until(lambda: renewed.view("alice").last_error is not None)
    assert alice.sees("bob") == ()
    alice.network.set_members(
        [PeerAddress("bob", fresh.certificate_der, (f"127.0.0.1:{renewed.port}",))]
    )
    await wait_until(lambda: alice.sees("bob") == BOTH)


async def test_a_member_with_an_impossible_certificate_harms_nobody_else(world, wait_until):
    alice, bob = await world.mesh("alice", "bob")
    broken = PeerAddress("carol", b"no certificate", ("127.0.0.1:1",))
    alice.network.set_members([bob.card, broken, replace(alice.card, member="dora")])
    assert alice.view("carol").last_error == "certificate.malformed"
    assert alice.view("dora").last_error == "certificate.is_our_own"
    assert alice.sees("bob") == BOTH
    assert alice.send("bob", b"still here")
    await wait_until(lambda: bob.payloads)


async def test_addresses_are_tried_in_turn(world, wait_until):
    alice, bob = await world.node("alice"), await world.node("bob")
    bad = ("127.0.0.1:1", "not an address", "127.0.0.1:99999")
    alice.network.set_members([replace(bob.card, addresses=(*bad, *bob.card.addresses))])
    bob.network.set_members([replace(alice.card, addresses=())])
    await wait_until(lambda: alice.sees("bob") == BOTH)


async def test_pings_measure_the_round_trip_and_keep_a_quiet_connection(world, wait_until):
    alice, _bob = await world.mesh("alice", "bob", limits={"ping_s": 0.05, "silence_s": 1.0})
    await wait_until(lambda: alice.view("bob").rtt_s is not None)
    since = alice.view("bob").since
    heard = alice.view("bob").last_heard
    await wait_until(lambda: alice.view("bob").last_heard > heard + 1.2)
    assert alice.view("bob").since == since
    assert 0 < alice.view("bob").rtt_s < 1


async def test_latency_delays_frames_and_keeps_their_order(world, wait_until):
    alice, bob = await world.mesh("alice", "bob")
    loop = asyncio.get_running_loop()
    alice.network.latency_s = 0.15
    began = loop.time()
    alice.send("bob", b"1")
    alice.send("bob", b"2")
    await wait_until(lambda: bob.payloads == [b"1", b"2"])
    assert loop.time() - began >= 0.15


async def test_reading_waits_for_what_the_node_returns(world, wait_until):
    alice, bob = await world.mesh("alice", "bob")
    gate = asyncio.Event()

    async def opened() -> None:
        await gate.wait()

    bob.events.answer = lambda kind, payload: opened() if payload == b"slow" else None
    for payload in (b"slow", b"next"):
        alice.send("bob", payload)
    alice.send("bob", b"vote", Channel.CONSENSUS)
    await wait_until(lambda: b"vote" in bob.payloads and b"slow" in bob.payloads)
    assert b"next" not in bob.payloads
    gate.set()
    await wait_until(lambda: b"next" in bob.payloads)


async def test_a_fault_of_ours_ends_the_network_with_its_cause(world, wait_until):
    alice, bob = await world.mesh("alice", "bob")

    def broken(kind, payload):
        raise ZeroDivisionError

    bob.events.answer = broken
    alice.send("bob", b"anything")
    with pytest.raises(ExceptionGroup) as caught:
        await bob.task
    bob.task = None
    assert caught.group_contains(ZeroDivisionError)


async def test_cancelling_run_closes_every_connection(world, wait_until):
    alice, bob = await world.mesh("alice", "bob")
    bob.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await bob.task
    bob.task = None
    assert len(bob.events.ups) == len(bob.events.downs)
    await wait_until(lambda: alice.sees("bob") == ())


async def test_cancelled_in_the_step_in_which_its_peer_hangs_up_a_network_still_stops(
    world, wait_until
):
    """The end of a connection and the cancellation of its task meet: neither is swallowed."""
    alice, _bob = await world.mesh("alice", "bob")
    for link in alice.network._peers["bob"].links.values():
        link.connection.close("lost")
    await asyncio.sleep(0)
    alice.task.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await alice.task
    alice.task = None


async def test_stopping_twice_and_before_running_is_harmless(world, wait_until):
    alice, bob = await world.mesh("alice", "bob")
    await asyncio.gather(alice.network.stop(), alice.network.stop())
    await alice.network.stop()
    await alice.task
    alice.task = None
    await wait_until(lambda: bob.sees("alice") == ())
