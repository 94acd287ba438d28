"""Who may see what: granted, revoked, compared, and never backwards (invariants 2 and 3)."""

from itertools import pairwise

import pytest

from chain.block import OK, Result
from ledger import patient_queries as queries
from ledger.actions import RecordAmend, RecordPut, RecordRetract
from ledger.consent_actions import AccessDecide
from ledger.consent_entries import SCOPED_CATEGORIES_MAX
from ledger.fields import Effect, Period, StandingKey
from ledger.ids import new_consent_id
from ledger.policies import Policies
from tests.ledger.consent_world import (
    ANNA,
    HOSPITAL_A,
    HOSPITAL_B,
    IMAGING,
    access,
    case_of,
    consent_of,
    decision,
    everything,
    grant,
    logged,
    release,
    request,
    revoke,
    rotation,
)
from tests.ledger.ledger_world import (
    GENERAL,
    START_MS,
    World,
    digest,
    opening,
    person,
    put,
    record_of,
)

RECORD = record_of("anna", "x-ray")
FOR_B = consent_of("anna", "hospital-b")
DAY_MS = 24 * 3_600_000


@pytest.fixture
def world() -> World:
    """Anna is hospital A's patient, with one record."""
    world = World()
    world.register("anna")
    assert world.submit("doctor-a", put(RECORD)) == OK
    return world


def test_a_reader_of_another_hospital_asks_is_permitted_reads_and_is_revoked(world: World) -> None:
    nothing = access("a", RECORD, cited=FOR_B)
    assert decision(world, "doctor-b", RECORD).why == "nothing_permits"
    assert world.submit("doctor-b", nothing) == Result(
        "access.basis_not_in_force", "actions[0].basis"
    )

    assert world.submit("doctor-b", request("please")) == OK
    ((asked, entry),) = queries.requests_of(world.state, ANNA, limit=9)
    assert (entry.organization, entry.effect) == ("hospital-b", None)

    permission = grant(FOR_B, purposes=("TREAT",), categories=[GENERAL])
    answer = AccessDecide(asked, "permit", FOR_B)
    assert world.submit("anna", permission, answer) == OK
    ((_, entry),) = queries.requests_of(world.state, ANNA, limit=9)
    assert (entry.effect, entry.consent) == ("permit", FOR_B)

    answer_now = decision(world, "doctor-b", RECORD)
    assert (answer_now.permit, answer_now.basis, answer_now.cited) == (True, "consent", FOR_B)
    reading = access("b", RECORD, cited=FOR_B)
    assert world.submit("gateway-b", reading) == OK
    ((access_id, seen),) = queries.accesses_of(world.state, ANNA, limit=9)
    assert (seen.actor, seen.signer) == (person("doctor-b"), person("gateway-b"))
    assert access_id == logged(world, reading)
    assert world.submit("gateway-a", release(access_id)) == OK
    released = queries.releases_of(world.state, ANNA, limit=9)
    assert [each.entry.access for each in released] == [access_id]

    assert world.submit("anna", revoke(FOR_B)) == OK
    assert decision(world, "doctor-b", RECORD).why == "nothing_permits"
    assert world.submit("gateway-b", access("c", RECORD, cited=FOR_B)).code == (
        "access.basis_not_in_force"
    )
    later = record_of("anna", "later")
    assert world.submit("doctor-a", put(later)) == Result(
        "category.epoch_not_current", "actions[0].epoch"
    )
    assert world.submit("gateway-a", rotation(1)) == OK
    fresh = put(later)
    fresh = type(fresh)(later, GENERAL, 1, fresh.ciphertext, fresh.key_commitment)
    assert world.submit("doctor-a", fresh) == OK


def test_a_revocation_ends_the_epoch_in_its_own_block(world: World) -> None:
    """Invariant 4: what stands behind the revocation in the block is refused already."""
    world.submit("anna", grant(FOR_B))
    results = world.commit(
        world.prepared("doctor-a", put(record_of("anna", "before"), "before")),
        world.prepared("anna", revoke(FOR_B)),
        world.prepared("doctor-a", put(record_of("anna", "behind"), "behind")),
        world.prepared("gateway-a", rotation(1)),
        world.prepared("doctor-a", in_epoch(1, "same block")),
    ).results
    assert [result.code for result in results] == [
        "ok",
        "ok",
        "category.epoch_not_current",
        "ok",
        "category.epoch_not_current",
    ]
    # An epoch of the block that revokes may have been sealed to who is revoked: the next one is
    # the first that counts.
    assert world.submit("gateway-a", rotation(2)) == OK
    assert world.submit("doctor-a", in_epoch(2, "next block")) == OK


def in_epoch(epoch: int, name: str, category: bytes = GENERAL) -> RecordPut:
    return RecordPut(
        record_of("anna", name), category, epoch, digest(f"{name} {epoch}"), digest("k")
    )


def test_a_revocation_ends_every_authors_epochs_of_its_categories_and_no_others(
    world: World,
) -> None:
    world.submit("doctor-b", opening(ANNA), opening(ANNA, IMAGING))
    world.submit("anna", grant(FOR_B, categories=[GENERAL]))
    world.submit("anna", revoke(FOR_B))
    assert world.submit("doctor-a", in_epoch(0, "a")).code == "category.epoch_not_current"
    assert world.submit("doctor-b", in_epoch(0, "b")).code == "category.epoch_not_current"
    assert world.submit("doctor-b", in_epoch(0, "c", IMAGING)) == OK
    amended = RecordAmend(RECORD, 2, GENERAL, 0, digest("amended"), digest("k"))
    assert world.submit("doctor-a", amended).code == "category.epoch_not_current"


def test_without_categories_a_revocation_ends_all_epochs_also_those_of_self_reports(
    world: World,
) -> None:
    world.submit("anna", opening(ANNA), grant(FOR_B))
    world.submit("anna", revoke(FOR_B))
    assert world.submit("anna", in_epoch(0, "dizzy")).code == "category.epoch_not_current"
    assert world.submit("anna", rotation(1)) == OK
    assert world.submit("anna", in_epoch(1, "dizzy")) == OK


def test_a_category_that_opens_after_a_revocation_is_current(world: World) -> None:
    world.submit("anna", grant(FOR_B))
    world.submit("anna", revoke(FOR_B))
    assert world.submit("doctor-b", opening(ANNA)) == OK
    assert world.submit("doctor-b", in_epoch(0, "fresh")) == OK
    found = queries.epoch(world.state, ANNA, GENERAL, HOSPITAL_B, 0)
    assert found is not None
    assert found.opened_ms == world.timestamp_ms - 1_000


def test_very_many_categories_are_ended_together(world: World) -> None:
    """The list of categories in the state is bounded; beyond it all epochs end, never too few."""
    for number in range(SCOPED_CATEGORIES_MAX // 16 + 1):
        names = [bytes([number, each]).ljust(16, b".") for each in range(16)]
        consent = consent_of("anna", "hospital-b", str(number))
        world.submit("anna", grant(consent, categories=names))
        assert world.submit("anna", revoke(consent)) == OK
    assert world.submit("doctor-a", in_epoch(0, "a")).code == "category.epoch_not_current"


def test_a_denial_ends_epochs_like_a_revocation(world: World) -> None:
    world.submit("anna", grant(FOR_B, "deny", categories=[GENERAL]))
    assert world.submit("doctor-a", in_epoch(0, "a")).code == "category.epoch_not_current"


def test_revoking_a_denial_ends_nothing(world: World) -> None:
    world.submit("anna", grant(FOR_B, "deny", categories=[IMAGING]))
    before = queries.epoch(world.state, ANNA, GENERAL, HOSPITAL_A, 0)
    assert world.submit("anna", revoke(FOR_B)) == OK
    assert queries.epoch(world.state, ANNA, GENERAL, HOSPITAL_A, 0) == before
    assert world.submit("doctor-a", in_epoch(0, "a")) == OK


def test_equally_specific_consents_contradict_and_the_denial_wins(world: World) -> None:
    permit = consent_of("anna", "hospital-b", "yes")
    deny = consent_of("anna", "hospital-b", "no")
    world.submit("anna", grant(permit, purposes=("TREAT",)))
    world.submit("anna", grant(deny, "deny", purposes=("TREAT",)))
    found = decision(world, "doctor-b", RECORD)
    assert (found.permit, found.why) == (False, "consent.contradicted")
    assert [(each.consent, each.effect) for each in found.considered] == [
        (deny, "deny"),
        (permit, "permit"),
    ]
    assert world.submit("doctor-b", access("a", RECORD, cited=permit)).code == (
        "access.basis_not_in_force"
    )


SPECIFIC = {
    "grantee": {"grantee": "doctor-b"},
    "category": {"categories": [GENERAL]},
    "purpose": {"purposes": ("TREAT",)},
    "data period": {"data_period": Period(START_MS, START_MS + DAY_MS)},
}


@pytest.mark.parametrize("effect", ["permit", "deny"])
@pytest.mark.parametrize(("weightier", "lighter"), list(pairwise(SPECIFIC)))
def test_the_more_specific_consent_wins_in_the_order_of_its_parts(
    world: World, effect: Effect, weightier: str, lighter: str
) -> None:
    """One that is specific in a weightier part beats one that is so in all lighter ones."""
    special = dict(SPECIFIC[weightier])
    rest = {
        name: value
        for part in list(SPECIFIC)[list(SPECIFIC).index(lighter) :]
        for name, value in SPECIFIC[part].items()
    }
    first = consent_of("anna", special.pop("grantee", "hospital-b"), "special")
    second = consent_of("anna", "hospital-b", "rest")
    world.submit("anna", grant(first, effect, **special))
    world.submit("anna", grant(second, "deny" if effect == "permit" else "permit", **rest))
    found = decision(world, "doctor-b", RECORD)
    assert [each.consent for each in found.considered] == [first, second]
    assert found.permit == (effect == "permit")
    assert found.why == ("consent.permits" if effect == "permit" else "consent.denies")


def test_what_a_consent_does_not_name_it_does_not_touch(world: World) -> None:
    world.submit("anna", grant(FOR_B, purposes=("TREAT",), categories=[GENERAL]))
    assert decision(world, "doctor-b", everything()).permit
    assert not decision(world, "doctor-b", everything(), "HRESCH").permit
    assert not decision(world, "doctor-b", everything(category=IMAGING)).permit
    assert not decision(world, "gateway-w", everything()).permit


def test_a_consent_for_a_clinician_is_nobody_elses(world: World) -> None:
    world.submit("anna", grant(consent_of("anna", "doctor-b")))
    assert decision(world, "doctor-b", RECORD).permit
    assert not decision(world, "nurse-b", RECORD).permit


def test_a_data_period_bounds_the_records_and_not_the_whole_category(world: World) -> None:
    written_ms = world.timestamp_ms
    within = Period(written_ms, written_ms + 1)
    world.submit("anna", grant(FOR_B, data_period=within))
    world.submit("doctor-a", put(record_of("anna", "later"), "later"))
    assert decision(world, "doctor-b", RECORD).permit
    assert not decision(world, "doctor-b", record_of("anna", "later")).permit
    assert not decision(world, "doctor-b", everything()).permit
    denial = consent_of("anna", "hospital-b", "denial")
    world.submit("anna", revoke(FOR_B), grant(consent_of("anna", "hospital-b", "all")))
    assert decision(world, "doctor-b", everything()).permit
    world.submit("anna", grant(denial, "deny", data_period=within))
    assert not decision(world, "doctor-b", everything()).permit
    assert decision(world, "doctor-b", record_of("anna", "later")).permit


def test_a_retracted_record_is_judged_as_where_it_stood(world: World) -> None:
    world.submit("anna", grant(FOR_B, categories=[GENERAL]))
    world.submit("doctor-a", RecordRetract(RECORD, 2))
    assert decision(world, "doctor-b", RECORD).permit


def test_a_consent_lives_by_block_time(world: World) -> None:
    begins_ms = world.next_block.timestamp_ms + 5_000
    world.submit("anna", grant(FOR_B, start_ms=begins_ms, until_ms=begins_ms + 5_000))
    assert not decision(world, "doctor-b", RECORD).permit
    world.timestamp_ms = begins_ms - 1_000
    assert decision(world, "doctor-b", RECORD).permit
    assert world.submit("doctor-b", access("a", RECORD, cited=FOR_B)) == OK
    world.timestamp_ms = begins_ms + 3_999
    assert decision(world, "doctor-b", RECORD).permit
    world.timestamp_ms = begins_ms + 4_000
    assert not decision(world, "doctor-b", RECORD).permit
    assert world.submit("doctor-b", access("b", RECORD, cited=FOR_B)).code == (
        "access.basis_not_in_force"
    )


def test_no_grant_is_retroactive_or_over_before_it_begins(world: World) -> None:
    now_ms = world.next_block.timestamp_ms
    assert world.submit("anna", grant(FOR_B, start_ms=now_ms - 1)) == Result(
        "validity.retroactive", "actions[0].valid_from_ms"
    )
    now_ms = world.next_block.timestamp_ms
    assert world.submit("anna", grant(FOR_B, until_ms=now_ms)) == Result(
        "validity.ended", "actions[0].valid_until_ms"
    )
    now_ms = world.next_block.timestamp_ms
    assert world.submit("anna", grant(FOR_B, start_ms=now_ms, until_ms=now_ms + 1)) == OK


def test_nobody_but_the_patient_grants_or_revokes(world: World) -> None:
    world.register("ben")
    for stranger in ("ben", "doctor-a", "doctor-b", "admin-a", "gateway-b", "guardian-a"):
        assert world.submit(stranger, grant(FOR_B)) == Result(
            "patient.not_sender", "actions[0].consent"
        )
    world.submit("anna", grant(FOR_B))
    for stranger in ("ben", "doctor-a", "doctor-b", "guardian-a"):
        assert world.submit(stranger, revoke(FOR_B)).code == "patient.not_sender"


def test_staff_is_no_patient_of_its_own(world: World) -> None:
    own = consent_of("doctor-b", "hospital-b")
    assert world.submit("doctor-b", grant(own)).code == "patient.unknown"


def test_a_consent_is_for_a_clinician_or_an_organisation_that_exists(world: World) -> None:
    world.register("ben")
    for grantee in ("nobody", "ben", "gateway-b", "admin-b"):
        assert world.submit("anna", grant(consent_of("anna", grantee))) == Result(
            "consent.grantee_unknown", "actions[0].consent"
        )


def test_a_consent_is_granted_once_and_revoked_once(world: World) -> None:
    assert world.submit("anna", revoke(FOR_B)).code == "consent.unknown"
    assert world.submit("anna", grant(FOR_B)) == OK
    assert world.submit("anna", grant(FOR_B)).code == "consent.exists"
    assert world.submit("anna", revoke(FOR_B)) == OK
    assert world.submit("anna", revoke(FOR_B)).code == "consent.revoked_already"
    assert world.submit("anna", grant(FOR_B)).code == "consent.exists"


def test_consents_in_force_for_one_grantee_are_bounded_and_ended_ones_make_room(
    world: World,
) -> None:
    world.obey(Policies(consents_in_force_max=2))
    until_ms = world.next_block.timestamp_ms + 5_000
    one, two, three = (consent_of("anna", "hospital-b", name) for name in ("1", "2", "3"))
    assert world.submit("anna", grant(one), grant(two, until_ms=until_ms)) == OK
    assert world.submit("anna", grant(three)) == Result("consent.too_many", "actions[0].consent")
    assert world.submit("anna", grant(consent_of("anna", "doctor-b"))) == OK
    world.pass_time(5_000)
    assert world.submit("anna", grant(three)) == OK
    assert world.submit("anna", revoke(one), grant(consent_of("anna", "hospital-b", "4"))) == OK
    listed = queries.consents_of(world.state, ANNA, limit=9)
    assert len(listed) == 5
    assert sum(entry.in_force(world.timestamp_ms) for _, entry in listed) == 3


def test_consents_come_in_pages_each_patients_own(world: World) -> None:
    world.register("ben")
    for patient in ("anna", "ben"):
        for number in range(3):
            world.submit(patient, grant(consent_of(patient, "hospital-b", str(number))))
    first = queries.consents_of(world.state, ANNA, limit=2)
    rest = queries.consents_of(world.state, ANNA, limit=9, after=first[-1][0])
    assert [consent for consent, _ in (*first, *rest)] == sorted(
        consent_of("anna", "hospital-b", str(number)) for number in range(3)
    )


STANDING = StandingKey(GENERAL, HOSPITAL_A, 0, digest("standing"))


def test_a_standing_release_comes_with_the_grant(world: World) -> None:
    assert world.submit("anna", grant(FOR_B, categories=[GENERAL], standing=(STANDING,))) == OK
    (found,) = queries.releases_of(world.state, ANNA, limit=9)
    assert (found.category, found.author, found.epoch, found.reader) == (
        GENERAL,
        HOSPITAL_A,
        0,
        HOSPITAL_B,
    )
    assert (found.entry.access, found.entry.consent) == (None, FOR_B)
    again = consent_of("anna", "hospital-b", "again")
    assert world.submit("anna", grant(again, standing=(STANDING,))) == Result(
        "key.released_already", "actions[0].standing[0]"
    )


def test_a_standing_release_for_a_clinician_goes_to_his_organisation(world: World) -> None:
    assert world.submit("anna", grant(consent_of("anna", "doctor-b"), standing=(STANDING,))) == OK
    (found,) = queries.releases_of(world.state, ANNA, limit=9)
    assert found.reader == HOSPITAL_B


def test_a_standing_release_stays_within_what_is_permitted(world: World) -> None:
    for consent in (
        grant(FOR_B, "deny", standing=(STANDING,)),
        grant(FOR_B, categories=[IMAGING], standing=(STANDING,)),
    ):
        assert world.submit("anna", consent) == Result(
            "consent.standing_not_covered", "actions[0].standing[0].category"
        )
    for key in (
        StandingKey(GENERAL, HOSPITAL_A, 1, digest("ahead")),
        StandingKey(GENERAL, HOSPITAL_B, 0, digest("not opened")),
    ):
        assert world.submit("anna", grant(FOR_B, standing=(key,))) == Result(
            "key.unknown_epoch", "actions[0].standing[0].epoch"
        )


def test_a_request_is_answered_once_with_a_consent_that_fits(world: World) -> None:
    asked = case_of("anna", "please")
    assert world.submit("anna", AccessDecide(asked, "deny", None)).code == "access.unknown"
    assert world.submit("doctor-b", request("please")) == OK
    assert world.submit("doctor-b", request("please")).code == "access.exists"
    for_a, denial = consent_of("anna", "hospital-a"), consent_of("anna", "hospital-b", "no")
    world.submit("anna", grant(for_a), grant(denial, "deny"), grant(FOR_B))
    world.register("ben")
    for_ben = new_consent_id(person("ben"), HOSPITAL_B, bytes(16))
    world.submit("ben", grant(for_ben))
    for wrong in (for_a, denial, for_ben, None):
        assert world.submit("anna", AccessDecide(asked, "permit", wrong)) == Result(
            "access.consent_not_fitting", "actions[0].consent"
        )
    assert world.submit("anna", AccessDecide(asked, "deny", FOR_B)).code == (
        "access.consent_not_fitting"
    )
    unknown = consent_of("anna", "hospital-b", "unknown")
    assert world.submit("anna", AccessDecide(asked, "permit", unknown)).code == "consent.unknown"
    assert world.submit("doctor-b", AccessDecide(asked, "deny", None)).code == "patient.not_sender"
    for_doctor = consent_of("anna", "nurse-b")
    assert world.submit("anna", grant(for_doctor), AccessDecide(asked, "permit", for_doctor)) == OK
    assert world.submit("anna", AccessDecide(asked, "deny", None)).code == "access.decided_already"


def test_who_asks_for_access_and_whom(world: World) -> None:
    for sender in ("admin-b", "auditor-b", "anna", "guardian-a", "sensor-a"):
        assert world.submit(sender, request("please")).code == "access.not_reader"
    assert world.submit("doctor-b", request("please", "nobody")).code == "patient.unknown"
    ended = request("please", until_ms=world.next_block.timestamp_ms)
    assert world.submit("doctor-b", ended).code == "validity.ended"
    world.suspend(person("doctor-b"))
    assert world.submit("doctor-b", request("please")).code == "access.reader_suspended"
