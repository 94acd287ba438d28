"""Who votes, in which order, and how many are enough.

n validators, f = (n-1)//3 of them Byzantine at most, quorum = (n+f)//2 + 1: the smallest number of
which any two sets share an honest member. (2f+1 is smaller and unsafe where n is not 3f+1.)
"""

from bisect import bisect_left
from collections.abc import Iterator
from functools import cached_property
from hashlib import sha256
from typing import Annotated, Final

from msgspec import Meta

from chain.codec import Codec, Record
from chain.errors import InvalidMessage
from chain.keys import check_public_key
from chain.types import MemberId, PublicKey

VALIDATORS_MAX: Final = 100


def faults_max(n: int) -> int:
    """f: how many of `n` validators may be Byzantine."""
    return (n - 1) // 3


def quorum(n: int) -> int:
    """How many distinct validators make a certificate among `n`."""
    return (n + faults_max(n)) // 2 + 1


class Validator(Record, frozen=True):
    """A member's seat in consensus and the key that votes for it."""

    member: MemberId
    public_key: PublicKey


class Validators(Record, frozen=True):
    """How a set of validators is stored and sent; whether it is one, `ValidatorSet` says."""

    validators: Annotated[tuple[Validator, ...], Meta(min_length=1, max_length=VALIDATORS_MAX)]


VALIDATORS: Final = Codec[Validators](Validators, name="validators", bytes_max=16_384)


class ValidatorSet:
    """The validators of one height, ordered by member id; one member, one vote."""

    def __init__(self, validators: tuple[Validator, ...]) -> None:
        """Raises `InvalidMessage` for an empty, repeated or ill-keyed set."""
        ordered = tuple(sorted(validators, key=lambda validator: validator.member))
        if not 1 <= len(ordered) <= VALIDATORS_MAX:
            raise InvalidMessage("validators.count", "validators", "between 1 and 100")
        if len({validator.member for validator in ordered}) != len(ordered):
            raise InvalidMessage("validators.repeated_member", "validators")
        if len({validator.public_key for validator in ordered}) != len(ordered):
            raise InvalidMessage("validators.repeated_key", "validators")
        for index, validator in enumerate(ordered):
            check_public_key(validator.public_key, f"validators[{index}].public_key")
        self.validators = ordered
        self.n: Final = len(ordered)
        """How many there are."""
        self.f: Final = faults_max(self.n)
        """How many may be Byzantine."""
        self._keys = {validator.member: validator.public_key for validator in ordered}

    @property
    def quorum(self) -> int:
        """How many make a certificate."""
        return quorum(self.n)

    @cached_property
    def members(self) -> tuple[str, ...]:
        """Member ids in their order."""
        return tuple(validator.member for validator in self.validators)

    def key(self, member: str) -> bytes | None:
        """The public key that votes for `member`; None where it is no validator."""
        return self._keys.get(member)

    def __contains__(self, member: str) -> bool:
        return member in self._keys

    def __iter__(self) -> Iterator[Validator]:
        return iter(self.validators)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ValidatorSet) and other.validators == self.validators

    def __hash__(self) -> int:
        raise TypeError("a validator set has no place in a hash table")

    @cached_property
    def hash(self) -> bytes:
        """What headers name it by: SHA-256 over the canonical encoding."""
        return sha256(self.encode()).digest()

    def encode(self) -> bytes:
        """The canonical bytes."""
        return VALIDATORS.encode(Validators(self.validators))

    @staticmethod
    def decode(raw: bytes) -> "ValidatorSet":
        """The set in `raw`; `InvalidMessage` where it is not canonical, ordered and well-keyed."""
        wire = VALIDATORS.decode(raw)
        result = ValidatorSet(wire.validators)
        if result.validators != wire.validators:
            raise InvalidMessage("codec.not_canonical", "validators", "not in order")
        return result

    def successor(self, member: str, places: int) -> str:
        """The member `places` after `member`, cyclic.

        Where `member` has left, counting starts so that `places` 0 is its successor in the order.
        """
        members = self.members
        return members[(bisect_left(members, member) + places) % len(members)]

    def primary(self, height: int, view: int, parent_proposer: str, term_blocks: int) -> str:
        """The primary of (`height`, `view`), sticky on `parent_proposer`, the proposer in the
        header before.

        Its successor takes over where it has left and where `height` is a multiple of
        `term_blocks`, so that a slow or biased primary has an end.
        """
        term_over = height % term_blocks == 0 and parent_proposer in self
        return self.successor(parent_proposer, view + term_over)
