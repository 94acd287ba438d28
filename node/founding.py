"""Makes a genesis from members' cards: the one place that decides what a new network looks like."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from chain.errors import InvalidMessage
from chain.genesis import Genesis, Member, Parameters, check_genesis
from node.directory import sentence
from node.errors import OperatorError

PARAMETERS: Final = Parameters.__struct_fields__
"""What the consortium agrees on, by name."""


def make_genesis(
    cards: Sequence[Member],
    chain_id: str,
    first_proposer: str | None,
    parameters: Mapping[str, int],
    time_ms: int,
) -> Genesis:
    """The checked genesis of the members in `cards`; parameters not named keep their default.

    The first proposer is the first validator unless named. Raises `OperatorError` (E013).
    """
    members = tuple(sorted(cards, key=lambda member: member.id))
    for one, next_one in pairwise(members):
        if one.id == next_one.id:
            fix = "name each member's card once; two members need two ids"
            raise OperatorError("E013", f"two cards are of {one.id!r}", fix=fix)
    voting = [member.id for member in members if member.node is not None]
    if not voting:
        raise OperatorError("E013", "no card names a node: nobody could vote")
    try:
        agreed = msgspec.structs.replace(Parameters(), **parameters)
        made = Genesis(chain_id, time_ms, agreed, members, first_proposer or voting[0])
        # Struct constructors check no types, so everything passes once through the decoder's rules.
        made = msgspec.convert(msgspec.to_builtins(made, builtin_types=(bytes,)), Genesis)
        check_genesis(made)
        _ = made.validators
    except InvalidMessage as refusal:
        raise OperatorError("E013", sentence(refusal)) from None
    except msgspec.ValidationError as refusal:
        raise OperatorError("E013", f"genesis is refused: {refusal}") from None
    return made
