"""The operator's override for a lost vote record: what is written down of it, and what it risks.

A node that lost its vote record abstains. Where too few members are left that vote, only a person
can decide that this one votes again: who, when, why and at which height is kept beside the new vote
record. Must not know how it is asked for.
"""

import json
from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from chain.types import Height
from storage.votes import VoteStore

WORDS_CHARACTERS_MAX: Final = 200
"""Of the operator's name and of the reason: as much as a log line shows."""

Words = Annotated[str, Meta(min_length=1, max_length=WORDS_CHARACTERS_MAX)]


class VoteOverride(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One override. `tip_height` is that of the store, None where there was none; `condition` is
    what was wrong with the vote record; `time_ms` is UTC milliseconds."""

    time_ms: int
    operator: Words
    reason: Words
    condition: str
    tip_height: Height | None

    @property
    def risky_to(self) -> int | None:
        """The highest height at which the node may have voted before the loss: it votes on top of
        a durable block only. None where its blocks were gone as well."""
        return None if self.tip_height is None else self.tip_height + 1

    def document(self) -> dict[str, Any]:
        """For the API and `--json`."""
        return {**msgspec.to_builtins(self), "risky_to": self.risky_to}

    def sentence(self) -> str:
        """For a person."""
        upto = "any height" if self.risky_to is None else f"heights up to {self.risky_to}"
        return (
            f"By override of {self.operator} this node votes although its vote record was "
            f"{self.condition}: it may have voted before at {upto}."
        )


def accept_loss(votes: VoteStore, override: VoteOverride) -> None:
    """Writes the override and an empty vote record, durable at return. `votes` was loaded, and is
    lost."""
    votes.accept_loss(json.dumps(msgspec.to_builtins(override), ensure_ascii=False).encode())


def latest(notes: Sequence[bytes]) -> VoteOverride | None:
    """The last override of a vote store. One that was damaged since reads as such."""
    if not notes:
        return None
    try:
        return msgspec.json.decode(notes[-1], type=VoteOverride)
    except msgspec.MsgspecError:
        return VoteOverride(0, "unknown", "the note of it is damaged", "lost", None)
