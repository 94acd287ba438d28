"""Lanes: what waits for a block and in which order. The kinds of actions decide, nobody's wish."""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from ledger.actions import Action
from ledger.care_actions import EmergencyClose, EmergencyOpen, ErasureApprove, ErasureAttest
from ledger.governance_actions import NodeAnnounce, ProposalOpen, ProposalVote
from ledger.supply.actions import QuarantinePlace, RecallClose, RecallOpen, SuspectReport


class Lane(IntEnum):
    """The lower, the earlier into a block."""

    URGENT = 0
    NORMAL = 1
    BULK = 2


LANES: Final[Mapping[type[Action], Lane]] = MappingProxyType(
    {
        EmergencyOpen: Lane.URGENT,
        EmergencyClose: Lane.URGENT,
        ProposalOpen: Lane.URGENT,
        ProposalVote: Lane.URGENT,
        NodeAnnounce: Lane.URGENT,
        RecallOpen: Lane.URGENT,
        RecallClose: Lane.URGENT,
        QuarantinePlace: Lane.URGENT,
        SuspectReport: Lane.URGENT,
        ErasureApprove: Lane.BULK,
        ErasureAttest: Lane.BULK,
    }
)
"""The kinds that do not go in the normal lane."""


def lane_of(actions: Sequence[Action]) -> Lane:
    """The latest lane of any of `actions`, so that nothing travels in an urgent one's company."""
    return max([LANES.get(type(action), Lane.NORMAL) for action in actions])
