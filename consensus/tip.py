"""The decided block that the next one extends, and what a header must look like to extend it."""

from dataclasses import dataclass
from functools import cached_property

from chain.block import Block, Header
from chain.certificate import Certificate
from chain.validators import ValidatorSet


@dataclass(frozen=True)
class Tip:
    """The highest decided block. `validators` are those of the height after it.

    `certificate` is None for genesis, which nobody voted for.
    """

    header: Header
    certificate: Certificate | None
    validators: ValidatorSet

    def __post_init__(self) -> None:
        assert self.header.next_validators_hash == self.validators.hash, "other validators"
        assert (self.certificate is None) == (self.header.height == 0), "a tip is certified"

    @cached_property
    def hash(self) -> bytes:
        """The block's hash."""
        return self.header.hash

    def extended_by(self, block: Block) -> bool:
        """The part of rule 3 that needs no execution: place, time, validators, a proposer."""
        header = block.header
        return (
            header.chain_id == self.header.chain_id
            and header.height == self.header.height + 1
            and header.parent_hash == self.hash
            and header.timestamp_ms > self.header.timestamp_ms
            and header.proposer in self.validators
            and header.validators_hash == self.header.next_validators_hash
        )
