"""What may not be seen influences nothing: an answer over an index with hidden records is the
answer over an index in which they never were."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.gateway.fhir.search import evaluation, ordering
from node.gateway.fhir.search.documents import Listing
from node.gateway.fhir.search.evaluation import Visible
from node.gateway.fhir.search.extract import extract_bytes
from node.gateway.fhir.search.index import Found, Index
from tests.node.gateway.search.archive import (
    BOB,
    EVERYTHING,
    GENERAL,
    HOSPITAL_A,
    HOSPITAL_B,
    LIZ,
    NOW_MS,
    SENSITIVE,
    named,
    query_of,
    value,
)

OWNERS = (LIZ, BOB, HOSPITAL_A)
NAMES = {
    "Patient": "p",
    "Encounter": "e",
    "Observation": "o",
    "Condition": "c",
    "Practitioner": "x",
}
"""By which own id a resource of each type is referred to."""
CODES = ("a", "b")
DATES = ("2012", "2012-05", "2012-05-06", "2013-01-01T00:00:00Z")
TYPES = ("Patient", "Encounter", "Observation", "Condition", "Practitioner")


def _records() -> list[bytes]:
    return [owner + named(f"{number}") for owner in OWNERS for number in range(4)]


RECORDS = _records()


def references(*types: str) -> st.SearchStrategy[dict[str, str]]:
    """To something of these types, in all the ways in which that is said."""
    return st.one_of(
        st.sampled_from(types).map(lambda each: f"urn:uuid:{NAMES[each]}"),
        st.sampled_from(types).map(lambda each: f"{each}/{NAMES[each]}"),
        st.tuples(st.sampled_from(types), st.sampled_from([each.hex() for each in RECORDS])).map(
            "/".join
        ),
        st.sampled_from((LIZ, BOB)).map(lambda owner: f"Patient/{owner.hex()}"),
    ).map(lambda text: {"reference": text})


@st.composite
def resources(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(TYPES))
    made: dict[str, Any] = {"resourceType": kind}
    if draw(st.integers(0, 3)):
        made["id"] = NAMES[kind]
    coded = {"coding": [{"system": "urn:s", "code": draw(st.sampled_from(CODES))}]}
    reference = draw(references("Patient"))
    date = draw(st.sampled_from(DATES))
    match kind:
        case "Patient" | "Practitioner":
            made |= {"name": [{"family": draw(st.sampled_from(("Conn", "Kreiger")))}]}
            made |= {"birthDate": "1980-05-06"} if kind == "Patient" else {}
        case "Encounter":
            made |= {"subject": reference, "period": {"start": date}, "type": [coded]}
            made["participant"] = [{"individual": draw(references("Practitioner"))}]
        case "Observation":
            made |= {"subject": reference, "code": coded, "effectiveDateTime": date}
            made["encounter"] = draw(references("Encounter"))
            made["hasMember"] = [draw(references("Observation"))]
        case _:
            made |= {"subject": reference, "code": coded, "onsetDateTime": date}
            made["encounter"] = draw(references("Encounter"))
    return made


@st.composite
def listings(draw: st.DrawFn) -> Listing:
    record = draw(st.sampled_from(RECORDS))
    author = HOSPITAL_A
    if record[:16] != HOSPITAL_A:
        author = draw(st.sampled_from((HOSPITAL_A, HOSPITAL_B)))
    return Listing(
        record,
        draw(st.integers(1, 3)),
        draw(st.sampled_from((GENERAL, SENSITIVE))),
        author,
        NOW_MS + draw(st.integers(0, 5)),
        extract_bytes(value(draw(resources()))),
    )


_IDS = [each.hex() for each in RECORDS[:8]] + [LIZ.hex(), BOB.hex()]
_OF_PATIENT = [f"patient={each}" for each in _IDS] + [f"subject=Patient/{each}" for each in _IDS]
_CODED = (
    "code=a",
    "code:not=a",
    "code=urn:s%7C",
    "code=a,b",
    "code:missing=true",
    "_sort=code,-_id",
)
_DATED = tuple(
    f"date={each}"
    for each in ("2012", "ge2012-05", "ne2012-05", "sa2012", "le2012-05", "eb2013", "ap2012-06")
)
_ABOUT = (
    "patient.name=conn",
    "subject:Patient.family=k",
    "_include=*",
    "_include=*&_include:iterate=Encounter:participant&_include:iterate=Encounter:subject:Patient",
    "_count=2&_sort=_lastUpdated",
    "_lastUpdated=ge2023-11-14T22:13:20.002Z",
)
_AT_VISIT = (
    *(f"encounter={each}" for each in _IDS),
    "encounter=urn:uuid:e",
    "encounter:missing=false",
    "encounter.type=a",
    "encounter.patient.name=conn",
    "encounter.practitioner.name=c",
)
_ASKED: dict[str, tuple[str, ...]] = {
    "Patient": (
        *(f"_id={each}" for each in _IDS),
        "birthdate=1980",
        "name:contains=nn",
        "_has:Observation:patient:code=a",
        "_has:Encounter:patient:_has:Observation:encounter:code=b",
        "_revinclude=Condition:patient&_revinclude=Encounter:patient&_revinclude=Observation:subject",
    ),
    "Encounter": (
        *_OF_PATIENT,
        *_ABOUT,
        *_DATED,
        "practitioner.name=c",
        "_sort=-date",
        "_has:Observation:encounter:code=a",
        "_has:Condition:encounter:patient.name=conn",
        "_revinclude=Observation:encounter&_revinclude:iterate=Observation:has-member",
    ),
    "Observation": (
        *_OF_PATIENT,
        *_ABOUT,
        *_AT_VISIT,
        *_CODED,
        *_DATED,
        "_sort=-date",
        "_has:Observation:has-member:encounter.type=b",
    ),
    "Condition": (*_OF_PATIENT, *_ABOUT, *_AT_VISIT, *_CODED),
    "Practitioner": (
        "name=c",
        "_has:Encounter:practitioner:_has:Observation:encounter:code=b",
        "_has:Encounter:practitioner:patient.name=conn",
        "_revinclude=Encounter:practitioner&_revinclude:iterate=Observation:encounter",
        "_summary=count",
    ),
}


@st.composite
def questions(draw: st.DrawFn) -> tuple[str, str]:
    """A type and what is asked of it."""
    resource_type = draw(st.sampled_from(TYPES))
    asked = draw(st.lists(st.sampled_from(_ASKED[resource_type]), max_size=2, unique=True))
    if sum("_sort" in each for each in asked) > 1:
        asked = asked[:1]
    return resource_type, "&".join(asked)


@dataclass(frozen=True)
class Hidden:
    groups: frozenset[tuple[bytes, bytes, bytes]]
    records: frozenset[bytes]

    def hides(self, listing: Listing) -> bool:
        group = (listing.record[:16], listing.category, listing.author)
        return group in self.groups or listing.record in self.records


_HIDDEN = st.builds(
    Hidden,
    st.frozensets(
        st.tuples(
            st.sampled_from(OWNERS),
            st.sampled_from((GENERAL, SENSITIVE)),
            st.sampled_from((HOSPITAL_A, HOSPITAL_B)),
        ),
        max_size=6,
    ),
    st.frozensets(st.sampled_from(RECORDS), max_size=4),
)


def _answers(index: Index, resource_type: str, text: str, visible: Visible) -> list[Found]:
    """Every page."""
    query = query_of(resource_type, text)
    pages = [index.find(query, visible)]
    while pages[-1].next is not None:
        pages.append(index.find(query, visible, pages[-1].next))
    return pages


@pytest.fixture(params=[(0, False), (1_000_000, False), (0, True)], ids=["lists", "scan", "small"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """All the ways of finding candidates; whether the index is a short-lived one."""
    scan, short_lived = request.param
    monkeypatch.setattr(evaluation, "SCAN_DOCUMENTS_MAX", scan)
    monkeypatch.setattr(ordering, "LOOKED_UP_MAX", scan)
    return bool(short_lived)


def _compare(
    short_lived: bool, data: list[Listing], hidden: Hidden, asked: list[tuple[str, str]]
) -> None:
    whole, cleaned = Index(short_lived=short_lived), Index(short_lived=short_lived)
    latest: dict[bytes, Listing] = {}
    for each in data:
        whole.add(each)
        latest[each.record] = each
    for each in latest.values():
        if not hidden.hides(each):
            cleaned.add(each)
    visible = Visible(
        lambda *group: group not in hidden.groups, lambda record: record not in hidden.records
    )
    for question in asked:
        answers = _answers(whole, *question, visible)
        assert answers == _answers(cleaned, *question, EVERYTHING), question
    for owner in OWNERS:
        mine = whole.compartment(owner, visible, NOW_MS + 2)
        assert mine == cleaned.compartment(owner, EVERYTHING, NOW_MS + 2)
        assert whole.referenced(mine, visible) == cleaned.referenced(mine, EVERYTHING)


def test_what_is_hidden_influences_nothing(way: bool) -> None:
    @settings(max_examples=30, deadline=None)
    @given(
        data=st.lists(listings(), min_size=6, max_size=16),
        hidden=_HIDDEN,
        asked=st.lists(questions(), min_size=2, max_size=6),
    )
    def run(data: list[Listing], hidden: Hidden, asked: list[tuple[str, str]]) -> None:
        _compare(way, data, hidden, asked)

    run()


@settings(max_examples=25, deadline=None)
@given(
    data=st.lists(listings(), min_size=6, max_size=16),
    asked=st.lists(questions(), min_size=2, max_size=6),
)
def test_lists_and_looking_one_by_one_agree(
    data: list[Listing], asked: list[tuple[str, str]]
) -> None:
    answers = []
    for scan, short_lived in ((0, False), (1_000_000, False), (0, True)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(evaluation, "SCAN_DOCUMENTS_MAX", scan)
            patch.setattr(ordering, "LOOKED_UP_MAX", scan)
            index = Index(short_lived=short_lived)
            for each in data:
                index.add(each)
            answers.append([_answers(index, *each, EVERYTHING) for each in asked])
    assert answers[0] == answers[1] == answers[2]


@settings(max_examples=25, deadline=None)
@given(
    data=st.lists(listings(), min_size=6, max_size=16), gone=st.frozensets(st.sampled_from(RECORDS))
)
def test_what_was_removed_leaves_nothing(data: list[Listing], gone: frozenset[bytes]) -> None:
    used, fresh = Index(), Index()
    for each in data:
        used.add(each)
    for record in gone:
        used.remove(record)
    for each in {each.record: each for each in data if each.record not in gone}.values():
        fresh.add(each)
    assert len(used) == len(fresh)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "SCAN_DOCUMENTS_MAX", 0)
        shared = ("patient.name=conn", "code=a", "code:missing=true", "code:not=a")
        for kind, dated in (("Observation", "date=ge2012"), ("Condition", "onset-date=ge2012")):
            for text in (*shared, dated):
                assert _answers(used, kind, text, EVERYTHING) == _answers(
                    fresh, kind, text, EVERYTHING
                )
    used.remove_owner(LIZ)
    used.remove_owner(BOB, GENERAL)
    used.remove_owner(BOB, SENSITIVE)
    used.remove_owner(HOSPITAL_A)
    assert len(used) == 0
    postings = used._documents.postings
    assert postings is not None
    for lists in postings._lists.values():
        assert not lists.present
        for each in (lists.texts, lists.strings, lists.references, lists.tokens._pairs):
            assert not each._slots
        assert not lists.tokens._systems
        assert not lists.dates._lows
        assert not lists.dates._tail
    assert not used._documents.order
    assert not used._documents._by_own_id._slots
    assert not used._documents._by_owner._slots
