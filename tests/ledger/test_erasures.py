"""Erasure: refused under a hold or a retention period, final afterwards, attested (invariant 6)."""

import pytest

from chain.block import OK, Result
from ledger import patient_queries as queries
from ledger.actions import CategoryOpen, RecordAmend, RecordPut, RecordRetract
from ledger.care_actions import (
    CarePlanRespond,
    ErasureApprove,
    ErasureAttest,
    HoldRelease,
)
from ledger.consent_actions import AccessDispute
from ledger.consent_entries import SCOPE, SCOPED_CATEGORIES_MAX, CategoryScope, ScopeEntry
from ledger.erasures import STEP_HASHES_MAX
from ledger.fields import StandingKey
from ledger.keyspace import scope_key
from ledger.policies import DAY_MS, Policies
from tests.ledger.consent_world import (
    ANNA,
    HOSPITAL_A,
    IMAGING,
    SUMMARY,
    access,
    appointment,
    case_of,
    consent_of,
    decision,
    emergency,
    erasure,
    everything,
    grant,
    hold,
    logged,
    plan,
    release,
    request,
    rotation,
)
from tests.ledger.ledger_world import (
    GENERAL,
    World,
    digest,
    key,
    opening,
    person,
    put,
    record_of,
)

RECORD = record_of("anna", "x-ray")
SCAN = record_of("anna", "scan")
FOR_B = consent_of("anna", "hospital-b")
CASE = case_of("anna", "erasure")
APPROVAL, ATTESTATION = ErasureApprove(CASE), ErasureAttest(CASE)


@pytest.fixture
def world() -> World:
    """Anna has a record of two versions and an image, each in its category."""
    world = World()
    world.register("anna")
    world.submit("doctor-a", put(RECORD, "x-ray"), amendment(2))
    world.submit("doctor-a", opening(ANNA, IMAGING), put(SCAN, "scan", IMAGING))
    return world


def amendment(version: int, record: bytes = RECORD, content: str = "amended") -> RecordAmend:
    return RecordAmend(record, version, GENERAL, 0, digest(content), digest("k"))


def erase(world: World, **scope: bytes) -> None:
    assert world.submit("anna", erasure(**scope)) == OK
    assert world.submit("admin-a", APPROVAL) == OK
    entry = queries.erasure(world.state, CASE)
    assert entry is not None
    assert entry.status == "erased"


def test_a_patient_is_refused_under_a_hold_then_erased_and_every_member_attests(
    world: World,
) -> None:
    assert world.submit("admin-r", hold()) == OK
    assert world.submit("anna", erasure()) == Result("erasure.on_hold", "actions[0].erasure")
    assert world.submit("admin-r", HoldRelease(case_of("anna", "hold"))) == OK
    assert world.submit("anna", erasure()) == OK
    assert world.submit("gateway-a", ATTESTATION) == Result(
        "erasure.not_erased", "actions[0].erasure"
    )
    assert queries.erased_hashes(world.state, CASE, limit=99) == ()
    assert world.submit("admin-a", APPROVAL) == OK
    ((_, entry),) = queries.erasures_of(world.state, ANNA, limit=9)
    assert (entry.status, entry.approved_by) == ("erased", "hospital-a")
    hashes = queries.erased_hashes(world.state, CASE, limit=99)
    # The hold's sealed reason is among them.
    expected = ("x-ray", "amended", "scan", "seals anna", "seals", "court order anna hold")
    assert hashes == tuple(sorted(digest(each) for each in expected))
    assert entry.hashes == len(hashes)
    assert queries.erased_hashes(world.state, CASE, limit=2) == hashes[:2]
    assert queries.erased_hashes(world.state, CASE, limit=9, after=hashes[1]) == hashes[2:]

    storing = [member for member, _ in queries.attestations(world.state, CASE)]
    assert storing == ["hospital-a", "hospital-b", "wholesaler"]
    assert world.submit("gateway-a", ATTESTATION) == OK
    assert world.submit("admin-b", ATTESTATION) == OK
    assert [
        member for member, found in queries.attestations(world.state, CASE) if found is None
    ] == ["wholesaler"]
    assert world.submit("gateway-w", ATTESTATION) == OK
    assert all(found for _, found in queries.attestations(world.state, CASE))


def test_nothing_touches_an_erased_patient(world: World) -> None:
    world.submit("anna", grant(FOR_B))
    claim = access("read", RECORD, cited=FOR_B)
    world.submit("doctor-b", claim, plan("knee"))
    at = logged(world, claim)
    erase(world)
    standing = StandingKey(GENERAL, HOSPITAL_A, 0, digest("standing"))
    other = consent_of("anna", "hospital-b", "other")
    for sender, action in (
        ("doctor-a", put(record_of("anna", "new"), "new")),
        ("doctor-a", amendment(3, content="newest")),
        ("doctor-a", RecordRetract(RECORD, 3)),
        ("doctor-b", CategoryOpen(ANNA, GENERAL, digest("other seals"))),
        ("gateway-a", rotation(1)),
        ("gateway-a", release(at)),
        ("anna", grant(other)),
        ("anna", grant(other, standing=(standing,))),
        ("doctor-b", access("again", RECORD, cited=FOR_B)),
        ("doctor-a", access("own", RECORD, actor="doctor-a", basis="author")),
        ("doctor-b", request("please")),
        ("doctor-b", emergency("crash")),
        ("doctor-b", plan("hip")),
        ("anna", CarePlanRespond(case_of("anna", "knee"), 1, "accept", None)),
        ("anna", erasure("again")),
        ("admin-a", hold()),
    ):
        assert world.submit(sender, action).code == "scope.erased", action
    assert decision(world, "doctor-a", RECORD).why == "scope.erased"
    assert decision(world, "anna", everything()).why == "scope.erased"
    assert world.submit("anna", AccessDispute(at, None)) == OK, "the chain's own log stays"


def test_an_erased_hash_is_never_named_again(world: World) -> None:
    world.register("ben")
    erase(world)
    for content in ("x-ray", "amended", "scan"):
        assert world.submit("doctor-a", put(record_of("ben", content), content)) == Result(
            "attachment.erased", "attachments[0].hash"
        )
        assert queries.is_erased(world.state, digest(content))
    fine, erased = put(record_of("ben", "a"), "fine"), put(record_of("ben", "b"), "scan")
    assert world.submit("doctor-a", fine, erased).field == "attachments[1].hash"
    assert world.submit("doctor-a", fine) == OK


def test_a_category_is_erased_and_the_others_stay(world: World) -> None:
    erase(world, category=IMAGING)
    assert queries.erased_hashes(world.state, CASE, limit=9) == tuple(
        sorted((digest("scan"), digest("seals")))
    )
    assert decision(world, "doctor-a", SCAN).why == "scope.erased"
    assert decision(world, "doctor-a", RECORD).permit
    reopened = CategoryOpen(ANNA, IMAGING, digest("other seals"))
    assert world.submit("doctor-b", reopened).code == "scope.erased"
    assert world.submit("anna", grant(FOR_B, categories=[IMAGING])).code == "scope.erased"
    into = RecordPut(record_of("anna", "n"), IMAGING, 0, digest("n"), digest("k"))
    assert world.submit("doctor-a", into).code == "scope.erased"
    out_of = RecordAmend(SCAN, 2, GENERAL, 0, digest("moved"), digest("k"))
    assert world.submit("doctor-a", out_of) == Result("scope.erased", "actions[0].record")
    assert world.submit("anna", grant(FOR_B)) == OK
    assert decision(world, "doctor-b", RECORD).permit
    assert not decision(world, "doctor-b", SCAN).permit
    assert world.submit("doctor-a", amendment(3, content="newest")) == OK


def test_a_record_is_erased_with_all_its_versions_and_the_others_stay(world: World) -> None:
    other = record_of("anna", "other")
    world.submit("doctor-a", put(other, "other"))
    erase(world, record=RECORD)
    assert queries.erased_hashes(world.state, CASE, limit=9) == tuple(
        sorted((digest("x-ray"), digest("amended")))
    )
    assert decision(world, "doctor-a", RECORD).why == "scope.erased"
    assert decision(world, "doctor-a", other).permit
    for action in (amendment(3, content="newest"), RecordRetract(RECORD, 3)):
        assert world.submit("doctor-a", action) == Result("scope.erased", "actions[0].record")
    claim = access("own", RECORD, actor="doctor-a", basis="author")
    assert world.submit("doctor-a", claim).code == "scope.erased"
    assert world.submit("anna", erasure("again", record=RECORD)) == Result(
        "scope.erased", "actions[0].record"
    )
    assert world.submit("doctor-a", put(record_of("anna", "n"), "n")) == OK


def test_an_erased_emergency_summary_opens_no_more(world: World) -> None:
    world.submit("doctor-a", opening(ANNA, SUMMARY))
    world.submit("doctor-b", emergency("crash"))
    erase(world, category=SUMMARY)
    assert decision(world, "doctor-b", everything(category=SUMMARY), "ETREAT").why == "scope.erased"
    world.pass_time(DAY_MS)
    assert world.submit("doctor-b", emergency("again")).code == "scope.erased"


def test_released_and_earlier_sealed_keys_are_erased_too(world: World) -> None:
    world.submit("anna", grant(FOR_B))
    claim = access("read", RECORD, cited=FOR_B)
    world.submit("doctor-b", claim)
    world.submit("gateway-a", release(logged(world, claim)))
    world.submit("gateway-a", rotation(1), rotation(2))
    erase(world, category=GENERAL)
    expected = ("seals of epoch 1", "seals of epoch 2", "seals anna", "sealed to reader")
    assert {digest(each) for each in expected} < set(
        queries.erased_hashes(world.state, CASE, limit=99)
    )


def test_a_large_scope_takes_several_steps_and_is_closed_from_the_first(world: World) -> None:
    many = [put(record_of("anna", str(number)), str(number)) for number in range(300)]
    world.submit("doctor-a", *many)
    world.submit("anna", erasure())
    assert world.submit("admin-a", APPROVAL) == OK
    entry = queries.erasure(world.state, CASE)
    assert entry is not None
    assert (entry.status, entry.hashes) == ("burying", STEP_HASHES_MAX)
    assert world.submit("doctor-a", put(record_of("anna", "late"), "late")).code == "scope.erased"
    assert world.submit("admin-r", hold()).code == "scope.erased"
    assert world.submit("gateway-a", ATTESTATION).code == "erasure.not_erased"
    assert world.submit("admin-r", *[APPROVAL] * 4) == OK
    entry = queries.erasure(world.state, CASE)
    assert entry is not None
    assert (entry.status, entry.hashes) == ("erased", 305)
    assert entry.approved_by == "hospital-a"
    assert len(queries.erased_hashes(world.state, CASE, limit=999)) == 305
    assert all(queries.is_erased(world.state, digest(str(number))) for number in range(300))


def test_what_the_same_block_still_wrote_is_erased_as_well(world: World) -> None:
    world.submit("anna", erasure())
    results = world.commit(
        world.prepared("doctor-a", put(record_of("anna", "late"), "late")),
        world.prepared("admin-a", APPROVAL),
    ).results
    assert results == (OK, OK)
    assert digest("late") in queries.erased_hashes(world.state, CASE, limit=99)
    assert queries.is_erased(world.state, digest("late"))


def test_retention_refuses_what_an_organisation_wrote_and_not_self_reports(world: World) -> None:
    world.submit("anna", opening(ANNA), put(record_of("anna", "dizzy"), "dizzy"))
    world.obey(Policies(retention_ms=DAY_MS))
    world.submit("anna", erasure())
    before = dict(world.state.entries)
    assert world.submit("admin-a", APPROVAL) == Result(
        "erasure.retention_unmet", "actions[0].erasure"
    )
    assert world.state.entries == before
    dizzy = case_of("anna", "dizzy")
    assert world.submit("anna", erasure("dizzy", record=record_of("anna", "dizzy"))) == OK
    assert world.submit("admin-a", ErasureApprove(dizzy), ErasureApprove(dizzy)) == OK
    world.pass_time(DAY_MS)
    assert world.submit("admin-a", APPROVAL, APPROVAL) == OK
    entry = queries.erasure(world.state, CASE)
    assert entry is not None
    assert entry.status == "erased"


@pytest.mark.parametrize("category", [None, GENERAL])
def test_retention_found_in_a_later_step_opens_the_scope_again(
    world: World, category: bytes | None
) -> None:
    world.obey(Policies(retention_ms=DAY_MS))
    many = [put(record_of("anna", str(number)), str(number)) for number in range(400)]
    world.submit("doctor-a", *many)
    last = max(each.record for each in many)
    world.pass_time(DAY_MS)
    version = 3 if last == RECORD else 2
    world.submit("doctor-a", amendment(version, last, "young"))
    world.submit("anna", erasure(category=category))
    assert world.submit("admin-a", APPROVAL) == OK
    assert world.submit("doctor-a", put(record_of("anna", "n"), "n")).code == "scope.erased"
    assert world.submit("admin-a", APPROVAL) == OK
    entry = queries.erasure(world.state, CASE)
    assert entry is not None
    assert (entry.status, entry.hashes) == ("refused", 0)
    assert world.submit("doctor-a", put(record_of("anna", "n"), "n")) == OK
    assert world.submit("admin-a", APPROVAL).code == "erasure.not_pending"
    assert world.submit("gateway-a", ATTESTATION).code == "erasure.not_erased"


def test_who_asks_for_an_erasure(world: World) -> None:
    for stranger in ("doctor-a", "admin-a", "guardian-a"):
        assert world.submit(stranger, erasure()).code == "patient.not_sender"
    cosigned = [("carol", key("carol"))]
    scope = appointment("carol", "erasure", categories=[IMAGING], new=True)
    world.submit("anna", scope, approvals=cosigned)
    for beyond in (erasure(), erasure(category=GENERAL), erasure(record=RECORD)):
        assert world.submit("carol", beyond).code == "proxy.beyond_scope"
    assert world.submit("carol", erasure(record=SCAN)) == OK
    assert world.submit("anna", erasure()).code == "erasure.exists"
    missing = erasure("x", record=record_of("anna", "missing"))
    assert world.submit("anna", missing) == Result("record.unknown", "actions[0].record")


def test_who_approves_and_who_attests(world: World) -> None:
    assert world.submit("admin-a", APPROVAL).code == "erasure.unknown"
    assert world.submit("gateway-a", ATTESTATION).code == "erasure.unknown"
    world.submit("anna", erasure())
    for other in ("admin-b", "doctor-a", "gateway-a", "anna"):
        assert world.submit(other, APPROVAL) == Result("erasure.not_approver", "actions[0].erasure")
    assert world.submit("auditor-a", APPROVAL) == OK
    assert world.submit("auditor-a", APPROVAL).code == "erasure.not_pending"
    for other in ("admin-r", "doctor-a", "anna"):
        assert world.submit(other, ATTESTATION) == Result(
            "erasure.not_storing", "actions[0].erasure"
        )
    assert world.submit("gateway-a", ATTESTATION) == OK
    assert world.submit("admin-a", ATTESTATION).code == "erasure.attested_already"


def test_holds_stop_what_they_cover(world: World) -> None:
    assert world.submit("admin-a", hold(category=IMAGING)) == OK
    for held in (erasure(), erasure(category=IMAGING), erasure(record=SCAN)):
        assert world.submit("anna", held).code == "erasure.on_hold"
    assert world.submit("anna", erasure(category=GENERAL)) == OK
    assert world.submit("auditor-r", hold("second")) == OK
    assert world.submit("admin-a", APPROVAL).code == "erasure.on_hold", "also a hold placed since"
    for name in ("hold", "second"):
        assert world.submit("admin-r", HoldRelease(case_of("anna", name))) == OK
    assert world.submit("admin-a", APPROVAL) == OK
    listed = dict(queries.holds_of(world.state, ANNA, limit=9))
    assert [entry.released_by for entry in listed.values()] == [person("admin-r")] * 2


def test_who_places_and_releases_holds(world: World) -> None:
    release_it = HoldRelease(case_of("anna", "hold"))
    assert world.submit("admin-a", release_it).code == "hold.unknown"
    for other in ("admin-b", "doctor-a", "gateway-a", "anna"):
        assert world.submit(other, hold()) == Result("hold.not_permitted", "actions[0].hold")
    assert world.submit("admin-a", hold("x", "nobody")).code == "patient.unknown"
    assert world.submit("admin-r", hold()) == OK
    assert world.submit("admin-r", hold()).code == "hold.exists"
    for other in ("admin-a", "anna"):
        assert world.submit(other, release_it).code == "hold.not_permitted"
    assert world.submit("auditor-r", release_it) == OK
    assert world.submit("auditor-r", release_it).code == "hold.released_already"


def test_holds_on_a_patient_are_bounded(world: World) -> None:
    holds = [hold(str(number)) for number in range(64)]
    assert world.submit("admin-a", *holds) == OK
    assert world.submit("admin-a", hold("one more")).code == "hold.too_many"


def test_so_many_erased_categories_that_only_the_whole_is_left(world: World) -> None:
    state = ScopeEntry(
        0,
        False,
        tuple(
            CategoryScope(number.to_bytes(16, "big"), 0, True)
            for number in range(SCOPED_CATEGORIES_MAX)
        ),
    )
    world.state.entries[scope_key(ANNA)] = SCOPE.encode(state)
    world.submit("anna", erasure(category=IMAGING))
    assert world.submit("admin-a", APPROVAL).code == "erasure.too_many_categories"
    everything_else = case_of("anna", "all")
    assert world.submit("anna", erasure("all")) == OK
    assert world.submit("admin-a", ErasureApprove(everything_else)) == OK
