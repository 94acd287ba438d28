"""Reading what was asked for, opened, proposed and erased about a patient, page by page.

As in `ledger_reads`, a patient sees his own, a proxy what his appointment covers, and of the rest
both see what a stranger is told.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from aiohttp import web

from ledger import patient_queries
from ledger.fields import Power
from ledger.ids import owner_of
from ledger.patient_queries import release_cursor
from ledger.state import StateReader
from node.api.asking import ask, page
from node.api.calls import Call
from node.api.documents import (
    CarePlanDocument,
    CarePlanPage,
    EmergencyDocument,
    EmergencyPage,
    ErasureDocument,
    ErasurePage,
    GoalReportDocument,
    GoalReportPage,
    HoldDocument,
    HoldPage,
    OwedAttestation,
    PlanVersionPage,
    ProxyDocument,
    ProxyPage,
    ReleaseDocument,
    ReleasePage,
    RequestDocument,
    RequestPage,
)
from node.api.problems import not_found
from node.api.sight import check_owner, may_see

T = TypeVar("T")
Query = Callable[[StateReader, bytes, int, bytes], tuple[Any, ...]]


async def requests(call: Call) -> web.Response:
    """Who asked a patient for access, and his answers."""
    found = await _page(call, patient_queries.requests_of, RequestDocument, "consent")
    return call.reply(RequestPage(*found))


async def proxies(call: Call) -> web.Response:
    """Whom a patient has appointed, those whose time is over too."""
    found = await _page(call, patient_queries.proxies_of, ProxyDocument, "consent")
    return call.reply(ProxyPage(*found))


async def releases(call: Call) -> web.Response:
    """To whom which category keys of a patient were sealed."""
    owner: bytes = call.arguments["owner"]
    await check_owner(call, owner, "consent")
    limit: int = call.arguments["limit"]
    after: bytes = call.arguments["after"]
    start = owner + after if after else b""
    found = await ask(
        call, lambda state: patient_queries.releases_of(state, owner, limit + 1, start)
    )
    shown = tuple(ReleaseDocument(*each) for each in found[:limit])
    last = (
        release_cursor(owner, found[limit - 1])[len(owner) :].hex() if len(found) > limit else None
    )
    return call.reply(ReleasePage(shown, last))


async def emergencies(call: Call) -> web.Response:
    """Where the glass was broken for a patient, and what the review said."""
    found = await _page(call, patient_queries.emergencies_of, EmergencyDocument, "consent")
    return call.reply(EmergencyPage(*found))


async def care_plans(call: Call) -> web.Response:
    """A patient's care plans, current versions with his answers."""
    found = await _page(call, patient_queries.care_plans_of, CarePlanDocument, "care")
    return call.reply(CarePlanPage(*found))


async def plan_versions(call: Call) -> web.Response:
    """All versions of a care plan, oldest first."""
    plan: bytes = call.arguments["id"]
    after: int = call.arguments["after"]
    limit: int = call.arguments["limit"]
    is_seen = await may_see(call, owner_of(plan), "care")
    found = await ask(
        call, lambda state: patient_queries.care_plan_versions(state, plan, limit + 1, after)
    )
    if not is_seen or (not found and after == 0):
        raise not_found("careplan", "path.id")
    following = found[limit - 1].version if len(found) > limit else None
    return call.reply(PlanVersionPage(plan, found[:limit], following))


async def goal_reports(call: Call) -> web.Response:
    """The reports on a care plan's goals."""
    plan: bytes = call.arguments["id"]
    known = await ask(call, lambda state: patient_queries.care_plan(state, plan))
    if known is None or not await may_see(call, owner_of(plan), "care"):
        raise not_found("careplan", "path.id")
    found = await page(
        call,
        lambda state, limit, after: patient_queries.goal_reports_of(state, plan, limit, after),
        GoalReportDocument,
    )
    return call.reply(GoalReportPage(plan, *found))


async def erasures(call: Call) -> web.Response:
    """What a patient had erased, and which members have attested it."""

    def read(state: StateReader, owner: bytes, limit: int, after: bytes) -> tuple[Any, ...]:
        found = patient_queries.erasures_of(state, owner, limit, after)
        return tuple(
            (
                each,
                entry,
                tuple(OwedAttestation(*one) for one in patient_queries.attestations(state, each)),
            )
            for each, entry in found
        )

    return call.reply(ErasurePage(*await _page(call, read, ErasureDocument, "erasure")))


async def holds(call: Call) -> web.Response:
    """The legal holds on a patient, those that were released too."""
    found = await _page(call, patient_queries.holds_of, HoldDocument, "erasure")
    return call.reply(HoldPage(*found))


async def _page(
    call: Call, query: Query, document: Callable[..., T], power: Power
) -> tuple[tuple[T, ...], str | None]:
    """A page of what `query` finds of the owner, for those with `power` over it."""
    owner: bytes = call.arguments["owner"]
    await check_owner(call, owner, power)
    return await page(call, lambda state, limit, after: query(state, owner, limit, after), document)
