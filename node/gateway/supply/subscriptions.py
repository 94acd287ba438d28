"""Subscriptions: what a named query finds anew is sent to a webhook, at once or by a schedule.

Events are sent in the order of the chain, each at least once: how far a subscription is, is kept
after its receiver has said that it has them. What cannot be sent is tried again, ever less often,
until somebody deletes the subscription; what is the matter is shown with it. Must not know who asks
over HTTP.
"""

import asyncio
import base64
import hmac
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

import aiohttp

from chain.errors import InvalidMessage
from client.fhir_json import Number, Value, canonical
from ledger import queries as ledger_queries
from node.clock import Clock
from node.gateway.epcis.documents import EpcFormat, Shown, instant, query_document
from node.gateway.epcis.facets import time_ms
from node.gateway.epcis.index import Position
from node.gateway.epcis.problem import EpcisProblem
from node.gateway.epcis.schedule import refused, schedule_of
from node.gateway.office import Office
from node.gateway.shelf import Shelf
from node.gateway.supply.events import Events
from node.gateway.supply.queries import Queries
from node.gateway.supply.standing import (
    SUBSCRIPTION,
    SUBSCRIPTION_ID_BYTES,
    TOKEN_CHARACTERS_MAX,
    Subscription,
)
from node.gateway.supply.targets import OutsideResolver, check_target

_LOG: Final = logging.getLogger("medlock.gateway")
SUBSCRIPTIONS_MAX: Final = 256
SUBSCRIPTIONS_CALLER_MAX: Final = 64
SENT_EVENTS_MAX: Final = 100
"""Events of one request to a receiver."""
CONNECTIONS_MAX: Final = 32
ANSWER_S_MAX: Final = 10.0
RETRY_S_MIN: Final = 1.0
RETRY_S_MAX: Final = 600.0
WAIT_S_MAX: Final = 1.0
"""How long a schedule sleeps before it looks at the clock again, which may jump."""
SIGNATURE: Final = "GS1-Signature"
_FIELDS: Final = frozenset(
    {"dest", "signatureToken", "reportIfEmpty", "initialRecordTime", "schedule", "stream"}
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the last attempts failed: `code` and a sentence; `next_ms` is when it is tried again."""

    code: str
    detail: str
    attempts: int
    since_ms: int
    next_ms: int

    def shown(self) -> dict[str, Value]:
        """For answers."""
        return {
            "code": self.code,
            "detail": self.detail,
            "attempts": Number(str(self.attempts)),
            "since": instant(self.since_ms),
            "nextAttemptAt": instant(self.next_ms),
        }


class Subscriptions:
    """One for each gateway. Coroutines, in the event loop."""

    def __init__(
        self,
        office: Office,
        events: Events,
        queries: Queries,
        shelf: Shelf,
        *,
        private_targets: bool,
    ) -> None:
        """What is on `shelf` goes on once `run` is called."""
        self._office = office
        self._backend = office.backend
        self._events = events
        self._queries = queries
        self._shelf = shelf
        self._private = private_targets
        self._kept = {
            each.id: each for each in (SUBSCRIPTION.decode(raw) for _, raw in shelf.items())
        }
        self._trouble: dict[bytes, Trouble] = {}
        self._tasks: dict[bytes, asyncio.Task[None]] = {}
        self._begun: asyncio.Queue[bytes] = asyncio.Queue()
        for each in self._kept:
            self._begun.put_nowait(each)

    def __len__(self) -> int:
        return len(self._kept)

    def failing(self) -> int:
        """How many cannot send at present."""
        return len(self._trouble)

    # What somebody asks for.

    async def create(
        self, caller: bytes, query: str, document: Mapping[str, Value], epc_format: EpcFormat
    ) -> Subscription:
        """A new one to the named query, durable at return. Raises `EpcisProblem`, and
        `InvalidMessage` for a target that is none."""
        self._queries.get(query)
        subscription = self._read(caller, query, document, epc_format)
        own = sum(each.caller == caller for each in self._kept.values())
        if len(self) >= SUBSCRIPTIONS_MAX or own >= SUBSCRIPTIONS_CALLER_MAX:
            raise EpcisProblem(
                429,
                "ImplementationException",
                "epcis.too_many_subscriptions",
                f"at most {SUBSCRIPTIONS_CALLER_MAX} a caller, {SUBSCRIPTIONS_MAX} in all",
                fix="delete one first",
            )
        self._kept[subscription.id] = subscription
        await self._keep(subscription)
        self._begun.put_nowait(subscription.id)
        return subscription

    def _read(
        self, caller: bytes, query: str, document: Mapping[str, Value], epc_format: EpcFormat
    ) -> Subscription:
        unknown = set(document) - _FIELDS
        if unknown:
            raise refused(f"only {', '.join(sorted(_FIELDS))}", "body")
        target = document.get("dest")
        if not isinstance(target, str):
            raise refused("the URL to send to", "dest")
        check_target(target, private=self._private)
        token = document.get("signatureToken", "")
        if not isinstance(token, str) or len(token) > TOKEN_CHARACTERS_MAX:
            raise refused(f"a text of up to {TOKEN_CHARACTERS_MAX} characters", "signatureToken")
        report_if_empty = document.get("reportIfEmpty", False)
        if not isinstance(report_if_empty, bool):
            raise refused("true or false", "reportIfEmpty")
        now_ms = self._office.clock.wall_ms()
        initial_ms = _initial(document.get("initialRecordTime"), now_ms)
        return Subscription(
            self._office.random(SUBSCRIPTION_ID_BYTES),
            query,
            caller,
            now_ms,
            target,
            token,
            report_if_empty,
            controls(document),
            initial_ms,
            epc_format,
            # What was recorded before is looked through only where somebody wants some of it.
            self._events.settled() if "initialRecordTime" not in document else 0,
            None,
        )

    def get(self, query: str, name: bytes) -> Subscription:
        """One of a query's; `EpcisProblem` (404) where there is none of that id."""
        found = self._kept.get(name)
        if found is None or found.query != query:
            raise EpcisProblem(
                404,
                "NoSuchNameException",
                "epcis.no_such_subscription",
                "there is no such subscription here",
                field="path.subscriptionID",
            )
        return found

    def of_query(self, query: str) -> list[Subscription]:
        """All of a query's, the oldest first."""
        return [each for each in self._kept.values() if each.query == query]

    def shown(self, subscription: Subscription) -> dict[str, Value]:
        """For answers, with what is the matter where it cannot send."""
        trouble = self._trouble.get(subscription.id)
        error: dict[str, Value] = {} if trouble is None else {"deliveryError": trouble.shown()}
        return {**subscription.shown(), **error}

    async def delete(self, subscription: Subscription) -> None:
        """Nothing more is sent; durable at return."""
        self._kept.pop(subscription.id, None)
        self._trouble.pop(subscription.id, None)
        task = self._tasks.pop(subscription.id, None)
        if task is not None:
            task.cancel()
        await self._backend.in_thread(lambda: self._shelf.remove(subscription.id))

    async def delete_query(self, name: str) -> None:
        """The named query is gone, and all subscriptions to it."""
        await self._queries.delete(name)
        for each in self.of_query(name):
            await self.delete(each)

    async def _keep(self, subscription: Subscription) -> None:
        await self._backend.in_thread(
            lambda: self._shelf.put(subscription.id, SUBSCRIPTION.encode(subscription))
        )

    # What happens by itself.

    async def run(self) -> None:
        """Sends, until cancelled."""
        connector = aiohttp.TCPConnector(
            limit=CONNECTIONS_MAX,
            resolver=OutsideResolver(private=self._private),
            use_dns_cache=False,
        )
        session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=ANSWER_S_MAX),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        async with session, asyncio.TaskGroup() as tasks:
            while True:
                name = await self._begun.get()
                if name in self._kept:
                    task = tasks.create_task(self._serve(session, name), name="subscription")
                    self._tasks[name] = task

    async def _serve(self, session: aiohttp.ClientSession, name: bytes) -> None:
        schedule = self._kept[name].times()
        due_ms = self._office.clock.wall_ms()
        while name in self._kept:
            if schedule is None:
                await self._events.settled_beyond(self._kept[name].sent)
            else:
                following = schedule.after(due_ms)
                if following is None:
                    return
                due_ms = following
                await until(self._office.clock, due_ms)
            try:
                await self._send_new(session, name)
            except Exception as error:  # noqa: BLE001 - one subscription does not end the node
                kind = type(error).__name__
                _LOG.error("a subscription failed: %s", kind)
                await asyncio.sleep(RETRY_S_MAX)

    async def _send_new(self, session: aiohttp.ClientSession, name: bytes) -> None:
        """Everything that the query finds behind what was sent."""
        empty, most = True, SENT_EVENTS_MAX
        while (subscription := self._kept.get(name)) is not None:
            query = self._queries.find(subscription.query)
            if query is None:
                return
            wanted = query.query(self._queries.this_year()).since(subscription.initial_ms)
            wanted = replace(wanted, order_by=None)
            bound = self._events.settled()
            behind = Position(0, subscription.sent)
            page = await self._events.page(wanted, behind, bound, most)
            report = empty and page.next is None and subscription.report_if_empty
            tell = bool(page.events) or (report and bool(subscription.schedule))
            notified_ms = subscription.notified_ms
            if tell:
                if not await self._sent(session, subscription, page.events):
                    most = max(1, most // 2)
                    continue
                empty, notified_ms = False, self._office.clock.wall_ms()
            upto = bound if page.next is None else page.next.number
            done = subscription.after(upto, notified_ms)
            if name not in self._kept:
                return
            self._kept[name] = done
            if tell:
                await self._keep(done)
            if page.next is None:
                return

    async def _sent(
        self,
        session: aiohttp.ClientSession,
        subscription: Subscription,
        events: tuple[Shown, ...],
    ) -> bool:
        """Tries until the receiver has them; False where it wants fewer at once."""
        document = query_document(
            events,
            self._office.clock.wall_ms(),
            subscription.epc_format,
            query=subscription.query,
            subscription=subscription.id.hex(),
        )
        body = await self._backend.in_thread(lambda: canonical(document))
        pause_s, attempts, since_ms = RETRY_S_MIN, 0, self._office.clock.wall_ms()
        while True:
            code, detail = await self._attempt(session, subscription, body)
            if not code:
                self._trouble.pop(subscription.id, None)
                return True
            if code == "epcis.receiver_413" and len(events) > 1:
                return False
            attempts += 1
            next_ms = self._office.clock.wall_ms() + int(pause_s * 1_000)
            self._trouble[subscription.id] = Trouble(code, detail, attempts, since_ms, next_ms)
            _LOG.info("a subscription cannot send: %s", code)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RETRY_S_MAX)

    async def _attempt(
        self, session: aiohttp.ClientSession, subscription: Subscription, body: bytes
    ) -> tuple[str, str]:
        """A code and a sentence of what went wrong; two empty ones where it went well."""
        if not await self._backend.in_thread(lambda: self._stands(subscription.caller)):
            return "epcis.caller_ended", "the ledger honours no key of whoever subscribed"
        headers = {"Content-Type": "application/json"}
        if subscription.signature_token:
            headers[SIGNATURE] = signature(subscription.signature_token, body)
        try:
            check_target(subscription.target, private=self._private)
            async with session.post(
                subscription.target, data=body, headers=headers, allow_redirects=False
            ) as response:
                if 200 <= response.status < 300:
                    return "", ""
                return (
                    f"epcis.receiver_{response.status}",
                    f"the receiver answered {response.status}; redirects are not followed",
                )
        except InvalidMessage:
            return "epcis.target", "the target is not allowed by this node's configuration"
        except TimeoutError:
            return "epcis.receiver_slow", f"no answer within {ANSWER_S_MAX:g} s"
        except (aiohttp.ClientError, OSError, ValueError):
            return "epcis.receiver_unreachable", "no connection, or one that broke off"

    def _stands(self, caller: bytes) -> bool:
        state = self._backend.store.state
        return bool(ledger_queries.sender_keys(state, caller, self._office.next_block_ms()))


async def until(clock: Clock, at_ms: int) -> None:
    """Returns when the wall clock is there."""
    while (left_s := (at_ms - clock.wall_ms()) / 1_000) > 0:  # noqa: ASYNC110 - a clock may jump
        await asyncio.sleep(min(left_s, WAIT_S_MAX))


def signature(token: str, body: bytes) -> str:
    """`GS1-Signature`: HMAC-SHA-256 of the body under the token, in base64."""
    return base64.b64encode(hmac.new(token.encode(), body, sha256).digest()).decode()


def controls(document: Mapping[str, Value]) -> dict[str, str]:
    """The schedule that is asked for; empty for a stream. Raises `EpcisProblem`."""
    schedule, stream = document.get("schedule"), document.get("stream")
    if (schedule is None) == (stream is None):
        raise refused("a schedule, or stream: true", "schedule")
    if schedule is None:
        if stream is not True:
            raise refused("true", "stream")
        return {}
    if not isinstance(schedule, dict):
        raise refused("an object", "schedule")
    if schedule_of(schedule, "schedule").after(0) is None:
        raise refused("a time that ever comes", "schedule")
    return {name: str(value) for name, value in schedule.items()}


def _initial(value: Value, now_ms: int) -> int:
    if value is None:
        return now_ms
    at_ms = time_ms(value) if isinstance(value, str) else None
    if at_ms is None or at_ms < 0:
        raise refused("a time with its zone", "initialRecordTime")
    return at_ms
