"""Two hospitals and a wholesaler, their ledger on a plain dict, and a node that serves it.

The node is as small as its wire: one process, one block a transaction, the real rules.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import jwt
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from chain.block import Result
from chain.codec import Record
from chain.document import to_document
from chain.genesis import Genesis, Member, NodeEntry, Parameters
from chain.keys import SigningKey, Suite, verify
from chain.transaction import signing_payload
from client.builder import Network
from client.sealing import PrivateKey, Random, new_private_key
from client.vault import KdfLimits
from client.wallet import Wallet, card, new_wallet
from client.wire import SUBMISSION, to_base64url
from ledger import patient_queries, queries
from ledger.entries import CategoryEntry
from ledger.execute import BlockContext, execute
from ledger.genesis import genesis_writes
from ledger.prepare import check_signed_within, prepare
from tests.ledger.ledger_world import DictState

FAST = KdfLimits(1, 8_192)
NOW_MS = 1_800_000_000_000
VALID_UNTIL_MS = NOW_MS + 60_000
ROLES = (("hospital-a", "hospital"), ("hospital-b", "hospital"), ("wholesaler", "wholesaler"))


@dataclass(frozen=True)
class Consortium:
    """Every member has a service, whose wallet opens what is sealed to the organisation."""

    wallets: dict[str, Wallet]
    genesis: Genesis

    @property
    def network(self) -> Network:
        return Network(self.genesis.chain_id, self.genesis.hash)

    @property
    def members(self) -> tuple[Member, ...]:
        return self.genesis.members


def found_consortium(random: Random) -> Consortium:
    wallets, members = {}, []
    for index, (name, role) in enumerate(ROLES):
        key = new_private_key(Suite.ML_KEM_768_X25519, random)
        service = new_wallet("service", name, random, organization_keys=(key,))
        administrator = new_wallet("administrator", name, random)
        wallets[name] = service
        members.append(_member(name, role, key, [service, administrator], bytes([index + 1]) * 32))
    return Consortium(wallets, Genesis("net", 1_000, Parameters(), tuple(members), "hospital-a"))


def _member(name: str, role: str, key: PrivateKey, wallets: list[Wallet], seed: bytes) -> Member:
    node = NodeEntry(SigningKey(seed).public, b"certificate", ("127.0.0.1:1",))
    cards = tuple(card(each) for each in wallets)
    return Member(name, name.title(), role, key.public, cards, node)  # type: ignore[arg-type]


class Ledger(DictState):
    """The real rules on a dict: a state reader with attachments beside it."""

    def __init__(self, genesis: Genesis) -> None:
        super().__init__(genesis_writes(genesis))
        self.genesis = genesis
        self.attachments: dict[bytes, bytes] = {}
        self.committed: dict[bytes, tuple[int, Result]] = {}
        self.now_ms = NOW_MS
        self.tip_ms = NOW_MS

    def commit(self, raw: bytes, attachments: tuple[bytes, ...]) -> Result:
        """Checks every signature and every attachment as a node does, then executes a block."""
        prepared = prepare(raw, queries.parameters(self))
        if prepared.id in self.committed:
            return self.committed[prepared.id][1]
        transaction = prepared.transaction
        check_signed_within(prepared, self.genesis.hash)
        covered = signing_payload(prepared.signed, self.genesis.hash)
        keys = queries.sender_keys(self, transaction.sender, self.now_ms)
        assert any(verify(key, prepared.signature, covered) for key in keys)
        self.attachments |= {sha256(each).digest(): each for each in attachments}
        for each in transaction.attachments:
            assert len(self.attachments[each.hash]) == each.size
        height = len(self.committed) + 1
        execution = execute(self, BlockContext(height, self.now_ms), [prepared])
        self.apply(execution.writes)
        self.committed[prepared.id] = (height, execution.results[0])
        return execution.results[0]


Interruption = Callable[[web.Request], web.StreamResponse | None]


@dataclass
class Node:
    """Serves a ledger as `/v1`. `interruptions` answer the next requests instead, in order."""

    ledger: Ledger
    requests: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    interruptions: list[Interruption] = field(default_factory=list)
    silence: asyncio.Event | None = None
    """Set: after the interruptions nothing is answered until the event."""
    page_max: int = 200
    token_life_s: int = 300
    tokens: dict[str, bytes] = field(default_factory=dict)
    seen_jti: set[str] = field(default_factory=set)
    now_s: int | None = None
    """The clock that judges assertions; the wall's where None."""
    base: str = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application(client_max_size=8 << 20)
        app.router.add_route("*", "/{path:.*}", self._answer)
        server = TestServer(app, skip_url_asserts=True)
        await server.start_server()
        self.base = f"http://127.0.0.1:{server.port}"
        try:
            yield self.base
        finally:
            await server.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path_qs}")
        self.bodies.append(await request.read())
        if request.path == "/auth/token":
            return self._sign_in(await request.post())
        if self.interruptions:
            instead = self.interruptions.pop(0)(request)
            if instead is not None:
                return instead
        elif self.silence is not None:
            await self.silence.wait()
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            return problem(401, "auth.no_token")
        return self._route(request, request.path.removeprefix("/v1/").split("/"))

    def _sign_in(self, form: Any) -> web.StreamResponse:
        assert form["grant_type"] == "client_credentials"
        assertion = form["client_assertion"]
        unverified = jwt.decode(assertion, options={"verify_signature": False})
        keys = queries.sender_keys(self.ledger, bytes.fromhex(unverified["iss"]), NOW_MS)
        if not keys:
            return problem(401, "auth.not_verified")
        claims = jwt.decode(
            assertion,
            Ed25519PublicKey.from_public_bytes(keys[-1]),
            algorithms=["EdDSA"],
            audience=f"{self.base}/auth/token",
            options={
                "require": ["exp", "jti", "iss", "sub"],
                "verify_iat": self.now_s is None,
                "verify_exp": self.now_s is None,
            },
        )
        assert claims["iss"] == claims["sub"]
        assert 0 < claims["exp"] - claims["iat"] <= 300
        assert self.now_s is None or claims["iat"] <= self.now_s < claims["exp"]
        assert claims["jti"] not in self.seen_jti
        self.seen_jti.add(claims["jti"])
        token = f"token-{len(self.seen_jti)}"
        self.tokens[token] = bytes.fromhex(claims["iss"])
        answer = {"access_token": token, "token_type": "bearer", "scope": ""}
        return web.json_response(answer | {"expires_in": self.token_life_s})

    def _route(self, request: web.Request, parts: list[str]) -> web.StreamResponse:  # noqa: C901, PLR0911, PLR0912 - one visible table
        match request.method, parts:
            case "GET", ["status"]:
                ledger = self.ledger
                return web.json_response(
                    {
                        "chain_id": ledger.genesis.chain_id,
                        "genesis_hash": ledger.genesis.hash.hex(),
                    }
                )
            case "GET", ["time"]:
                return web.json_response({"height": 1, "timestamp_ms": self.ledger.tip_ms})
            case "POST", ["transactions"]:
                return self._submit(self.bodies[-1])
            case "GET", ["transactions", text]:
                return self._transaction(bytes.fromhex(text))
            case "GET", ["receipts", text]:
                return web.json_response({"id": text, "receipt": to_base64url(b"receipt")})
            case "PUT", ["attachments", text]:
                assert sha256(self.bodies[-1]).hexdigest() == text
                self.ledger.attachments[bytes.fromhex(text)] = self.bodies[-1]
                return web.json_response({"hash": text, "size": len(self.bodies[-1])}, status=201)
            case "GET", ["attachments", text]:
                found = self.ledger.attachments.get(bytes.fromhex(text))
                return (
                    problem(404, "attachment.unknown")
                    if found is None
                    else web.Response(body=found)
                )
            case "GET", ["patients", text, "records"]:
                return self._records(bytes.fromhex(text), request)
            case "GET", ["patients", owner, "categories", category, author]:
                names = [bytes.fromhex(each) for each in (owner, category, author)]
                entry = self._epoch(names, request.query.get("epoch"))
                place = {"owner": owner, "category": category, "author": author}
                return documented(entry, "entry", place)
            case "GET", ["patients", text, "categories"]:
                found = queries.categories_of(self.ledger, bytes.fromhex(text), 200)
                names = ("category", "author", "entry")
                return listing(
                    "categories", [{"owner": text} | named(names, each) for each in found]
                )
            case "GET", ["patients", text, "consents"]:
                found = patient_queries.consents_of(self.ledger, bytes.fromhex(text), 200)
                return listing("consents", [named(("id", "consent"), each) for each in found])
            case "GET", ["patients", text, "releases"]:
                found = patient_queries.releases_of(self.ledger, bytes.fromhex(text), 200)
                names = ("category", "author", "epoch", "reader", "release")
                return listing("releases", [named(names, each) for each in found])
            case "GET", ["state", text]:
                raw = self.ledger.entries.get(bytes.fromhex(text))
                if raw is None:
                    return problem(404, "key.unknown")
                return web.json_response({"key": text, "value": to_base64url(raw)})
            case "GET", ["records", text]:
                entry = queries.record(self.ledger, bytes.fromhex(text))
                return documented(entry, "record", {"id": text})
            case "GET", ["records", text, "versions"]:
                return self._versions(text, request)
            case "GET", ["members"]:
                entries = [to_document(each) for each in queries.members(self.ledger)]
                return web.json_response({"members": entries})
            case "GET", ["principals", text]:
                entry = queries.principal(self.ledger, bytes.fromhex(text))
                return documented(entry, "principal", {"id": text})
            case _:
                return problem(404, "http.no_such_path")

    def _epoch(self, name: list[bytes], epoch: str | None) -> CategoryEntry | None:
        owner, category, author = name
        if epoch is None:
            return queries.category(self.ledger, owner, category, author)
        found = patient_queries.epoch(self.ledger, owner, category, author, int(epoch))
        return None if found is None else CategoryEntry(int(epoch), found.seals)

    def _submit(self, body: bytes) -> web.StreamResponse:
        submission = SUBMISSION.decode(body)
        self.ledger.commit(submission.transaction, submission.attachments)
        return self._transaction(
            prepare(submission.transaction, Parameters()).id, receipt=to_base64url(b"receipt")
        )

    def _transaction(self, transaction_id: bytes, **more: str) -> web.StreamResponse:
        found = self.ledger.committed.get(transaction_id)
        document: dict[str, Any] = {"id": transaction_id.hex(), "status": "unknown"}
        if found is not None:
            height, result = found
            document |= {"status": "committed", "height": height, "index": 0}
            document |= {"result": to_document(result)} | more
        return web.json_response(document)

    def _records(self, owner: bytes, request: web.Request) -> web.StreamResponse:
        limit = min(int(request.query["limit"]), self.page_max)
        after = bytes.fromhex(request.query.get("after", ""))
        found = queries.records_of(self.ledger, owner, limit + 1, after)
        page = [{"id": each.hex(), "record": to_document(entry)} for each, entry in found[:limit]]
        following = page[-1]["id"] if len(found) > limit else None
        return web.json_response({"records": page, "next": following})

    def _versions(self, text: str, request: web.Request) -> web.StreamResponse:
        limit = min(int(request.query["limit"]), self.page_max)
        after = int(request.query.get("after", "0"))
        found = queries.record_versions(self.ledger, bytes.fromhex(text), limit + 1, after)
        following = found[limit - 1].version if len(found) > limit else None
        versions = [to_document(each) for each in found[:limit]]
        return web.json_response({"id": text, "versions": versions, "next": following})


def named(names: tuple[str, ...], values: Any) -> dict[str, Any]:
    """One item of a listing."""
    return {
        name: value.hex() if isinstance(value, bytes) else to_document(value)
        for name, value in zip(names, values, strict=True)
    }


def listing(name: str, items: list[dict[str, Any]]) -> web.StreamResponse:
    """All of it on one page."""
    return web.json_response({name: items, "next": None})


def documented(entry: Record | None, name: str, place: dict[str, str]) -> web.StreamResponse:
    if entry is None:
        return problem(404, f"{name}.unknown")
    return web.json_response(place | {name: to_document(entry)})


def problem(status: int, code: str, **headers: str) -> web.StreamResponse:
    """A refusal as a node words it."""
    document = {"type": "about:blank", "title": "T", "status": status, "code": code}
    return web.json_response(
        document | {"detail": "the cause", "field": "body", "fix": "the fix"},
        status=status,
        headers=headers,
        content_type="application/problem+json",
    )
