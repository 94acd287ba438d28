"""What the simulator found in the shipped code, each as the story that shows it."""

from chain.certificate import Commit
from node.simulator.goals import GoalWatch
from node.simulator.run import DecisionViews, demand_liveness
from node.simulator.world import World
from storage import keyspace
from storage.keyspace import at_height
from tests.simulator.bank.stages import HOUR_MS, begun, have_sent, lose


def test_a_wrong_clock_does_not_condemn_a_block_for_ever() -> None:
    """A node whose clock was an hour ahead took the transactions of a prepared block for expired,
    refused the block, and held to that when its clock was right again and its vote was needed."""
    with World() as world:
        world.start()
        world.advance(1)
        world.shift_clock("d", HOUR_MS)

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


def test_a_vote_is_said_again_by_who_lost_the_attachments_and_kept_the_vote() -> None:
    """Found by seed 5557, and the checker's fault: a node whose database had rotted, and that began
    anew, repeated the Prepare of its vote record and was taken to vote without attachments."""
    with World(seed=1) as world:
        world.start()
        world.advance(1)
        submission = world.submit("b", attachment_bytes=1_000)
        world.until(lambda: submission.state == "acknowledged")
        world.until(lambda: world.heights() == dict.fromkeys(world.names, 1))
        world.crash("c")
        world.wipe("c", "data")
        repeated: list[str] = []

        def listens(frame, packet):  # type: ignore[no-untyped-def]
            if packet is not None and frame.source == "c":
                repeated.append(world.network.describe(frame)[0])
            return False

        world.drop(listens)
        world.start("c")
        world.until(lambda: world.height("c") == 1)
        assert "prepare" in repeated


def test_a_client_may_meet_the_rotten_database_of_its_node() -> None:
    """Found by seed 12553, and the simulator's fault: what the API answers with status 500, the
    simulated client took for the end of its node, unless it met it while it handed over."""
    with World() as world:
        world.start()
        world.advance(1)
        first = world.submit("a")
        world.until(lambda: first.state == "acknowledged")
        world.machines["a"].ledger.rotten.add(at_height(keyspace.RESULTS, 1))
        again = world.submit("a", raw=first.raw)
        world.advance(1)
        assert again.state == "unknown"
        assert "rotted" in again.refusal
        assert "a" in world.running


def test_a_chain_ahead_of_its_members_goes_on() -> None:
    """Found by seed 16357. Three clocks of four jumped an hour ahead, and a block was decided by
    them. When the clocks were right again a block after it was refused as too far ahead of
    everybody's clock, and what clients signed had expired."""
    goals = GoalWatch()
    with World(spares=1, observers=[goals]) as world:
        world.start()
        world.advance(1)
        for name in "abc":
            world.shift_clock(name, HOUR_MS)
        # Its client's clock as well: by that of the others it could never be committed.
        raw = world.consortium.transaction("a", world.now_ms + HOUR_MS)
        submission = world.submit("a", raw=raw)
        world.until(lambda: submission.state == "acknowledged")
        begun_ms = world.signing_ms("a")
        for name in "abc":
            world.shift_clock(name, 0)
        for name in "abcd":
            fresh = world.submit(name)
            world.until(lambda fresh=fresh: fresh.state == "acknowledged", within_s=20)  # type: ignore[misc]
        assert "chain ahead" in goals.reached

        # Votes on members carry what somebody says at some time, and that has to be recent.
        world.membership.announce("e")
        world.until(lambda: not world.membership.pending)
        world.membership.admit("e")
        world.until(lambda: "e" in world.seats.present, within_s=20)
        passed_ms = world.signing_ms("a") - begun_ms
        assert passed_ms == world.height("a") - 1, "a millisecond a block"


def test_a_client_signs_again_whose_transaction_a_block_of_another_hour_overtook() -> None:
    """The checker's fault: a block was prepared while clocks were an hour ahead, and decided after
    they were right again; what the healed core had been given just before had expired by then."""
    views = DecisionViews()
    with World(observers=[views]) as world:
        begun(world)
        for name in world.names:
            world.shift_clock(name, HOUR_MS)
        lose(world, Commit, view=0)
        world.submit("a", raw=world.consortium.transaction("a", world.now_ms + HOUR_MS))
        world.until(lambda: have_sent(world, Commit, 0, "abcd"))
        for name in world.names:
            world.shift_clock(name, 0)
        world.heal()
        demand_liveness(world, ["a", "b", "c", "d"], views)
        first, overtaken, again = world.submissions
        assert [each.state for each in (first, overtaken, again)] == [
            "acknowledged",
            "pending",
            "acknowledged",
        ]
