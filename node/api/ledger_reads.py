"""Reading the ledger's state: members, principals, category keys, records.

A patient sees its own entries. Of the rest it is told what a stranger is told: nothing is there.
"""

from collections.abc import Callable
from typing import TypeVar

from aiohttp import web

from ledger import queries
from ledger.ids import owner_of
from ledger.state import StateReader
from node.api.access import Scope
from node.api.calls import Call
from node.api.documents import (
    CategoryDocument,
    CategoryPage,
    MemberPage,
    PrincipalDocument,
    RecordDocument,
    RecordPage,
    VersionPage,
)
from node.api.problems import not_found

T = TypeVar("T")
_ID_BYTES = 16


async def members(call: Call) -> web.Response:
    """All organisations."""
    return call.reply(MemberPage(await ask(call, queries.members)))


async def principal(call: Call) -> web.Response:
    """One principal with its keys."""
    wanted: bytes = call.arguments["id"]
    found = await ask(call, lambda state: queries.principal(state, wanted))
    if found is None or not may_see(call, wanted):
        raise not_found("principal", "path.id")
    return call.reply(PrincipalDocument(wanted, found))


async def records(call: Call) -> web.Response:
    """Current versions of an owner's records, by id; an empty page for an owner without any."""
    owner: bytes = call.arguments["owner"]
    check_owner(call, owner)
    limit: int = call.arguments["limit"]
    after: bytes = call.arguments["after"]
    found = await ask(call, lambda state: queries.records_of(state, owner, limit + 1, after))
    page = tuple(RecordDocument(record_id, entry) for record_id, entry in found[:limit])
    return call.reply(RecordPage(page, page[-1].id.hex() if len(found) > limit else None))


async def record(call: Call) -> web.Response:
    """The current version of a record."""
    wanted: bytes = call.arguments["id"]
    found = await ask(call, lambda state: queries.record(state, wanted))
    if found is None or not may_see(call, owner_of(wanted)):
        raise not_found("record", "path.id")
    return call.reply(RecordDocument(wanted, found))


async def record_versions(call: Call) -> web.Response:
    """All versions of a record, oldest first."""
    wanted: bytes = call.arguments["id"]
    limit: int = call.arguments["limit"]
    after: int = call.arguments["after"]
    found = await ask(call, lambda state: queries.record_versions(state, wanted, limit + 1, after))
    if not may_see(call, owner_of(wanted)) or (not found and after == 0):
        raise not_found("record", "path.id")
    following = found[limit - 1].version if len(found) > limit else None
    return call.reply(VersionPage(wanted, found[:limit], following))


async def categories(call: Call) -> web.Response:
    """Current epochs of an owner's category keys, by category and author."""
    owner: bytes = call.arguments["owner"]
    check_owner(call, owner)
    limit: int = call.arguments["limit"]
    cursor: bytes = call.arguments["after"]
    after = (cursor[:_ID_BYTES], cursor[_ID_BYTES:]) if cursor else None
    found = await ask(call, lambda state: queries.categories_of(state, owner, limit + 1, after))
    page = tuple(CategoryDocument(owner, *each) for each in found[:limit])
    following = (page[-1].category + page[-1].author).hex() if len(found) > limit else None
    return call.reply(CategoryPage(page, following))


async def category(call: Call) -> web.Response:
    """The current epoch of one category key."""
    owner: bytes = call.arguments["owner"]
    category_id: bytes = call.arguments["category"]
    author: bytes = call.arguments["author"]
    found = await ask(call, lambda state: queries.category(state, owner, category_id, author))
    if found is None or not may_see(call, owner):
        raise not_found("category", "path.category")
    return call.reply(CategoryDocument(owner, category_id, author, found))


async def ask(call: Call, question: Callable[[StateReader], T]) -> T:
    """Answers from one height, off the event loop."""
    store = call.backend.store

    def answer() -> T:
        with store.snapshot() as state:
            return question(state)

    return await call.backend.in_thread(answer)


def may_see(call: Call, owner: bytes) -> bool:
    """True where the caller may see what is `owner`'s."""
    return call.may(Scope.LEDGER_READ) or owner == call.authenticated.principal


def check_owner(call: Call, owner: bytes) -> None:
    """Refuses who may not see what is `owner`'s, as if nothing were there."""
    if not may_see(call, owner):
        raise not_found("owner", "path.owner")
