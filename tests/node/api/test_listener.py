"""The port itself: loopback or TLS, and what no HTTP client would send."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from ipaddress import ip_address
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from node.api import dispatch, listener
from node.api.app import Runner, TlsFiles, make_app, serve
from node.errors import OperatorError
from tests.node.api.conftest import Node, open_port
from tests.node.api.solo import Clock, Consortium, Solo


@pytest.fixture
async def solo(consortium: Consortium, tmp_path: Path) -> AsyncIterator[Solo]:
    solo = Solo(consortium, tmp_path, Clock())
    yield solo
    solo.close()


def certificate_for(directory: Path, *names: str, days: tuple[int, int] = (-1, 1)) -> TlsFiles:
    """A self-signed one for `names`, valid between two days counted from today."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node")])
    now = dt.datetime.now(dt.UTC)
    alternatives = [
        x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
        for name in names
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now + dt.timedelta(days=days[0]))
        .not_valid_after(now + dt.timedelta(days=days[1]))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = TlsFiles(directory / "api.pem", directory / "api.key")
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


async def raw(node: Node, *pieces: bytes) -> bytes:
    """What the node answers to bytes; up to the end of the connection."""
    host, port = node.runner.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "10.0.0.1:0", "example.org:0"])
async def test_without_tls_nothing_but_loopback(solo: Solo, listen: str) -> None:
    app = make_app(solo, development=False, clock=solo.clock)
    with pytest.raises(OperatorError, match="E012"):
        await serve(app, listen, None)


@pytest.mark.parametrize("listen", ["", "localhost", ":1", "localhost:x", "localhost:70000"])
async def test_an_address_that_is_none(solo: Solo, listen: str) -> None:
    app = make_app(solo, development=False, clock=solo.clock)
    with pytest.raises(OperatorError, match="E004"):
        await serve(app, listen, None)


async def test_an_address_in_use(node: Node, solo: Solo) -> None:
    app = make_app(solo, development=False, clock=solo.clock)
    with pytest.raises(OperatorError, match="E011"):
        await serve(app, node.runner.url.removeprefix("http://"), None)


async def test_over_tls_the_audience_is_a_name_of_the_certificate(
    solo: Solo, tmp_path: Path
) -> None:
    files = certificate_for(tmp_path, "node.example", "127.0.0.1")
    app = make_app(solo, development=False, clock=solo.clock)
    async with open_port(app, files) as runner:
        port = runner.url.rpartition(":")[2]
        assert app[dispatch.API].audiences == {
            f"https://node.example:{port}/auth/token",
            f"https://127.0.0.1:{port}/auth/token",
        }
        context = ssl.create_default_context(cafile=str(files.certificate))
        async with (
            aiohttp.ClientSession() as session,
            session.get(runner.url + "/healthz", ssl=context) as response,
        ):
            assert response.status == 200
            assert "Strict-Transport-Security" in response.headers
        with pytest.raises(aiohttp.ClientError):
            async with aiohttp.ClientSession() as session:
                await session.get(runner.url.replace("https", "http") + "/healthz")


async def test_a_key_that_does_not_fit_the_certificate(solo: Solo, tmp_path: Path) -> None:
    files = certificate_for(tmp_path, "node.example")
    (tmp_path / "other").mkdir()
    other = certificate_for(tmp_path / "other", "node.example")
    app = make_app(solo, development=False, clock=solo.clock)
    for wrong in (TlsFiles(files.certificate, other.key), TlsFiles(tmp_path / "none", files.key)):
        with pytest.raises(OperatorError, match="E004"):
            await serve(app, "127.0.0.1:0", wrong)


async def test_the_audience_of_another_port_is_another_node(node: Node) -> None:
    elsewhere = "http://127.0.0.1:1/auth/token"
    reply = await node.sign_in(node.assertion(node.cast.clinician, audience=elsewhere))
    assert reply.code == "auth.audience"
    local = node.audience.replace("127.0.0.1", "localhost")
    assert (await node.sign_in(node.assertion(node.cast.clinician, audience=local))).status == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"tellmenot\r\n\r\n",
        b"GET / tellmenot/9\r\n\r\n",
        b"FOO /tellmenot HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\ntell menot: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\na: " + b"tellmenot" * 2_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"tellmenot: 1\r\n" * 100 + b"\r\n",
        b"GET /" + b"tellmenot" * 2_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /auth/token HTTP/1.1\r\nHost: x\r\nContent-Length: tellmenot\r\n\r\n",
        b"POST /auth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03tellmenot\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused_without_an_echo(
    node: Node, request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await raw(node, request_bytes)
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
    assert b"http.malformed" in answer
    assert b"tellmenot" not in answer
    assert "tellmenot" not in caplog.text
    assert (await node.get("/healthz")).status == 200


async def test_a_body_whose_chunks_are_broken_is_waited_for_no_longer_than_any_other(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.api.bodies.BODY_S_MAX", 0.05)
    head = (
        b"POST /auth/token HTTP/1.1\r\nHost: x\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    for pieces in ((b"5\r\nhello\r\nzz\r\n",), (b"5\r\nhel", b"zzzz\r\n")):
        # 408 where the parser sees the fault only after the request has begun.
        assert (await raw(node, head, *pieces)).split()[1] in {b"400", b"408"}


async def test_headers_that_never_end_are_cut_off(
    solo: Solo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "IDLE_S_MAX", 0.05)
    app = make_app(solo, development=False, clock=solo.clock)
    async with open_port(app) as runner:
        reader, writer = await connect(runner)
        for piece in (b"GET / HT", b"TP/1.1\r\n", b"Host: x\r\n"):
            writer.write(piece)
            await writer.drain()
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


TOKEN_HEAD = (
    b"POST /auth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nExpect: 100-continue\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
)


async def test_a_body_that_never_comes_is_cut_off(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.api.bodies.BODY_S_MAX", 0.05)
    head = (
        b"POST /auth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n\r\nab"
    )
    answer = await raw(node, head)
    assert answer.startswith(b"HTTP/1.1 408")


HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_those_who_say_nothing_make_room_for_those_who_ask(solo: Solo) -> None:
    app = make_app(solo, development=False, clock=solo.clock)
    async with open_port(app, connections_max=2) as runner:
        silent = [await connect(runner) for _ in range(5)]
        reader, writer = await connect(runner)
        writer.write(HEALTH)
        assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 200")
        for each, _ in silent[:4]:
            assert await asyncio.wait_for(each.read(), 5) == b""
        for _, each in (*silent, (reader, writer)):
            each.close()


async def test_strangers_who_never_finish_their_handshake_make_room_too(
    solo: Solo, tmp_path: Path
) -> None:
    files = certificate_for(tmp_path, "127.0.0.1")
    app = make_app(solo, development=False, clock=solo.clock)
    async with open_port(app, files, connections_max=2) as runner:
        silent = [await connect(runner) for _ in range(5)]
        context = ssl.create_default_context(cafile=str(files.certificate))
        async with (
            aiohttp.ClientSession() as session,
            session.get(runner.url + "/healthz", ssl=context) as response,
        ):
            assert response.status == 200
        for _, each in silent:
            each.close()


async def test_who_is_being_answered_stays_and_the_next_is_turned_away(
    solo: Solo,
) -> None:
    app = make_app(solo, development=False, clock=solo.clock)
    async with open_port(app, connections_max=1) as runner:
        reader, writer = await connect(runner)
        writer.write(TOKEN_HEAD + b"ab")
        assert await asyncio.wait_for(reader.readline(), 5) == b"HTTP/1.1 100 Continue\r\n"
        late, other = await connect(runner)
        assert await asyncio.wait_for(late.read(), 5) == b""
        for each in (writer, other):
            each.close()


async def connect(runner: Runner) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = runner.url.partition("://")[2].split(":")
    return await asyncio.open_connection(host, int(port))


async def test_requests_of_one_client_are_bounded(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "CALLER_REQUESTS_MAX", 2)
    first, second, third = (node.story.enrol(node.story.newcomer()) for _ in range(3))
    await node.token(node.cast.clinician)
    async with asyncio.TaskGroup() as tasks:
        waiting = [
            tasks.create_task(node.submit(each.raw, query="?wait=committed"))
            for each in (first, second)
        ]
        while not (node.solo.pending(first.id) and node.solo.pending(second.id)):  # noqa: ASYNC110
            await asyncio.sleep(0)  # lets both requests run
        refused = await node.submit(third.raw)
        assert (refused.status, refused.code) == (429, "http.too_many_requests")
        assert (await node.get("/v1/members", node.cast.device)).status == 200
        node.solo.commit()
    assert [each.result().status for each in waiting] == [200, 200]
    assert (await node.submit(third.raw)).status == 202


async def test_cleaning_up_twice_is_no_error(node: Node) -> None:
    await node.runner.cleanup()
    await node.runner.cleanup()
    with pytest.raises(aiohttp.ClientError):
        await node.get("/healthz")
