"""The greeting that opens a connection: who speaks, for which chain, on which channel.

The dialler says Hello first; the other side answers with its own Hello, or with a Refusal and the
reason. Pure.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta

from chain.codec import Codec, Record
from chain.errors import InvalidMessage
from chain.types import Hash, MemberId, Nonce
from p2p.limits import GREETING_BYTES_MAX

RefusalCode = Annotated[str, Meta(max_length=64)]


class Hello(Record, frozen=True, tag="hello"):
    """`instance` is drawn at every start of a node, so that a restarted peer is recognised."""

    genesis_hash: Hash
    member: MemberId
    channel: Literal["consensus", "bulk"]
    instance: Nonce


class Refusal(Record, frozen=True, tag="refusal"):
    """Why the answering side does not want the connection (`hello.*`, `codec.*`)."""

    code: RefusalCode
    cause: Annotated[str, Meta(max_length=256)]


Greeting = Hello | Refusal
GREETING: Final = Codec[Greeting](Greeting, name="greeting", bytes_max=GREETING_BYTES_MAX)

OTHER_GENESIS: Final = "hello.other_genesis"
WRONG_MEMBER: Final = "hello.wrong_member"
WRONG_CHANNEL: Final = "hello.wrong_channel"
NOT_HELLO: Final = "hello.expected"
DUPLICATE: Final = "hello.duplicate"
BANNED: Final = "hello.banned"
CUT: Final = "hello.cut"


class Refused(Exception):  # noqa: N818 - an answer, not a failure
    """The other side refused our Hello."""

    def __init__(self, code: str, cause: str) -> None:
        super().__init__(f"{code}: {cause}" if cause else code)
        self.code = code


def check_hello(
    raw: bytes, *, genesis_hash: bytes, member: str, channel: str | None = None
) -> Hello:
    """The Hello in `raw`, which `member`'s certificate vouches for.

    `channel` is the one that we dialled; None where the dialler chooses. Raises `Refused` where the
    other side refuses us, `InvalidMessage` where we refuse it.
    """
    greeting = GREETING.decode(raw)
    if isinstance(greeting, Refusal):
        raise Refused(greeting.code, greeting.cause)
    if greeting.genesis_hash != genesis_hash:
        raise InvalidMessage(OTHER_GENESIS, "greeting.genesis_hash", "another chain")
    if greeting.member != member:
        raise InvalidMessage(WRONG_MEMBER, "greeting.member", "the certificate is of another")
    if channel is not None and greeting.channel != channel:
        raise InvalidMessage(WRONG_CHANNEL, "greeting.channel", "not the channel asked for")
    return greeting
