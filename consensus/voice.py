"""The voice of one member: what it signs, and with which key at which height.

The validators of a height are in the chain, and so is the key that votes for a member there. A
member that has no seat at a height, or whose seat has a key that is not held here, has no voice: it
observes. Nothing else chooses a key, so no height ever hears a member under two of them.
"""

from collections.abc import Callable

from chain.validators import ValidatorSet
from consensus.messages import Message, Packet, Phase, Signed, Status
from consensus.standing import Standing

Sign = Callable[[Message], bytes]
Signer = Callable[[ValidatorSet], Sign | None]
"""Gives what signs for a member among these validators; None where it cannot take part."""


class Voice:
    """Signs for `me` at one height after the other."""

    def __init__(self, me: str, signer: Signer, first_sequence: int) -> None:
        """The Status messages count from `first_sequence`."""
        self.me = me
        self._signer = signer
        self._sequence = first_sequence
        self._sign: Sign | None = None

    def reach(self, validators: ValidatorSet) -> None:
        """A height begins whose validators are these."""
        self._sign = self._signer(validators) if self.me in validators else None

    @property
    def is_heard(self) -> bool:
        """True where this member has a seat, under a key that is held here."""
        return self._sign is not None

    def signature(self, message: Message) -> bytes:
        """What makes `message`, of the height that was reached, this member's."""
        assert self._sign is not None, "an observer signs nothing"
        return self._sign(message)

    def say(self, message: Message) -> Signed:
        """`message`, signed."""
        return Signed(self.me, message, self.signature(message))

    def status(self, here: Standing, phase: Phase, connected: tuple[str, ...]) -> Packet:
        """Where this member stands, a later word than every one before."""
        self._sequence += 1
        heard = tuple(name for name in connected if name in here.tip.validators)
        status = Status(here.height, here.view, phase, here.tip.certificate, heard, self._sequence)
        return Packet(self.say(status), None)
