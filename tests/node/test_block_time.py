"""Which time of a fresh block a member takes: CONSENSUS "Timestamps", ADR 0034."""

from collections.abc import Iterator
from contextlib import nullcontext

import pytest
from msgspec.structs import replace

from node.execution import InvalidBlock
from node.member import MemberNode
from node.simulator.world import World

LIMIT_MS = 10_000
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def member() -> Iterator[MemberNode]:
    with World(1) as world:
        world.start()
        life = world.machines["a"].life
        assert life is not None
        assert life.node.parameters.timestamp_drift_ms_max == LIMIT_MS
        yield life.node


@pytest.mark.parametrize(
    ("parent_ms", "block_ms", "is_taken"),
    [
        # From the member's clock. Nearly always the parent is older than it.
        (-5_000, 0, True),
        (-5_000, LIMIT_MS, True),
        (-5_000, LIMIT_MS + 1, False),
        (-5_000, -4_999, True),
        (-HOUR_MS, -LIMIT_MS, True),
        (-HOUR_MS, -LIMIT_MS - 1, False),
        # The least above an old parent would stop time.
        (-HOUR_MS, -HOUR_MS + 1, False),
        # A parent that is a little ahead, and one that is further ahead than a block may be.
        (LIMIT_MS - 1, LIMIT_MS, True),
        (LIMIT_MS, LIMIT_MS + 1, True),
        (HOUR_MS, HOUR_MS + 1, True),
        # More than the least would drive it on.
        (HOUR_MS, HOUR_MS + 2, False),
        (HOUR_MS, HOUR_MS + LIMIT_MS, False),
        (HOUR_MS, HOUR_MS, False),
        (HOUR_MS, HOUR_MS - 1, False),
    ],
)
def test_a_fresh_block_is_of_this_moment_or_the_least_above_a_parent_that_is_ahead(
    member: MemberNode, parent_ms: int, block_ms: int, is_taken: bool
) -> None:
    wall_ms = member.parts.clock.wall_ms()
    tip = replace(member.engine.tip.header, timestamp_ms=wall_ms + parent_ms)
    block = replace(tip, timestamp_ms=wall_ms + block_ms)
    with nullcontext() if is_taken else pytest.raises(InvalidBlock, match=r"block\.time_off"):
        member.proposals._check_time(tip, block, member.parameters)
