"""Who is asking: from an assertion to a token, and from a token to a checked caller.

The principal is looked up in the state at the tip each time, so that a key which the ledger no
longer honours opens nothing from that block on.
"""

from typing import Final

import msgspec
from aiohttp import web

from chain.document import to_document
from client.wire import ASSERTION_TYPE
from ledger import queries
from node.api import assertions
from node.api.access import (
    REGISTRABLE_KINDS,
    Access,
    AnyScope,
    Caller,
    Standing,
    narrowed,
    scopes_of,
)
from node.api.assertions import Claims, refused
from node.api.bodies import read_form
from node.api.calls import JSON, Api, Call
from node.api.documents import TokenAnswer
from node.api.limits import SCOPES_MAX, TOKEN_LIFE_S
from node.api.problems import Problem
from node.api.registered_keys import RegisteredKey

_GRANT_TYPE: Final = "client_credentials"


async def sign_in(call: Call) -> web.Response:
    """`POST /auth/token`: an assertion for a token (RFC 7523 §2.2, RFC 6749 §4.4)."""
    api = call.api
    form = await read_form(call.request)
    if form.get("grant_type") != _GRANT_TYPE:
        raise refused(
            "grant_type", "this grant is not given", _GRANT_TYPE, "unsupported_grant_type"
        )
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise refused("assertion_type", "no JWT assertion", ASSERTION_TYPE, "invalid_request")
    assertion = form.get("client_assertion", "")
    claims = assertions.read(assertion, api.audiences, api.clock())
    standing = await _standing(api, claims.principal)
    voucher = await api.backend.in_thread(lambda: _voucher(assertion, claims, standing))
    if standing is None or voucher is None:
        # One answer for strangers, ended keys and wrong signatures: nobody learns who exists.
        raise refused(
            "not_verified",
            "no key that is valid now verifies the assertion",
            "sign with the principal's current key; check the principal's id, and the kid of a "
            "registered key",
        )
    scopes = _granted(form.get("scope"), standing, api.backend.me)
    api.assertions.use(claims, api.clock())
    token = api.tokens.issue(claims.principal, voucher, scopes, api.clock())
    answer = TokenAnswer(
        token, "bearer", TOKEN_LIFE_S, " ".join(sorted(scope.value for scope in scopes))
    )
    return web.Response(body=msgspec.json.encode(to_document(answer)), content_type=JSON)


async def caller_of(api: Api, request: web.Request, access: Access) -> Caller | None:
    """Who calls; None on a public route. `Problem` (401, 403) where nobody may."""
    if access.public:
        return None
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise _unauthenticated("auth.no_token", "this route needs a token", "")
    grant = api.tokens.find(token.strip(), api.clock())
    if grant is None:
        raise _ended()
    caller = await renewed(api, grant.digest)
    resource_type = request.match_info.get("type")
    if not access.admits(caller.scopes, resource_type):
        needed = " ".join(access.spellings(resource_type))
        raise Problem(
            403,
            "auth.scope",
            "the token does not allow this",
            fix=f"ask for one of: {needed}",
            headers={
                "WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{needed}"',
            },
        )
    return caller


async def renewed(api: Api, token_digest: bytes) -> Caller:
    """The caller as the tip knows it now; `Problem` (401) where token, key or principal ended."""
    grant = api.tokens.find_digest(token_digest, api.clock())
    standing = None if grant is None else await _standing(api, grant.principal)
    if grant is None or standing is None or not standing.honours(grant.voucher):
        raise _ended()
    allowed = scopes_of(standing.kind, standing.member, api.backend.me)
    scopes = narrowed(allowed, {scope.value for scope in grant.scopes})
    return Caller(grant.principal, standing.kind, standing.member, scopes, token_digest)


async def _standing(api: Api, principal: bytes) -> Standing | None:
    return await api.backend.in_thread(lambda: _read(api, principal))


def _read(api: Api, principal: bytes) -> Standing | None:
    with api.backend.store.snapshot() as state:
        entry = queries.principal(state, principal)
        keys = queries.sender_keys(state, principal, api.next_block_ms(state.header))
    if entry is None or not keys:
        return None
    registered: tuple[RegisteredKey, ...] = ()
    is_own = entry.organization == api.backend.me and entry.kind in REGISTRABLE_KINDS
    if is_own and api.registered is not None:
        registered = api.registered.of(principal)
    return Standing(principal, entry.kind, entry.organization, keys, registered)


def _voucher(assertion: str, claims: Claims, standing: Standing | None) -> bytes | None:
    """The signing key that verifies the assertion, or the fingerprint of the registered one."""
    if standing is None:
        return None
    if claims.kid is None:
        return assertions.signer(assertion, standing.keys)
    key = assertions.registered_signer(assertion, claims.kid, standing.registered)
    return None if key is None else key.fingerprint


def _granted(asked: str | None, standing: Standing, node_member: str) -> frozenset[AnyScope]:
    allowed = scopes_of(standing.kind, standing.member, node_member)
    granted = allowed if asked is None else narrowed(allowed, set(asked.split()[:SCOPES_MAX]))
    if not granted:
        raise refused(
            "scope", "none of these scopes is this principal's", "ask for less", "invalid_scope"
        )
    return granted


def _ended() -> Problem:
    return _unauthenticated(
        "auth.token", "the token is unknown or has ended", ', error="invalid_token"'
    )


def _unauthenticated(code: str, detail: str, error: str) -> Problem:
    return Problem(
        401,
        code,
        detail,
        field="header.authorization",
        fix="get a token at /auth/token",
        headers={"WWW-Authenticate": f'Bearer realm="medlock"{error}'},
    )
