"""Five real bundles: every resource is found by each value that it has."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import pytest

from client.bundle import read_bundle
from node.gateway.fhir.search import evaluation
from node.gateway.fhir.search.documents import Listing
from node.gateway.fhir.search.entry import ENTRY, Entry
from node.gateway.fhir.search.extract import extract, extract_bytes
from node.gateway.fhir.search.index import Index
from node.gateway.fhir.search.parameters import Parameter, parameters_of
from node.gateway.fhir.search.ranges import OPEN_HIGH_MS, OPEN_LOW_MS
from node.gateway.fhir.search.references import reference_key
from tests.node.gateway.search.archive import (
    EVERYTHING,
    FHIR,
    GENERAL,
    HOSPITAL_A,
    NOW_MS,
    named,
    query_of,
)

PATIENTS = ("Buster_Hoeger", "Clemente_Kreiger", "Liz_Conn")
ORGANIZATIONS = ("hospitalInformation", "practitionerInformation")


@dataclass
class Loaded:
    index: Index
    entries: dict[bytes, Entry]
    records: dict[str, bytes]
    """By the id in the file."""


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    """All bundles as hospital A has put them."""
    if not FHIR.is_dir():
        pytest.skip("the sample records are not there")
    made = Loaded(Index(), {}, {})
    for name in (*PATIENTS, *ORGANIZATIONS):
        owner = named(name) if name in PATIENTS else HOSPITAL_A
        _load(made, FHIR / f"{name}.json", owner)
    return made


def _load(made: Loaded, path: Path, owner: bytes) -> None:
    for resource in read_bundle(path.read_bytes()).resources:
        record = owner + sha256(resource.content).digest()[:16]
        entry = extract_bytes(resource.value)
        made.index.add(Listing(record, 1, GENERAL, HOSPITAL_A, NOW_MS, entry))
        made.entries[record] = extract(resource.value)
        made.records[f"{path.stem}/{resource.id}"] = record


def _instant(at_ms: int) -> str:
    days, rest = divmod(at_ms, 86_400_000)
    day = date.fromordinal(date(1970, 1, 1).toordinal() + days)
    seconds, ms = divmod(rest, 1_000)
    minutes, second = divmod(seconds, 60)
    return f"{day}T{minutes // 60:02}:{minutes % 60:02}:{second:02}.{ms:03}Z"


def _escaped(text: str) -> str:
    for each in "\\,|$":
        text = text.replace(each, f"\\{each}")
    return quote(text, safe="")


def _queries(entry: Entry, parameter: Parameter) -> Iterator[str]:
    """A query for each value that `entry` has, each modifier and side of it."""
    yield from _token_queries(entry, parameter.name)
    yield from _string_queries(entry, parameter)
    yield from _range_queries(entry, parameter.name)
    for reference in entry.references.get(parameter.name, ()):
        yield f"{parameter.name}={_escaped(reference_key(reference))}"
    yield f"{parameter.name}:missing={'false' if entry.has(parameter) else 'true'}"


def _token_queries(entry: Entry, name: str) -> Iterator[str]:
    for system, code in entry.tokens.get(name, ()):
        yield f"{name}={_escaped(code)}"
        yield f"{name}={_escaped(system)}%7C{_escaped(code)}"
        if system:
            yield f"{name}={_escaped(system)}%7C"
        yield f"{name}:not=no-such-code"
    for text in entry.texts.get(name, ()):
        yield f"{name}:text={_escaped(text)}"


def _string_queries(entry: Entry, parameter: Parameter) -> Iterator[str]:
    name = parameter.name
    for text in entry.strings.get(name, ()):
        yield f"{name}={_escaped(text)}"
        if parameter.kind == "string":
            yield f"{name}:exact={_escaped(text)}"
            yield f"{name}={_escaped(text[:4].upper())}"
            yield f"{name}:contains={_escaped(text[1:] or text)}"


def _range_queries(entry: Entry, name: str) -> Iterator[str]:
    for low, high in entry.dates.get(name, ()):
        if low != OPEN_LOW_MS:
            yield f"{name}=ge{_instant(low)}"
            yield f"{name}=gt{_instant(low - 1)}"
        if high != OPEN_HIGH_MS:
            yield f"{name}=le{_instant(high - 1)}"
            yield f"{name}=eb{_instant(high)}"
    for low_text, high_text, system, code, _ in entry.quantities.get(name, ()):
        yield f"{name}={low_text or high_text}"
        yield f"{name}={low_text or high_text}%7C{_escaped(system)}%7C{_escaped(code)}"


@pytest.mark.parametrize("scan", [0, 1_000_000], ids=["by lists", "one by one"])
def test_every_resource_is_found_by_each_of_its_values(
    loaded: Loaded, scan: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "SCAN_DOCUMENTS_MAX", scan)
    wanted: dict[tuple[str, str], set[bytes]] = {}
    for record, entry in loaded.entries.items():
        for parameter in parameters_of(entry.type).values():
            for text in _queries(entry, parameter):
                wanted.setdefault((entry.type, text), set()).add(record)
    assert len(wanted) > 2_000
    for (resource_type, text), records in wanted.items():
        if scan and sha256(text.encode()).digest()[0] % 8:
            continue  # what is found one by one takes long: an eighth of it
        found = set(_all(loaded.index, resource_type, text))
        assert records <= found, (resource_type, text)


def _all(index: Index, resource_type: str, text: str) -> Iterator[bytes]:
    query = query_of(resource_type, f"{text}&_count=500")
    position = None
    while True:
        page = index.find(query, EVERYTHING, position)
        yield from page.matches
        position = page.next
        if position is None:
            return


@pytest.mark.parametrize("name", PATIENTS)
def test_a_patient_has_what_his_bundle_has(loaded: Loaded, name: str) -> None:
    owner = named(name)
    mine = {each for each in loaded.entries if each[:16] == owner}
    patient = next(each for each in mine if loaded.entries[each].type == "Patient")
    assert loaded.index.compartment(owner, EVERYTHING)[0] == patient
    assert set(loaded.index.compartment(owner, EVERYTHING)) == mine
    for each in ("Observation", "Encounter", "Claim", "ExplanationOfBenefit", "Procedure"):
        own = {record for record in mine if loaded.entries[record].type == each}
        for patient_id in (patient.hex(), owner.hex()):
            for spelling in (f"patient={patient_id}", f"patient=Patient/{patient_id}"):
                assert set(_all(loaded.index, each, spelling)) == own


def test_what_the_bundles_say_of_each_other(loaded: Loaded) -> None:
    liz = f"patient={named('Liz_Conn').hex()}"
    find = loaded.index.find
    page = find(query_of("Encounter", f"{liz}&_include=Encounter:practitioner"), EVERYTHING)
    types = {loaded.entries[each].type for each in page.included}
    assert page.total == 7
    assert types == {"Practitioner"}
    page = find(query_of("DiagnosticReport", f"{liz}&_include=DiagnosticReport:result"), EVERYTHING)
    assert {loaded.entries[each].type for each in page.included} == {"Observation"}
    assert len(page.included) > 11
    female = find(query_of("Observation", "patient.gender=female&_summary=count"), EVERYTHING)
    of_her = find(query_of("Observation", "subject:Patient.family=conn&_summary=count"), EVERYTHING)
    assert of_her.total == 36
    assert female.total in {36, 36 + 48, 36 + 33, 36 + 48 + 33}
    has = find(query_of("Patient", "_has:Condition:patient:code=38341003"), EVERYTHING)
    assert loaded.records["Liz_Conn/ee9f8dd8-72d2-4769-8020-89e504b1504b"] in has.matches


def test_an_entry_is_small(loaded: Loaded) -> None:
    sizes = [len(ENTRY.encode(each)) for each in loaded.entries.values()]
    assert sum(sizes) / len(sizes) < 1_200
    assert not any(each.cut for each in loaded.entries.values())
