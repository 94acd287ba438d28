"""What the ledger itself keeps, as resources: Consent, AuditEvent, Provenance.

The chain shows consents and accesses to every member, so these are read without a decision and
without a log entry. A Provenance tells the type of a record, which only those know who may read it.
Searches make a small index for the request and answer by the same rules as all others.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from ledger import queries
from ledger.consent_actions import AccessRequest
from ledger.consent_entries import (
    ACCESS,
    CONSENT,
    DISPUTE,
    REQUEST,
    AccessEntry,
    ConsentEntry,
    RequestEntry,
)
from ledger.entries import RECORD, RecordEntry
from ledger.ids import grantee_of, new_case_id, owner_of
from ledger.keyspace import (
    ACCESS_PREFIX,
    ACCESS_REQUEST_PREFIX,
    CONSENT_PREFIX,
    access_dispute_key,
    access_key,
    access_request_key,
    consent_key,
    record_key,
)
from ledger.state import DecodedState, EntryReader
from node.gateway.catalogue import View
from node.gateway.fhir.audit import of_access
from node.gateway.fhir.consents import of_consent, of_request, to_draft
from node.gateway.fhir.identity import (
    to_access,
    to_case,
    to_consent,
    to_milliseconds,
    to_provenance,
    to_record,
)
from node.gateway.fhir.outcome import FhirProblem, problem
from node.gateway.fhir.planning import Step
from node.gateway.fhir.provenance import of_version
from node.gateway.fhir.search.criteria import Chain, Criterion, Filter, Has, ReferenceOperand
from node.gateway.fhir.search.documents import Listing
from node.gateway.fhir.search.evaluation import Visible
from node.gateway.fhir.search.extract import extract_bytes
from node.gateway.fhir.search.index import Found, Index, Position
from node.gateway.fhir.search.parameters import ID
from node.gateway.fhir.search.query import Query
from node.gateway.reading import Opened
from node.gateway.refusals import Denied, Erased, ReadRefused
from node.gateway.rest.exchange import Exchange, Resource
from node.gateway.rest.finding import Page, complete, open_known, scope_of
from node.gateway.rest.limits import LEDGER_SCAN_MAX
from node.gateway.rest.parties import Parties
from node.gateway.rest.refusals import unknown
from node.gateway.rest.resources import resource_of

LEDGER_TYPES: Final = frozenset({"AuditEvent", "Consent", "Provenance"})
_NOBODY: Final = bytes(16)


@dataclass(frozen=True, slots=True, repr=False)
class Kept:
    """A resource made from the ledger."""

    resource: Resource
    version: int
    updated_ms: int


@dataclass(frozen=True, slots=True, repr=False)
class LedgerFound:
    """A page of them."""

    found: Found
    resources: tuple[Resource, ...]


@dataclass(frozen=True, slots=True, repr=False)
class _Candidate:
    """One that may be found: `key` begins with its patient."""

    key: bytes
    resource: Resource


class _Clerk:
    """Makes resources from one state."""

    def __init__(self, exchange: Exchange, state: DecodedState, view: View | None = None) -> None:
        self._exchange = exchange
        self._state = state
        self._view = view
        self._at_ms = exchange.gateway.office.next_block_ms()
        parties = Parties(state)
        self.party, self.member = parties.party, parties.member

    def consent(self, consent: bytes, entry: ConsentEntry) -> Resource:
        grantee, granted_by = self.party(grantee_of(consent)), self.party(entry.granted_by)
        return of_consent(consent, entry, grantee, granted_by, self._at_ms)

    def request(self, request: bytes, entry: RequestEntry) -> Resource:
        return of_request(request, entry, self.member(entry.organization))

    def access(self, access: bytes, entry: AccessEntry) -> Resource:
        observer = self.member(entry.organization or self._exchange.gateway.office.member)
        return of_access(
            access,
            entry,
            self.party(entry.actor),
            observer,
            signer=self.party(entry.signer),
            dispute=self._state.read(access_dispute_key(access), DISPUTE),
            type_of=self._type_of,
        )

    def provenance(
        self, record: bytes, entry: RecordEntry, resource_type: str, receipt: bytes | None = None
    ) -> Resource:
        author = owner_of(record) if entry.organization is None else None
        party = self.party(author) if author is not None else self.member(entry.organization or "")
        signer = self.party(entry.signer)
        return of_version(record, entry, resource_type, party, signer, receipt)

    def _type_of(self, record: bytes) -> str | None:
        return None if self._view is None else self._view.type_seen(record)


# Reading one.


async def read(exchange: Exchange, resource_type: str, fhir_id: str) -> Kept:
    """`FhirProblem` (404) where there is none."""
    if resource_type == "Provenance":
        return await _read_provenance(exchange, fhir_id)

    def look() -> Resource | None:
        with exchange.gateway.catalogue.view(exchange.reader) as view:
            clerk = _Clerk(exchange, view.state, view)
            for each in _named(clerk, view.state, resource_type, fhir_id):
                return each.resource
        return None

    found = await exchange.in_thread(look)
    if found is None:
        raise unknown()
    return _kept(found)


def _named(
    clerk: _Clerk, state: EntryReader, resource_type: str, fhir_id: str
) -> Iterator[_Candidate]:
    """The Consent or AuditEvent with this id."""
    if resource_type == "AuditEvent":
        access = to_access(fhir_id)
        logged = None if access is None else state.read(access_key(access), ACCESS)
        if access is not None and logged is not None:
            yield _Candidate(access, clerk.access(access, logged))
        return
    consent, request = to_consent(fhir_id), to_case(fhir_id)
    if consent is not None:
        granted = state.read(consent_key(consent), CONSENT)
        if granted is not None:
            yield _Candidate(consent, clerk.consent(consent, granted))
    if request is not None:
        asked = state.read(access_request_key(request), REQUEST)
        if asked is not None:
            yield _Candidate(request, clerk.request(request, asked))


def _kept(resource: Resource) -> Kept:
    meta = resource["meta"]
    assert isinstance(meta, dict), "ours have one"
    updated_ms = to_milliseconds(str(meta["lastUpdated"]))
    assert updated_ms is not None, "in our own spelling"
    return Kept(resource, int(str(meta["versionId"])), updated_ms)


def is_there(state: EntryReader, resource_type: str, fhir_id: str) -> bool:
    """True where a reference to it leads somewhere."""
    match resource_type:
        case "AuditEvent":
            access = to_access(fhir_id)
            return access is not None and state.read(access_key(access), ACCESS) is not None
        case "Provenance":
            named = to_provenance(fhir_id)
            entry = None if named is None else state.read(record_key(named[0]), RECORD)
            return named is not None and entry is not None and named[1] <= entry.version
        case _:
            consent, request = to_consent(fhir_id), to_case(fhir_id)
            if consent is not None:
                return state.read(consent_key(consent), CONSENT) is not None
            return (
                request is not None and state.read(access_request_key(request), REQUEST) is not None
            )


# A Consent that others post asks the patient.


def draft(exchange: Exchange, step: Step) -> AccessRequest:
    """The request for access that a `proposed` Consent is. `FhirProblem` for everything else: the
    ledger writes its own AuditEvents and Provenances, and only the patient grants."""
    place = f"{step.entry.place}.resource"
    if step.type != "Consent" or step.action != "create" or step.resource is None:
        raise problem(
            405,
            "fhir.ledger_only",
            "these are the ledger's own: nobody writes or changes them here",
            f"{step.entry.place}.request.method",
            code="not-supported",
        )
    office = exchange.gateway.office
    if step.resource.get("status") == "active":
        raise problem(
            403,
            "consent.not_patient",
            "only the patient grants, with his own key",
            f"{place}.status",
            fix="post it as proposed: the patient is asked",
        )
    try:
        asked = to_draft(step.resource, office.member)
    except FhirProblem as refusal:
        raise refusal.inside(place) from None
    return AccessRequest(
        new_case_id(asked.patient, office.random(16)),
        asked.purposes,
        asked.categories,
        asked.valid_until_ms,
        None,
    )


def requested(exchange: Exchange, request: AccessRequest) -> Kept:
    """The Consent that stands for a committed request. Blocks."""
    with exchange.call.backend.store.snapshot() as snapshot:
        state = DecodedState(snapshot)
        entry = state.read(access_request_key(request.request), REQUEST)
        assert entry is not None, "it was committed"
        return _kept(_Clerk(exchange, state).request(request.request, entry))


# Searching.


async def find(exchange: Exchange, query: Query, position: Position | None) -> LedgerFound:
    """The page of `query`."""
    _check_simple(query)
    if query.type == "Provenance":
        return await _find_provenance(exchange, query, position)

    def look() -> LedgerFound:
        with exchange.gateway.catalogue.view(exchange.reader) as view:
            clerk = _Clerk(exchange, view.state, view)
            candidates = list(islice(_candidates(clerk, view, query), LEDGER_SCAN_MAX + 1))
        _check_bounded(candidates)
        return _page(candidates, query, position)

    return await exchange.in_thread(look)


def _check_simple(query: Query) -> None:
    """What the ledger keeps is joined with records in one way only: `joining`."""
    for name, refused in (
        ("_include:iterate", any(each.iterate for each in query.includes)),
        ("_revinclude", bool(query.revincludes)),
    ):
        if refused:
            raise problem(
                400,
                "search.unsupported",
                "only what these resources refer to themselves comes along here",
                f"http.{name}",
                code="not-supported",
            )
    for each in query.criteria:
        if isinstance(each, Chain | Has):
            raise problem(
                400,
                "search.unsupported",
                "nothing is followed from or to what the ledger keeps",
                f"http.{each.parameter.name}",
                code="not-supported",
            )


def _check_bounded(candidates: Sequence[_Candidate]) -> None:
    if len(candidates) > LEDGER_SCAN_MAX:
        raise problem(
            403,
            "search.too_many",
            f"one search looks at {LEDGER_SCAN_MAX} of them",
            "http.patient",
            code="too-costly",
            fix="name the patient",
        )


def _candidates(clerk: _Clerk, view: View, query: Query) -> Iterator[_Candidate]:
    names = [value for name, value in query.used if name == "_id"]
    if names:
        for fhir_id in dict.fromkeys(each for name in names for each in name.split(",")):
            yield from _named(clerk, view.state, query.type, fhir_id)
        return
    owners: tuple[bytes, ...] = scope_of(query).owners or (b"",)
    for owner in owners:
        if query.type == "AuditEvent":
            for key, raw in view.state.scan(ACCESS_PREFIX + owner):
                access = key.removeprefix(ACCESS_PREFIX)
                yield _Candidate(access, clerk.access(access, ACCESS.decode(raw)))
        else:
            for key, raw in view.state.scan(CONSENT_PREFIX + owner):
                consent = key.removeprefix(CONSENT_PREFIX)
                yield _Candidate(consent, clerk.consent(consent, CONSENT.decode(raw)))
            for key, raw in view.state.scan(ACCESS_REQUEST_PREFIX + owner):
                request = key.removeprefix(ACCESS_REQUEST_PREFIX)
                yield _Candidate(request, clerk.request(request, REQUEST.decode(raw)))


def _page(candidates: Sequence[_Candidate], query: Query, position: Position | None) -> LedgerFound:
    # Ids tell upper from lower case, and were looked up as they are.
    rest = tuple(each for each in query.criteria if not _is_id(each))
    query = replace(query, criteria=rest)
    index = Index(short_lived=True)
    by_key: dict[bytes, Resource] = {}
    for each in candidates:
        by_key[each.key] = each.resource
        kept = _kept(each.resource)
        index.add(
            Listing(
                each.key,
                kept.version,
                _NOBODY,
                _NOBODY,
                kept.updated_ms,
                extract_bytes(each.resource),
                str(each.resource["id"]),
            )
        )
    found = index.find(query, Visible(lambda *_: True), position)
    return LedgerFound(found, tuple(by_key[each] for each in found.matches))


def _is_id(criterion: Criterion) -> bool:
    return isinstance(criterion, Filter) and criterion.parameter is ID and not criterion.modifier


# Provenance: of records that the reader may see.


async def _read_provenance(exchange: Exchange, fhir_id: str) -> Kept:
    named = to_provenance(fhir_id)
    if named is None:
        raise unknown()
    record, version = named
    entries = await exchange.in_thread(lambda: _versions(exchange, [record]))
    entry = next((each for _, each in entries if each.version == version), None)
    if entry is None:
        raise unknown()
    resource_type = await _type_for(exchange, record)
    receipt = await exchange.call.backend.receipt(entry.transaction)
    made = await exchange.in_thread(
        lambda: _with_clerk(
            exchange, lambda clerk: clerk.provenance(record, entry, resource_type, receipt)
        )
    )
    return _kept(made)


async def _type_for(exchange: Exchange, record: bytes) -> str:
    """The type of a record that the reader may see; where it is not known, it is read (and that
    logged) to find out. Raises as `Reading.open`."""
    decision = await exchange.gateway.reading.decision(exchange.reader, record)
    if decision is not None and not decision.permit:
        raise Erased if decision.why == "scope.erased" else Denied(decision)
    catalogue = exchange.gateway.catalogue
    known = await exchange.in_thread(lambda: catalogue.type_of(record))
    if known is not None:
        return known
    opened = await open_known(exchange, [record])
    if record not in opened:
        raise unknown()
    found = await exchange.in_thread(lambda: catalogue.type_of(record))
    if found is None:
        raise unknown()
    return found


def _with_clerk(exchange: Exchange, work: Callable[[_Clerk], Resource]) -> Resource:
    with exchange.call.backend.store.snapshot() as snapshot:
        return work(_Clerk(exchange, DecodedState(snapshot)))


def _versions(exchange: Exchange, records: Sequence[bytes]) -> list[tuple[bytes, RecordEntry]]:
    with exchange.call.backend.store.snapshot() as state:
        return [
            (record, entry)
            for record in records
            for entry in queries.record_versions(state, record, LEDGER_SCAN_MAX)
        ]


async def _find_provenance(
    exchange: Exchange, query: Query, position: Position | None
) -> LedgerFound:
    records = await _targets(exchange, query)
    candidates = await exchange.in_thread(lambda: _provenances(exchange, records))
    ids = {each for name, value in query.used if name == "_id" for each in value.split(",")}
    candidates = [each for each in candidates if not ids or each.resource["id"] in ids]
    _check_bounded(candidates)
    page = await exchange.in_thread(lambda: _page(candidates, query, position))
    whole = [
        (await _read_provenance(exchange, str(each["id"]))).resource for each in page.resources
    ]
    return LedgerFound(page.found, tuple(whole))


async def _targets(exchange: Exchange, query: Query) -> list[bytes]:
    """The records about whose Provenance is asked; `FhirProblem` where none is named."""
    named = [
        found[0]
        for name, value in query.used
        if name == "_id"
        for each in value.split(",")
        if (found := to_provenance(each)) is not None
    ]
    for criterion in query.criteria:
        if isinstance(criterion, Filter) and criterion.parameter.name == "target":
            for operand in criterion.operands:
                if isinstance(operand, ReferenceOperand):
                    record = to_record(operand.name)
                    named += [] if record is None else [record]
    owners = scope_of(query).owners
    if not owners and not any(
        isinstance(each, Filter) and each.parameter.name in {"_id", "target"}
        for each in query.criteria
    ):
        raise problem(
            400,
            "search.no_target",
            "of whom, or of what?",
            "http.target",
            code="required",
            fix="name a target, a patient or an _id",
        )
    for owner in owners:
        try:
            await complete(exchange, owner)
        except ReadRefused:
            continue
        named += await exchange.in_thread(lambda owner=owner: _seen_of(exchange, owner))  # type: ignore[misc]
    return list(dict.fromkeys(named))


def _seen_of(exchange: Exchange, owner: bytes) -> tuple[bytes, ...]:
    with exchange.gateway.catalogue.view(exchange.reader) as view:
        return view.everything(owner, None, ())


def _provenances(exchange: Exchange, records: Sequence[bytes]) -> list[_Candidate]:
    """Of those among `records` that the reader may see and the catalogue knows; without receipts,
    which are made for a page."""
    found: list[_Candidate] = []
    with exchange.gateway.catalogue.view(exchange.reader) as view:
        clerk = _Clerk(exchange, view.state, view)
        for record in records:
            resource_type = view.type_seen(record)
            if resource_type is None:
                continue
            for entry in queries.record_versions(view.state, record, LEDGER_SCAN_MAX):
                key = record + entry.version.to_bytes(4, "big")
                made = clerk.provenance(record, entry, resource_type)
                found.append(_Candidate(key, made))
    return found


async def provenance_of(exchange: Exchange, query: Query, page: Page) -> list[Resource]:
    """What `_revinclude=Provenance:target` adds to a page: where the versions on it come from."""
    wanted = any(each.source == "Provenance" for each in query.revincludes)
    if not wanted or not exchange.may("r", "Provenance"):
        return []
    shown = (*page.found.matches, *page.found.included)
    return [await _provenance_with_receipt(exchange, page.opened[each]) for each in shown]


async def _provenance_with_receipt(exchange: Exchange, opened: Opened) -> Resource:
    receipt = await exchange.call.backend.receipt(opened.entry.transaction)

    def make(clerk: _Clerk) -> Resource:
        resource_type = str(resource_of(opened)["resourceType"])
        return clerk.provenance(opened.record, opened.entry, resource_type, receipt)

    return await exchange.in_thread(lambda: _with_clerk(exchange, make))
