"""The node about itself: status, links, health, metrics, its own description, fault injection."""

from typing import Any

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from chain.document import from_document
from node.api.access import Scope
from node.api.assertions import ALGORITHMS
from node.api.bodies import read_document
from node.api.calls import JSON, Call
from node.api.documents import CutLinks, ReadinessDocument, TimeDocument
from node.api.fhir_scopes import FHIR_SCOPES
from node.api.problems import Problem, not_found
from node.backend import NotReady


async def status(call: Call) -> web.Response:
    """Where this node stands."""
    return call.reply(call.backend.status())


async def time(call: Call) -> web.Response:
    """The time of the chain."""
    tip = call.backend.store.tip()
    assert tip is not None, "a running node has a genesis block"
    return call.reply(TimeDocument(tip.header.height, tip.header.timestamp_ms))


async def consensus(call: Call) -> web.Response:
    """What this node is voting on."""
    return call.reply(call.backend.consensus())


async def peers(call: Call) -> web.Response:
    """Its links."""
    return call.reply({"peers": call.backend.peers()})


async def why_stalled(call: Call) -> web.Response:
    """Which votes are missing, and why."""
    return call.reply(call.backend.why_stalled())


async def healthy(call: Call) -> web.Response:
    """The process answers."""
    return call.reply({"status": "ok"})


async def ready(call: Call) -> web.Response:
    """The node takes part."""
    if not call.backend.ready():
        raise _not_ready("the node is syncing or has no quorum")
    return call.reply({"status": "ready"})


async def readiness(call: Call) -> web.Response:
    """The node's word that it is ready to vote."""
    try:
        return call.reply(ReadinessDocument(call.backend.readiness()))
    except NotReady as refusal:
        raise _not_ready(refusal.cause) from None


def _not_ready(cause: str) -> Problem:
    return Problem(
        503,
        "node.not_ready",
        cause,
        fix="GET /v1/why-stalled says what is missing",
        headers={"Retry-After": "1"},
    )


async def metrics(call: Call) -> web.Response:
    """Prometheus text."""
    body = await call.backend.in_thread(lambda: generate_latest(call.backend.registry))
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def openapi(call: Call) -> web.Response:
    """This API, described from its own table of routes."""
    return web.Response(body=call.api.openapi, content_type=JSON)


async def docs(call: Call) -> web.Response:
    """The same, to read."""
    page = call.api.docs
    assert page is not None, "the app writes its page at start"
    return web.Response(
        body=page.body,
        headers={
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": page.content_security_policy,
        },
    )


async def smart_configuration(call: Call) -> web.Response:
    """How to get a token (SMART App Launch 2.2, well-known URIs)."""
    document: dict[str, Any] = {
        "token_endpoint": call.api.token_endpoint(call.request),
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "scopes_supported": sorted(scope.value for scope in (*Scope, *FHIR_SCOPES)),
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    }
    return web.Response(body=msgspec.json.encode(document), content_type=JSON)


async def reindex(call: Call) -> web.Response:
    """Makes the gateway's indexes anew from the chain."""
    if call.api.reindex is None:
        raise not_found("gateway", "path")
    return call.reply(await call.api.reindex())


async def cut_links(call: Call) -> web.Response:
    """Drops links with members and refuses new ones, to rehearse a partition."""
    wanted = from_document(CutLinks, await read_document(call.request))
    peers = {peer["member"] for peer in call.backend.peers()}
    for index, member in enumerate(wanted.cut):
        if member not in peers:
            raise Problem(
                422, "links.no_peer", "no other member's node has this name", field=f"cut[{index}]"
            )
    call.backend.cut_links(wanted.cut)
    return call.reply({"cut": list(wanted.cut)})


async def heal_links(call: Call) -> web.Response:
    """Undoes every cut."""
    call.backend.heal_links()
    return call.reply({"cut": []})
