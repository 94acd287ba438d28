"""What a clinician's system asks for, parameter by parameter."""

import pytest

from node.gateway.fhir.search import index as index_module
from node.gateway.fhir.search.evaluation import Visible
from tests.node.gateway.search.archive import (
    BOB,
    GENERAL,
    HOSPITAL_A,
    HOSPITAL_B,
    LIZ,
    NOW_MS,
    SENSITIVE,
    Archive,
)

LOINC = "http://loinc.org"


def coded(code: str, system: str = LOINC, display: str = "") -> dict[str, object]:
    return {"coding": [{"system": system, "code": code, "display": display}], "text": display}


@pytest.fixture(params=[False, True], ids=["kept", "short-lived"])
def archive(request: pytest.FixtureRequest) -> Archive:
    """Liz has an encounter with two findings and a condition; Bob has one finding. Doctor Who and
    the hospital are hospital A's own records. In either kind of index."""
    made = Archive(short_lived=request.param)
    made.put(
        "liz",
        "Patient",
        id="liz-1",
        name=[{"family": "Çonn", "given": ["Liz", "Ann"]}],
        gender="female",
        birthDate="1980-05-06",
        identifier=[{"system": "urn:mrn", "value": "Mrn-7"}, {"value": "loose"}],
        telecom=[{"system": "phone", "value": "555-1"}, {"system": "email", "value": "l@x.org"}],
    )
    made.put("bob", "Patient", BOB, id="bob-1", name=[{"text": "Bob Straße"}], gender="male")
    made.put("who", "Practitioner", HOSPITAL_A, id="who-1", name=[{"family": "Who"}])
    made.put("clinic", "Organization", HOSPITAL_A, id="clinic-1", name="Clinic", alias=["Old Mill"])
    made.put(
        "visit",
        "Encounter",
        id="visit-1",
        status="finished",
        type=[coded("185349003", "urn:sct")],
        subject={"reference": "urn:uuid:liz-1"},
        serviceProvider={"reference": "Organization/clinic-1"},
        participant=[{"individual": {"reference": "urn:uuid:who-1"}}],
        period={"start": "2012-08-10T20:37:06+00:00"},
    )
    made.put(
        "height",
        "Observation",
        status="final",
        code=coded("8302-2", display="Body Height"),
        subject={"reference": "urn:uuid:liz-1"},
        encounter={"reference": "urn:uuid:visit-1"},
        effectiveDateTime="2012-08-10T22:37:06+02:00",
        valueQuantity={"value": 165.1, "unit": "cm", "system": "http://ucum", "code": "cm"},
    )
    made.put(
        "weight",
        "Observation",
        status="preliminary",
        code=coded("29463-7", display="Body Weight"),
        subject={"reference": f"Patient/{LIZ.hex()}"},
        effectiveDateTime="2013",
        valueQuantity={"value": 71, "unit": "kg"},
        category=SENSITIVE,
        performer=[{"identifier": {"system": "urn:npi", "value": "150"}}],
    )
    made.put(
        "pressure",
        "Observation",
        BOB,
        status="final",
        code=coded("85354-9", display="Pressure"),
        subject={"reference": "urn:uuid:bob-1"},
        effectivePeriod={"end": "2012-02-29"},
    )
    made.put(
        "asthma",
        "Condition",
        code=coded("195967001", "http://snomed.info/sct", "Asthma"),
        subject={"reference": "Patient/liz-1"},
        onsetString="in spring",
        encounter={"reference": "Encounter/visit-1"},
    )
    return made


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("code=8302-2", {"height"}),
        (f"code={LOINC}%7C8302-2", {"height"}),
        ("code=urn:other%7C8302-2", set()),
        ("code=%7C8302-2", set()),
        (f"code={LOINC}%7C", {"height", "weight", "pressure"}),
        ("code=8302-2,85354-9", {"height", "pressure"}),
        ("code=8302-2&code=85354-9", set()),
        ("code:not=8302-2", {"weight", "pressure"}),
        ("code:text=body", {"height", "weight"}),
        ("code:text=HEIGHT", {"height"}),
        ("status=FINAL", {"height", "pressure"}),
        ("status=http://hl7.org/fhir/observation-status%7Cfinal", {"height", "pressure"}),
        ("encounter:missing=true", {"weight", "pressure"}),
        ("encounter:missing=false", {"height"}),
        ("performer:identifier=urn:npi%7C150", {"weight"}),
        ("performer:missing=false", {"weight"}),
        ("value-quantity=165.1", {"height"}),
        ("value-quantity=165", {"height"}),
        ("value-quantity=165.0", set()),
        ("value-quantity=gt71", {"height"}),
        ("value-quantity=ge71", {"height", "weight"}),
        ("value-quantity=lt165.1", {"weight"}),
        ("value-quantity=le165.1", {"height", "weight"}),
        ("value-quantity=ap160", {"height"}),
        ("value-quantity=ne71", {"height"}),
        ("value-quantity=sa100", {"height"}),
        ("value-quantity=eb100", {"weight"}),
        ("value-quantity=gt1%7C%7Ckg", {"weight"}),
        ("value-quantity=gt1%7Chttp://ucum%7Ccm", {"height"}),
        ("value-quantity=gt1%7Curn:x%7Ccm", set()),
        ("date=2012-08-10", {"height"}),
        ("date=2012-08-10T20:37:06Z", {"height"}),
        ("date=2012-08-10T22:37:06+02:00", {"height"}),  # the plus comes as a blank
        ("date=2012-08-10T22:37:06%2B02:00", {"height"}),
        ("date=2012-08-10T22:37:06Z", set()),
        ("date=2013", {"weight"}),
        ("date=2013-01", set()),
        ("date=ge2012-08&date=lt2013", {"height"}),
        ("date=ne2013", {"height", "pressure"}),
        ("date=gt2012", {"weight"}),
        ("date=ge2013", {"weight"}),
        ("date=lt2012-08-10", {"pressure"}),
        ("date=le2012-02", {"pressure"}),
        ("date=sa2012-08-09", {"height", "weight"}),
        ("date=eb2012-08-10", {"pressure"}),
        ("date=eb2012-02-29", set()),
        ("date=ap2013-06", {"height", "weight"}),
        ("date=ap2023", set()),
        ("subject=urn:uuid:liz-1", {"height"}),
        (f"patient={LIZ.hex()}", {"height", "weight"}),
        (f"subject:Patient={LIZ.hex()}", {"height", "weight"}),
        (f"patient=Patient/{BOB.hex()},Patient/{LIZ.hex()}", {"height", "weight", "pressure"}),
        ("patient.name=conn", {"height", "weight"}),
        ("subject:Patient.birthdate=1980", {"height", "weight"}),
        ("patient.identifier=urn:mrn%7Cmrn-7", {"height", "weight"}),
        ("patient.gender=male", {"pressure"}),
        ("encounter.type=185349003", {"height"}),
        ("encounter.practitioner.name=who", {"height"}),
        ("encounter.service-provider.name=old", {"height"}),
        ("_lastUpdated=2023-11-14", {"height", "weight", "pressure"}),
        ("_lastUpdated=gt2023-11-14", set()),
    ],
)
def test_observations(archive: Archive, text: str, names: set[str]) -> None:
    assert archive.found("Observation", text) == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("name=CONN", {"liz"}),
        ("name=%C3%A7onn", {"liz"}),
        ("family=co", {"liz"}),
        ("family=onn", set()),
        ("family:contains=NN", {"liz"}),
        ("family:exact=%C3%87onn", {"liz"}),
        ("family:exact=Conn", set()),
        ("given=ann", {"liz"}),
        ("name=bob%20strasse", {"bob"}),
        ("name=bob,liz", {"bob", "liz"}),
        ("birthdate=1980-05", {"liz"}),
        ("birthdate=lt1980-05-06", set()),
        ("gender:not=male", {"liz"}),
        ("identifier=mrn-7", {"liz"}),
        ("identifier=urn:mrn%7C", {"liz"}),
        ("identifier=%7Cloose", {"liz"}),
        ("phone=555-1", {"liz"}),
        ("email=555-1", set()),
        ("telecom=L@x.org", {"liz"}),
        ("deceased=false", {"liz", "bob"}),
        (f"_id={LIZ.hex()}", {"liz"}),
        (f"_id={LIZ.hex()},{BOB.hex()}", {"liz", "bob"}),
        ("_id=nobody", set()),
        ("_has:Observation:patient:code=8302-2", {"liz"}),
        ("_has:Observation:subject:status=final", {"liz", "bob"}),
        ("_has:Encounter:patient:practitioner.name=who", {"liz"}),
        ("_has:Encounter:patient:_has:Condition:encounter:code=195967001", {"liz"}),
    ],
)
def test_patients(archive: Archive, text: str, names: set[str]) -> None:
    assert archive.found("Patient", text) == names


def test_a_record_is_its_owners_whatever_it_says(archive: Archive) -> None:
    archive.put("stray", "Observation", code=coded("x"), subject={"reference": "Patient/nobody"})
    liz = archive.records["liz"].hex()
    assert archive.found("Observation", f"patient=Patient/{liz}") == {"height", "weight", "stray"}
    assert archive.found("Observation", f"subject={liz}&code=x") == {"stray"}
    visit = archive.records["visit"].hex()
    assert archive.found("Observation", f"patient={visit}") == set()
    assert archive.found("Observation", f"encounter=Encounter/{visit}") == {"height"}
    assert archive.found("Observation", f"encounter={visit}") == {"height"}
    assert archive.found("Observation", f"encounter:Encounter={visit}") == {"height"}
    assert archive.found("Condition", f"encounter={visit}") == {"asthma"}


def test_other_hospitals_ids_mean_nothing_here(archive: Archive) -> None:
    """ "Encounter/visit-1" is hospital A's word; a UUID is everybody's."""
    archive.put("b1", "Condition", author=HOSPITAL_B, encounter={"reference": "Encounter/visit-1"})
    archive.put("b2", "Condition", author=HOSPITAL_B, encounter={"reference": "urn:uuid:visit-1"})
    archive.put("b3", "Condition", BOB, encounter={"reference": "urn:uuid:visit-1"})
    archive.put("b4", "Condition", author=HOSPITAL_B, asserter={"reference": "urn:uuid:who-1"})
    assert archive.found("Condition", "encounter.status=finished") == {"asthma", "b2"}
    assert archive.found("Condition", "asserter.name=who") == set()


def test_includes(archive: Archive) -> None:
    ask = archive.included
    assert ask("Observation", "code=8302-2&_include=Observation:encounter") == {"visit"}
    assert ask("Observation", "code=8302-2&_include=*") == {"visit", "liz"}
    assert ask("Observation", "code=8302-2&_include=Observation:subject:Patient") == {"liz"}
    assert ask("Observation", "code=8302-2&_include=Observation:subject:Group") == set()
    two = "code=8302-2&_include=Observation:encounter&_include:iterate=Encounter:practitioner"
    assert ask("Observation", two) == {"visit", "who"}
    one = "code=8302-2&_include=Observation:encounter&_include=Encounter:practitioner"
    assert ask("Observation", one) == {"visit"}
    assert ask("Patient", "name=conn&_revinclude=Condition:patient") == {"asthma"}
    back = "name=conn&_revinclude=Encounter:patient&_revinclude:iterate=Observation:encounter"
    assert ask("Patient", back) == {"visit", "height"}
    page = archive.ask("Encounter", "_include=Encounter:subject&_revinclude=Condition:encounter")
    assert page.total == 1
    assert archive.names(page.included) == ["liz", "asthma"]


def test_a_page_takes_only_so_much_along(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "INCLUDED_MAX", 2)
    page = archive.ask("Patient", "name=conn&_revinclude=Observation:patient")
    assert len(page.included) == 2
    assert not page.truncated
    archive.put("more", "Observation", code=coded("x"))
    page = archive.ask("Patient", "name=conn&_revinclude=Observation:patient")
    assert len(page.included) == 2
    assert page.truncated


def test_order(archive: Archive) -> None:
    search = archive.search
    assert search("Observation", "_sort=date") == ["pressure", "height", "weight"]
    assert search("Observation", "_sort=-date") == ["weight", "height", "pressure"]
    assert search("Observation", "_sort=value-quantity")[:2] == ["weight", "height"]
    assert search("Observation", "_sort=-value-quantity") == ["height", "weight", "pressure"]
    assert search("Observation", "_sort=status,-date") == ["height", "pressure", "weight"]
    assert search("Patient", "_sort=-name") == ["liz", "bob"]
    assert search("Patient", "_sort=birthdate") == ["liz", "bob"]
    assert search("Patient", "_sort=-birthdate") == ["liz", "bob"], "what has none comes last"
    ids = sorted(archive.records[each] for each in ("height", "weight", "pressure"))
    assert search("Observation", "_sort=_id") == archive.names(ids)
    archive.put("height", "Observation", at_ms=NOW_MS + 1)
    assert search("Observation")[0] == "height"
    assert search("Observation", "_sort=_lastUpdated")[-1] == "height"


def test_pages_fit_together_while_others_write() -> None:
    archive = Archive()
    for number in range(7):
        archive.put(f"n{number}", "Condition", at_ms=NOW_MS + number, code=coded(f"c{number}"))
    first = archive.ask("Condition", "_count=3")
    assert archive.names(first.matches) == ["n6", "n5", "n4"]
    assert first.next is not None
    archive.put("late", "Condition", at_ms=NOW_MS + 100)
    archive.put("n6", "Condition", at_ms=NOW_MS + 101)
    second = archive.ask("Condition", "_count=3", position=first.next)
    assert archive.names(second.matches) == ["n3", "n2", "n1"]
    assert second.next is not None
    archive.index.remove(archive.records["n1"])
    third = archive.ask("Condition", "_count=3", position=second.next)
    assert third.matches == () or archive.names(third.matches) == ["n0"]
    assert third.next is None
    whole = archive.ask("Condition", "_count=0")
    assert whole.matches == ()
    assert whole.total == 7


def test_only_the_current_version_is_found(archive: Archive) -> None:
    record = archive.records["height"]
    archive.put("height", "Observation", code=coded("new"), status="amended")
    assert archive.index.version(record) == 2
    assert archive.found("Observation", "code=8302-2") == set()
    assert archive.found("Observation", "status=amended") == {"height"}
    archive.index.remove(record)
    assert archive.index.version(record) is None
    assert archive.found("Observation", "status=amended") == set()


def test_everything_of_a_patient(archive: Archive) -> None:
    everyone = Visible(lambda owner, category, author: True)
    own = archive.names(archive.index.compartment(LIZ, everyone))
    assert own[0] == "liz"
    assert set(own) == {"liz", "visit", "height", "weight", "asthma"}
    assert archive.index.compartment(HOSPITAL_A, everyone) == ()
    some = archive.index.compartment(LIZ, everyone, types=("Condition", "Encounter"))
    assert set(archive.names(some)) == {"asthma", "visit"}
    assert archive.index.compartment(LIZ, everyone, since_ms=NOW_MS + 1) == ()
    records = archive.index.compartment(LIZ, everyone)
    assert set(archive.names(archive.index.referenced(records, everyone))) == {"who", "clinic"}
    general = Visible(lambda owner, category, author: category == GENERAL)
    assert "weight" not in archive.names(archive.index.compartment(LIZ, general))


def test_what_is_hidden_is_in_no_chain(archive: Archive) -> None:
    nobody = Visible(
        lambda owner, category, author: True, lambda record: record != archive.records["liz"]
    )
    assert archive.search("Observation", "patient.name=conn", nobody) == []
    assert archive.included("Observation", "_include=Observation:patient", nobody) == {"bob"}
    assert archive.search("Patient", "_has:Observation:patient:status=final", nobody) == ["bob"]
    assert set(archive.search("Observation", f"patient={LIZ.hex()}", nobody)) == {
        "height",
        "weight",
    }


def test_what_is_hidden_leads_nowhere_and_is_led_to_from_nowhere(archive: Archive) -> None:
    general = Visible(lambda owner, category, author: category == GENERAL)
    assert archive.search("Patient", "_has:Observation:patient:code=29463-7", general) == []
    assert archive.included("Patient", "name=conn&_revinclude=Observation:patient", general) == {
        "height"
    }
    hidden = archive.records["visit"]
    others = Visible(lambda owner, category, author: True, lambda record: record != hidden)
    assert archive.search("Patient", "_has:Encounter:patient:status=finished", others) == []
    assert archive.search("Observation", "encounter.practitioner.name=who", others) == []
    assert archive.search("Observation", f"encounter=Encounter/{hidden.hex()}", others) == []
    assert set(archive.search("Observation", f"patient={hidden.hex()}", others)) == {
        "height",
        "weight",
    }, "what cannot be seen cannot be told from a Patient that is not there"


def test_what_the_ledger_keeps_is_found_for_one_request() -> None:
    archive = Archive(short_lived=True)
    consent = archive.put(
        "consent",
        "Consent",
        record_id="q-.consent",
        status="active",
        patient={"reference": f"Patient/{LIZ.hex()}"},
        scope=coded("patient-privacy", "urn:scope"),
        provision={"period": {"start": "2023-01-01", "end": "2023-12-31"}},
    )
    archive.put(
        "access",
        "AuditEvent",
        record_id="access-1",
        recorded="2023-11-14T22:13:20.000Z",
        action="R",
        agent=[{"who": {"identifier": {"value": "b"}, "reference": "Organization/b"}}],
        entity=[{"what": {"reference": f"Consent/{consent}"}}],
    )
    assert archive.found("Consent", f"patient={LIZ.hex()}&status=active") == {"consent"}
    assert archive.found("Consent", f"_id={consent}") == {"consent"}
    assert archive.found("Consent", "period=ap2023-06") == {"consent"}
    assert archive.found("AuditEvent", "date=ge2023&action=r") == {"access"}
    assert archive.found("AuditEvent", f"entity={consent}") == {"access"}
    assert archive.found("AuditEvent", f"entity=Consent/{consent}") == {"access"}
    assert archive.found("AuditEvent", "entity:Consent.status=active") == {"access"}
    assert archive.included("AuditEvent", "_include=AuditEvent:entity") == {"consent"}
    assert archive.found("AuditEvent", f"patient={LIZ.hex()}") == {"access"}
