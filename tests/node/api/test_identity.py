"""Assertions and tokens: who proves what, for how long, and how often."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from chain.keys import SigningKey
from node.api.assertions import Claims, OnceOnly
from node.api.limits import JTI_PRINCIPAL_MAX, TOKEN_LIFE_S, TOKENS_PRINCIPAL_MAX
from node.api.tokens import Tokens
from node.backend import Busy
from tests.node.api.conftest import Node


def part(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def signed(node: Node, claims: dict[str, Any], **header: Any) -> str:
    """A token with exactly these claims, validly signed by the clinician."""
    text = f"{part({'alg': 'EdDSA', 'typ': 'JWT'} | header)}.{part(claims)}"
    signature = node.cast.clinician.signing_key.sign_raw(text.encode())
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def claims_of(node: Node, **changed: Any) -> dict[str, Any]:
    me = node.cast.clinician.principal.hex()
    now = int(node.clock())
    claims = {"iss": me, "sub": me, "aud": node.audience, "exp": now + 60, "iat": now, "jti": "j"}
    return {name: value for name, value in (claims | changed).items() if value is not None}


async def test_an_assertion_is_good_once(node: Node) -> None:
    assertion = node.assertion(node.cast.clinician)
    assert (await node.sign_in(assertion)).status == 200
    again = await node.sign_in(assertion)
    assert (again.status, again.code) == (401, "auth.assertion_used")
    assert again.document["error"] == "invalid_client"


async def test_an_assertion_stays_used_for_as_long_as_it_could_be_accepted(node: Node) -> None:
    assertion = signed(node, claims_of(node, exp=int(node.clock()) + 300))
    assert (await node.sign_in(assertion)).status == 200
    for step_s in (299, 10, 1):
        node.clock.now_s += step_s
        assert (await node.sign_in(assertion)).status == 401


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"aud": "https://elsewhere/auth/token"}, "auth.audience"),
        ({"aud": None}, "auth.audience"),
        ({"aud": []}, "auth.audience"),
        ({"aud": {"a": 1}}, "auth.audience"),
        ({"sub": "00" * 16}, "auth.subject"),
        ({"iss": "zz" * 16, "sub": "zz" * 16}, "auth.subject"),
        ({"iss": 5, "sub": 5}, "auth.subject"),
        ({"jti": None}, "auth.jti"),
        ({"jti": ""}, "auth.jti"),
        ({"jti": "x" * 129}, "auth.jti"),
        ({"jti": 7}, "auth.jti"),
        ({"exp": None}, "auth.times"),
        ({"exp": "soon"}, "auth.times"),
        ({"exp": True}, "auth.times"),
        ({"exp": float("nan")}, "auth.times"),
        ({"exp": 2**60}, "auth.times"),
        ({"exp": 1_700_000_000 + 400}, "auth.times"),
        ({"exp": 1_700_000_000 - 30}, "auth.expired"),
        ({"iat": 1_700_000_000 + 60}, "auth.times"),
        ({"nbf": 1_700_000_000 + 60}, "auth.times"),
    ],
    ids=str,
)
async def test_claims_that_do_not_fit_are_refused_even_if_well_signed(
    node: Node, changed: dict[str, Any], code: str
) -> None:
    assert (await node.sign_in(signed(node, claims_of(node)))).status == 200
    reply = await node.sign_in(signed(node, claims_of(node, **{"jti": "k"} | changed)))
    assert (reply.status, reply.code) == (401, code)


@pytest.mark.parametrize(
    "assertion",
    ["", "x", "a.b.c", "....", "e30.e30.e30", "é.é.é", "\x00", "x" * 5_000, "." * 4_000],
)
async def test_what_is_no_jwt_is_refused(node: Node, assertion: str) -> None:
    reply = await node.sign_in(assertion)
    assert reply.status == 401
    assert reply.document["error"] == "invalid_client"


async def test_claims_of_any_shape_and_depth_are_refused(node: Node) -> None:
    for text in (b"[1]", b"null", b'"x"', b"\xff", b"[" * 2_500):
        head = part({"alg": "EdDSA"})
        body = base64.urlsafe_b64encode(text).rstrip(b"=").decode()
        reply = await node.sign_in(f"{head}.{body}.AAAA")
        assert (reply.status, reply.code) in {
            (401, "auth.assertion_malformed"),
            (401, "auth.assertion_too_large"),
        }


async def test_a_public_key_is_no_secret_and_none_is_no_algorithm(node: Node) -> None:
    text = f"{part({'alg': 'HS256'})}.{part(claims_of(node))}"
    public = node.cast.clinician.signing_key.public
    mac = hmac.new(public, text.encode(), hashlib.sha256).digest()
    forged = f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    bare = f"{part({'alg': 'none'})}.{part(claims_of(node))}."
    other = f"{part({'alg': 'ES256', 'kid': 'k'})}.{part(claims_of(node))}.AAAA"
    for assertion in (forged, bare, other):
        assert (await node.sign_in(assertion)).code == "auth.algorithm"


async def test_strangers_and_wrong_signatures_get_the_same_answer(node: Node) -> None:
    stranger = await node.sign_in(node.assertion(node.cast.stranger))
    wrong = await node.sign_in(node.assertion(node.cast.clinician, SigningKey(b"w" * 32)))
    assert stranger.status == wrong.status == 401
    assert stranger.body == wrong.body


async def test_a_failed_sign_in_does_not_use_up_the_assertion_id(node: Node) -> None:
    forged = node.assertion(node.cast.clinician, SigningKey(b"w" * 32), jti="mine")
    assert (await node.sign_in(forged)).status == 401
    assert (await node.sign_in(node.assertion(node.cast.clinician, jti="mine"))).status == 200


def test_one_principal_cannot_fill_the_memory_of_used_assertions() -> None:
    once = OnceOnly()
    for number in range(JTI_PRINCIPAL_MAX):
        once.use(Claims(b"a" * 16, str(number), 0.0), 0.0)
    with pytest.raises(Busy):
        once.use(Claims(b"a" * 16, "one more", 0.0), 0.0)
    once.use(Claims(b"b" * 16, "another's", 0.0), 0.0)
    once.use(Claims(b"a" * 16, "one more", 0.0), 1_000.0)


async def test_a_token_ends_after_five_minutes(node: Node) -> None:
    token = await node.token(node.cast.clinician)
    headers = {"Authorization": f"Bearer {token}"}
    node.clock.now_s += TOKEN_LIFE_S - 1
    assert (await node.get("/v1/members", headers=headers)).status == 200
    node.clock.now_s += 1
    reply = await node.get("/v1/members", headers=headers)
    assert (reply.status, reply.code) == (401, "auth.token")
    assert "invalid_token" in reply.headers["WWW-Authenticate"]


async def test_a_key_that_was_rotated_away_takes_its_tokens_along(node: Node) -> None:
    newcomer = node.story.newcomer()
    await node.solo.committed_now(node.story.enrol(newcomer))
    await node.token(newcomer)
    assert (await node.get("/v1/members", newcomer)).status == 200
    fresh = SigningKey(b"f" * 32)
    builder = node.story.builder(newcomer)
    builder.rotate_keys(newcomer.principal, fresh, None, 0)
    assert (await node.solo.committed_now(node.story.finish(builder))).ok
    assert (await node.get("/v1/members", newcomer)).status == 401
    assert (await node.sign_in(node.assertion(newcomer))).status == 401
    assert (await node.sign_in(node.assertion(newcomer, fresh))).status == 200


async def test_an_old_key_vouches_until_its_overlap_ends(node: Node) -> None:
    newcomer = node.story.newcomer()
    await node.solo.committed_now(node.story.enrol(newcomer))
    await node.token(newcomer)
    builder = node.story.builder(newcomer)
    builder.rotate_keys(newcomer.principal, SigningKey(b"g" * 32), None, 60_000)
    assert (await node.solo.committed_now(node.story.finish(builder))).ok
    assert (await node.get("/v1/members", newcomer)).status == 200
    node.clock.now_s += 61
    assert (await node.get("/v1/members", newcomer)).status == 401


async def test_the_form_must_say_what_it_is(node: Node) -> None:
    assertion = node.assertion(node.cast.clinician)
    for changed, error in (
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"client_assertion_type": "x"}, "invalid_request"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
    ):
        reply = await node.sign_in(assertion, **changed)
        assert (reply.status, reply.document["error"]) == (400, error)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for body in (b"a=1&a=2", b"\xff\xfe", b"a=%ff", b"&".join([b"a=1"] * 100)):
        reply = await node.ask("POST", "/auth/token", data=body, headers=form)
        assert (reply.status, reply.document["error"]) == (400, "invalid_request")
    large = await node.ask("POST", "/auth/token", data=b"a" * 20_000, headers=form)
    assert large.status == 413


async def test_what_is_advertised_is_what_works(node: Node) -> None:
    document = (await node.get("/.well-known/smart-configuration")).document
    assert document["token_endpoint"] == node.audience
    assert document["token_endpoint_auth_signing_alg_values_supported"] == [
        "EdDSA",
        "ES384",
        "RS384",
    ]
    lying = await node.get("/.well-known/smart-configuration", headers={"Host": "evil.example"})
    assert "evil" not in lying.document["token_endpoint"]


def test_tokens_are_kept_as_digests_and_bounded() -> None:
    tokens = Tokens()
    first = tokens.issue(b"p", b"k", frozenset(), 0.0)
    assert first.encode() not in repr(tokens._grants).encode()
    for _ in range(TOKENS_PRINCIPAL_MAX):
        last = tokens.issue(b"p", b"k", frozenset(), 0.0)
    assert len(tokens) == TOKENS_PRINCIPAL_MAX
    assert tokens.find(first, 0.0) is None
    assert tokens.find(last, 0.0) is not None
    tokens.issue(b"q", b"k", frozenset(), TOKEN_LIFE_S)
    assert len(tokens) == 1
