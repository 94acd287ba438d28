"""Lanes follow from the kinds of actions, and the least urgent kind decides."""

import pytest

from ledger import lanes
from ledger.actions import RecordPut, RecordRetract
from ledger.care_actions import EmergencyOpen, ErasureApprove, ErasureAttest
from ledger.lanes import Lane, lane_of
from tests.ledger.governance_world import suspension, vote
from tests.ledger.ledger_world import digest, opening, person, put, record_of

PUT = put(record_of("anna", "x"))
RETRACT = RecordRetract(record_of("anna", "x"), 2)
OPEN = opening(person("anna"))


def test_records_and_their_keys_go_in_the_normal_lane() -> None:
    assert lane_of([PUT]) == lane_of([OPEN, PUT, RETRACT]) == Lane.NORMAL


def test_broken_glass_goes_first_and_erasure_last() -> None:
    case = record_of("anna", "case")
    assert lane_of([EmergencyOpen(case, (), digest("reason"))]) == Lane.URGENT
    assert lane_of([ErasureApprove(case)]) == lane_of([ErasureAttest(case)]) == Lane.BULK


def test_votes_go_before_what_they_may_stop() -> None:
    opened = suspension("out", "hospital-b")
    assert lane_of([opened]) == lane_of([vote("out")]) == lane_of([opened, vote("out")])
    assert lane_of([opened]) == Lane.URGENT


def test_nothing_travels_in_an_urgent_actions_company(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "LANES", {RecordRetract: Lane.URGENT, RecordPut: Lane.BULK})
    assert lane_of([RETRACT]) == Lane.URGENT
    assert lane_of([RETRACT, RETRACT]) == Lane.URGENT
    assert lane_of([RETRACT, OPEN]) == Lane.NORMAL
    assert lane_of([OPEN, PUT, RETRACT]) == Lane.BULK


def test_urgent_goes_before_normal_and_normal_before_bulk() -> None:
    assert sorted(Lane) == [Lane.URGENT, Lane.NORMAL, Lane.BULK]
