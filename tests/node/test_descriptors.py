"""Open files are shared out so that strangers cannot take those that a vote needs."""

import pytest

from node.api.limits import CONNECTIONS_MAX
from node.descriptors import NEWCOMERS_MAX, OWN_MAX, PEER_MAX, Shares, share_out
from node.errors import OperatorError
from p2p.limits import Limits


@pytest.mark.parametrize("limit", [64, 100, 256, 1_024, 4_096, 65_536])
@pytest.mark.parametrize("peers", [0, 3])
def test_what_strangers_can_take_leaves_the_node_its_own(limit: int, peers: int) -> None:
    shares = share_out(limit, peers)
    taken = shares.handshakes_max + 2 * shares.connections_max
    assert taken + OWN_MAX + PEER_MAX * peers <= limit
    assert min(shares.handshakes_max, shares.connections_max) >= 4


@pytest.mark.parametrize("newcomers", [1, NEWCOMERS_MAX])
def test_what_strangers_can_take_leaves_room_for_nodes_that_are_announced_meanwhile(
    newcomers: int,
) -> None:
    shares = share_out(1_024, 3)
    taken = shares.handshakes_max + 2 * shares.connections_max
    assert taken + OWN_MAX + PEER_MAX * (3 + newcomers) <= 1_024


def test_with_enough_of_them_the_usual_limits_hold() -> None:
    assert share_out(65_536, 12) == Shares(Limits().handshakes_max, CONNECTIONS_MAX)


@pytest.mark.parametrize(("limit", "peers"), [(63, 3), (99, 12), (20, 0)])
def test_a_node_that_could_not_vote_does_not_start(limit: int, peers: int) -> None:
    with pytest.raises(OperatorError) as caught:
        share_out(limit, peers)
    assert caught.value.code == "E024"
    assert str(limit) in caught.value.cause
