"""How much processor time searches take among 100,000 entries, and how much memory. Run it; nothing
asserts on it.

    .venv/bin/python -m tests.node.gateway.search.benchmark_search

Two thousand patients with forty-nine records each, and an organisation's own practitioners.
"""

import gc
import random
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

from node.gateway.fhir.search.documents import Listing
from node.gateway.fhir.search.evaluation import Visible
from node.gateway.fhir.search.extract import extract_bytes
from node.gateway.fhir.search.index import Index
from tests.node.gateway.search.archive import (
    GENERAL,
    HOSPITAL_A,
    NOW_MS,
    named,
    query_of,
    value,
)

PATIENTS = 2_000
RECORDS_EACH = 49
PRACTITIONERS = 100
ROUNDS = 10
LOINC = ("8302-2", "29463-7", "85354-9", "6299-2", "2093-3")
SNOMED = ("38341003", "44054006", "195662009")
EVERYTHING = Visible(lambda owner, category, author: True)


def observation(patient: str, number: int, chance: random.Random) -> dict[str, Any]:
    day = f"20{chance.randrange(24):02}-{1 + chance.randrange(12):02}-{1 + chance.randrange(28):02}"
    code = chance.choice(LOINC)
    return {
        "resourceType": "Observation",
        "id": f"{patient}-{number}",
        "status": "final",
        "category": [{"coding": [{"system": "urn:category", "code": "vital-signs"}]}],
        "code": {
            "coding": [{"system": "http://loinc.org", "code": code, "display": f"Finding {code}"}],
            "text": f"Finding {code}",
        },
        "subject": {"reference": f"urn:uuid:{patient}"},
        "encounter": {"reference": f"urn:uuid:{patient}-0"},
        "effectiveDateTime": f"{day}T12:00:00+02:00",
        "issued": f"{day}T12:30:00.000+02:00",
        "valueQuantity": {"value": chance.randrange(200), "unit": "mg", "code": "mg"},
    }


def resources(patient: str, chance: random.Random) -> list[dict[str, Any]]:
    subject = {"reference": f"urn:uuid:{patient}"}
    family = "".join(chance.choices("abcdefghij", k=6))
    made: list[dict[str, Any]] = [
        {
            "resourceType": "Patient",
            "id": patient,
            "identifier": [{"system": "urn:mrn", "value": patient}],
            "name": [{"family": family, "given": ["Liz"]}],
            "gender": chance.choice(("male", "female")),
            "birthDate": f"19{chance.randrange(10, 99)}-05-01",
        },
        {
            "resourceType": "Encounter",
            "id": f"{patient}-0",
            "status": "finished",
            "class": {"system": "urn:class", "code": "AMB"},
            "subject": subject,
            "period": {"start": "2012-01-01T10:00:00Z", "end": "2012-01-01T11:00:00Z"},
            "participant": [
                {"individual": {"reference": f"urn:uuid:doctor-{chance.randrange(PRACTITIONERS)}"}}
            ],
        },
        {
            "resourceType": "Condition",
            "code": {
                "coding": [{"system": "http://snomed.info/sct", "code": chance.choice(SNOMED)}]
            },
            "subject": subject,
            "onsetDateTime": "2012-01-01T10:00:00Z",
        },
    ]
    made += [observation(patient, each, chance) for each in range(1, RECORDS_EACH - 2)]
    return made


def listings() -> list[Listing]:
    chance = random.Random(1)
    made = []
    for number in range(PATIENTS):
        patient = f"patient-{number}"
        for at, each in enumerate(resources(patient, chance)):
            record = named(patient) + named(f"{patient} {at}")
            entry = extract_bytes(value(each))
            made.append(Listing(record, 1, GENERAL, HOSPITAL_A, NOW_MS + len(made), entry))
    for number in range(PRACTITIONERS):
        doctor = {
            "resourceType": "Practitioner",
            "id": f"doctor-{number}",
            "name": [{"family": f"Doctor {number}"}],
        }
        record = HOSPITAL_A + named(f"doctor {number}")
        entry = extract_bytes(value(doctor))
        made.append(Listing(record, 1, GENERAL, HOSPITAL_A, NOW_MS, entry))
    return made


def milliseconds(call: Callable[[], object]) -> tuple[float, float]:
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        call()
        times.append((time.process_time() - start) * 1e3)
    return statistics.median(times), max(times)


def queries() -> list[tuple[str, str]]:
    liz = f"patient={named('patient-7').hex()}"
    return [
        ("Observation", liz),
        ("Observation", f"{liz}&code=http://loinc.org|8302-2&date=ge2010&_sort=-date"),
        ("Observation", f"{liz}&encounter.status=finished&_include=Observation:encounter"),
        ("Patient", "identifier=urn:mrn|patient-7"),
        ("Patient", "name=abc"),
        ("Patient", f"_id={named('patient-7').hex()}&_revinclude=Observation:patient"),
        ("Observation", "code=http://loinc.org|8302-2"),
        ("Observation", "code=8302-2&_summary=count"),
        ("Observation", "code=8302-2&date=ge2010&date=lt2011"),
        ("Observation", "date=ge2010"),
        ("Observation", "code=8302-2&_sort=-date"),
        ("Observation", "code:text=finding 8302"),
        ("Observation", "code=8302-2&value-quantity=gt150||mg"),
        ("Observation", "patient.name=abc"),
        ("Observation", "patient.gender=male&code=8302-2"),
        ("Patient", "_has:Observation:patient:code=8302-2"),
        ("Encounter", "practitioner.name=doctor 7"),
    ]


def main() -> None:
    made = listings()
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    index = Index()
    for each in made:
        index.add(each)
    seconds = time.process_time() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    size = sum(len(each.entry) + len(each.record) for each in made)
    print(  # noqa: T201
        f"{len(index)} entries, {size // len(index)} B of entry and id each (not counted below), "
        f"lists and names {grown // len(index)} B each, {seconds / len(index) * 1e6:.0f} µs to add"
    )
    for resource_type, text in queries():
        query = query_of(resource_type, text.replace("|", "%7C"))
        total = index.find(query, EVERYTHING).total
        median, worst = milliseconds(lambda query=query: index.find(query, EVERYTHING))  # type: ignore[misc]
        print(f"{median:8.2f} ms, at most {worst:8.2f}: {total:6} {resource_type}?{text[:90]}")  # noqa: T201


if __name__ == "__main__":
    main()
