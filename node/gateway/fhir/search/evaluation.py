"""Answers one query: what fits among what the caller may see, and nothing else.

Every document that takes part, as a match, as the end of a chain, as what is referred from or to,
has first been asked whether it is visible. So an answer cannot differ from the one over an index in
which the hidden documents never were. Lists only find candidates; what fits is decided by the same
rules for one document and for a hundred thousand.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ledger.ids import OWNER_BYTES
from node.gateway.fhir.search.criteria import (
    Chain,
    Criterion,
    DateOperand,
    Filter,
    Has,
    Missing,
    ReferenceOperand,
    TokenOperand,
)
from node.gateway.fhir.search.documents import Documents
from node.gateway.fhir.search.entry import Entry
from node.gateway.fhir.search.matching import fits
from node.gateway.fhir.search.parameters import (
    ID,
    LAST_UPDATED,
    TYPES,
    Parameter,
)
from node.gateway.fhir.search.ranges import date_holds
from node.gateway.fhir.search.references import OWNER_HEX, RECORD_HEX, reference_key

SCAN_DOCUMENTS_MAX: Final = 1_000
"""So many candidates are looked at one by one; for more the lists are asked first."""
ENTRIES_KEPT_MAX: Final = 10_000
"""Decoded entries that one query keeps."""


@dataclass(frozen=True, slots=True)
class Visible:
    """What the caller may see. `group` is asked once a search for each (owner, category, author);
    `record`, if given, for every record besides."""

    group: Callable[[bytes, bytes, bytes], bool]
    record: Callable[[bytes], bool] | None = None


class Evaluation:
    """One query's view of `documents`."""

    def __init__(self, documents: Documents, visible: Visible) -> None:
        self._documents = documents
        self._visible = visible
        self._groups: dict[int, bool] = {}
        self._entries: dict[int, Entry] = {}
        self._aims: dict[int, tuple[set[int], set[bytes]]] = {}

    def sees(self, slot: int) -> bool:
        document = self._documents.by_slot[slot]
        allowed = self._groups.get(document.group)
        if allowed is None:
            allowed = self._visible.group(*self._documents.groups[document.group])
            self._groups[document.group] = allowed
        record = self._visible.record
        return allowed and (record is None or record(document.record))

    def entry(self, slot: int) -> Entry:
        entry = self._entries.get(slot)
        if entry is None:
            entry = self._documents[slot].entry()
            if len(self._entries) < ENTRIES_KEPT_MAX:
                self._entries[slot] = entry
        return entry

    def select(self, resource_type: str, criteria: Iterable[Criterion]) -> set[int]:
        """The visible documents of a type that fit all of `criteria`."""
        candidates = self._documents.of_type(resource_type)
        for criterion in sorted(criteria, key=_cost):
            if len(candidates) > SCAN_DOCUMENTS_MAX and self._documents.postings is not None:
                sure, perhaps = self._narrow(resource_type, criterion)
                sure = candidates & sure
                perhaps = (candidates & perhaps) - sure
            else:
                sure, perhaps = set(), candidates
            candidates = sure | {
                slot for slot in perhaps if self.sees(slot) and self.holds(slot, criterion)
            }
        return {slot for slot in candidates if self.sees(slot)}

    # One document

    def holds(self, slot: int, criterion: Criterion) -> bool:
        """Whether the document at `slot` fits, in the light of the visible ones."""
        match criterion:
            case Missing(parameter=parameter, absent=absent):
                return self.entry(slot).has(parameter) != absent
            case Chain(parameter=parameter, branches=branches):
                return any(
                    self._documents[target].type == resource_type and self.holds(target, inner)
                    for target in self.targets(slot, parameter)
                    for resource_type, inner in branches
                )
            case Has(type=source, parameter=parameter, criterion=inner):
                return any(
                    self.holds(each, inner) for each in self.referrers(slot, source, parameter)
                )
            case Filter():
                return self._fits(slot, criterion)

    def _fits(self, slot: int, wanted: Filter) -> bool:
        if wanted.parameter is ID:
            return any(slot in self._named(slot, each) for each in _tokens(wanted))
        if wanted.parameter is LAST_UPDATED:
            at = self._documents[slot].updated_ms
            return any(
                isinstance(each, DateOperand) and date_holds(each.prefix, each.range, at, at + 1)
                for each in wanted.operands
            )
        if wanted.parameter.kind == "reference" and not wanted.modifier:
            return self._refers(slot, wanted)
        return fits(self.entry(slot), wanted)

    def _named(self, slot: int, wanted: TokenOperand) -> Iterable[int]:
        if wanted.system or wanted.code is None:
            return ()
        return self._documents.by_id(self._documents[slot].type, wanted.code)

    def _refers(self, slot: int, wanted: Filter) -> bool:
        literal = self.entry(slot).references.get(wanted.parameter.name, ())
        for operand in _references(wanted):
            if any(_same(each, operand, wanted.parameter) for each in literal):
                return True
        aims, owners = self._aim(wanted)
        group = self._documents.group(slot)
        if group.personal and group.owner in owners:
            return True
        return not aims.isdisjoint(self.targets(slot, wanted.parameter)) if aims else False

    def _aim(self, wanted: Filter) -> tuple[set[int], set[bytes]]:
        """The visible documents that a reference filter names, and the patients whose compartment
        it means. A patient is named by his Patient record or his pseudonym, and needs no visible
        Patient; a record that is visible as something else is no patient."""
        known = self._aims.get(id(wanted))
        if known is not None:
            return known
        aims: set[int] = set()
        owners: set[bytes] = set()
        for operand in _references(wanted):
            found = filter(self.sees, self._documents.by_id(operand.type, operand.name))
            aims.update(each for each in found if self._leads(each, wanted.parameter))
            if not wanted.parameter.compartment or operand.type not in {"", "Patient"}:
                continue
            if OWNER_HEX.match(operand.name):
                owners.add(bytes.fromhex(operand.name))
            elif RECORD_HEX.match(operand.name) and self._may_be_patient(operand.name):
                owners.add(bytes.fromhex(operand.name)[:OWNER_BYTES])
        self._aims[id(wanted)] = aims, owners
        return aims, owners

    def _may_be_patient(self, name: str) -> bool:
        known = filter(self.sees, self._documents.by_id("", name))
        return all(self._documents[each].type == "Patient" for each in known)

    def _leads(self, target: int, parameter: Parameter) -> bool:
        return not parameter.targets or self._documents[target].type in parameter.targets

    def targets(self, slot: int, parameter: Parameter) -> tuple[int, ...]:
        """The visible documents to which the one at `slot` refers by `parameter`; whose record it
        is, it says by its owner too."""
        found: dict[int, None] = {}
        for reference in self.entry(slot).references.get(parameter.name, ()):
            found.update(dict.fromkeys(self._documents.resolve(slot, *reference)))
        group = self._documents.group(slot)
        if parameter.compartment and group.personal:
            found.update(dict.fromkeys(self._documents.of_patient(group.owner, "Patient")))
        return tuple(each for each in found if self._leads(each, parameter) and self.sees(each))

    def referrers(self, target: int, source: str, parameter: Parameter) -> Iterator[int]:
        """The visible documents of type `source` that refer to the one at `target`."""
        if not self._leads(target, parameter):
            return
        postings = self._documents.postings
        if postings is None:
            for slot in self._documents.of_type(source):
                if self.sees(slot) and target in self.targets(slot, parameter):
                    yield slot
            return
        seen: set[int] = set()
        if parameter.compartment and self._documents[target].type == "Patient":
            owner = self._documents.group(target)
            if owner.personal:
                seen.update(self._documents.of_patient(owner.owner, source))
        for key, own in self._documents.names(target):
            for slot in postings.referring(source, parameter.name, key):
                if not own or self._documents.in_circle(
                    slot, target, typed=not key.startswith("urn:")
                ):
                    seen.add(slot)
        yield from (slot for slot in sorted(seen) if self.sees(slot))

    # Many documents

    def _narrow(self, resource_type: str, criterion: Criterion) -> tuple[set[int], set[int]]:
        """(slots that fit if they are visible, slots that may fit)."""
        documents, postings = self._documents, self._documents.postings
        assert postings is not None
        match criterion:
            case Missing(parameter=parameter, absent=absent):
                present = postings.present(resource_type, parameter.name)
                return (documents.of_type(resource_type) - present if absent else present), set()
            case Chain(parameter=parameter, branches=branches):
                return {
                    slot
                    for target_type, inner in branches
                    for target in self.select(target_type, (inner,))
                    for slot in self.referrers(target, resource_type, parameter)
                }, set()
            case Has(type=source, parameter=parameter, criterion=inner):
                return self._referred(resource_type, source, parameter, inner), set()
            case Filter():
                return self._narrow_filter(resource_type, criterion)

    def _referred(
        self, resource_type: str, source: str, parameter: Parameter, inner: Criterion
    ) -> set[int]:
        """What is referred to by something that fits `inner`, from whichever side is shorter."""
        fitting = self.select(source, (inner,))
        wanted = self._documents.of_type(resource_type)
        if len(fitting) < len(wanted):
            return {each for slot in fitting for each in self.targets(slot, parameter)}
        return {
            target
            for target in wanted
            if not fitting.isdisjoint(self.referrers(target, source, parameter))
        }

    def _narrow_filter(self, resource_type: str, wanted: Filter) -> tuple[set[int], set[int]]:
        postings = self._documents.postings
        assert postings is not None
        if wanted.parameter is ID:
            codes = [each.code for each in _tokens(wanted) if each.code and not each.system]
            by_id = self._documents.by_id
            return {slot for code in codes for slot in by_id(resource_type, code)}, set()
        if wanted.parameter is LAST_UPDATED:
            return set(), self._documents.of_type(resource_type)
        if wanted.parameter.kind == "reference" and not wanted.modifier:
            return self._narrow_reference(resource_type, wanted), set()
        found, sure = postings.find(resource_type, wanted)
        if wanted.modifier == "not":
            return self._documents.of_type(resource_type) - found, set()
        return (found, set()) if sure else (set(), found)

    def _narrow_reference(self, resource_type: str, wanted: Filter) -> set[int]:
        postings, parameter = self._documents.postings, wanted.parameter
        assert postings is not None
        found: set[int] = set()
        for operand in _references(wanted):
            for key in _keys(operand, parameter):
                found.update(postings.referring(resource_type, parameter.name, key))
        aims, owners = self._aim(wanted)
        for owner in owners:
            found.update(self._documents.of_patient(owner, resource_type))
        for target in aims:
            found.update(self.referrers(target, resource_type, parameter))
        return found


def _tokens(wanted: Filter) -> Iterator[TokenOperand]:
    return (each for each in wanted.operands if isinstance(each, TokenOperand))


def _references(wanted: Filter) -> Iterator[ReferenceOperand]:
    return (each for each in wanted.operands if isinstance(each, ReferenceOperand))


def _same(literal: tuple[str, str], operand: ReferenceOperand, parameter: Parameter) -> bool:
    """Whether a reference in a resource is spelled as it is searched for."""
    resource_type, name = literal
    if name != operand.name:
        return False
    if resource_type == operand.type:
        return True
    return not operand.type and resource_type in (parameter.targets or TYPES)


def _keys(operand: ReferenceOperand, parameter: Parameter) -> Iterator[str]:
    """Every spelling that `_same` accepts."""
    yield reference_key(operand)
    if not operand.type:
        for each in parameter.targets or TYPES:
            yield reference_key((each, operand.name))


def _cost(criterion: Criterion) -> int:
    """What leaves least for least work comes first."""
    match criterion:
        case Filter(parameter=parameter, modifier="") if parameter is ID:
            return 0
        case Filter(parameter=Parameter(kind="reference"), modifier=""):
            return 1
        case Filter(parameter=Parameter(kind="token" | "string" | "reference"), modifier=modifier):
            return 5 if modifier == "not" else 2
        case Filter(parameter=Parameter(kind="date" | "uri")):
            return 3
        case Chain() | Has():
            return 4
        case Filter() | Missing():
            return 5
