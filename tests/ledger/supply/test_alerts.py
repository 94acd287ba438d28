"""What a member should know now: there as long as its cause is, for those whom it concerns."""

import pytest

from ledger.policies import DAY_MS
from ledger.supply import alerts as source
from ledger.supply.alerts import SupplyAlert, alerts
from tests.ledger.ledger_world import person
from tests.ledger.supply.quality_world import (
    CASE,
    acknowledgement,
    answer,
    closing,
    disposal,
    doubt,
    quarantine,
    question,
    recall,
    releasing,
    sold_to,
)
from tests.ledger.supply.supply_world import SupplyWorld, lot, pack
from tests.ledger.supply.test_excursions import held_case
from tests.ledger.supply.test_quality_queries import PACKS, spread


def heard(chain: SupplyWorld, member: str, later_ms: int = 0) -> list[SupplyAlert]:
    """Everything, page after page of one alert."""
    at_ms = chain.timestamp_ms + later_ms
    found, after = [], b""
    while True:
        page = alerts(chain.state, member, at_ms, 1, after)
        found.extend(page.alerts)
        if page.next is None:
            break
        after = page.next
    assert tuple(found) == alerts(chain.state, member, at_ms, 1_000).alerts
    return found


def kinds(chain: SupplyWorld, member: str, later_ms: int = 0) -> list[str]:
    return [each.kind for each in heard(chain, member, later_ms)]


def test_a_recall_is_heard_by_all_whom_it_concerns(chain: SupplyWorld) -> None:
    spread(chain)
    assert kinds(chain, "pharmacy") == []
    chain.submit("maker-admin", recall(lot("L1")))
    opened_ms = chain.timestamp_ms
    name = person("recall").hex()
    assert set(heard(chain, "pharmacy")) == {
        SupplyAlert("recall.held", name, opened_ms, (lot("L1"),)),
        SupplyAlert("recall.dispensed", name, opened_ms, (lot("L1"),)),
    }
    assert kinds(chain, "hospital") == ["recall.dispensed"]
    assert kinds(chain, "wholesaler") == ["recall.incoming"]
    assert set(kinds(chain, "maker")) == {"recall.held", "recall.outgoing"}
    assert kinds(chain, "rival") == []
    chain.submit("pharmacy-nurse", acknowledgement(2, 3, 3, 3))
    assert kinds(chain, "pharmacy") == ["recall.held"]
    chain.submit("maker-admin", closing())
    assert kinds(chain, "pharmacy") == []


def test_shipments_that_are_overdue_or_incomplete_are_heard_by_both_sides(
    chain: SupplyWorld,
) -> None:
    chain.commission("maker", *PACKS)
    chain.ship("maker", "wholesaler", *PACKS[:3])
    assert kinds(chain, "maker") == kinds(chain, "wholesaler") == []
    chain.receive("wholesaler", PACKS[0])
    assert kinds(chain, "maker") == kinds(chain, "wholesaler") == ["shipment.incomplete"]
    late = 365 * DAY_MS
    (overdue, _) = heard(chain, "wholesaler", late)
    assert (overdue.kind, overdue.subject) == ("shipment.overdue", "2")
    assert overdue.details == ("maker", "wholesaler")
    assert kinds(chain, "maker", late) == ["shipment.overdue", "shipment.incomplete"]
    assert kinds(chain, "pharmacy", late) == []
    chain.receive("wholesaler", *PACKS[1:3])
    assert kinds(chain, "maker", late) == kinds(chain, "wholesaler", late) == []


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (91, []),
        (90, ["lot.expires_within_90_days"]),
        (31, ["lot.expires_within_90_days"]),
        (30, ["lot.expires_within_30_days"]),
        (0, ["lot.expired"]),
        (-400, ["lot.expired"]),
    ],
)
def test_lots_in_hand_are_watched(chain: SupplyWorld, days: int, expected: list[str]) -> None:
    expires_ms = chain.timestamp_ms + 900_000_000
    chain.commission("maker", pack("1"), expires_ms=expires_ms)
    later_ms = expires_ms - days * DAY_MS - chain.timestamp_ms
    found = alerts(chain.state, "maker", chain.timestamp_ms + later_ms, 10).alerts
    assert [each.kind for each in found] == expected
    assert [(each.subject, each.since_ms) for each in found] == [(lot(), expires_ms)] * len(
        expected
    )
    assert alerts(chain.state, "pharmacy", chain.timestamp_ms + later_ms, 10).alerts == ()


@pytest.mark.parametrize("subject", [pack("1"), lot()])
def test_quarantines_are_heard_by_who_placed_them_and_who_has_it(
    chain: SupplyWorld, subject: str
) -> None:
    chain.commission("maker", pack("1"))
    sold_to(chain, "pharmacy", pack("1"))
    chain.submit("regulator-admin", quarantine(subject))
    for member in ("regulator", "pharmacy"):
        (alert,) = heard(chain, member)
        assert alert == SupplyAlert("quarantine", subject, chain.timestamp_ms, ("regulator",))
    assert kinds(chain, "hospital") == []
    chain.submit("regulator-admin", releasing(subject, "regulator"))
    assert kinds(chain, "pharmacy") == []


def test_an_excursion_waits_for_its_maker_and_then_for_its_custodian(chain: SupplyWorld) -> None:
    held_case(chain)
    assert kinds(chain, "maker") == kinds(chain, "wholesaler") == ["excursion"]
    assert heard(chain, "maker")[0].subject == CASE
    chain.submit("maker-admin", disposal(CASE, "destroy"))
    assert (kinds(chain, "maker"), kinds(chain, "wholesaler")) == ([], ["excursion.destroy"])
    chain.observe("wholesaler", "destroying", CASE)
    assert kinds(chain, "wholesaler") == []


def test_doubts_and_questions_wait_for_the_maker(chain: SupplyWorld) -> None:
    chain.submit("pharmacy-nurse", doubt(pack("false")), question(pack("false")))
    assert set(kinds(chain, "maker")) == {"suspect", "verification"}
    assert kinds(chain, "pharmacy") == ["suspect"]
    assert kinds(chain, "rival") == []
    (alert,) = heard(chain, "pharmacy")
    assert alert.details == (pack("false"), "pharmacy")
    chain.submit("maker-admin", answer("genuine"))
    assert kinds(chain, "maker") == kinds(chain, "pharmacy") == []


def test_a_page_looks_at_so_many_entries_only(
    chain: SupplyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "LOOKED_AT_MAX", 2)
    for number in range(3):
        chain.submit("rival-nurse", doubt(pack(str(number)), str(number)))
    page = alerts(chain.state, "pharmacy", chain.timestamp_ms, 10)
    assert page.alerts == ()
    assert page.next is not None
    assert alerts(chain.state, "pharmacy", chain.timestamp_ms, 10, page.next).next is None


def test_a_recall_too_wide_to_walk_concerns_everybody(
    chain: SupplyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "LOTS_WALKED_MAX", 1)
    spread(chain)
    chain.submit("maker-admin", recall("01/09521141012345"))
    assert kinds(chain, "rival") == ["recall.unclear"]
