"""A node's `/v1` API, as typed calls.

What a node says is checked where it can be: attachments against their hash, values of the state
and receipts by `client.verifier`, contents when they are opened. The rest is this node's word.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Generic, Literal, TypeVar

import aiohttp

from chain.block import Header, Result
from chain.certificate import Certificate
from chain.codec import Codec
from chain.genesis import Genesis
from chain.keys import SigningKey
from chain.lineage import Lineage
from chain.state_proof import StateProof
from chain.transaction import SIGNED
from chain.types import Milliseconds
from client.answers import listed, part, shaped, wired
from client.errors import ApiError, Tampered
from client.transport import Answer, Body, Call, Patience, Transport, unusable
from client.verifier import NotVerified, verify_state
from client.wire import CONTENT_TYPE, SUBMISSION, Submission, from_base64url, from_hex
from ledger.care_entries import (
    AttestationEntry,
    CarePlanEntry,
    EmergencyEntry,
    ErasureEntry,
    GoalReportEntry,
    HoldEntry,
)
from ledger.consent_entries import (
    AccessEntry,
    AppointmentEntry,
    ConsentEntry,
    DisputeEntry,
    ReleaseEntry,
    RequestEntry,
)
from ledger.decision import Decision
from ledger.entries import CategoryEntry, OrganizationEntry, PrincipalEntry, RecordEntry
from ledger.fields import Purpose
from ledger.patient_queries import Release

INLINE_BYTES_MAX: Final = 262_144
"""Attachments up to this sum travel with their transaction (the default genesis parameter)."""
PAGE_RECORDS: Final = 200
AHEAD_MS_MAX: Final = 7_200_000
"""How far ahead of the clock a node is believed that its chain is: two hours, for what goes wrong
with clocks is mostly one."""
UPLOAD_PIECE_BYTES: Final = 1 << 18

Wait = Literal["none", "accepted", "committed"]
E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of a transaction; the last four are None unless it is committed."""

    id: bytes
    status: str
    height: int | None = None
    index: int | None = None
    result: Result | None = None
    receipt: bytes | None = None


@dataclass(frozen=True, slots=True)
class StateAnswer:
    """A value of the state (None: no such key) after the block of `header`, which a quorum
    certified."""

    key: bytes
    value: bytes | None
    header: Header
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class ListedRecord:
    """A version of a record."""

    id: bytes
    entry: RecordEntry


@dataclass(frozen=True, slots=True)
class ListedCategory:
    """The current epoch of K(owner, category, author), and where it is sealed."""

    owner: bytes
    category: bytes
    author: bytes
    entry: CategoryEntry


@dataclass(frozen=True, slots=True)
class Listed(Generic[E]):
    """What stands on the chain under an id."""

    id: bytes
    entry: E


@dataclass(frozen=True, slots=True)
class ListedAccess:
    """A logged access; `dispute` is None where the patient does not doubt it."""

    id: bytes
    entry: AccessEntry
    dispute: DisputeEntry | None


@dataclass(frozen=True, slots=True)
class ListedErasure:
    """An erasure; for every member that stores data its attestation, None where it owes one."""

    id: bytes
    entry: ErasureEntry
    attestations: tuple[tuple[str, AttestationEntry | None], ...]


@dataclass(frozen=True, slots=True)
class ExplainedDecision:
    """What the ledger would say to an access at block time `at_ms`, and why in a sentence."""

    at_ms: int
    decision: Decision
    explanation: str


class Api:
    """One node. Calls raise `ApiError`; `Tampered` where an attachment is not what it should be."""

    def __init__(self, transport: Transport, *, inline_bytes_max: int = INLINE_BYTES_MAX) -> None:
        self._transport = transport
        self._inline_bytes_max = inline_bytes_max

    async def submit(
        self, raw: bytes, attachments: Sequence[bytes] = (), wait: Wait = "committed"
    ) -> Submitted:
        """Submits an encoded `SignedTransaction`, again and again by the same id if need be.

        A transaction that the ledger rejected is committed too: see `result`. Where attachments
        together exceed the inline limit they are uploaded first.
        """
        if sum(map(len, attachments)) > self._inline_bytes_max:
            for each in attachments:
                await self.put_attachment(each)
            attachments = ()
        body = SUBMISSION.encode(Submission(raw, tuple(attachments)))
        call = Call(
            "POST", "/v1/transactions", {"wait": wait}, body, {"Content-Type": CONTENT_TYPE}
        )
        try:
            answer = await self._transport.call(call)
        except ApiError as error:
            return await self._earlier(raw, error)
        return _submitted(answer)

    async def receipt(self, transaction_id: bytes) -> bytes:
        """The canonical receipt."""
        answer = await self._get(f"/v1/receipts/{transaction_id.hex()}")
        return from_base64url(part(answer.document(), "receipt"), "receipt")

    async def transaction(self, transaction_id: bytes) -> Submitted:
        """Where a transaction stands: `status` is committed, pending or unknown."""
        return _submitted(await self._get(f"/v1/transactions/{transaction_id.hex()}"))

    async def state(self, key: bytes, genesis: Genesis) -> StateAnswer:
        """The value under `key`, proven against `genesis`: no node can make one up.

        Raises `NotVerified` where the node's proof does not hold, or where there is none yet,
        because no block is certified. How old the proven block is, its header tells.
        """
        document = (await self._get(f"/v1/state/{key.hex()}", {"proof": "1"})).document()
        raw = part(document, "value")
        value = None if raw is None else wired(lambda: from_base64url(raw, "value"))
        header = shaped(Header, part(document, "header"), "header")
        said = part(document, "certificate")
        if said is None:
            raise NotVerified(
                "state_proof.no_certificate",
                "the node shows no block that a quorum certified",
                "ask again once a block is committed; until then the genesis file says it all",
                "certificate",
            )
        certificate = shaped(Certificate, said, "certificate")
        verify_state(
            key=key,
            value=value,
            header=header,
            proof=shaped(StateProof, part(document, "proof"), "proof"),
            certificate=certificate,
            lineage=shaped(Lineage, part(document, "lineage"), "lineage"),
            genesis=genesis,
        )
        return StateAnswer(key, value, header, certificate)

    async def value(self, key: bytes, codec: Codec[E]) -> E | None:
        """The value under `key` as this node has it, unproven; None where there is none."""
        try:
            answer = await self._get(f"/v1/state/{key.hex()}")
        except ApiError as error:
            if error.code != "key.unknown":
                raise
            return None
        raw = part(answer.document(), "value")
        found: E = wired(lambda: codec.decode(from_base64url(raw, "value")))
        return found

    async def put_attachment(self, raw: bytes) -> bytes:
        """Uploads an attachment; its hash."""
        digest = sha256(raw).digest()
        await self._put(digest, raw, len(raw))
        return digest

    async def put_attachment_file(self, path: Path, digest: bytes) -> None:
        """Uploads the file `path`, whose SHA-256 is `digest`, in bounded memory."""

        async def pieces() -> AsyncIterator[bytes]:
            with path.open("rb") as file:
                while piece := file.read(UPLOAD_PIECE_BYTES):
                    yield piece

        size = (await asyncio.to_thread(path.stat)).st_size
        await self._put(digest, pieces, size)

    async def attachment(self, digest: bytes) -> bytes:
        """A small attachment, checked against its hash."""
        answer = await self._get(f"/v1/attachments/{digest.hex()}")
        if sha256(answer.body).digest() != digest:
            raise _other_attachment()
        return answer.body

    async def attachment_pieces(self, digest: bytes) -> AsyncIterator[bytes]:
        """A large attachment piece by piece; `Tampered` after the last one if the hash differs."""
        seen = sha256()
        async with self._transport.stream(f"/v1/attachments/{digest.hex()}") as pieces:
            async for piece in pieces:
                seen.update(piece)
                yield piece
        if seen.digest() != digest:
            raise _other_attachment()

    async def records_of(self, owner: bytes) -> AsyncIterator[ListedRecord]:
        """The current versions of all records of a patient (or of an organisation), by id."""
        async for each in self.pages(f"/v1/patients/{owner.hex()}/records", "records"):
            yield _record(each)

    async def record(self, record: bytes) -> ListedRecord:
        """A record's current version."""
        return _record((await self._get(f"/v1/records/{record.hex()}")).document())

    async def record_versions(self, record: bytes) -> tuple[ListedRecord, ...]:
        """All versions of a record, oldest first."""
        path = f"/v1/records/{record.hex()}/versions"
        return tuple(
            [
                ListedRecord(record, shaped(RecordEntry, each, "versions"))
                async for each in self.pages(path, "versions")
            ]
        )

    async def category(self, owner: bytes, category: bytes, author: bytes) -> ListedCategory:
        """The current epoch of one category key."""
        path = f"/v1/patients/{owner.hex()}/categories/{category.hex()}/{author.hex()}"
        return _category((await self._get(path)).document())

    async def epoch(
        self, owner: bytes, category: bytes, author: bytes, epoch: int
    ) -> ListedCategory:
        """That epoch of a category key, current or earlier."""
        path = f"/v1/patients/{owner.hex()}/categories/{category.hex()}/{author.hex()}"
        return _category((await self._get(path, {"epoch": str(epoch)})).document())

    async def categories_of(self, owner: bytes) -> AsyncIterator[ListedCategory]:
        """The current epochs of all category keys of an owner."""
        async for each in self.pages(f"/v1/patients/{owner.hex()}/categories", "categories"):
            yield _category(each)

    async def consents_of(self, patient: bytes) -> AsyncIterator[Listed[ConsentEntry]]:
        """A patient's consents, by grantee, those that have ended too."""
        async for each in self._about(patient, "consents"):
            yield listed_as(each, "consent", ConsentEntry, 48)

    async def requests_of(self, patient: bytes) -> AsyncIterator[Listed[RequestEntry]]:
        """Who asked a patient for access, and his answers."""
        async for each in self._about(patient, "requests"):
            yield listed_as(each, "request", RequestEntry)

    async def accesses_of(self, patient: bytes) -> AsyncIterator[ListedAccess]:
        """Who read what of a patient, oldest first."""
        async for each in self._about(patient, "accesses"):
            found = listed_as(each, "access", AccessEntry, 40)
            raw = part(each, "dispute")
            doubt = None if raw is None else shaped(DisputeEntry, raw, "dispute")
            yield ListedAccess(found.id, found.entry, doubt)

    async def releases_of(self, patient: bytes) -> AsyncIterator[Release]:
        """To whom which category keys of a patient were sealed."""
        async for each in self._about(patient, "releases"):
            yield _release(each)

    async def proxies_of(self, patient: bytes) -> AsyncIterator[Listed[AppointmentEntry]]:
        """Whom a patient has appointed, those whose time is over too."""
        async for each in self._about(patient, "proxies"):
            yield listed_as(each, "appointment", AppointmentEntry, 16)

    async def emergencies_of(self, patient: bytes) -> AsyncIterator[Listed[EmergencyEntry]]:
        """Where the glass was broken for a patient, and the reviews."""
        async for each in self._about(patient, "emergencies"):
            yield listed_as(each, "emergency", EmergencyEntry)

    async def care_plans_of(self, patient: bytes) -> AsyncIterator[Listed[CarePlanEntry]]:
        """A patient's care plans, current versions with his answers."""
        async for each in self._about(patient, "careplans", "plans"):
            yield listed_as(each, "plan", CarePlanEntry)

    async def care_plan_versions(self, plan: bytes) -> tuple[CarePlanEntry, ...]:
        """All versions of a care plan, oldest first."""
        path = f"/v1/careplans/{plan.hex()}/versions"
        return tuple(
            [shaped(CarePlanEntry, each, "versions") async for each in self.pages(path, "versions")]
        )

    async def goal_reports_of(self, plan: bytes) -> AsyncIterator[Listed[GoalReportEntry]]:
        """The reports on a care plan's goals."""
        async for each in self.pages(f"/v1/careplans/{plan.hex()}/goals", "reports"):
            yield listed_as(each, "report", GoalReportEntry, 16)

    async def erasures_of(self, patient: bytes) -> AsyncIterator[ListedErasure]:
        """What a patient had erased, and which members have attested it."""
        async for each in self._about(patient, "erasures"):
            found = listed_as(each, "erasure", ErasureEntry)
            owed = listed(part(each, "attestations"))
            yield ListedErasure(found.id, found.entry, tuple(map(_attestation, owed)))

    async def holds_of(self, patient: bytes) -> AsyncIterator[Listed[HoldEntry]]:
        """The legal holds on a patient, those that were released too."""
        async for each in self._about(patient, "holds"):
            yield listed_as(each, "hold", HoldEntry)

    async def record_decision(
        self, record: bytes, actor: bytes, purpose: Purpose
    ) -> ExplainedDecision:
        """May `actor` read `record` now, and why."""
        return await self._decision(f"/v1/records/{record.hex()}/decision", actor, purpose)

    async def category_decision(
        self, owner: bytes, category: bytes, author: bytes, actor: bytes, purpose: Purpose
    ) -> ExplainedDecision:
        """May `actor` read everything of a category and author now, and why."""
        place = f"{owner.hex()}/categories/{category.hex()}/{author.hex()}"
        return await self._decision(f"/v1/patients/{place}/decision", actor, purpose)

    async def members(self) -> tuple[OrganizationEntry, ...]:
        """The consortium's organisations with their public keys."""
        document = (await self._get("/v1/members")).document()
        return tuple(
            shaped(OrganizationEntry, each, f"members[{index}]")
            for index, each in enumerate(listed(part(document, "members")))
        )

    async def principal(self, principal: bytes) -> PrincipalEntry:
        """A principal with its public keys."""
        document = (await self._get(f"/v1/principals/{principal.hex()}")).document()
        entry: PrincipalEntry = shaped(PrincipalEntry, part(document, "principal"), "principal")
        return entry

    async def get_document(self, path: str, query: dict[str, str] | None = None) -> dict[str, Any]:
        """Any other JSON object of the API ("/v1/status")."""
        document = (await self._get(path, query)).document()
        if not isinstance(document, dict):
            raise unusable("the answer is no object")
        return document

    async def time_ms(self) -> int:
        """The time of the node's chain: that of its newest block (UTC milliseconds)."""
        said = part(await self.get_document("/v1/time"), "timestamp_ms")
        chain_ms: int = shaped(Milliseconds, said, "timestamp_ms")
        return chain_ms

    async def signing_ms(self, now_ms: int) -> int:
        """From when on the validity of what is signed now counts (UTC milliseconds): `now_ms`, or
        the time of the node's chain where that is ahead, as it is after the clocks of its members
        have been fast (ADR 0034).

        By `AHEAD_MS_MAX` at most, whatever the node says: what becomes valid only later than the
        signer thinks, it could keep, and submit when it suits it.
        """
        return max(now_ms, min(await self.time_ms(), now_ms + AHEAD_MS_MAX))

    async def ask(self, path: str) -> dict[str, Any]:
        """Has the node do something that takes no arguments; its JSON object."""
        document = (await self._transport.call(Call("POST", path))).document()
        if not isinstance(document, dict):
            raise unusable("the answer is no object")
        return document

    async def _earlier(self, raw: bytes, error: ApiError) -> Submitted:
        """An attempt whose answer was lost may have been the one that counted."""
        if error.code != "transaction.committed" and (
            error.attempts == 1 or not _is_refusal(error.status)
        ):
            raise error
        transaction_id = SIGNED.decode(raw).id
        found = await self.transaction(transaction_id)
        if found.status != "committed":
            raise error
        receipt = await self.receipt(transaction_id)
        return Submitted(found.id, found.status, found.height, found.index, found.result, receipt)

    async def _get(self, path: str, query: dict[str, str] | None = None) -> Answer:
        return await self._transport.call(Call("GET", path, query or {}))

    async def _decision(self, path: str, actor: bytes, purpose: Purpose) -> ExplainedDecision:
        query = {"actor": actor.hex(), "purpose": purpose}
        document = (await self._get(path, query)).document()
        parts = {name: part(document, name) for name in Decision.__struct_fields__}
        at_ms, words = part(document, "at_ms"), part(document, "explanation")
        if not isinstance(at_ms, int) or not isinstance(words, str):
            raise unusable("a decision without its time or its sentence")
        return ExplainedDecision(at_ms, shaped(Decision, parts, "decision"), words)

    def _about(self, patient: bytes, what: str, name: str = "") -> AsyncIterator[Any]:
        return self.pages(f"/v1/patients/{patient.hex()}/{what}", name or what)

    async def pages(
        self, path: str, name: str, asked: dict[str, str] | None = None
    ) -> AsyncIterator[Any]:
        """The items `name` of the listing at `path`, page after page."""
        query = {"limit": str(PAGE_RECORDS), **(asked or {})}
        seen: str | int | None = None
        while True:
            document = (await self._get(path, query)).document()
            for each in listed(part(document, name)):
                yield each
            following = part(document, "next")
            if following is None:
                return
            if not isinstance(following, str | int) or _goes_back(seen, following):
                raise unusable("a page that leads nowhere")
            seen = following
            query["after"] = str(following)

    async def _put(self, digest: bytes, body: Body, size: int) -> None:
        """The node reserves room before it reads, so it must be told how much."""
        await self._transport.call(
            Call(
                "PUT",
                f"/v1/attachments/{digest.hex()}",
                body=body,
                headers={
                    "Content-Type": "application/octet-stream",
                    "Content-Length": str(size),
                },
            )
        )


@asynccontextmanager
async def connect(
    base: str,
    identity: tuple[bytes, SigningKey] | None = None,
    patience: Patience | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    inline_bytes_max: int = INLINE_BYTES_MAX,
) -> AsyncIterator[Api]:
    """The node at `base`, with connections of its own that end with the context."""
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=None), cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        transport = Transport(base, session, identity, patience, tls=tls)
        yield Api(transport, inline_bytes_max=inline_bytes_max)


def _is_refusal(status: int) -> bool:
    return HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR


def _submitted(answer: Answer) -> Submitted:
    document = answer.document()
    transaction_id = wired(lambda: from_hex(part(document, "id"), 32, "id"))
    status = document.get("status", "committed")
    if status != "committed":
        return Submitted(transaction_id, str(status))
    height, index = document.get("height"), document.get("index")
    if not isinstance(height, int) or not isinstance(index, int):
        raise unusable("a committed transaction without its place")
    receipt = document.get("receipt")
    return Submitted(
        transaction_id,
        "committed",
        height,
        index,
        shaped(Result, document.get("result"), "result"),
        None if receipt is None else wired(lambda: from_base64url(receipt, "receipt")),
    )


def _record(document: Any) -> ListedRecord:
    record_id = wired(lambda: from_hex(part(document, "id"), 32, "id"))
    return ListedRecord(record_id, shaped(RecordEntry, part(document, "record"), "record"))


def listed_as(document: Any, name: str, shape: type[E], id_bytes: int = 32) -> Listed[E]:
    """The id of an item of a listing, and its member `name`."""
    found = wired(lambda: from_hex(part(document, "id"), id_bytes, "id"))
    return Listed(found, shaped(shape, part(document, name), name))


def _release(document: Any) -> Release:
    category, author, reader = wired(
        lambda: [
            from_hex(part(document, name), 16, name) for name in ("category", "author", "reader")
        ]
    )
    epoch = part(document, "epoch")
    if not isinstance(epoch, int):
        raise unusable("a release without its epoch")
    entry = shaped(ReleaseEntry, part(document, "release"), "release")
    return Release(category, author, epoch, reader, entry)


def _attestation(document: Any) -> tuple[str, AttestationEntry | None]:
    raw = part(document, "attestation")
    entry = None if raw is None else shaped(AttestationEntry, raw, "attestation")
    return str(part(document, "organization")), entry


def _category(document: Any) -> ListedCategory:
    owner, category, author = wired(
        lambda: [
            from_hex(part(document, name), 16, name) for name in ("owner", "category", "author")
        ]
    )
    entry = shaped(CategoryEntry, part(document, "entry"), "entry")
    return ListedCategory(owner, category, author, entry)


def _goes_back(seen: str | int | None, following: str | int) -> bool:
    """A cursor that does not move on would lead a listing in circles."""
    if isinstance(seen, str) and isinstance(following, str):
        return following <= seen
    if isinstance(seen, int) and isinstance(following, int):
        return following <= seen
    return seen is not None


def _other_attachment() -> Tampered:
    return Tampered(
        "attachment.other_bytes",
        "the node gave other bytes than those that the chain names",
        "ask another node",
    )
