"""A served node, and somebody who talks to it over a real socket."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvloop
from aiohttp import web

from chain.keys import SigningKey
from client.assertion import make_assertion
from client.wallet import Wallet
from client.wire import ASSERTION_TYPE, SUBMISSION, TOKEN_PATH, Submission
from node.api.app import Runner, TlsFiles, make_app, serve
from node.api.limits import CONNECTIONS_MAX
from node.api.registered_keys import RegisteredKeys
from tests.node.api.solo import Clock, Consortium, Solo, Story


@dataclass
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        assert self.headers["Content-Type"] == "application/problem+json", self.body
        return str(self.document["code"])


@dataclass
class Node:
    """The node under test, and a client of it."""

    solo: Solo
    story: Story
    runner: Runner
    session: aiohttp.ClientSession
    tokens: dict[bytes, str] = field(default_factory=dict)

    @property
    def cast(self) -> Any:
        return self.solo.consortium.cast

    @property
    def clock(self) -> Clock:
        return self.solo.clock

    @property
    def audience(self) -> str:
        return self.runner.url + TOKEN_PATH

    async def ask(
        self, method: str, path: str, *, wallet: Wallet | None = None, **request: Any
    ) -> Reply:
        headers = dict(request.pop("headers", {}))
        if wallet is not None and "Authorization" not in headers:
            headers["Authorization"] = f"Bearer {await self.token(wallet)}"
        async with self.session.request(
            method, self.runner.url + path, headers=headers, **request
        ) as response:
            return Reply(response.status, dict(response.headers), await response.read())

    async def get(self, path: str, wallet: Wallet | None = None, **request: Any) -> Reply:
        return await self.ask("GET", path, wallet=wallet, **request)

    async def submit(self, raw: bytes, attachments: tuple[bytes, ...] = (), query: str = "") -> Any:
        return await self.ask(
            "POST",
            f"/v1/transactions{query}",
            wallet=self.cast.clinician,
            data=SUBMISSION.encode(Submission(raw, attachments)),
            headers={"Content-Type": "application/msgpack"},
        )

    async def token(self, wallet: Wallet) -> str:
        if wallet.principal not in self.tokens:
            reply = await self.sign_in(self.assertion(wallet))
            assert reply.status == 200, reply.body
            self.tokens[wallet.principal] = reply.document["access_token"]
        return self.tokens[wallet.principal]

    def assertion(self, wallet: Wallet, key: SigningKey | None = None, **changed: Any) -> str:
        return make_assertion(
            wallet.principal,
            key or wallet.signing_key,
            changed.get("audience", self.audience),
            changed.get("now_s", self.clock()),
            changed.get("jti", secrets.token_hex(16)),
        )

    async def sign_in(self, assertion: str, **changed: str) -> Reply:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        } | changed
        return await self.ask("POST", TOKEN_PATH, data=form)


@asynccontextmanager
async def open_port(
    app: web.Application, tls: TlsFiles | None = None, connections_max: int = CONNECTIONS_MAX
) -> AsyncIterator[Runner]:
    """A port of loopback that serves until the block ends."""
    runner = await serve(app, "127.0.0.1:0", tls, connections_max)
    serving = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        await runner.cleanup()
        await serving


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that a node runs on: its transports are not those of Python's own."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def consortium() -> Consortium:
    return Consortium()


@pytest.fixture
async def node(consortium: Consortium, tmp_path: Path) -> AsyncIterator[Node]:
    clock = Clock()
    solo = Solo(consortium, tmp_path, clock)
    registered = RegisteredKeys(tmp_path / "clients")
    app = make_app(solo, development=True, clock=clock, registered=registered)
    patience = aiohttp.ClientTimeout(total=10)
    async with open_port(app) as runner, aiohttp.ClientSession(timeout=patience) as session:
        yield Node(solo, Story(consortium, clock), runner, session)
    solo.close()
