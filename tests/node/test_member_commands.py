"""The member's side of consent and care, command by command, against a node of one validator."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from node_command import Terminal

from client.genesis_file import save_genesis
from ledger.codes import REJECTIONS
from node.cli import putting
from tests.node.member_world import Members, Town, save_wallets, served, settings

SAMPLES = Path(__file__).parents[2] / "configs" / "samples" / "story"
CANARY = "CANARY she asked about her mother"


@dataclass
class Case(Members):
    """Hospital A has registered a patient."""

    pseudonym: str
    patient: str
    record: str
    category: str

    def permit(self, *options: str) -> str:
        document = self.ok("consent", "grant", "hospital-b", *options, "--as", self.patient)
        return str(document["consent"])


@pytest.fixture
def case(
    town: Town,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Iterator[Case]:
    save_wallets(tmp_path, town)
    with served(town, tmp_path) as (ward, address), settings(tmp_path, address):
        members = Members(Terminal(capsys), tmp_path, ward)
        put = members.ok("record", "put", SAMPLES / "patient.json", "--as", "hospital-a")
        pseudonym = put["records"][0]["patient"]
        record = next(each["id"] for each in put["records"] if each["type"] == "Observation")
        patient = f"patient-{pseudonym}"
        listed = members.ok("record", "list", "--as", patient)["records"]
        yield Case(
            members.terminal,
            tmp_path,
            ward,
            pseudonym,
            patient,
            record,
            listed[0]["category"],
        )


def test_asked_denied_permitted_read_seen_and_revoked(case: Case) -> None:
    denied = case.refused("record", "get", case.record, "--as", "hospital-b")
    assert (denied["code"], denied["exit_code"]) == ("E032", 5)
    assert denied["cause"].startswith("key.not_sealed_to_us: No consent in force fits")

    note = case.file("note", CANARY)
    asked = case.ok(
        *("access", "request", "--patient", case.pseudonym, "--purpose", "TREAT"),
        *("--days", "90", "--note-file", note, "--as", "hospital-b-doctor"),
    )
    (seen,) = case.ok("access", "requests", "--as", case.patient)["requests"]
    assert (seen["id"], seen["organization"], seen["note"]) == (
        asked["request"],
        "hospital-b",
        CANARY,
    )
    others = case.ok("access", "requests", "--patient", case.pseudonym, "--as", "regulator")
    assert others["requests"][0]["note"] is None

    decided = case.ok(
        *("access", "decide", asked["request"], "--permit", "--category", "general"),
        *("--days", "30", "--as", case.patient),
    )
    (consent,) = case.ok("consent", "list", "--as", case.patient)["consents"]
    assert (consent["id"], consent["grantee"]) == (decided["consent"], "hospital-b")
    assert consent["categories"] == [case.category]
    assert consent["purposes"] == ["TREAT"]
    assert 29 < (consent["valid_until_ms"] - consent["granted_ms"]) / 86_400_000 < 31

    opened = case.run("record", "get", case.record, "--as", "hospital-b")
    assert json.loads(opened.out)["resourceType"] == "Observation"
    assert "logged at height" in opened.err
    (access,) = case.ok("access", "log", "--as", case.patient)["accesses"]
    assert (access["organization"], access["basis"]) == ("hospital-b", "consent")
    assert (access["cited"], access["records"]) == (decided["consent"], [case.record])
    assert access["actor"] == case.id_of("hospital-b")

    case.ok("consent", "revoke", decided["consent"], "--as", case.patient)
    assert case.refused("record", "get", case.record, "--as", "hospital-b")["code"] == "E032"
    assert case.ok("consent", "list", "--as", case.patient)["consents"] == []
    (ended,) = case.ok("consent", "list", "--all", "--as", case.patient)["consents"]
    assert ended["status"] == "ended"


def test_a_reader_of_another_organisation_is_refused_by_the_ledger(case: Case) -> None:
    """Hospital A's clinician may read; hospital B may not read in his name."""
    foreign = case.id_of("hospital-a-doctor")
    refused = case.refused("record", "get", case.record, "--actor", foreign, "--as", "hospital-b")
    assert (refused["code"], "access.not_reader" in refused["cause"]) == ("E033", True)


def test_anothers_words_do_not_steer_the_terminal(case: Case) -> None:
    note = case.file("note", "one\x1b[2J\x9b1m\ntwo")
    case.ok(
        *("access", "request", "--patient", case.pseudonym, "--note-file", note),
        *("--as", "hospital-b"),
    )
    said = case.says("access", "requests", "--as", case.patient)
    assert said.splitlines()[1].endswith("one [2J 1m two")


def test_a_request_is_denied_and_stays_so(case: Case) -> None:
    asked = case.ok("access", "request", "--patient", case.pseudonym, "--as", "hospital-b")
    decide = ("access", "decide", asked["request"])
    assert case.refused(*decide, "--as", case.patient)["code"] == "E070"
    assert case.ok(*decide, "--deny", "--as", case.patient)["consent"] is None
    again = case.refused(*decide, "--permit", "--as", case.patient)
    assert (again["code"], again["exit_code"]) == ("E033", 1)
    assert "access.decided_already" in again["cause"]
    assert again["why"] == "The patient has answered this request."
    unknown = case.refused("access", "decide", case.pseudonym * 2, "--deny", "--as", case.patient)
    assert unknown["code"] == "E034"
    (listed,) = case.ok("access", "requests", "--as", case.patient)["requests"]
    assert (listed["effect"], listed["consent"]) == ("deny", None)


def test_the_author_that_does_not_answer_is_named(case: Case) -> None:
    case.permit()
    case.ward.releases = False
    late = case.refused("record", "get", case.record, "--as", "hospital-b", "--wait", "0.1")
    assert (late["code"], late["exit_code"]) == ("E044", 6)
    assert "hospital-a" in late["cause"]
    assert len(case.ok("access", "log", "--as", case.patient)["accesses"]) == 1


def test_where_the_chain_is_ahead_what_is_in_force_is_judged_by_its_time(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.permit("--days", "30")
    case.ok("wallet", "new", "aunt", "--demo", "--kind", "proxy", "--suite", "1")
    case.ok(*("proxy", "appoint", "aunt", "--power", "read", "--days", "30", "--as", case.patient))
    right = putting.now_ms
    monkeypatch.setattr(putting, "now_ms", lambda: right() - 3_600_000)
    (consent,) = case.ok("consent", "list", "--as", case.patient)["consents"]
    (proxy,) = case.ok("proxy", "list", "--as", case.patient)["proxies"]
    assert (consent["status"], proxy["status"]) == ("in force", "in force")


def test_a_standing_consent_brings_its_keys(case: Case) -> None:
    case.ward.releases = False
    case.permit("--standing", "--category", "general", "--purpose", "TREAT")
    opened = case.run("record", "get", case.record, "--as", "hospital-b", "--wait", "1")
    assert json.loads(opened.out)["resourceType"] == "Observation"
    assert len(case.ok("access", "log", "--as", case.patient)["accesses"]) == 1
    refused = case.refused(
        *("consent", "grant", "hospital-b", "--deny", "--standing", "--as", case.patient)
    )
    assert refused["code"] == "E070"
    doctor = case.id_of("hospital-b-doctor")
    refused = case.refused("consent", "grant", doctor, "--standing", "--as", case.patient)
    assert refused["code"] == "E070"


def test_a_decision_is_explained_with_every_consent_that_speaks_to_it(case: Case) -> None:
    doctor, patient = case.id_of("hospital-b-doctor"), case.pseudonym
    explain = ("consent", "explain", case.record, "--actor", doctor, "--as", case.patient)
    assert case.ok(*explain)["why"] == "nothing_permits"
    permit = case.permit("--purpose", "TREAT")
    found = case.ok(*explain)
    assert (found["permit"], found["basis"], found["cited"]) == (True, "consent", permit)
    deny = case.ok(
        *("consent", "grant", "hospital-b", "--deny", "--purpose", "TREAT"),
        *("--as", case.patient),
    )["consent"]
    found = case.ok(*explain)
    assert (found["permit"], found["why"]) == (False, "consent.contradicted")
    assert {each["consent"] for each in found["considered"]} == {permit, deny}
    words = case.says(*explain)
    assert f"{doctor} may not read this for treatment (TREAT)" in words
    assert f"{permit} permits hospital-b; it names the purpose" in words
    assert f"{deny} denies hospital-b; it names the purpose" in words
    closer = case.ok(
        *("consent", "grant", doctor, "--purpose", "TREAT", "--category", "general"),
        *("--as", case.patient),
    )["consent"]
    assert case.ok(*explain)["cited"] == closer
    assert "the clinician, the category, the purpose" in case.says(*explain)
    denied = case.refused("record", "get", case.record, "--as", "hospital-b")
    assert deny in denied["cause"]
    everything = case.ok("consent", "explain", "--patient", patient, "--as", "hospital-b-doctor")
    assert everything["cited"] == closer
    own = case.ok("consent", "explain", "--as", case.patient)
    assert own["basis"] == "patient"
    opened = case.run("record", "get", case.record, "--actor", doctor, "--as", "hospital-b")
    assert json.loads(opened.out)["resourceType"] == "Observation"


def test_an_emergency_opens_the_summary_and_nothing_else_and_is_reviewed(case: Case) -> None:
    put = case.ok(
        *("record", "put", SAMPLES / "emergency-summary.json"),
        *("--category", "emergency-summary", "--as", "hospital-a"),
    )
    summary = put["records"][0]["id"]
    doctor = case.id_of("hospital-b-doctor")
    read = ("--purpose", "ETREAT", "--actor", doctor, "--as", "hospital-b")
    assert case.refused("record", "get", summary, *read)["code"] == "E032"
    start = ("emergency", "open", "--patient", case.pseudonym, "--as", "hospital-b-doctor")
    assert case.refused(*start)["code"] == "E070", "a reason in words is needed"
    reason = case.file("reason", CANARY)
    opened = case.ok(*start, "--note-file", reason)
    assert json.loads(case.run("record", "get", summary, *read).out)["resourceType"] == (
        "AllergyIntolerance"
    )
    assert case.refused("record", "get", case.record, *read)["code"] == "E032"
    treat = ("--actor", doctor, "--as", "hospital-b")
    assert case.refused("record", "get", summary, *treat)["code"] == "E032", "another purpose"

    (seen,) = case.ok("emergency", "list", "--as", case.patient)["emergencies"]
    assert (seen["id"], seen["reason"], seen["status"]) == (opened["emergency"], CANARY, "open")
    review = ("emergency", "review", opened["emergency"], "--outcome", "justified", "--as")
    early = case.refused(*review, "hospital-b-auditor")
    assert "emergency.in_force" in early["cause"]
    case.ok("emergency", "close", opened["emergency"], "--as", "hospital-b-doctor")
    assert case.refused("record", "get", summary, *read)["code"] == "E032"
    assert "emergency.not_reviewer" in case.refused(*review, "hospital-b-doctor")["cause"]
    words = case.file("words", "She was unconscious.")
    case.ok(*review, "hospital-b-auditor", "--note-file", words)
    (seen,) = case.ok("emergency", "list", "--as", case.patient)["emergencies"]
    assert (seen["outcome"], seen["review"]) == ("justified", "She was unconscious.")
    assert CANARY in case.says("emergency", "list", "--as", case.patient)


def test_a_care_plan_is_proposed_shown_answered_and_revised(case: Case) -> None:
    plan = case.ok(
        *("careplan", "propose", SAMPLES / "care-plan.json", "--patient", case.pseudonym),
        *("--as", "hospital-a-doctor"),
    )["plan"]
    shown = case.ok("careplan", "show", plan, "--as", case.patient)
    assert (shown["version"], shown["answer"]) == (1, None)
    assert shown["document"]["title"] == "Anticoagulation at home"
    question = case.file("question", CANARY)
    respond = ("careplan", "respond", plan, "--as", case.patient)
    assert case.refused(*respond)["code"] == "E070"
    case.ok(*respond, "--ask", "--note-file", question)
    theirs = case.ok("careplan", "show", plan, "--as", "hospital-a")
    assert (theirs["answer"], theirs["versions"][0]["note"]) == ("ask", CANARY)
    assert theirs["document"] is not None
    foreign = case.ok("careplan", "show", plan, "--as", "hospital-b")
    assert (foreign["document"], foreign["versions"][0]["note"]) == (None, None)
    assert "sealed to others" in case.says("careplan", "show", plan, "--as", "hospital-b")

    revised = case.ok(
        *("careplan", "revise", plan, SAMPLES / "care-plan.json", "--as", "hospital-a-doctor")
    )
    assert revised["version"] == 2
    late = case.refused(*respond, "--accept", "--version", "1")
    assert "careplan.version_out_of_order" in late["cause"]
    assert case.ok(*respond, "--accept")["version"] == 2
    (listed,) = case.ok("careplan", "list", "--as", case.patient)["plans"]
    assert (listed["id"], listed["version"], listed["answer"]) == (plan, 2, "accept")
    versions = case.ok("careplan", "show", plan, "--as", case.patient)["versions"]
    assert [each["answer"] for each in versions] == ["ask", "accept"]

    records = case.ok("record", "list", "--as", case.patient)["records"]
    ours = {each["category"] for each in records if each["signer"] == signer(case)}
    assert len(ours) == 1, "both versions in one category of their own"
    assert ours != {case.category}


def signer(case: Case) -> str:
    return case.id_of("hospital-a-doctor")


def test_the_general_category_is_known_to_who_can_tell_it_from_others(case: Case) -> None:
    """Once the hospital has opened a second category, its ids tell nobody else which is which."""
    ask = ("access", "request", "--patient", case.pseudonym, "--category", "general", "--as")
    case.ok(*ask, "hospital-b")
    propose = ("careplan", "propose", SAMPLES / "care-plan.json", "--patient", case.pseudonym)
    case.ok(*propose, "--as", "hospital-a-doctor")
    for wallet in ("hospital-b", "hospital-a-doctor"):
        refused = case.refused(*ask, wallet)
        assert (refused["code"], "by its id" in refused["fix"]) == ("E070", True)
    case.ok(*ask, "hospital-a")
    consent = case.permit("--category", "general")
    (listed,) = case.ok("consent", "list", "--as", case.patient)["consents"]
    assert (listed["id"], listed["categories"]) == (consent, [case.category])
    assert "  general  " in case.says("consent", "list", "--as", case.patient)
    theirs = case.says("consent", "list", "--patient", case.pseudonym, "--as", "hospital-b")
    assert case.category in theirs


def test_what_is_no_care_plan_is_not_proposed(case: Case) -> None:
    propose = ("--patient", case.pseudonym, "--as", "hospital-a-doctor")
    refused = case.refused("careplan", "propose", SAMPLES / "follow-up.json", *propose)
    assert (refused["code"], refused["exit_code"]) == ("E018", 1)
    by_service = case.refused(
        *("careplan", "propose", SAMPLES / "care-plan.json"),
        *("--patient", case.pseudonym, "--as", "hospital-a-administrator"),
    )
    assert by_service["code"] == "E033"


def test_an_erasure_waits_for_a_hold_and_is_then_granted(case: Case) -> None:
    held = case.ok(
        *("hold", "place", "--patient", case.pseudonym, "--category", "general"),
        *("--note-file", case.file("why", CANARY), "--as", "hospital-a-administrator"),
    )
    refused = case.refused("erasure", "request", "--as", case.patient)
    assert "erasure.on_hold" in refused["cause"]
    assert refused["why"] == "A legal hold forbids to erase this."
    (listed,) = case.ok("hold", "list", "--as", case.patient)["holds"]
    assert (listed["id"], listed["note"], listed["category"]) == (
        held["hold"],
        CANARY,
        case.category,
    )
    case.ok("hold", "release", held["hold"], "--as", "regulator-auditor")
    asked = case.ok("erasure", "request", "--record", case.record, "--as", case.patient)
    approve = ("erasure", "approve", asked["erasure"], "--as")
    assert "erasure.not_approver" in case.refused(*approve, "hospital-b-administrator")["cause"]
    done = case.ok(*approve, "hospital-a-administrator")
    assert (done["status"], done["record"]) == ("erased", case.record)
    status = case.ok("erasure", "status", asked["erasure"], "--as", case.patient)
    assert status["attestations"] == [{"organization": "hospital-a", "attested_ms": None}]
    assert "0 of 1 members have attested" in case.says(
        "erasure", "status", asked["erasure"], "--as", case.patient
    )
    both = ("--record", case.record, "--category", "general", "--as", case.patient)
    assert case.refused("erasure", "request", *both)["code"] == "E070"


def test_a_large_erasure_takes_as_many_steps_as_it_needs(case: Case) -> None:
    entry = {
        "resourceType": "Observation",
        "subject": {"reference": "Patient/p"},
        "status": "final",
    }
    entries = [{"resource": entry | {"id": f"o{number}"}} for number in range(70)]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    case.ok(
        *("record", "put", case.file("many.json", json.dumps(bundle))),
        *("--patient", case.pseudonym, "--as", "hospital-a"),
    )
    asked = case.ok("erasure", "request", "--as", case.patient)
    done = case.ok("erasure", "approve", asked["erasure"], "--as", "regulator-administrator")
    assert done["status"] == "erased"
    assert done["steps"] > 1
    assert done["hashes"] > 70


def test_an_access_is_doubted_and_answered(case: Case) -> None:
    case.permit()
    case.run("record", "get", case.record, "--as", "hospital-b")
    (access,) = case.ok("access", "log", "--as", case.patient)["accesses"]
    note = case.file("doubt", CANARY)
    case.ok("access", "dispute", access["id"], "--note-file", note, "--as", case.patient)
    resolve = ("access", "resolve", access["id"], "--outcome", "unjustified", "--as")
    assert "access.not_resolver" in case.refused(*resolve, "hospital-b-auditor")["cause"]
    seen = case.ok("access", "log", "--patient", case.pseudonym, "--as", "hospital-a")
    assert seen["accesses"][0]["dispute"]["note"] == CANARY
    case.ok(*resolve, "hospital-a-auditor", "--note-file", note)
    (access,) = case.ok("access", "log", "--as", case.patient)["accesses"]
    assert (access["dispute"]["status"], access["dispute"]["resolution"]) == (
        "unjustified",
        CANARY,
    )
    assert "unjustified" in case.says("access", "log", "--as", case.patient)


def test_a_proxy_acts_within_his_appointment_and_reads_by_it(case: Case) -> None:
    case.ok("wallet", "new", "aunt", "--demo", "--kind", "proxy", "--suite", "1")
    about = ("--patient", case.pseudonym, "--as", "aunt")
    assert case.run("record", "list", *about, "--json").code != 0, "nobody knows her yet"
    made = case.ok(
        *("proxy", "appoint", "aunt", "--power", "read", "--power", "consent"),
        *("--days", "30", "--as", case.patient),
    )
    (listed,) = case.ok("proxy", "list", "--as", case.patient)["proxies"]
    assert (listed["id"], listed["powers"]) == (made["proxy"], ["consent", "read"])
    assert listed["status"] == "in force"
    opened = case.run("record", "get", case.record, "--as", "aunt")
    assert json.loads(opened.out)["resourceType"] == "Observation"
    (access,) = case.ok("access", "log", *about)["accesses"]
    assert (access["basis"], access["organization"]) == ("proxy", None)
    consent = case.ok("consent", "grant", "hospital-b", *about)["consent"]
    assert case.ok("consent", "list", *about)["consents"][0]["id"] == consent
    beyond = case.refused("erasure", "request", *about)
    assert "proxy.beyond_scope" in beyond["cause"]
    # Appointed anew, she is known already.
    case.ok("proxy", "appoint", "aunt", "--power", "care", "--as", case.patient)
    assert case.refused("consent", "revoke", consent, "--as", "aunt")["code"] == "E033"
    case.ok("proxy", "revoke", made["proxy"], *about)
    (listed,) = case.ok("proxy", "list", "--as", case.patient)["proxies"]
    assert listed["status"] == "revoked"
    assert case.refused("record", "list", *about)["code"] == "E034"


def test_staff_is_enrolled_by_its_administrator_from_a_card(case: Case) -> None:
    card = case.ok(
        *("wallet", "new", "nurse", "--demo", "--kind", "clinician", "--org", "hospital-b")
    )["card"]
    assert case.ok("wallet", "show", "nurse", "--card") == card
    file = case.file("card.json", json.dumps(card))
    foreign = case.refused("principal", "enrol", file, "--as", "hospital-b-doctor")
    assert "principal.not_administrator" in foreign["cause"]
    made = case.ok("principal", "enrol", file, "--as", "hospital-b-administrator")
    assert (made["organization"], made["kind"]) == ("hospital-b", "clinician")
    shown = case.ok("principal", "show", card["id"], "--as", "hospital-a")
    assert shown["principal"]["organization"] == "hospital-b"
    case.ok("access", "request", "--patient", case.pseudonym, "--as", "nurse")
    for text in ("", "[]", '{"card": {"id": "00"}}', "{" * 100_000):
        refused = case.refused(
            *("principal", "enrol", case.file("bad.json", text)),
            *("--as", "hospital-b-administrator"),
        )
        assert refused["code"] == "E018"


def test_another_hospital_writes_about_who_handed_it_her_pseudonym(case: Case) -> None:
    put = case.ok(
        *("record", "put", SAMPLES / "follow-up.json", "--patient", case.pseudonym),
        *("--as", "hospital-b"),
    )
    (record,) = put["records"]
    assert record["patient"] == case.pseudonym
    opened = case.run("record", "get", record["id"], "--as", case.patient)
    assert json.loads(opened.out)["resourceType"] == "Observation"
    assert case.refused("record", "get", record["id"], "--as", "hospital-a")["code"] == "E032"
    listed = case.ok("record", "list", "--as", case.patient)["records"]
    categories = {each["category"] for each in listed}
    assert categories == {case.category}, "the general one, under a key of its own"
    summary = case.ok(
        *("record", "put", SAMPLES / "emergency-summary.json", "--category", "emergency-summary"),
        *("--as", "hospital-b"),
    )
    assert {each["patient"] for each in summary["records"]} == {case.pseudonym}


def test_after_a_revocation_records_go_under_a_new_epoch(case: Case) -> None:
    consent = case.permit()
    case.run("record", "get", case.record, "--as", "hospital-b")
    case.ok("consent", "revoke", consent, "--as", case.patient)
    put = case.ok("record", "put", SAMPLES / "follow-up.json", "--as", "hospital-a")
    opened = case.run("record", "get", put["records"][0]["id"], "--as", case.patient)
    assert json.loads(opened.out)["resourceType"] == "Observation"
    again = case.ok("record", "put", SAMPLES / "follow-up.json", "--as", "hospital-a")
    assert again["records"][0]["id"] != put["records"][0]["id"]


def test_an_organisations_wallet_forgets_a_patient(case: Case) -> None:
    assert case.ok("wallet", "show", "hospital-a")["patients"] == 1
    case.ok("wallet", "forget", case.pseudonym, "--as", "hospital-a")
    shown = case.ok("wallet", "show", "hospital-a")
    assert (shown["patients"], shown["category_keys"]) == (0, [])
    own = case.refused("wallet", "forget", case.pseudonym, "--as", case.patient)
    assert own["code"] == "E070"


def test_a_patient_off_the_test_network_names_the_genesis_file(
    case: Case, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wallet = case.path / "wallets" / f"{case.patient}.wallet"
    secret = case.file("passphrase", "secret")
    monkeypatch.delenv("MEDLOCK_DIR")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDLOCK_PASSPHRASE_FILE", str(secret))
    grant = ("consent", "grant", "hospital-b", "--as", wallet)
    refused = case.refused(*grant)
    assert (refused["code"], "--genesis" in refused["fix"]) == ("E070", True)
    save_genesis(tmp_path / "genesis.json", case.ward.genesis)
    case.ok(*grant, "--genesis", tmp_path / "genesis.json")
    # Staff is told by the node.
    staff = case.path / "wallets" / "hospital-a-administrator.wallet"
    case.ok("hold", "place", "--patient", case.pseudonym, "--as", staff)


BAD: tuple[tuple[str, ...], ...] = (
    ("consent", "grant", "hospital-z"),
    ("consent", "grant", "hospital-b", "--until", "tomorrow"),
    ("consent", "grant", "hospital-b", "--until", "2026-12-31", "--days", "3"),
    ("consent", "grant", "hospital-b", "--days", "0"),
    ("consent", "grant", "hospital-b", "--purpose", "CURIOSITY"),
    ("consent", "grant", "hospital-b", "--category", "hiv"),
    ("consent", "grant", "hospital-b", "--patient", "liz"),
    ("consent", "grant", "hospital-b", "--recorded-from", "2026-01-01"),
    ("consent", "grant", "hospital-b", "--from", "9999-12-31T23:59:59+99:00"),
    ("consent", "revoke", "00"),
    ("consent", "explain", "00"),
    ("consent", "explain", "--actor", "00"),
    ("access", "decide", "00", "--permit"),
    ("access", "dispute", "00"),
    ("access", "request"),
    ("access", "resolve", "00" * 40, "--outcome", "maybe"),
    ("emergency", "open"),
    ("emergency", "close", "zz"),
    ("careplan", "show", "00"),
    ("careplan", "respond", "00", "--accept"),
    ("careplan", "propose", "/nowhere"),
    ("erasure", "request", "--record", "00"),
    ("erasure", "status", "00"),
    ("hold", "release", "00"),
    ("proxy", "appoint", "nobody", "--power", "read"),
    ("proxy", "appoint", "hospital-a", "--power", "fly"),
    ("proxy", "revoke", "00"),
    ("principal", "enrol", "/nowhere/card.json"),
    ("principal", "show", "00"),
    ("record", "get", "00"),
    ("record", "get", "00" * 32, "--purpose", "CURIOSITY"),
)


def test_bad_input_is_a_usage_error_and_changes_nothing(case: Case) -> None:
    tip = case.ward.store.tip()
    assert tip is not None
    for arguments in BAD:
        refused = case.refused(*arguments, "--as", case.patient)
        expected = ("E016", 3) if "/nowhere/card.json" in arguments else ("E070", 2)
        assert (refused["code"], refused["exit_code"]) == expected, arguments
    notes = {"empty": b"", "large": b"x" * 20_000, "binary": b"\xff\xfe"}
    for name, raw in notes.items():
        (case.path / name).write_bytes(raw)
        refused = case.refused(
            *("emergency", "open", "--patient", case.pseudonym, "--note-file", case.path / name),
            *("--as", "hospital-b-doctor"),
        )
        assert refused["code"] == "E070"
    for group in ("consent list", "access requests", "access log", "emergency list"):
        assert case.refused(*group.split(), "--as", "hospital-a")["code"] == "E070", "about whom?"
    after = case.ward.store.tip()
    assert after is not None
    assert after.header.height == tip.header.height


REFUSED: tuple[tuple[tuple[str, ...], str], ...] = (
    (("consent", "revoke", "00" * 48), "consent.unknown"),
    (("consent", "grant", "hospital-b", "--until", "2020-01-01"), "validity.ended"),
    (("consent", "grant", "hospital-b", "--from", "2020-01-01"), "validity.retroactive"),
    (("emergency", "close", "00" * 32), "emergency.unknown"),
    (("access", "dispute", "00" * 40), "access.unknown"),
    (("erasure", "approve", "00" * 32), "erasure.unknown"),
    (("hold", "release", "00" * 32), "hold.unknown"),
    (("proxy", "revoke", "00" * 16), "proxy.not_appointed"),
)


def test_the_ledgers_no_is_told_with_its_rule(case: Case) -> None:
    itself = ("proxy", "appoint", case.patient, "--power", "read")
    for arguments, code in (*REFUSED, (itself, "proxy.self_appointed")):
        refused = case.refused(*arguments, "--as", case.patient)
        assert (refused["code"], refused["exit_code"]) == ("E033", 1)
        assert code in refused["cause"]
        assert refused["why"] == REJECTIONS[code].rule
        assert refused["fix"] == REJECTIONS[code].fix


def test_a_story_that_breaks_says_where_and_fails(case: Case) -> None:
    """This network has no node of hospital B, where the story reads."""
    outcome = case.run("testnet", "demo", "--dir", case.path)
    assert outcome.code == 1
    assert outcome.out.count("BROKEN:") == 1
    *_, last, _, verdict = outcome.out.splitlines()
    assert last.startswith("    BROKEN: exit 3: [E001]")
    assert verdict.endswith(" steps: broken")


def test_words_are_on_no_command_line_and_in_no_error(case: Case) -> None:
    """Reasons come from files only: no command takes one as an argument."""
    note = case.file("note", CANARY)
    asked = case.run(
        *("access", "request", "--patient", case.pseudonym, "--note-file", note),
        *("--as", "hospital-b"),
    )
    failed = case.run(
        *("emergency", "open", "--patient", case.pseudonym, "--note-file", note),
        *("--as", "hospital-b-auditor"),
    )
    assert failed.code == 1
    for outcome in (asked, failed):
        assert "CANARY" not in outcome.out + outcome.err
    height = case.ward.store.tip()
    assert height is not None
    attachments = b"".join(
        path.read_bytes() for path in (case.path / "attachments").rglob("*") if path.is_file()
    )
    assert b"CANARY" not in attachments
