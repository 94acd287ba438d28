"""The client keeps asking by the same id, says what a node said, believes no bytes unchecked."""

import asyncio
import traceback
from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from chain.keys import SigningKey
from client.api import AHEAD_MS_MAX, Api, connect
from client.builder import BuiltTransaction, TransactionBuilder
from client.category import Recipient
from client.errors import ApiError, Tampered
from client.sealing import Random
from client.submission import organization_recipient
from client.transport import Patience, Transport
from client.wallet import new_wallet
from ledger.ids import organization_owner
from tests.client.client_world import (
    VALID_UNTIL_MS,
    Consortium,
    Interruption,
    Ledger,
    Node,
    problem,
)

QUICK = Patience(deadline_s=5.0, attempt_s=2.0, backoff_base_s=0.0, backoff_s_max=0.0)
ONCE = Patience(deadline_s=5.0, attempt_s=5.0, backoff_base_s=60.0, backoff_s_max=60.0)
"""The first wait would go beyond the deadline, so there is one attempt."""


@pytest.fixture
async def node(ledger: Ledger) -> AsyncIterator[Node]:
    node = Node(ledger)
    async with node.serving():
        yield node


@pytest.fixture
def identity(consortium: Consortium) -> tuple[bytes, SigningKey]:
    wallet = consortium.wallets["hospital-a"]
    return wallet.principal, wallet.signing_key


@pytest.fixture
async def api(node: Node, identity: tuple[bytes, SigningKey]) -> AsyncIterator[Api]:
    async with connect(node.base, identity, QUICK) as api:
        yield api


@pytest.fixture
def built(consortium: Consortium, chance: Random) -> BuiltTransaction:
    builder = TransactionBuilder(consortium.network, consortium.wallets["hospital-a"], chance)
    owner = organization_owner("hospital-a")
    key = builder.open_category(owner, (_recipient(consortium),))
    builder.put(b"content", key)
    return builder.sign(VALID_UNTIL_MS)


def _recipient(consortium: Consortium) -> Recipient:
    return organization_recipient(consortium.members[0])


def answering(status: int, code: str = "node.busy", **headers: str) -> Interruption:
    return lambda request: problem(status, code, **headers)


def hang_up(request: web.Request) -> None:
    """The answer is lost: the connection ends."""
    assert request.transport is not None
    request.transport.abort()


def commit_and_hang_up(node: Node) -> Interruption:
    """The transaction counts, but nobody hears of it."""

    def interrupt(request: web.Request) -> None:
        node._submit(node.bodies[-1])
        hang_up(request)

    return interrupt


async def refused(awaited: object) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await awaited  # type: ignore[misc]
    return caught.value


def posts(node: Node) -> int:
    return sum(each.startswith("POST /v1/transactions") for each in node.requests)


async def test_a_transaction_is_submitted_with_its_attachments(
    api: Api, node: Node, built: BuiltTransaction
) -> None:
    submitted = await api.submit(built.raw, built.attachments)
    assert (submitted.id, submitted.status, submitted.height) == (built.id, "committed", 1)
    assert submitted.result is not None
    assert submitted.result.ok
    assert submitted.receipt == b"receipt"
    assert len(node.ledger.attachments) == 2
    assert node.requests == ["POST /auth/token", "POST /v1/transactions?wait=committed"]


async def test_large_attachments_go_ahead(
    node: Node, identity: tuple[bytes, SigningKey], built: BuiltTransaction
) -> None:
    async with connect(node.base, identity, QUICK, inline_bytes_max=100) as api:
        assert (await api.submit(built.raw, built.attachments)).status == "committed"
    uploads = [each for each in node.requests if each.startswith("PUT ")]
    assert uploads == [f"PUT /v1/attachments/{sha256(a).hexdigest()}" for a in built.attachments]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_busy_node_is_asked_again(
    api: Api, node: Node, built: BuiltTransaction, status: int
) -> None:
    node.interruptions += [answering(status), answering(status)]
    assert (await api.submit(built.raw, built.attachments)).status == "committed"
    sent = [body for body, line in zip(node.bodies, node.requests, strict=True) if "/v1/" in line]
    assert posts(node) == 3
    assert len(set(sent)) == 1


async def test_a_lost_answer_does_not_submit_twice(
    api: Api, node: Node, built: BuiltTransaction
) -> None:
    node.interruptions.append(commit_and_hang_up(node))
    submitted = await api.submit(built.raw, built.attachments)
    assert submitted.status == "committed"
    assert posts(node) == 2
    assert len(node.ledger.committed) == 1


async def test_a_refusal_after_a_lost_answer_is_looked_into(
    api: Api, node: Node, built: BuiltTransaction
) -> None:
    """The node may call it expired or repeated although it committed at the first attempt."""
    node.interruptions += [commit_and_hang_up(node), answering(400, "transaction.expired")]
    submitted = await api.submit(built.raw, built.attachments)
    assert (submitted.status, submitted.receipt) == ("committed", b"receipt")


async def test_a_refusal_stays_one_where_nothing_was_committed(
    api: Api, node: Node, built: BuiltTransaction
) -> None:
    node.interruptions += [answering(503), answering(400, "transaction.expired")]
    error = await refused(api.submit(built.raw, built.attachments))
    assert error.code == "transaction.expired"


async def test_a_known_commit_is_no_error(api: Api, node: Node, built: BuiltTransaction) -> None:
    await api.submit(built.raw, built.attachments)
    node.interruptions.append(answering(409, "transaction.committed"))
    assert (await api.submit(built.raw, built.attachments)).status == "committed"


async def test_a_refusal_speaks_the_nodes_words_and_is_not_repeated(
    api: Api, node: Node, built: BuiltTransaction
) -> None:
    node.interruptions.append(answering(422, "record.exists"))
    error = await refused(api.submit(built.raw, built.attachments))
    assert (error.code, error.cause, error.fix, error.field, error.status) == (
        "record.exists",
        "the cause",
        "the fix",
        "body",
        422,
    )
    assert posts(node) == 1


async def test_patience_ends(
    node: Node, identity: tuple[bytes, SigningKey], built: BuiltTransaction
) -> None:
    node.interruptions += [answering(503, "node.no_quorum")] * 1_000
    patience = Patience(deadline_s=1.5, attempt_s=1.5, backoff_base_s=0.2, backoff_s_max=0.2)
    async with connect(node.base, identity, patience) as api:
        error = await refused(api.submit(built.raw, built.attachments))
    assert (error.code, error.status) == ("node.no_quorum", 503)
    assert 1 < error.attempts < 60


async def test_a_node_that_falls_silent_is_remembered_by_its_last_words(
    node: Node, identity: tuple[bytes, SigningKey]
) -> None:
    """The deadline cuts the last attempt; that the node had no quorum is what helps."""
    silent = asyncio.Event()
    node.interruptions.append(answering(503, "node.no_quorum"))
    node.silence = silent
    patience = Patience(deadline_s=1.0, attempt_s=5.0, backoff_base_s=0.0, backoff_s_max=0.0)
    async with connect(node.base, identity, patience) as api:
        error = await refused(api.members())
    silent.set()
    assert (error.code, error.attempts) == ("node.no_quorum", 2)


async def test_a_retry_after_beyond_the_deadline_ends_it_at_once(
    node: Node, identity: tuple[bytes, SigningKey]
) -> None:
    node.interruptions.append(answering(503, **{"Retry-After": "9"}))
    async with connect(node.base, identity, QUICK) as api:
        error = await refused(api.members())
    assert error.attempts == 1


async def test_no_node_and_a_silent_node_are_told_apart(unused_port: int) -> None:
    async with connect(f"http://127.0.0.1:{unused_port}", None, ONCE) as api:
        assert (await refused(api.members())).code == "api.unreachable"

    silences: list[asyncio.Task[None] | None] = []

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silences.append(asyncio.current_task())
        await reader.read(-1)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(silence, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with connect(f"http://127.0.0.1:{port}", None, replace(ONCE, attempt_s=0.1)) as api:
        assert (await refused(api.members())).code == "api.timeout"
    await asyncio.gather(*(each for each in silences if each is not None))
    server.close()
    await server.wait_closed()


@pytest.fixture
async def unused_port() -> int:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


async def test_one_token_serves_many_requests(api: Api, node: Node) -> None:
    await asyncio.gather(*(api.members() for _ in range(5)))
    assert node.requests.count("POST /auth/token") == 1


async def test_a_token_is_renewed_before_it_expires(
    node: Node, identity: tuple[bytes, SigningKey]
) -> None:
    async with aiohttp.ClientSession() as session:
        node.now_s, node.token_life_s = 1_000_000, 300

        def now_s() -> float:
            assert node.now_s is not None
            return node.now_s

        api = Api(Transport(node.base, session, identity, QUICK, now_s=now_s))
        await api.members()
        node.now_s += 289
        await api.members()
        assert node.requests.count("POST /auth/token") == 1
        node.now_s += 1
        await api.members()
    assert node.requests.count("POST /auth/token") == 2


async def test_a_token_that_the_node_forgot_is_replaced_once(api: Api, node: Node) -> None:
    await api.members()
    node.tokens.clear()
    await api.members()
    assert node.requests.count("POST /auth/token") == 2
    node.interruptions += [answering(401, "auth.ended")] * 2
    assert (await refused(api.members())).code == "auth.ended"


async def test_a_stranger_is_refused_at_the_door(node: Node, chance: Random) -> None:
    stranger = new_wallet("clinician", "hospital-a", chance)
    async with connect(node.base, (stranger.principal, stranger.signing_key), QUICK) as api:
        error = await refused(api.members())
    assert (error.code, error.status) == ("auth.not_verified", 401)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:80",
        "ftp://127.0.0.1",
        "http://node.example",
        "http://127.0.0.1.example",
        "https://",
        "https://user:secret@node.example",
        "https://node.example/?a=b",
        "http://[::1",
        "http://127.0.0.1:99999",
    ],
)
async def test_a_token_never_travels_in_clear_between_machines(url: str) -> None:
    with pytest.raises(ApiError) as caught:
        async with connect(url):
            pass
    assert caught.value.code == "api.url"
    assert "secret" not in "".join(traceback.format_exception(caught.value))


async def test_loopback_and_tls_are_spoken_to() -> None:
    for url in ("http://localhost:1/", "http://[::1]:1", "https://node.example/base/"):
        async with connect(url):
            pass


async def test_an_attachment_with_other_bytes_is_refused(api: Api, node: Node) -> None:
    digest = await api.put_attachment(b"ciphertext")
    assert await api.attachment(digest) == b"ciphertext"
    node.ledger.attachments[digest] = b"other bytes"
    with pytest.raises(Tampered):
        await api.attachment(digest)
    with pytest.raises(Tampered):
        [piece async for piece in api.attachment_pieces(digest)]
    assert (await refused(api.attachment(bytes(32)))).code == "attachment.unknown"


async def test_large_attachments_are_streamed_both_ways(
    api: Api, node: Node, tmp_path: Path, chance: Random
) -> None:
    raw = chance(1_000_000)
    path = tmp_path / "image"
    path.write_bytes(raw)
    node.interruptions += [answering(503)]
    await api.put_attachment_file(path, sha256(raw).digest())
    pieces = [piece async for piece in api.attachment_pieces(sha256(raw).digest())]
    assert b"".join(pieces) == raw
    assert len(pieces) > 1


async def test_a_redirect_is_not_followed(api: Api, node: Node) -> None:
    def elsewhere(request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": f"{node.base}/v1/other"})

    node.interruptions.append(elsewhere)
    assert (await refused(api.members())).status == 307
    assert not any("other" in each for each in node.requests)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"members": 7}',
        b'{"members": [{"id": "A"}]}',
        b'{"other": []}',
    ],
)
async def test_answers_that_make_no_sense_are_the_nodes_fault(
    api: Api, node: Node, body: bytes
) -> None:
    node.interruptions.append(lambda request: web.Response(body=body))
    assert (await refused(api.members())).code == "api.unusable"


async def test_an_endless_answer_is_broken_off(
    api: Api, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("client.transport.ANSWER_BYTES_MAX", 1_000)
    node.interruptions.append(lambda request: web.Response(body=b" " * 1_001))
    assert (await refused(api.members())).code == "api.unusable"


@pytest.mark.parametrize("body", [b"", b"[]", b'{"code": 7, "detail": ["x"]}', b"\xff" * 70_000])
async def test_refusals_without_words_keep_their_status(api: Api, node: Node, body: bytes) -> None:
    node.interruptions.append(lambda request: web.Response(status=400, body=body))
    error = await refused(api.members())
    assert (error.code, error.status) == ("http.400", 400)


async def test_a_refusals_words_are_short_and_printable(api: Api, node: Node) -> None:
    words = {"code": "c", "detail": "\x1b[2J" + "d" * 10_000}
    node.interruptions.append(lambda request: web.json_response(words, status=400))
    error = await refused(api.members())
    assert "\x1b" not in error.cause
    assert len(error.cause) < 600


async def test_listings_go_through_all_pages(
    api: Api, node: Node, built: BuiltTransaction, consortium: Consortium, chance: Random
) -> None:
    await api.submit(built.raw, built.attachments)
    node.page_max = 2
    builder = TransactionBuilder(consortium.network, consortium.wallets["hospital-a"], chance)
    owner = organization_owner("hospital-a")
    key = builder.open_category(owner, (_recipient(consortium),))
    ids = {builder.put(b"content", key) for _ in range(6)}
    more = builder.sign(VALID_UNTIL_MS)
    await api.submit(more.raw, more.attachments)
    listed = [each.id async for each in api.records_of(owner)]
    assert len(listed) == 7
    assert ids < set(listed)
    assert [each async for each in api.records_of(bytes(16))] == []


async def test_a_listing_that_leads_in_circles_ends(api: Api, node: Node) -> None:
    page = {"records": [], "next": "00" * 32}
    node.interruptions += [lambda request: web.json_response(page)] * 3
    with pytest.raises(ApiError):
        [each async for each in api.records_of(bytes(16))]


async def test_members_and_principals_are_typed(
    api: Api, consortium: Consortium, identity: tuple[bytes, SigningKey]
) -> None:
    members = await api.members()
    assert [each.id for each in members] == ["hospital-a", "hospital-b", "wholesaler"]
    assert members[0].encryption_key == consortium.members[0].encryption_key
    entry = await api.principal(identity[0])
    assert entry.organization == "hospital-a"
    assert (await refused(api.principal(bytes(16)))).status == 404


async def test_no_error_and_no_representation_shows_a_token(
    api: Api, node: Node, built: BuiltTransaction
) -> None:
    await api.members()
    token = next(iter(node.tokens))
    node.interruptions.append(answering(422, "record.exists"))
    error = await refused(api.submit(built.raw, built.attachments))
    shown = "".join(traceback.format_exception(error)) + repr(api._transport._token)
    assert token not in shown


@pytest.mark.parametrize(
    ("ahead_ms", "counts_from_ms"),
    [
        (-3_600_000, 0),
        (0, 0),
        (3_600_000, 3_600_000),
        (AHEAD_MS_MAX, AHEAD_MS_MAX),
        (AHEAD_MS_MAX + 1, AHEAD_MS_MAX),
    ],
)
async def test_validity_counts_from_the_chains_time_where_that_is_ahead_and_believable(
    api: Api, node: Node, ahead_ms: int, counts_from_ms: int
) -> None:
    node.ledger.tip_ms = VALID_UNTIL_MS + ahead_ms
    assert await api.signing_ms(VALID_UNTIL_MS) == VALID_UNTIL_MS + counts_from_ms


@pytest.mark.parametrize("said", ["1", -1, None, 1.5, True])
async def test_a_time_that_is_none_is_the_nodes_fault(api: Api, node: Node, said: object) -> None:
    node.ledger.tip_ms = said  # type: ignore[assignment]
    with pytest.raises(ApiError) as caught:
        await api.signing_ms(0)
    assert caught.value.code == "api.unusable"
