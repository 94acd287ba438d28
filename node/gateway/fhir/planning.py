"""From a transaction to what is to be written: ids, owners, rewritten references, the order.

FHIR R4 §3.1.0.11.2. Pure: the caller first answers the bundle's `lookups` (what its index finds for
each condition), then gives ids to what is new, and gets the steps in the order in which FHIR
processes them: DELETE, POST, PUT, then reading. Whatever is wrong is one refusal with every issue,
and nothing has happened.

One bundle may be about several patients: each record's id begins with its owner, so the steps say
whose each is, and the caller finds the key. A batch is as many transactions of one entry.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from ledger.ids import owner_of
from node.gateway.fhir.bundles import Entry, Resource
from node.gateway.fhir.identity import to_pseudonym, to_record
from node.gateway.fhir.meta import without_server_elements
from node.gateway.fhir.outcome import FhirProblem, Issue, problem
from node.gateway.fhir.ownership import is_administrative, subjects
from node.gateway.fhir.references import Form, conditional, form_of, references, relative, type_of
from node.gateway.fhir.rewriting import Target, Use, by_table, rewrite, split_suffix

LOOKUPS_MAX: Final = 512
"""Distinct conditions of one bundle."""

Action = Literal["create", "update", "delete", "keep", "read"]
"""`keep`: a conditional create that found what it would have made (200, nothing written)."""

_ORDER: Final[Mapping[str, int]] = {"DELETE": 0, "POST": 1, "PUT": 2, "GET": 3, "HEAD": 3}


@dataclass(frozen=True, slots=True)
class Lookup:
    """A condition: resources of `type` that `query` (a search, as it was written) finds."""

    type: str
    query: str


@dataclass(frozen=True, slots=True)
class NewPatient:
    """The owner is the patient whom entry `index` of this bundle makes known."""

    index: int


@dataclass(frozen=True, slots=True)
class KnownPatient:
    """The owner is the patient whose pseudonym is `patient`."""

    patient: bytes


@dataclass(frozen=True, slots=True)
class OwnOrganization:
    """The organisation of the gateway owns it, and every member can open it."""


Owner = NewPatient | KnownPatient | OwnOrganization


@dataclass(frozen=True, slots=True)
class Outward:
    """A reference to what must be there already; `expression` says where it stands."""

    type: str
    id: str
    version: str | None
    expression: str


@dataclass(frozen=True, slots=True, repr=False)
class Step:
    """What to do for one entry. `resource` is to be sealed as it is; `owner` is there for what is
    created, and `id` is its new id, else that of what is there."""

    entry: Entry
    action: Action
    type: str
    id: str | None
    resource: Resource | None = None
    owner: Owner | None = None

    def __repr__(self) -> str:
        return f"Step({self.entry.index}, {self.action})"


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps in the order of processing, and the references whose targets are still to be
    looked for by whoever knows what is there."""

    steps: tuple[Step, ...]
    outward: tuple[Outward, ...]


Assign = Callable[[Entry, Owner], str]
"""Gives the FHIR id of a new resource; patients are asked for first, so that the ids of what is
theirs can begin with theirs."""


def lookups(entries: Sequence[Entry]) -> tuple[Lookup, ...]:
    """Every condition in `entries`, each once. Raises `FhirProblem` (413) for too many."""
    found: dict[Lookup, None] = {}
    for entry in entries:
        for each in _conditions(entry):
            found[each] = None
    if len(found) > LOOKUPS_MAX:
        raise problem(413, "bundle.too_many_conditions", f"at most {LOOKUPS_MAX}", "Bundle.entry")
    return tuple(found)


def plan(
    entries: Sequence[Entry],
    found: Mapping[Lookup, Sequence[str]],
    assign: Assign,
    base: str = "",
) -> Plan:
    """The steps for `entries`, as one transaction.

    `found` has the ids that answer each of `lookups(entries)`; `base` is the service's own URL.
    Raises `FhirProblem`: 412 where a condition finds several or a conditional reference none, 400
    for references to nothing in the bundle and for what has no owner.
    """
    work = _Planning(tuple(entries), found, assign, base)
    return work.run()


@dataclass(slots=True)
class _Planning:
    entries: tuple[Entry, ...]
    found: Mapping[Lookup, Sequence[str]]
    assign: Assign
    base: str
    issues: list[Issue] = field(default_factory=list)
    conflicts: list[Issue] = field(default_factory=list)
    actions: dict[int, tuple[Action, str | None]] = field(default_factory=dict)
    targets: dict[str, Target] = field(default_factory=dict)
    """By fullUrl: what the entries' resources are called here."""
    names: dict[str, int] = field(default_factory=dict)
    """By fullUrl, and by "Type/id" where only the bundle can mean it: index of the entry."""
    by_index: dict[int, Entry] = field(default_factory=dict)
    outward: dict[Outward, None] = field(default_factory=dict)

    def run(self) -> Plan:
        for entry in self.entries:
            self.actions[entry.index] = self.resolve(entry)
            self.by_index[entry.index] = entry
            self.name(entry)
        self.check_overlaps()
        owners = {each.index: self.owner(each) for each in self.created()}
        self.refuse()
        ids = self.assigned(owners)
        self.publish(ids)
        steps = [self.step(each, ids, owners) for each in self.entries]
        self.refuse()
        steps.sort(key=lambda each: (_ORDER[_method(each.entry)], each.entry.index))
        return Plan(tuple(steps), tuple(self.outward))

    def refuse(self) -> None:
        if self.issues or self.conflicts:
            raise FhirProblem(400 if self.issues else 412, *self.issues, *self.conflicts)

    # What each entry does.

    def resolve(self, entry: Entry) -> tuple[Action, str | None]:
        request = entry.request
        assert request is not None, "what has no request was refused"
        if request.reads:
            return "read", request.id
        if request.method == "POST":
            if request.if_none_exist is None:
                return "create", None
            there = self.one(
                request.type, request.if_none_exist, f"{entry.place}.request.ifNoneExist"
            )
            return ("create", None) if there is None else ("keep", there)
        action: Action = "update" if request.method == "PUT" else "delete"
        if request.id is not None:
            return action, request.id
        assert request.query is not None, "an id or a condition"
        there = self.one(request.type, request.query, f"{entry.place}.request.url")
        if there is None and action == "update":
            return "create", None
        own_id = (entry.resource or {}).get("id")
        if action == "update" and own_id is not None and own_id != there:
            self.issues.append(
                Issue(
                    "value",
                    "bundle.wrong_id",
                    "another id than that of what the condition finds",
                    (f"{entry.place}.resource.id",),
                )
            )
        return action, there

    def one(self, resource_type: str, query: str, place: str) -> str | None:
        """The only answer to a condition; None where there is none."""
        answers = self.found[Lookup(resource_type, query)]
        if len(answers) > 1:
            self.conflicts.append(
                Issue(
                    "multiple-matches", "condition.several", "the condition finds several", (place,)
                )
            )
        return answers[0] if answers else None

    def check_overlaps(self) -> None:
        """No resource is changed twice in one transaction (FHIR R4 §3.1.0.11.2)."""
        seen: set[tuple[str, str]] = set()
        conditions: set[Lookup] = set()
        for entry in self.entries:
            action, there = self.actions[entry.index]
            request = entry.request
            assert request is not None
            if action in {"update", "delete"} and there is not None:
                if (request.type, there) in seen:
                    self.issues.append(_repeated(f"{entry.place}.request.url"))
                seen.add((request.type, there))
            condition = request.if_none_exist or request.query
            if action == "create" and condition is not None:
                lookup = Lookup(request.type, condition)
                if lookup in conditions:
                    self.issues.append(_repeated(f"{entry.place}.request"))
                conditions.add(lookup)

    # What each entry is called.

    def name(self, entry: Entry) -> None:
        if entry.resource is None:
            return
        if entry.full_url is not None:
            self.names[entry.full_url] = entry.index
        own_id = entry.resource.get("id")
        if isinstance(own_id, str) and to_record(own_id) is None and to_pseudonym(own_id) is None:
            self.names.setdefault(f"{entry.resource['resourceType']}/{own_id}", entry.index)

    def publish(self, ids: Mapping[int, str]) -> None:
        """From here on references to the entries' resources lead to their ids here."""
        for name, index in self.names.items():
            fhir_id = ids.get(index, self.actions[index][1])
            resource = self.by_index[index].resource
            if resource is not None and fhir_id is not None:
                kind = str(resource["resourceType"])
                self.targets[name] = Target(f"{kind}/{fhir_id}", kind)

    def entry_of(self, reference: str, source: Entry) -> int | None:
        """Which entry of the bundle `reference`, in `source`, names (FHIR R4 §2.36.4.1)."""
        for name in _spellings(reference, source):
            if name in self.names:
                return self.names[name]
        return None

    # Whose each is.

    def created(self) -> Iterator[Entry]:
        for entry in self.entries:
            if self.actions[entry.index][0] == "create":
                yield entry

    def owner(self, entry: Entry) -> Owner:
        resource = entry.resource
        assert resource is not None
        if resource["resourceType"] == "Patient":
            return NewPatient(entry.index)
        named: dict[Owner, str] = {}
        for each in subjects(resource):
            where = f"{entry.place}.resource.{each.expression.partition('.')[2]}"
            patient = self.patient(each.reference, entry)
            if patient is not None:
                named.setdefault(patient, where)
            elif type_of(each.reference) == "Patient":
                self.issues.append(
                    Issue("not-found", "reference.unknown", "no such Patient is here", (where,))
                )
                return OwnOrganization()
        if len(named) > 1:
            self.issues.append(
                Issue(
                    "business-rule",
                    "bundle.several_patients",
                    "a resource is about one patient",
                    (list(named.values())[1],),
                )
            )
        if named:
            return next(iter(named))
        return self.owner_unsaid(entry, resource)

    def owner_unsaid(self, entry: Entry, resource: Resource) -> Owner:
        """Whose a resource is that says not whom it is about: the only patient's of the bundle, so
        that one key opens all that came with him; what is shared (a conditional create of, say,
        an Organization) and what comes without a patient is the organisation's."""
        request = entry.request
        assert request is not None
        patients = [each for each in self.created() if _is_patient(each)]
        if is_administrative(resource):
            shared = request.if_none_exist is not None or request.method == "PUT"
            if shared or len(patients) != 1:
                return OwnOrganization()
        elif len(patients) != 1:
            self.issues.append(
                Issue(
                    "business-rule",
                    "bundle.no_patient",
                    "a resource of this type needs a patient: a subject that is one",
                    (f"{entry.place}.resource",),
                )
            )
            return OwnOrganization()
        return NewPatient(patients[0].index)

    def patient(self, reference: str, source: Entry) -> Owner | None:
        """The patient whom `reference` names; None where it names none that can be known here."""
        index = self.entry_of(reference, source)
        if index is not None:
            return self.patient_entry(index)
        if (asked := conditional(reference)) is not None:
            answers = self.found[Lookup(*asked)]
            return _patient_of(answers[0]) if answers else None
        local = relative(reference, self.base)
        return None if local is None else _patient_of(local[1])

    def patient_entry(self, index: int) -> Owner | None:
        action, there = self.actions[index]
        if not _is_patient(self.by_index[index]):
            return None
        known = None if there is None else _patient_of(there)
        return NewPatient(index) if action == "create" or known is None else known

    # Ids, and what is written.

    def assigned(self, owners: Mapping[int, Owner]) -> dict[int, str]:
        created = sorted(self.created(), key=lambda each: not _is_patient(each))
        return {each.index: self.assign(each, owners[each.index]) for each in created}

    def step(self, entry: Entry, ids: Mapping[int, str], owners: Mapping[int, Owner]) -> Step:
        action, there = self.actions[entry.index]
        request = entry.request
        assert request is not None
        fhir_id = ids.get(entry.index, there)
        if action not in {"create", "update"}:
            return Step(entry, action, request.type, fhir_id)
        assert entry.resource is not None
        written, issues = rewrite(
            entry.resource,
            f"{entry.place}.resource",
            lambda text, use, path: self.replace(text, use, path, entry),
        )
        self.issues += [each for each in issues if each.reason != _NO_MATCH]
        self.conflicts += [each for each in issues if each.reason == _NO_MATCH]
        owner = owners.get(entry.index)
        return Step(entry, action, request.type, fhir_id, without_server_elements(written), owner)

    def replace(self, text: str, use: Use, path: str, source: Entry) -> Target | Issue | None:
        """What a reference, URI or link becomes (see `rewriting.Replace`)."""
        if use != "reference":
            found = by_table(self.targets, text)
            return found if found is not None and _is_full_url(text) else None
        for name in _spellings(text, source):
            if name in self.targets:
                target = self.targets[name]
                return Target(target.text + _fragment(text), target.type)
        return self.replace_outward(text, path)

    def replace_outward(self, text: str, path: str) -> Target | Issue | None:
        asked = conditional(text)
        if asked is not None:
            there = self.one(*asked, path)
            if there is None:
                return Issue("not-found", _NO_MATCH, "the condition finds nothing", (path,))
            return Target(f"{asked[0]}/{there}", asked[0])
        local = relative(text, self.base)
        if local is not None:
            kind, fhir_id, version = local
            self.outward[Outward(kind, fhir_id, version, path)] = None
            suffix = "" if version is None else f"/_history/{version}"
            return Target(f"{kind}/{fhir_id}{suffix}", kind)
        if form_of(text) is Form.URN and text.startswith(("urn:uuid:", "urn:oid:")):
            return Issue(
                "not-found", "bundle.unresolved_reference", "no entry has this fullUrl", (path,)
            )
        return None


_NO_MATCH: Final = "condition.none"


def _conditions(entry: Entry) -> Iterator[Lookup]:
    request = entry.request
    if request is None or request.reads:
        return
    if request.if_none_exist is not None:
        yield Lookup(request.type, request.if_none_exist)
    if request.query is not None:
        yield Lookup(request.type, request.query)
    for _, reference in references(entry.resource):
        asked = conditional(reference)
        if asked is not None:
            yield Lookup(*asked)


def _spellings(reference: str, source: Entry) -> Iterator[str]:
    """The names under which an entry can be meant by `reference` in `source`."""
    bare = split_suffix(reference)[0].partition("/_history/")[0]
    if form_of(bare) is not Form.RELATIVE:
        yield bare
        return
    if source.full_url is not None and source.full_url.startswith(("http://", "https://")):
        yield f"{source.full_url.rsplit('/', 2)[0]}/{bare}"
    yield bare


def _is_full_url(text: str) -> bool:
    return form_of(split_suffix(text)[0]) in {Form.ABSOLUTE, Form.URN}


def _fragment(reference: str) -> str:
    _, mark, fragment = reference.partition("#")
    return mark + fragment


def _is_patient(entry: Entry) -> bool:
    return entry.resource is not None and entry.resource["resourceType"] == "Patient"


def _patient_of(fhir_id: str) -> KnownPatient | None:
    """The patient of Patient/`fhir_id`, which is the id of a record of his, or his pseudonym."""
    record = to_record(fhir_id)
    patient = to_pseudonym(fhir_id) if record is None else owner_of(record)
    return None if patient is None else KnownPatient(patient)


def _method(entry: Entry) -> str:
    assert entry.request is not None
    return entry.request.method


def _repeated(place: str) -> Issue:
    return Issue("duplicate", "bundle.repeated_target", "another entry means the same", (place,))
