"""Reading what a patient has agreed to and who has looked: consents, accesses, and decisions.

Who sees what is `node.api.sight`'s.
"""

from typing import Any

from aiohttp import web

from ledger import patient_queries, queries
from ledger.decision import WHY, Actor, Target
from ledger.entries import PrincipalEntry
from ledger.fields import Purpose
from ledger.proxies import PROXY_KINDS
from ledger.state import StateReader, decoded
from node.api.asking import ask, page
from node.api.calls import Call
from node.api.documents import (
    AccessDocument,
    AccessPage,
    ConsentDocument,
    ConsentPage,
    DecisionDocument,
)
from node.api.problems import not_found
from node.api.sight import check_owner, may_see
from storage.protocols import StateSnapshot


async def consents(call: Call) -> web.Response:
    """A patient's consents, by grantee, those that have ended too."""
    owner: bytes = call.arguments["owner"]
    await check_owner(call, owner, "consent")
    found = await page(
        call,
        lambda state, limit, after: patient_queries.consents_of(state, owner, limit, after),
        ConsentDocument,
    )
    return call.reply(ConsentPage(*found))


async def accesses(call: Call) -> web.Response:
    """Who read what of a patient, oldest first."""
    owner: bytes = call.arguments["owner"]
    await check_owner(call, owner, "consent")

    def read(state: StateReader, limit: int, after: bytes) -> tuple[Any, ...]:
        found = patient_queries.accesses_of(state, owner, limit, after)
        return tuple((each, entry, patient_queries.dispute(state, each)) for each, entry in found)

    return call.reply(AccessPage(*await page(call, read, AccessDocument)))


async def record_decision(call: Call) -> web.Response:
    """May somebody read a record now, on which basis, and why."""
    record: bytes = call.arguments["id"]
    found = await ask(call, lambda state: patient_queries.target(state, record))
    if found is None or not await may_see(call, found.patient, category=found.category):
        raise not_found("record", "path.id")
    return await _decide(call, found)


async def category_decision(call: Call) -> web.Response:
    """May somebody read everything of a category and author now, on which basis, and why."""
    owner: bytes = call.arguments["owner"]
    category: bytes = call.arguments["category"]
    await check_owner(call, owner, category=category)
    author: bytes = call.arguments["author"]
    return await _decide(call, Target(owner, category, author, None, None))


async def _decide(call: Call, target: Target) -> web.Response:
    reader: bytes = call.arguments["actor"] or call.authenticated.principal
    purpose: Purpose = call.arguments["purpose"]

    def decide(state: StateSnapshot) -> DecisionDocument:
        at_ms = call.api.next_block_ms(state.header)
        view = decoded(state)
        actor = _actor(reader, queries.principal(view, reader))
        said = patient_queries.decision(view, actor, target, purpose, at_ms)
        return DecisionDocument(
            at_ms, said.permit, said.basis, said.cited, said.why, WHY[said.why], said.considered
        )

    return call.reply(await ask(call, decide))


def _actor(principal: bytes, entry: PrincipalEntry | None) -> Actor:
    if entry is None or entry.kind in PROXY_KINDS:
        return Actor(principal, None)
    return Actor(principal, entry.organization)
