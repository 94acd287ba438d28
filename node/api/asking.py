"""What routes that read have in common: a question to the state of one height, an answer or none, a
page of many and where the next one begins.

Must not know any route. Who sees what is `node.api.sight`'s.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from node.api.calls import Call
from node.api.problems import not_found
from storage.protocols import StateSnapshot

T = TypeVar("T")
PageQuery = Callable[[StateSnapshot, int, bytes], Sequence[tuple[Any, ...]]]
"""Up to so many (id, what stands under it …), in the order of ids, above an id."""


async def ask(call: Call, question: Callable[[StateSnapshot], T]) -> T:
    """Answers from one height, off the event loop."""
    store = call.backend.store

    def answer() -> T:
        with store.snapshot() as state:
            return question(state)

    return await call.backend.in_thread(answer)


def known(found: T | None, what: str, field: str) -> T:
    """`found`; `Problem` (404, `not_found`) where it is nothing."""
    if found is None:
        raise not_found(what, field)
    return found


async def page(
    call: Call, query: PageQuery, document: Callable[..., T]
) -> tuple[tuple[T, ...], str | None]:
    """What `query` finds, each as `document` makes one of it, from `after` on and up to `limit` as
    the caller asks; and what to pass as `after` (an id, in hex), None on the last page."""
    limit: int = call.arguments["limit"]
    after: bytes = call.arguments["after"]
    found = await ask(call, lambda state: query(state, limit + 1, after))
    following = found[limit - 1][0].hex() if len(found) > limit else None
    return tuple(document(*each) for each in found[:limit]), following
