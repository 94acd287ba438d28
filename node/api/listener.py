"""The HTTP port: TLS, or loopback only. Bounded in connections, header bytes and patience."""

import asyncio
import datetime as dt
import functools
import logging
import socket as sockets
import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from cryptography import x509

from client.wire import TOKEN_PATH
from node.api.dispatch import API
from node.api.door import Door
from node.api.limits import (
    CONNECTIONS_MAX,
    HEADER_LINE_BYTES_MAX,
    HEADER_LINES_MAX,
    IDLE_S_MAX,
    READ_BUFFER_BYTES,
    REQUEST_LINE_BYTES_MAX,
    SHUTDOWN_S_MAX,
)
from node.api.problems import Problem
from node.errors import OperatorError

_LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")
_LOG: Final = logging.getLogger("medlock.api")
_RENEW_BEFORE: Final = dt.timedelta(days=14)
_HTTPS_PORT: Final = 443
_BACKLOG: Final = 512


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of the port's own certificate chain and its key."""

    certificate: Path
    key: Path


class Runner:
    """The open port. `url` is the first of its names, with the port that it really got."""

    def __init__(self, web_runner: web.AppRunner, door: Door, url: str) -> None:
        self._web_runner = web_runner
        self._door = door
        self.url = url

    async def run(self) -> None:
        """Serves until cancelled; then every connection ends."""
        await self._door.run()

    async def cleanup(self) -> None:
        """Takes no new connection, lets requests end for a while, ends streams, closes.

        A second call does nothing.
        """
        self._door.close()
        await self._web_runner.cleanup()


async def serve(
    app: web.Application,
    listen: str,
    tls: TlsFiles | None,
    connections_max: int = CONNECTIONS_MAX,
) -> Runner:
    """Opens `listen` ("host:port"; port 0 takes a free one); `Runner.run` serves.

    Raises `OperatorError`: E011 where the address is not to be had, E012 where it is open to the
    network without TLS, E004 where the certificate cannot be used.
    """
    host, port = _split(listen)
    if tls is None and not _is_loopback(host):
        raise OperatorError("E012", f"api.listen is {listen}, without TLS")
    context = None if tls is None else _server_context(tls)
    web_runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S_MAX)
    await web_runner.setup()
    try:
        socket = _listen(host, port)
    except BaseException:
        await web_runner.cleanup()
        raise
    bound_port = socket.getsockname()[1]
    names = (host, *_LOOPBACK_NAMES) if tls is None else _certificate_names(tls)
    scheme = "http" if tls is None else "https"
    app[API].audiences.update(
        f"{origin}{TOKEN_PATH}" for origin in _origins(scheme, names, bound_port)
    )
    web_server = web_runner.server
    assert web_server is not None, "the runner is set up"
    door = Door(socket, functools.partial(_welcome, web_server), context, connections_max)
    return Runner(web_runner, door, f"{scheme}://{_bracketed(host)}:{bound_port}")


def _listen(host: str, port: int) -> sockets.socket:
    try:
        address = sockets.getaddrinfo(host, port, type=sockets.SOCK_STREAM)[0]
        socket = sockets.create_server(address[4][:2], family=address[0], backlog=_BACKLOG)
    except OSError as error:
        raise OperatorError("E011", f"cannot listen on {host}:{port}: {error.strerror}") from None
    socket.setblocking(False)
    return socket


def _welcome(web_server: web.Server) -> tuple["_Connection", "_Connection"]:
    connection = _Connection(
        web_server,
        loop=asyncio.get_running_loop(),
        access_log=None,  # how aiohttp switches it off
        keepalive_timeout=IDLE_S_MAX,
        max_line_size=REQUEST_LINE_BYTES_MAX,
        max_field_size=HEADER_LINE_BYTES_MAX,
        max_headers=HEADER_LINES_MAX,
        read_bufsize=READ_BUFFER_BYTES,
        auto_decompress=False,
        lingering_time=1.0,
    )
    return connection, connection


class _Connection(web.RequestHandler):
    """One connection, whose malformed requests are answered without repeating them."""

    __slots__ = ("_ended",)

    def __init__(self, web_server: web.Server, **options: Any) -> None:
        super().__init__(web_server, **options)
        self._ended = asyncio.Event()

    @property
    def busy(self) -> bool:
        """See `Guest`: its headers are complete, its answer is not."""
        return self._current_request is not None

    async def gone(self) -> None:
        """See `Guest`."""
        await self._ended.wait()

    def connection_lost(self, exc: BaseException | None) -> None:
        """The end, whoever made it."""
        super().connection_lost(exc)
        self._ended.set()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What no route has seen: bytes that are no HTTP request."""
        del exc, message
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is on its way already")
        problem = Problem(
            status if 400 <= status < 500 else 400,
            "http.malformed",
            "not an HTTP/1.1 request within this server's limits",
            fix=f"header lines have at most {HEADER_LINE_BYTES_MAX} bytes",
        )
        response = problem.response()
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Says nothing: aiohttp would log the request."""


def _split(listen: str) -> tuple[str, int]:
    host, separator, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (separator and host and port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise OperatorError("E004", f"api.listen is {listen!r}: host:port expected")
    return host, int(port)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return False


def _server_context(tls: TlsFiles) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(tls.certificate, tls.key)
        _check_dates(tls.certificate)
    except (OSError, ssl.SSLError):
        raise OperatorError(
            "E004",
            f"{tls.certificate} and {tls.key} are no certificate with its key",
            fix="give PEM files; the key must belong to the certificate",
        ) from None
    return context


def _check_dates(path: Path) -> None:
    """An ended certificate keeps clients away, not peers: the node votes on, and says so."""
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    now = dt.datetime.now(dt.UTC)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begins:
        _LOG.error(
            "the certificate of the API is not valid yet", extra={"from": begins.isoformat()}
        )
    elif now >= ends:
        _LOG.error("the certificate of the API has expired", extra={"on": ends.isoformat()})
    elif now >= ends - _RENEW_BEFORE:
        _LOG.warning("the certificate of the API expires soon", extra={"on": ends.isoformat()})


def _certificate_names(tls: TlsFiles) -> list[str]:
    """The hosts that the certificate speaks for: only these are this node's to claim."""
    certificate = x509.load_pem_x509_certificate(tls.certificate.read_bytes())
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = names.get_values_for_type(x509.IPAddress)
    return [*names.get_values_for_type(x509.DNSName), *(str(each) for each in addresses)]


def _origins(scheme: str, hosts: Iterable[str], port: int) -> set[str]:
    origins = {f"{scheme}://{_bracketed(host)}:{port}" for host in hosts}
    if scheme == "https" and port == _HTTPS_PORT:
        origins |= {f"{scheme}://{_bracketed(host)}" for host in hosts}
    return origins


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
