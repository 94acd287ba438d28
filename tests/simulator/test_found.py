"""What the simulator found in the shipped code, each as the story that shows it."""

from node.simulator.world import World


def test_a_wrong_clock_does_not_condemn_a_block_for_ever() -> None:
    """A node whose clock was an hour ahead took the transactions of a prepared block for expired,
    refused the block, and held to that when its clock was right again and its vote was needed."""
    with World() as world:
        world.start()
        world.advance(1)
        world.shift_clock("d", 3_600_000)

        def is_lost(frame, packet):  # type: ignore[no-untyped-def]
            if packet is None:
                return frame.target == "d" and "transactions" in world.network.describe(frame)
            return world.network.describe(frame)[0] == "commit" and packet.signed.message.view < 2

        world.drop(is_lost)
        submission = world.submit("b")
        world.until(lambda: world.view("d") == 1)
        world.advance(1)
        world.shift_clock("d", 0)
        world.crash("a")
        world.until(lambda: submission.state == "acknowledged", within_s=60)
