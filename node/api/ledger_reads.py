"""Reading the ledger's state: members, proposals, principals, category keys, records.

Who sees what is `node.api.sight`'s.
"""

from aiohttp import web

from ledger import governance_queries, patient_queries, queries
from ledger.entries import CategoryEntry, RecordEntry
from ledger.ids import owner_of
from ledger.state import StateReader
from node.api.asking import ask, known, page
from node.api.calls import Call
from node.api.documents import (
    CategoryDocument,
    CategoryPage,
    CountedProposal,
    MemberPage,
    PrincipalDocument,
    ProposalDocument,
    ProposalPage,
    RecordDocument,
    RecordPage,
    VersionPage,
)
from node.api.problems import not_found
from node.api.sight import check_owner, may_see

_ID_BYTES = 16


async def members(call: Call) -> web.Response:
    """All organisations; who of them is suspended, and who votes in consensus."""
    return call.reply(
        await ask(
            call,
            lambda state: MemberPage(
                queries.members(state),
                governance_queries.suspended_members(state),
                queries.validators(state).members,
            ),
        )
    )


async def proposals(call: Call) -> web.Response:
    """What the members were asked to decide, decided and expired proposals too."""
    return call.reply(
        ProposalPage(*await page(call, governance_queries.proposals, ProposalDocument))
    )


async def proposal(call: Call) -> web.Response:
    """One proposal with the votes on it."""
    wanted: bytes = call.arguments["id"]

    def read(state: StateReader) -> CountedProposal | None:
        entry = governance_queries.proposal(state, wanted)
        if entry is None:
            return None
        count = governance_queries.count_on(state, wanted, entry)
        votes = governance_queries.votes_on(state, wanted)
        return CountedProposal(wanted, entry, votes, count.voters, count.needed)

    return call.reply(known(await ask(call, read), "proposal", "path.id"))


async def principal(call: Call) -> web.Response:
    """One principal with its keys."""
    wanted: bytes = call.arguments["id"]
    found = await ask(call, lambda state: queries.principal(state, wanted))
    if found is None or not await may_see(call, wanted):
        raise not_found("principal", "path.id")
    return call.reply(PrincipalDocument(wanted, found))


async def records(call: Call) -> web.Response:
    """Current versions of an owner's records, by id; an empty page for an owner without any."""
    owner: bytes = call.arguments["owner"]
    await check_owner(call, owner)
    found = await page(
        call,
        lambda state, limit, after: queries.records_of(state, owner, limit, after),
        RecordDocument,
    )
    return call.reply(RecordPage(*found))


async def record(call: Call) -> web.Response:
    """The current version of a record."""
    wanted: bytes = call.arguments["id"]
    found = await ask(call, lambda state: queries.record(state, wanted))
    if found is None or not await may_see(call, owner_of(wanted), category=category_of(found)):
        raise not_found("record", "path.id")
    return call.reply(RecordDocument(wanted, found))


async def record_versions(call: Call) -> web.Response:
    """All versions of a record, oldest first."""
    wanted: bytes = call.arguments["id"]
    limit: int = call.arguments["limit"]
    after: int = call.arguments["after"]
    found = await ask(call, lambda state: queries.record_versions(state, wanted, limit + 1, after))
    is_seen = await may_see(call, owner_of(wanted), category=category_of(*found))
    if not is_seen or (not found and after == 0):
        raise not_found("record", "path.id")
    following = found[limit - 1].version if len(found) > limit else None
    return call.reply(VersionPage(wanted, found[:limit], following))


async def categories(call: Call) -> web.Response:
    """Current epochs of an owner's category keys, by category and author."""
    owner: bytes = call.arguments["owner"]
    await check_owner(call, owner)
    limit: int = call.arguments["limit"]
    cursor: bytes = call.arguments["after"]
    after = (cursor[:_ID_BYTES], cursor[_ID_BYTES:]) if cursor else None
    found = await ask(call, lambda state: queries.categories_of(state, owner, limit + 1, after))
    shown = tuple(CategoryDocument(owner, *each) for each in found[:limit])
    following = (shown[-1].category + shown[-1].author).hex() if len(found) > limit else None
    return call.reply(CategoryPage(shown, following))


async def category(call: Call) -> web.Response:
    """The current epoch of one category key, or the one that is asked for."""
    owner: bytes = call.arguments["owner"]
    category_id: bytes = call.arguments["category"]
    author: bytes = call.arguments["author"]
    epoch: int | None = call.arguments["epoch"]

    def read(state: StateReader) -> CategoryEntry | None:
        if epoch is None:
            return queries.category(state, owner, category_id, author)
        earlier = patient_queries.epoch(state, owner, category_id, author, epoch)
        return None if earlier is None else CategoryEntry(epoch, earlier.seals)

    found = await ask(call, read)
    if found is None or not await may_see(call, owner, category=category_id):
        raise not_found("category", "path.category")
    return call.reply(CategoryDocument(owner, category_id, author, found))


def category_of(*versions: RecordEntry) -> bytes | None:
    """In which category a record stands, as far as `versions` of it tell."""
    return next((each.content.category for each in versions if each.content is not None), None)
