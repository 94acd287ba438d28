"""Every route, with no token, the wrong scope, the right one: deny unless the table says so."""

from pathlib import Path

import pytest

from client.wallet import Wallet
from node.api.access import Access, Scope
from node.api.app import make_app
from node.api.routes import ROUTES
from node.api.routing import Route, UndeclaredRoute, check_table
from tests.node.api.conftest import Node
from tests.node.api.solo import Clock, Consortium, Solo

EVERYONE = ("administrator", "service", "clinician", "auditor", "device", "neighbour", "patient")
STAFF = {"administrator", "service", "clinician", "auditor", "neighbour"}
SUBMITTERS = {*STAFF, "device", "patient"}
OPERATORS = {"administrator", "service"}
PUBLIC = {
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/docs",
    "/.well-known/smart-configuration",
    "/auth/token",
}
ALLOWED = {
    "submitTransaction": SUBMITTERS,
    "submitBatch": SUBMITTERS,
    "getTransaction": SUBMITTERS,
    "getReceipt": SUBMITTERS,
    "listBlocks": STAFF,
    "getBlock": STAFF,
    "getStateEntry": STAFF,
    "putAttachment": SUBMITTERS,
    "getAttachment": STAFF | {"patient"},
    "listRecords": STAFF | {"patient"},
    "getRecord": STAFF | {"patient"},
    "listVersions": STAFF | {"patient"},
    "listCategories": STAFF | {"patient"},
    "getCategory": STAFF | {"patient"},
    "listConsents": STAFF | {"patient"},
    "listAccessRequests": STAFF | {"patient"},
    "listReleases": STAFF | {"patient"},
    "listProxies": STAFF | {"patient"},
    "listEmergencies": STAFF | {"patient"},
    "listCarePlans": STAFF | {"patient"},
    "listPlanVersions": STAFF | {"patient"},
    "listGoalReports": STAFF | {"patient"},
    "listErasures": STAFF | {"patient"},
    "listHolds": STAFF | {"patient"},
    "listAccesses": STAFF | {"patient"},
    "explainRecordDecision": STAFF | {"patient"},
    "explainCategoryDecision": STAFF | {"patient"},
    "getItem": STAFF,
    "traceItem": STAFF,
    "listHolders": STAFF,
    "getProduct": STAFF,
    "getParty": STAFF,
    "listShipments": STAFF,
    "listRecalls": STAFF,
    "getRecall": STAFF,
    "listDispensed": STAFF,
    "listVerifications": STAFF,
    "listSupplyAlerts": STAFF,
    "listMembers": SUBMITTERS,
    "listProposals": STAFF,
    "getProposal": STAFF,
    "getPrincipal": SUBMITTERS,
    "streamEvents": STAFF | {"patient"},
    "getStatus": STAFF,
    "getTime": SUBMITTERS,
    "getReadiness": STAFF,
    "getConsensus": OPERATORS,
    "getPeers": OPERATORS,
    "whyStalled": OPERATORS,
    "reindexGateway": OPERATORS,
    "getMetrics": OPERATORS,
    "cutLinks": OPERATORS,
    "healLinks": OPERATORS,
}
"""Written out by hand: a change of the table has to be made here too."""

GUARDED = [route for route in ROUTES if not (route.access and route.access.public)]


def path_of(route: Route) -> str:
    path = route.path
    for parameter in route.parameters:
        digits = 32 if parameter.name in {"owner", "category", "author"} else 64
        if route.name in {"getPrincipal", "getProposal"}:
            digits = 32
        path = path.replace(f"{{{parameter.name}}}", "0" * digits)
    return path


def test_public_routes_are_those_that_the_interfaces_list() -> None:
    public = {route.path for route in ROUTES if route.access and route.access.public}
    assert public == PUBLIC
    assert {route.name for route in GUARDED} == set(ALLOWED)


@pytest.mark.parametrize("route", GUARDED, ids=lambda route: route.name)
async def test_without_a_token_or_with_a_made_up_one_nothing_is_open(
    node: Node, route: Route
) -> None:
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp4"}):
        reply = await node.ask(route.method, path_of(route), headers=headers)
        assert reply.status == 401
        assert reply.headers["WWW-Authenticate"].startswith("Bearer")


async def test_every_route_is_open_to_whom_it_names_and_to_nobody_else(node: Node) -> None:
    registration, _ = node.story.register(node.cast.patient)
    await node.solo.committed_now(registration)
    for name in EVERYONE:
        wallet: Wallet = getattr(node.cast, name)
        for route in GUARDED:
            if route.name == "streamEvents" and name in ALLOWED[route.name]:
                continue  # endless; test_events opens it
            reply = await node.ask(route.method, path_of(route), wallet=wallet)
            denied = reply.status == 403
            assert denied is (name not in ALLOWED[route.name]), (name, route.name, reply.body)
            assert reply.status < 500


async def test_a_patient_sees_its_own_records_and_of_others_not_even_that_they_are(
    node: Node,
) -> None:
    mine, my_records = node.story.register(node.cast.patient, b'{"a":1}')
    await node.solo.committed_now(mine)
    theirs, their_records = node.story.register(node.cast.other_patient, b'{"b":1}')
    await node.solo.committed_now(theirs)
    own, other = node.cast.patient.principal.hex(), node.cast.other_patient.principal.hex()
    for path, foreign, nowhere in (
        (f"/v1/patients/{own}/records", f"/v1/patients/{other}/records", "/v1/patients/{}/records"),
        (
            f"/v1/records/{my_records[0].hex()}",
            f"/v1/records/{their_records[0].hex()}",
            "/v1/records/{0}{0}",
        ),
        (
            f"/v1/records/{my_records[0].hex()}/versions",
            f"/v1/records/{their_records[0].hex()}/versions",
            "/v1/records/{0}{0}/versions",
        ),
        (
            f"/v1/patients/{own}/categories",
            f"/v1/patients/{other}/categories",
            "/v1/patients/{}/categories",
        ),
        (
            f"/v1/patients/{own}/consents",
            f"/v1/patients/{other}/consents",
            "/v1/patients/{}/consents",
        ),
        (
            f"/v1/patients/{own}/accesses",
            f"/v1/patients/{other}/accesses",
            "/v1/patients/{}/accesses",
        ),
        *(
            (
                f"/v1/patients/{own}/{what}",
                f"/v1/patients/{other}/{what}",
                f"/v1/patients/{{}}/{what}",
            )
            for what in (
                *("requests", "releases", "proxies", "emergencies", "careplans", "erasures"),
                "holds",
            )
        ),
        (
            f"/v1/records/{my_records[0].hex()}/decision",
            f"/v1/records/{their_records[0].hex()}/decision",
            "/v1/records/{0}{0}/decision",
        ),
        (
            f"/v1/patients/{own}/categories/{'0' * 32}/{'0' * 32}/decision",
            f"/v1/patients/{other}/categories/{'0' * 32}/{'0' * 32}/decision",
            "/v1/patients/{0}/categories/{0}/{0}/decision",
        ),
        (f"/v1/principals/{own}", f"/v1/principals/{other}", "/v1/principals/{}"),
    ):
        assert (await node.get(path, node.cast.patient)).status == 200
        refused = await node.get(foreign, node.cast.patient)
        unknown = await node.get(nowhere.format("0" * 32), node.cast.patient)
        assert refused.status == 404
        assert refused.body == unknown.body
        assert (await node.get(foreign, node.cast.clinician)).status == 200


async def test_a_token_has_no_more_scopes_than_were_asked_for(node: Node) -> None:
    reply = await node.sign_in(node.assertion(node.cast.administrator), scope="ledger.read")
    assert reply.document["scope"] == "ledger.read"
    headers = {"Authorization": f"Bearer {reply.document['access_token']}"}
    assert (await node.get("/v1/members", headers=headers)).status == 200
    assert (await node.get("/v1/peers", headers=headers)).status == 403


async def test_the_administrator_of_another_member_does_not_operate_this_node(node: Node) -> None:
    reply = await node.sign_in(node.assertion(node.cast.neighbour))
    assert reply.document["scope"] == "ledger.read ledger.submit"
    reply = await node.sign_in(node.assertion(node.cast.neighbour), scope="node.operate")
    assert (reply.status, reply.document["error"]) == (400, "invalid_scope")


def test_a_route_that_does_not_say_who_may_call_it_refuses_to_start(
    consortium: Consortium, tmp_path: Path
) -> None:
    clock = Clock()
    solo = Solo(consortium, tmp_path, clock)
    forgotten = Route(
        "GET", "/v1/new", "new", "Something new", ROUTES[0].respond, answers=ROUTES[0].answers
    )
    empty = Route(
        "GET", "/v1/new", "new", "Something new", ROUTES[0].respond, Access(), ROUTES[0].answers
    )
    for route in (forgotten, empty):
        with pytest.raises(UndeclaredRoute, match="who may call it"):
            make_app(solo, development=False, clock=clock, routes=[*ROUTES, route])
    solo.close()


def test_a_route_declared_twice_or_contradicting_itself_refuses_to_start() -> None:
    check_table(ROUTES)
    with pytest.raises(UndeclaredRoute, match="twice"):
        check_table([*ROUTES, ROUTES[0]])
    both = Access(frozenset({Scope.LEDGER_READ}), public=True)
    route = Route("GET", "/x", "x", "x", ROUTES[0].respond, both, ROUTES[0].answers)
    with pytest.raises(UndeclaredRoute, match="public and asks"):
        check_table([route])


async def test_links_are_cut_in_development_only(
    node: Node, consortium: Consortium, tmp_path: Path
) -> None:
    operator = node.cast.administrator
    reply = await node.ask("POST", "/v1/dev/links", wallet=operator, json={"cut": []})
    assert reply.status == 200
    unknown = await node.ask("POST", "/v1/dev/links", wallet=operator, json={"cut": ["nobody"]})
    assert (unknown.status, unknown.document["field"]) == (422, "cut[0]")
    assert (await node.ask("DELETE", "/v1/dev/links", wallet=operator)).status == 200
    solo = Solo(consortium, tmp_path / "other", Clock())
    app = make_app(solo, development=False, clock=Clock())
    assert "/v1/dev/links" not in {resource.canonical for resource in app.router.resources()}
    solo.close()
