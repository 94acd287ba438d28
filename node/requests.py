"""Questions to peers on the bulk lane and their answers, matched by number and peer."""

import asyncio
from typing import Final, TypeAlias

from p2p.mesh import Channel, Mesh
from p2p.wire import (
    AttachmentChunk,
    AttachmentRequest,
    BlockByHashRequest,
    BlockRange,
    BlockRequest,
    encode,
)

OUTSTANDING_MAX: Final = 256
ANSWER_S: Final = 5.0
_NUMBERS: Final = 2**32
"""Numbers go around; 0 is never one: an answer with it was not asked for."""

Question: TypeAlias = BlockRequest | BlockByHashRequest | AttachmentRequest
Answer: TypeAlias = BlockRange | AttachmentChunk


class Requests:
    """Lives in the event loop."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._waiting: dict[tuple[str, int], asyncio.Future[Answer]] = {}
        self._number = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def number(self) -> int:
        """A number for the next question."""
        self._number = self._number % (_NUMBERS - 1) + 1
        return self._number

    async def ask(self, member: str, question: Question) -> Answer | None:
        """The answer; None where `member` is not connected or says nothing in time."""
        if len(self._waiting) >= OUTSTANDING_MAX:
            return None
        key = (member, question.request)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[key] = future
        try:
            if not self._mesh.send(member, Channel.BULK, *encode(question)):
                return None
            async with asyncio.timeout(ANSWER_S):
                return await future
        except TimeoutError:
            return None
        finally:
            del self._waiting[key]

    def answered(self, member: str, answer: Answer) -> None:
        """An answer came. Late ones are nobody's fault; unasked ones are ignored as well."""
        future = self._waiting.get((member, answer.request))
        if future is not None and not future.done():
            future.set_result(answer)

    def gone(self, member: str) -> None:
        """`member` disconnected: nothing more will come from it."""
        for (asked, _), future in list(self._waiting.items()):
            if asked == member and not future.done():
                future.set_exception(TimeoutError())
