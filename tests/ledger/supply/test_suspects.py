"""Suspect items and the questions that clear or condemn them."""

import pytest

from chain.block import OK
from chain.errors import InvalidMessage
from ledger.supply import quality_queries as queries
from ledger.supply.fields import LotFacts, Verdict
from tests.ledger.ledger_world import person
from tests.ledger.supply.quality_world import (
    CASE,
    PRODUCT,
    answer,
    doubt,
    question,
    sold_to,
)
from tests.ledger.supply.supply_world import RIVALS, SupplyWorld, lot, pack

ONE, TWO, FALSE = pack("1"), pack("2"), pack("never-made")
REPORT, QUESTION = person("report"), person("question")


def in_pharmacy(chain: SupplyWorld) -> None:
    chain.commission("maker", ONE, TWO)
    sold_to(chain, "pharmacy", ONE, TWO)


@pytest.mark.parametrize(
    ("sender", "holds"),
    [
        ("pharmacy-nurse", True),
        ("maker-service", True),
        ("regulator-auditor", True),
        ("hospital-nurse", False),
        ("rival-admin", False),
    ],
)
def test_anybody_reports_and_only_those_concerned_hold(
    chain: SupplyWorld, sender: str, holds: bool
) -> None:
    in_pharmacy(chain)
    assert chain.submit(sender, doubt(ONE)) == OK
    found = queries.suspect(chain.state, REPORT)
    assert found is not None
    assert (found.entry.item, found.open) == (ONE, True)
    assert chain.dispense("pharmacy", ONE).code == ("supply.suspect" if holds else "ok")


def test_what_the_ledger_never_saw_is_reported_too(chain: SupplyWorld) -> None:
    assert chain.submit("pharmacy-nurse", doubt(FALSE)) == OK
    assert queries.suspect(chain.state, REPORT) is not None
    assert chain.commission("maker", FALSE) == OK
    assert chain.ship("maker", "pharmacy", FALSE) == OK


def test_what_came_to_its_end_is_reported_and_stays_as_it_is(chain: SupplyWorld) -> None:
    in_pharmacy(chain)
    chain.dispense("pharmacy", ONE)
    assert chain.submit("pharmacy-nurse", doubt(ONE)) == OK
    assert chain.stands(ONE).status == "dispensed"


def test_devices_report_nothing_and_an_id_is_used_once(chain: SupplyWorld) -> None:
    assert chain.submit("pharmacy-logger", doubt(ONE)).code == "suspect.not_permitted"
    chain.submit("pharmacy-nurse", doubt(ONE))
    assert chain.submit("hospital-nurse", doubt(TWO)).code == "suspect.exists"


def test_the_makers_quality_unit_ends_all_suspicion_of_an_item(chain: SupplyWorld) -> None:
    in_pharmacy(chain)
    for number, sender in enumerate(("pharmacy-nurse", "hospital-nurse", "regulator-admin")):
        chain.submit(sender, doubt(ONE, str(number)))
    chain.submit("pharmacy-nurse", doubt(TWO, "two"))
    assert chain.submit("pharmacy-service", question(ONE)) == OK
    assert chain.submit("maker-admin", answer("genuine")) == OK
    assert [each.open for each in queries.suspects(chain.state, 10)].count(True) == 1
    assert chain.dispense("pharmacy", ONE) == OK
    assert chain.dispense("pharmacy", TWO).code == "supply.suspect"


def test_who_doubts_again_in_the_same_block_holds_again(chain: SupplyWorld) -> None:
    in_pharmacy(chain)
    chain.submit("pharmacy-nurse", doubt(ONE), question(ONE))
    chain.commit(
        chain.prepared("maker-admin", answer("genuine")),
        chain.prepared("pharmacy-nurse", doubt(ONE, "again")),
    )
    again = queries.suspect(chain.state, person("again"))
    first = queries.suspect(chain.state, REPORT)
    assert first is not None
    assert again is not None
    assert (first.open, again.open) == (False, True)
    assert chain.dispense("pharmacy", ONE).code == "supply.suspect"


def test_a_machine_answers_but_clears_nothing(chain: SupplyWorld) -> None:
    in_pharmacy(chain)
    chain.submit("hospital-nurse", question(ONE, "first"))
    assert chain.submit("maker-service", answer("genuine", "first")) == OK
    chain.submit("hospital-nurse", doubt(ONE, "elsewhere"))
    chain.submit("hospital-nurse", question(ONE, "second"))
    assert chain.submit("maker-service", answer("genuine", "second")) == OK
    report = queries.suspect(chain.state, person("elsewhere"))
    assert report is not None
    assert report.open
    chain.submit("pharmacy-nurse", doubt(ONE), question(ONE))
    refused = chain.submit("maker-service", answer("genuine"))
    assert (refused.code, refused.field) == (
        "verification.not_quality_unit",
        "actions[0].verdict",
    )
    assert chain.dispense("pharmacy", ONE).code == "supply.suspect"


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        ("genuine", "ok"),
        ("unknown", "ok"),
        ("suspect", "supply.suspect"),
        ("counterfeit", "supply.suspect"),
    ],
)
def test_a_verdict_takes_effect(chain: SupplyWorld, verdict: Verdict, code: str) -> None:
    in_pharmacy(chain)
    chain.submit("hospital-nurse", question(ONE, lot=LotFacts("L1", None)))
    assert chain.submit("maker-admin", answer(verdict)) == OK
    found = queries.verification(chain.state, QUESTION)
    assert found is not None
    assert (found.verdict, found.responded_ms) == (verdict, chain.timestamp_ms)
    assert len(queries.suspects(chain.state, 10)) == (0 if code == "ok" else 1)
    assert chain.dispense("pharmacy", ONE).code == code


def test_a_false_pack_is_condemned_without_being_there(chain: SupplyWorld) -> None:
    assert chain.submit("pharmacy-nurse", question(FALSE)) == OK
    assert chain.submit("maker-service", answer("counterfeit")) == OK
    (report,) = queries.suspects(chain.state, 10)
    assert (report.entry.organization, report.entry.item) == ("maker", FALSE)
    assert report.entry.reason == "counterfeit"


def test_questions_wait_for_their_manufacturer_until_they_are_answered(
    chain: SupplyWorld,
) -> None:
    in_pharmacy(chain)
    chain.submit("pharmacy-service", question(ONE, "a"))
    chain.submit("pharmacy-service", question(TWO, "b"))
    chain.submit("pharmacy-service", question(pack("9", RIVALS), "c"))
    waiting = [each for each, _ in queries.verifications_open(chain.state, "maker", 10)]
    assert waiting == [person("a"), person("b")]
    ((after, _),) = queries.verifications_open(chain.state, "maker", 10, person("a"))
    assert after == person("b")
    chain.submit("maker-service", answer("unknown", "a"))
    assert len(queries.verifications_open(chain.state, "maker", 10)) == 1
    assert len(queries.verifications_open(chain.state, "rival", 10)) == 1


@pytest.mark.parametrize(
    ("sender", "code"),
    [
        ("rival-admin", "verification.not_permitted"),
        ("regulator-admin", "verification.not_permitted"),
        ("maker-logger", "verification.not_permitted"),
        ("maker-service", "ok"),
    ],
)
def test_only_the_manufacturer_answers_and_once(chain: SupplyWorld, sender: str, code: str) -> None:
    assert chain.submit("maker-admin", answer("genuine")).code == "verification.unknown"
    chain.submit("pharmacy-nurse", question(ONE))
    assert chain.submit(sender, answer("unknown")).code == code
    if code == "ok":
        assert chain.submit("maker-admin", answer("genuine")).code == "verification.answered"


def test_a_question_is_about_one_thing_of_one_known_make(chain: SupplyWorld) -> None:
    chain.submit("pharmacy-nurse", question(ONE))
    refused = {
        "verification.exists": question(ONE),
        "verification.no_manufacturer": question("01/00000000000000/21/1", "other"),
        "verification.not_permitted": question(ONE, "third"),
    }
    for code, action in refused.items():
        sender = "pharmacy-logger" if code.endswith("permitted") else "pharmacy-nurse"
        assert chain.submit(sender, action).code == code
    assert chain.submit("pharmacy-nurse", question("nobody's", "x")).code == (
        "verification.no_manufacturer"
    )
    for many in (lot(), PRODUCT):
        with pytest.raises(InvalidMessage) as caught:
            chain.submit("pharmacy-nurse", question(many, "other"))
        assert (caught.value.code, caught.value.field) == (
            "verification.no_serial",
            "actions[0].item",
        )


def test_a_container_is_cleared_only_while_all_in_it_is_still_its_makers(
    chain: SupplyWorld,
) -> None:
    chain.commission("maker", ONE)
    chain.pack("maker", CASE, ONE)
    sold_to(chain, "wholesaler", CASE)
    chain.submit("wholesaler-nurse", question(CASE), doubt(CASE))
    chain.commission("rival", pack("1", RIVALS))
    sold_to(chain, "wholesaler", pack("1", RIVALS), maker="rival")
    assert chain.pack("wholesaler", CASE, pack("1", RIVALS)) == OK
    assert chain.submit("maker-admin", answer("genuine")) == OK
    assert chain.ship("wholesaler", "pharmacy", CASE).code == "supply.suspect"
    assert chain.submit("wholesaler-nurse", question(CASE, "b")).code == (
        "verification.no_manufacturer"
    )
