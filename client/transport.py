"""HTTP to one node: tokens, retries within a deadline, problem documents. Knows no route but one.

Everything sent through here may be sent twice: reads, uploads under their hash, transactions under
their id. So a lost connection or a busy node is met by asking again, with jittered back-off.
"""

import asyncio
import random
import re
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, Final, TypeAlias
from urllib.parse import urlencode

import aiohttp
import msgspec
from yarl import URL

from chain.keys import SigningKey
from client.assertion import make_assertion
from client.errors import ApiError
from client.wire import ASSERTION_TYPE, TOKEN_PATH

ANSWER_BYTES_MAX: Final = 16 << 20
PROBLEM_BYTES_MAX: Final = 1 << 16
PROBLEM_TEXT_MAX: Final = 512
RETRY_AFTER_S_MAX: Final = 10.0
TOKEN_MARGIN_S: Final = 10.0
"""A token is renewed this long before it expires."""

_SECONDS: Final = re.compile(r"[0-9]{1,6}\Z")
_TIMEOUT: Final = "api.timeout"
_LOST: Final = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError)
_TRY_AGAIN: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try (seconds): all attempts of a call, one attempt, and between attempts."""

    deadline_s: float = 30.0
    attempt_s: float = 15.0
    backoff_base_s: float = 0.05
    backoff_s_max: float = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a node said. `attempts` counts the requests that it took."""

    status: int
    body: bytes
    attempts: int = 1
    retry_after_s: float = 0.0

    def document(self) -> Any:
        """The body as JSON; `ApiError` where it is none."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise unusable("the answer is not JSON") from None


Body: TypeAlias = bytes | Callable[[], AsyncIterator[bytes]]
"""What to send; a stream is made anew for every attempt."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request to make, as often as it takes. `path` is below the node's base, percent-encoded."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


class _Again(Exception):  # noqa: N818 - a signal inside this module
    """This attempt came to nothing for a reason that may pass."""

    def __init__(self, refusal: ApiError, wait_s: float = 0.0) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class _Token:
    text: str = field(repr=False)
    until_s: float


class Transport:
    """A node under `base`, as seen by one principal (or by nobody in particular)."""

    def __init__(
        self,
        base: str,
        session: aiohttp.ClientSession,
        identity: tuple[bytes, SigningKey] | None = None,
        patience: Patience | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        now_s: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`identity`: principal id and signing key, for a token. `chance` gives 0 ≤ x < 1.

        Raises `ApiError` (`api.url`) for anything but https, or http to this machine.
        """
        self._base = _checked_base(base)
        self._session = session
        self._identity = identity
        self.patience = patience or Patience()
        self._tls: ssl.SSLContext | bool = True if tls is None else tls
        self._now_s = now_s
        self._chance = chance
        self._token: _Token | None = None
        self._signing_in = asyncio.Lock()

    async def call(self, call: Call) -> Answer:
        """The node's answer, 2xx; anything else is an `ApiError` with the node's own words.

        Asks again within the deadline where the connection is lost or the node is busy. An attempt
        that the deadline cuts off tells less than what the node had said before.
        """
        deadline_s = time.monotonic() + self.patience.deadline_s
        attempts = 0
        told: ApiError | None = None
        while True:
            attempts += 1
            try:
                answer = await self._attempt(call, deadline_s)
            except _Again as again:
                refusal, wait_s = again.refusal, max(again.wait_s, self._backoff_s(attempts))
            except ApiError as error:
                error.attempts = attempts
                raise
            else:
                return replace(answer, attempts=attempts)
            if refusal.code != _TIMEOUT:
                told = refusal
            elif told is not None:
                refusal = told
            refusal.attempts = attempts
            if time.monotonic() + wait_s >= deadline_s:
                raise refusal
            await asyncio.sleep(wait_s)

    @asynccontextmanager
    async def stream(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The body at `path` piece by piece, once; whoever reads checks that it is whole."""
        deadline_s = time.monotonic() + self.patience.deadline_s
        try:
            headers = await self._authorization(deadline_s)
        except _Again as again:
            raise again.refusal from None
        try:
            async with self._session.get(
                self._url(path), headers=headers, allow_redirects=False, ssl=self._tls
            ) as response:
                if response.status != HTTPStatus.OK:
                    raise _problem(await _answer(response, PROBLEM_BYTES_MAX))
                yield response.content.iter_any()
        except _LOST as error:
            raise _lost(error) from None

    async def _attempt(self, call: Call, deadline_s: float) -> Answer:
        """One request; a second one at once where the token had ended meanwhile."""
        answer = await self._authorized(call, deadline_s)
        if answer.status == HTTPStatus.UNAUTHORIZED and self._token is not None:
            self._token = None
            answer = await self._authorized(call, deadline_s)
        if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return answer
        if answer.status in _TRY_AGAIN:
            raise _Again(_problem(answer), answer.retry_after_s)
        raise _problem(answer)

    async def _authorized(self, call: Call, deadline_s: float) -> Answer:
        headers = await self._authorization(deadline_s)
        return await self._once(replace(call, headers={**call.headers, **headers}), deadline_s)

    async def _once(self, call: Call, deadline_s: float) -> Answer:
        left_s = min(self.patience.attempt_s, deadline_s - time.monotonic())
        body = call.body() if callable(call.body) else call.body
        try:
            async with (
                asyncio.timeout(left_s),
                self._session.request(
                    call.method,
                    self._url(call.path, call.query),
                    data=body,
                    headers=call.headers,
                    allow_redirects=False,
                    ssl=self._tls,
                ) as response,
            ):
                return await _answer(response, ANSWER_BYTES_MAX)
        except aiohttp.ClientSSLError:
            raise ApiError(
                "api.tls",
                "the node shows a certificate that is not trusted, or speaks no TLS",
                "check the address and the certificate",
            ) from None
        except _LOST as error:
            raise _Again(_lost(error)) from None

    async def _authorization(self, deadline_s: float) -> dict[str, str]:
        if self._identity is None:
            return {}
        async with self._signing_in:
            token = self._token
            if token is None or self._now_s() >= token.until_s:
                token = self._token = await self._sign_in(*self._identity, deadline_s)
        return {"Authorization": f"Bearer {token.text}"}

    async def _sign_in(self, principal: bytes, key: SigningKey, deadline_s: float) -> _Token:
        """A token for an assertion (SMART Backend Services; RFC 7523)."""
        now_s = self._now_s()
        assertion = make_assertion(
            principal, key, self._base + TOKEN_PATH, now_s, secrets.token_hex(16)
        )
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        }
        answer = await self._once(
            Call(
                "POST",
                TOKEN_PATH,
                body=urlencode(form).encode(),
                headers={"Content-Type": "application/x-www-form-urlencoded"},
            ),
            deadline_s,
        )
        if answer.status in _TRY_AGAIN:
            raise _Again(_problem(answer), answer.retry_after_s)
        if answer.status != HTTPStatus.OK:
            raise _problem(answer)
        document = answer.document()
        match document:
            case {"access_token": str(text), "expires_in": int(life_s)} if text.isascii():
                return _Token(text, now_s + max(life_s - TOKEN_MARGIN_S, 0))
        raise unusable("the answer holds no token")

    def _url(self, path: str, query: Mapping[str, str] | None = None) -> URL:
        return URL(self._base + path, encoded=True).with_query(query or None)

    def _backoff_s(self, attempts: int) -> float:
        """Doubles from the base to the cap; the lower half is certain, the upper half chance."""
        patience = self.patience
        full_s = min(patience.backoff_base_s * 2.0 ** min(attempts, 32), patience.backoff_s_max)
        return full_s * (0.5 + self._chance() / 2)


def unusable(cause: str) -> ApiError:
    """The node said something that this client cannot use."""
    return ApiError("api.unusable", cause, "check that the address is that of a Medlock node")


async def _answer(response: aiohttp.ClientResponse, bytes_max: int) -> Answer:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > bytes_max:
            raise unusable(f"an answer of more than {bytes_max} bytes")
    retry_after = response.headers.get("Retry-After", "")
    retry_after_s = float(retry_after) if _SECONDS.match(retry_after) else 0.0
    return Answer(response.status, bytes(body), retry_after_s=min(retry_after_s, RETRY_AFTER_S_MAX))


def _problem(answer: Answer) -> ApiError:
    """The node's refusal in its own words (RFC 9457), shortened and printable."""
    try:
        document = msgspec.json.decode(answer.body[:PROBLEM_BYTES_MAX])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        document = None
    words = document if isinstance(document, dict) else {}
    return ApiError(
        _words(words, "code") or f"http.{answer.status}",
        _words(words, "detail") or f"the node answered {answer.status}",
        _words(words, "fix"),
        _words(words, "field"),
        status=answer.status,
    )


def _words(document: dict[str, Any], name: str) -> str:
    text = document.get(name)
    if not isinstance(text, str):
        return ""
    return "".join(each for each in text[:PROBLEM_TEXT_MAX] if each.isprintable())


def _lost(error: BaseException) -> ApiError:
    if isinstance(error, aiohttp.ClientConnectorError):
        return ApiError(
            "api.unreachable", "no node listens there", "check the address, start the node"
        )
    if isinstance(error, TimeoutError):
        return ApiError(_TIMEOUT, "the node did not answer in time", "try again")
    return ApiError("api.connection_lost", "the connection broke off", "try again")


def _checked_base(base: str) -> str:
    try:
        url = URL(base)
        host = url.host or ""
    except ValueError:
        url, host = URL(), ""
    if not host or url.query_string or url.fragment or url.user or url.password:
        raise _wrong_url("the address is not that of a node")
    if url.scheme != "https" and not (url.scheme == "http" and _is_this_machine(host)):
        raise _wrong_url("only this machine is spoken to without TLS")
    return base.rstrip("/")


def _wrong_url(cause: str) -> ApiError:
    return ApiError("api.url", cause, "use https://HOST:PORT, or http://127.0.0.1:PORT", "url")


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
