"""From entries of a bundle, or a single write, to one transaction of the ledger: all or nothing.

`fhir.planning` says what is to be done; here it meets what is there: ids and owners, whose record
it is, which version, which key. Everything that can be refused is refused before anything is sent.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Final

from client.bundle import Bundle
from client.bundle import Resource as Named
from client.fhir_json import canonical
from client.wallet import Wallet
from ledger import queries
from ledger.consent_actions import AccessRequest
from ledger.decision import target_of
from ledger.entries import RecordEntry
from ledger.ids import emergency_summary, new_record_id, owner_of
from ledger.state import DecodedState
from node.backend import Busy
from node.gateway.catalogue import Learnt
from node.gateway.fhir.bundles import Entry
from node.gateway.fhir.careplans import without_ledger_extensions
from node.gateway.fhir.identity import record_id, to_pseudonym, to_record
from node.gateway.fhir.names import CATEGORY
from node.gateway.fhir.outcome import Issue, problem, refuse
from node.gateway.fhir.ownership import subjects
from node.gateway.fhir.planning import (
    KnownPatient,
    Lookup,
    NewPatient,
    Outward,
    Owner,
    OwnOrganization,
    Plan,
    Step,
    lookups,
    plan,
)
from node.gateway.fhir.references import relative
from node.gateway.fhir.search.query import decode_pairs, parse_query
from node.gateway.rest import ledger_resources
from node.gateway.rest.exchange import Exchange, Resource
from node.gateway.rest.finding import check_scopes
from node.gateway.rest.ledger_resources import LEDGER_TYPES
from node.gateway.writing import Draft, Place

_LOG: Final = logging.getLogger("medlock.gateway")
EMERGENCY_SUMMARY: Final = "emergency-summary"
"""The code of a tag (meta.tag, system `names.CATEGORY`) for the category that an emergency opens;
other codes there are categories of the patient, 32 hex digits."""


@dataclass(frozen=True, slots=True, repr=False)
class Done:
    """What became of one step. `resource` is as it is sealed; None where nothing was written."""

    step: Step
    status: int
    fhir_id: str | None
    version: int | None = None
    updated_ms: int | None = None
    resource: Resource | None = None


@dataclass(frozen=True, slots=True, repr=False)
class _Change:
    """A step that writes a record. `place` is where it goes; a retraction needs none."""

    step: Step
    record: bytes
    version: int
    place: Place | None
    content: bytes


@dataclass(slots=True)
class _Newcomers:
    """Patients whom the entries make known: (index of the entry) to (pseudonym, names). Only whom
    the hospital has not named before gets a wallet."""

    owners: dict[int, bytes] = field(default_factory=dict)
    names: dict[bytes, list[str]] = field(default_factory=dict)
    wallets: list[Wallet] = field(default_factory=list)


class Composer:
    """One transaction in the making."""

    def __init__(self, exchange: Exchange, entries: Sequence[Entry]) -> None:
        self._exchange = exchange
        self._gateway = exchange.gateway
        self._entries = tuple(map(_without_ours, entries))
        self._newcomers = _Newcomers()

    async def carry_out(self) -> list[Done]:
        """Commits what the entries ask for; what became of each, in the order of the bundle.

        Raises `FhirProblem` with nothing done, `Rejected`, `InvalidMessage`, `Busy`, `NoQuorum`.
        """
        conditions = lookups(self._entries)
        async with AsyncExitStack() as held:
            if conditions:
                # Two that make the same thing unless it is there must not both find nothing.
                await held.enter_async_context(self._gateway.catalogue.conditional)
            found = {each: await self._matching(each) for each in conditions}
            steps, changes, drafts = await self._exchange.in_thread(lambda: self._compose(found))
            done = await self._commit(changes, drafts)
        return [
            done.get(each.entry.index) or _unchanged(each)
            for each in sorted(steps, key=lambda each: each.entry.index)
        ]

    async def _matching(self, lookup: Lookup) -> tuple[str, ...]:
        """The ids of up to two resources that a condition finds, among what the caller may see."""
        exchange = self._exchange
        now_ms = self._gateway.office.clock.wall_ms()
        query = parse_query(lookup.type, decode_pairs(lookup.query), now_ms, base=exchange.base)
        if not query.criteria:
            raise problem(
                412, "condition.empty", "a condition that is met by everything", "http.condition"
            )
        check_scopes(exchange, query)

        def look() -> tuple[bytes, ...]:
            with self._gateway.catalogue.view(exchange.reader) as view:
                return view.find(replace(query, count=2, page=None, summary="false")).matches

        return tuple(record_id(each) for each in await exchange.in_thread(look))

    # Before anything is sent.

    def _compose(
        self, found: Mapping[Lookup, Sequence[str]]
    ) -> tuple[tuple[Step, ...], list[_Change], list[tuple[Step, AccessRequest]]]:
        planned = plan(self._entries, found, self._assign, self._exchange.base)
        with self._exchange.call.backend.store.snapshot() as snapshot:
            state = DecodedState(snapshot)
            self._check_outward(state, planned)
            return self._changes(state, planned.steps)

    def _assign(self, entry: Entry, owner: Owner) -> str:
        """The id of a new resource: it begins with its owner."""
        random = self._gateway.office.random
        return record_id(new_record_id(self._owner(entry, owner), random(16)))

    def _owner(self, entry: Entry, owner: Owner) -> bytes:
        match owner:
            case NewPatient():
                if owner.index == entry.index:
                    self._newcomers.owners[owner.index] = self._patient(entry)
                return self._newcomers.owners[owner.index]
            case KnownPatient():
                # That there is such a patient is checked with the other references.
                return owner.patient
            case OwnOrganization():
                return self._gateway.office.owner

    def _patient(self, entry: Entry) -> bytes:
        """The pseudonym of the Patient in `entry`: his own, where the hospital has named him
        before; else that of a wallet that is made for him."""
        assert entry.resource is not None, "a Patient is created"
        names = _names(entry)
        known = self._gateway.vault.patient(*names)
        if known is None:
            wallet = self._gateway.writing.new_patient()
            self._newcomers.wallets.append(wallet)
            known = wallet.principal
        self._newcomers.names.setdefault(known, []).extend(names)
        return known

    def _check_outward(self, state: DecodedState, planned: Plan) -> None:
        issues = [
            Issue(
                "not-found",
                "reference.unknown",
                "a reference to nothing that is here",
                (each.expression,),
            )
            for each in planned.outward
            if not self._is_there(state, each)
        ]
        refusal = refuse(422, issues)
        if refusal is not None:
            raise refusal

    def _is_there(self, state: DecodedState, outward: Outward) -> bool:
        if outward.type in LEDGER_TYPES:
            return ledger_resources.is_there(state, outward.type, outward.id)
        owner = to_pseudonym(outward.id)
        if owner is not None and outward.type == "Patient":
            found = queries.principal(state, owner)
            return found is not None and found.kind == "patient"
        record = to_record(outward.id)
        entry = None if record is None else queries.record(state, record)
        if record is None or entry is None or entry.retracted:
            return False
        if outward.version is not None and int(outward.version) > entry.version:
            return False
        return self._gateway.catalogue.type_of(record) in {None, outward.type}

    def _changes(
        self, state: DecodedState, steps: tuple[Step, ...]
    ) -> tuple[tuple[Step, ...], list[_Change], list[tuple[Step, AccessRequest]]]:
        changes: list[_Change] = []
        drafts: list[tuple[Step, AccessRequest]] = []
        for step in steps:
            if step.type in LEDGER_TYPES and step.action != "read":
                drafts.append((step, ledger_resources.draft(self._exchange, step)))
            elif step.action == "create":
                changes.append(self._creation(step))
            elif step.action in {"update", "delete"} and step.id is not None:
                change = self._revision(state, step)
                if change is not None:
                    changes.append(change)
        return steps, changes, drafts

    def _creation(self, step: Step) -> _Change:
        assert step.id is not None, "what is created got its id"
        assert step.resource is not None, "and has a content"
        record = bytes.fromhex(step.id)
        place = Place(owner_of(record), _category(owner_of(record), step.resource))
        return _Change(step, record, 1, place, canonical(step.resource))

    def _revision(self, state: DecodedState, step: Step) -> _Change | None:
        """An update or a retraction; None where it is retracted already."""
        record, entry = self._revised(state, step)
        if entry.retracted:
            if step.action == "update":
                raise problem(410, "record.retracted", "it is deleted", _place(step, "url"))
            return None
        request = step.entry.request
        assert request is not None, "a step has a request"
        if request.if_match is not None and request.if_match != entry.version:
            raise problem(
                412,
                "record.other_version",
                "another version is the current one",
                _place(step, "ifMatch"),
                fix="read it again, and change what is there now",
            )
        if step.action == "delete":
            return _Change(step, record, entry.version + 1, None, b"")
        assert step.resource is not None, "an update has a content"
        self._check_owner(step, record)
        target = target_of(state, record)
        assert target is not None, "it stands in the state"
        place = Place(owner_of(record), target.category)
        return _Change(step, record, entry.version + 1, place, canonical(step.resource))

    def _revised(self, state: DecodedState, step: Step) -> tuple[bytes, RecordEntry]:
        """What is there, as far as our organisation may change it."""
        assert step.id is not None, "an update or a deletion names something"
        record = self._record_of(step)
        entry = None if record is None else queries.record(state, record)
        if record is None or entry is None:
            if step.action == "update":
                raise problem(
                    405,
                    "fhir.update_as_create",
                    "an update does not create: ids are the server's to give",
                    _place(step, "url"),
                    fix="create it with POST",
                )
            raise problem(
                404, "resource.unknown", "no resource of this type has this id", _place(step, "url")
            )
        if self._gateway.catalogue.type_of(record) not in {None, step.type}:
            raise problem(
                404, "resource.unknown", "no resource of this type has this id", _place(step, "url")
            )
        if entry.organization != self._gateway.office.member:
            raise problem(
                403,
                "record.not_author",
                "only the organisation that wrote it changes it",
                _place(step, "url"),
            )
        return record, entry

    def _record_of(self, step: Step) -> bytes | None:
        assert step.id is not None
        owner = to_pseudonym(step.id)
        if owner is None or step.type != "Patient":
            return to_record(step.id)
        with self._gateway.catalogue.view(self._exchange.reader) as view:
            found = view.everything(owner, None, ("Patient",))
        return found[0] if found else None

    def _check_owner(self, step: Step, record: bytes) -> None:
        """Whose it is never changes."""
        assert step.resource is not None
        for each in subjects(step.resource):
            local = relative(each.reference, self._exchange.base)
            owner = None if local is None else _owner_named(local[1])
            if owner is not None and owner != owner_of(record):
                place = each.expression.partition(".")[2]
                raise problem(
                    422,
                    "record.owner_changed",
                    "it belongs to another patient, and always will",
                    f"{step.entry.place}.resource.{place}",
                    code="business-rule",
                )

    # The transaction.

    async def _commit(
        self, changes: Sequence[_Change], drafts: Sequence[tuple[Step, AccessRequest]]
    ) -> dict[int, Done]:
        if not changes and not drafts:
            return {}
        gateway = self._gateway
        places = [
            each.place
            for each in changes
            if each.place is not None and not self._is_newcomer(each.place.owner)
        ]

        def compose(draft: Draft) -> None:
            for each in changes:
                _add(draft, each)
            for _, request in drafts:
                draft.builder.add(request)

        async with gateway.catalogue.being_written([each.record for each in changes]):
            written = await gateway.writing.write(places, compose, patients=self._newcomers.wallets)
            updated_ms = await self._exchange.in_thread(
                lambda: _time_of(self._exchange, written.committed.height)
            )
            await self._exchange.in_thread(lambda: self._keep(changes, updated_ms))
        asked = {step.entry.index: await self._drafted(step, each) for step, each in drafts}
        return {each.step.entry.index: _done(each, updated_ms) for each in changes} | asked

    async def _drafted(self, step: Step, request: AccessRequest) -> Done:
        kept = await self._exchange.in_thread(
            lambda: ledger_resources.requested(self._exchange, request)
        )
        fhir_id = str(kept.resource["id"])
        return Done(step, 201, fhir_id, kept.version, kept.updated_ms, kept.resource)

    def _is_newcomer(self, owner: bytes) -> bool:
        return any(each.principal == owner for each in self._newcomers.wallets)

    def _keep(self, changes: Sequence[_Change], updated_ms: int) -> None:
        """What is committed is committed: where it cannot be kept, it can be found again."""
        gateway = self._gateway
        try:
            for patient, names in self._newcomers.names.items():
                gateway.vault.keep_links(patient, *names)
            gateway.catalogue.learn(self._learnt(changes, updated_ms))
            for each in changes:
                if each.step.action == "delete":
                    gateway.catalogue.forget(owner_of(each.record), record=each.record)
        except (Busy, OSError) as failure:
            _LOG.error(
                "what was written is committed, and is not kept in the vault: reindex",
                extra={"exception": type(failure).__name__},
            )

    def _learnt(self, changes: Sequence[_Change], updated_ms: int) -> list[Learnt]:
        written = [each for each in changes if each.step.action != "delete"]
        with self._exchange.call.backend.store.snapshot() as state:
            targets = {each.record: target_of(DecodedState(state), each.record) for each in written}
        learnt: list[Learnt] = []
        for each in written:
            target, resource = targets[each.record], each.step.resource
            assert target is not None, "it was committed"
            assert resource is not None, "it has a content"
            learnt.append(
                Learnt(
                    each.record,
                    each.version,
                    target.category,
                    target.author,
                    updated_ms,
                    resource,
                )
            )
        return learnt


def _without_ours(entry: Entry) -> Entry:
    """What the ledger says of a care plan is no part of what is sealed, even if a client sends back
    what it read."""
    resource = entry.resource
    if resource is None or resource.get("resourceType") not in {"CarePlan", "Goal"}:
        return entry
    return replace(entry, resource=without_ledger_extensions(resource))


def _add(draft: Draft, change: _Change) -> None:
    match change.step.action:
        case "create":
            assert change.place is not None
            draft.put(change.place, change.content, change.record)
        case "update":
            assert change.place is not None
            draft.amend(change.place, change.record, change.version, change.content)
        case _:
            draft.retract(change.record, change.version)


def _time_of(exchange: Exchange, height: int) -> int:
    block = exchange.call.backend.store.block(height)
    assert block is not None, "a committed height has its block"
    return block.header.timestamp_ms


def _done(change: _Change, updated_ms: int) -> Done:
    status = {"create": 201, "update": 200}.get(change.step.action, 204)
    resource = None if change.step.action == "delete" else change.step.resource
    fhir_id = record_id(change.record)
    return Done(change.step, status, fhir_id, change.version, updated_ms, resource)


def _unchanged(step: Step) -> Done:
    """A conditional create that found its like, a deletion of what is deleted; a reading, which is
    somebody else's to do."""
    return Done(step, 204 if step.action == "delete" else 200, step.id)


def _names(entry: Entry) -> tuple[str, ...]:
    """How the hospital names the patient, as it keeps its links: by its own number for him. Only
    where he has none, by the URN under which he came: clients use one again for somebody else, and
    two people must never become one. A client's own ids are nobody else's."""
    assert entry.resource is not None
    url = entry.full_url if entry.full_url and entry.full_url.startswith("urn:") else None
    numbered = Named("Patient", None, None, entry.resource, b"", "")
    named = Named("Patient", None, url, entry.resource, b"", "")
    return (
        Bundle((numbered,), numbered, None).identifiers()
        or Bundle((named,), named, None).identifiers()
    )


def _category(owner: bytes, resource: Resource) -> bytes | None:
    """Where its author wants it: the emergency summary, or (None) the general category."""
    meta = resource.get("meta")
    tags = meta.get("tag") if isinstance(meta, dict) else None
    for tag in tags if isinstance(tags, list) else ():
        if not isinstance(tag, dict) or tag.get("system") != CATEGORY:
            continue
        code = tag.get("code")
        if code == EMERGENCY_SUMMARY:
            return emergency_summary(owner)
        if isinstance(code, str) and (found := to_pseudonym(code)) is not None:
            return found
    return None


def _owner_named(fhir_id: str) -> bytes | None:
    """The patient whom Patient/`fhir_id` is."""
    record = to_record(fhir_id)
    return to_pseudonym(fhir_id) if record is None else owner_of(record)


def _place(step: Step, element: str) -> str:
    """Where in the request the fault is."""
    return f"{step.entry.place}.request.{element}"
