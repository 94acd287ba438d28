"""What organisations hear of goods: what happened, and what somebody tried that is evidence."""

from typing import Any

import pytest

from chain.block import Result
from ledger.actions import Action
from ledger.codes import REJECTIONS
from ledger.supply.evidence import EVIDENCE
from node.api.alerts import GoodsAlert, alerts_of
from tests.ledger.ledger_world import person
from tests.ledger.supply.quality_world import (
    CASE,
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
from tests.ledger.supply.supply_world import (
    SupplyWorld,
    lot,
    pack,
    quantities,
    reading,
)
from tests.ledger.supply.test_excursions import COLD, attach, warm
from tests.node.api.conftest import Node
from tests.node.api.test_events import listening

ONE, TWO = pack("1"), pack("2")


@pytest.fixture
def chain() -> SupplyWorld:
    return SupplyWorld()


def told(chain: SupplyWorld, who: str, *actions: Action) -> tuple[Result, list[Any]]:
    """What becomes of a transaction, and what is heard of it."""
    prepared = chain.prepared(who, *actions)
    (result,) = chain.commit(prepared).results
    return result, list(alerts_of(prepared.raw, result, chain.timestamp_ms, chain.state))


def goods(
    kind: str, who: str, *things: str, code: str = "ok", subject: str | None = None
) -> GoodsAlert:
    named = None if subject is None else person(subject)
    return GoodsAlert(kind, code, named, things, person(who), who.partition("-")[0])


def dispensing(chain: SupplyWorld, *items: str) -> Action:
    return chain.event("object", "OBSERVE", "dispensing", items, tag=b"t" * 16)


def shipping(chain: SupplyWorld, *items: str, receiver: str = "pharmacy") -> Action:
    return chain.event("object", "OBSERVE", "shipping", items, receiver=receiver)


def test_what_happens_to_goods_is_heard_with_what_it_is_about(chain: SupplyWorld) -> None:
    chain.commission("maker", ONE)
    scope = (lot("L1"), lot("L2"))
    expected = {
        ("maker-admin", recall(*scope)): ("recall.open", scope, "recall"),
        ("maker-admin", closing()): ("recall.close", scope, "recall"),
        ("maker-nurse", quarantine(ONE)): ("quarantine.place", (ONE,), None),
        ("maker-nurse", releasing(ONE, "maker")): ("quarantine.release", (ONE,), None),
        ("pharmacy-nurse", doubt(TWO)): ("suspect.report", (TWO,), "report"),
        ("pharmacy-nurse", question(TWO)): ("verification.request", (TWO,), "question"),
        ("maker-admin", answer("counterfeit")): ("verification.respond", (TWO,), "question"),
    }
    for (who, action), (kind, things, subject) in expected.items():
        result, heard = told(chain, who, action)
        assert result.ok
        assert heard == [goods(kind, who, *things, subject=subject)]


def test_several_actions_are_heard_one_by_one_and_none_of_a_refused_transaction(
    chain: SupplyWorld,
) -> None:
    _, heard = told(chain, "maker-admin", doubt(ONE), question(ONE))
    assert [each.kind for each in heard] == ["suspect.report", "verification.request"]
    result, heard = told(chain, "maker-admin", doubt(TWO, "other"), doubt(ONE))
    assert (result.code, heard) == ("suspect.exists", [])
    assert told(chain, "maker-admin", disposal(ONE))[1] == []


def test_an_excursion_is_heard_with_the_event_that_found_it(chain: SupplyWorld) -> None:
    cold = pack("1", COLD)
    chain.commission("maker", cold)
    chain.pack("maker", CASE, cold)
    attach(chain, "maker", CASE)
    warm(chain, "maker", CASE, 2)
    from_ms = chain.timestamp_ms
    chain.pass_time(1_500_000)
    measured = reading("maker-logger", from_ms, from_ms + 1_500_000, 12_000, 12_000)
    event = chain.event("object", "OBSERVE", "sensor_reporting", [cold], readings=(measured,))
    result, heard = told(chain, "maker-logger", event)
    assert result.ok
    assert heard == [goods("excursion", "maker-logger", CASE)]
    assert person("maker-logger") == heard[0].sender


def test_a_second_commissioning_is_a_counterfeit_and_says_which(chain: SupplyWorld) -> None:
    packs = [pack(str(number)) for number in range(5)]
    chain.commission("maker", packs[3])
    event = chain.event("object", "ADD", "commissioning", packs)
    result, heard = told(chain, "maker-service", event)
    assert result.field == "actions[0].items[0].names[3]"
    code = "supply.already_commissioned"
    assert heard == [goods("rejected.counterfeit", "maker-service", packs[3], code=code)]


def test_whose_it_is_not_is_heard_as_well(chain: SupplyWorld) -> None:
    chain.commission("maker", ONE)
    event = chain.event("object", "ADD", "commissioning", [TWO])
    _, heard = told(chain, "rival-service", event)
    assert heard == [
        goods("rejected.counterfeit", "rival-service", TWO, code="supply.not_manufacturer")
    ]
    _, heard = told(chain, "wholesaler-service", shipping(chain, ONE))
    assert heard == [
        goods("rejected.wrong_party", "wholesaler-service", ONE, code="supply.not_custodian")
    ]
    chain.ship("maker", "wholesaler", ONE)
    receiving = chain.event("object", "OBSERVE", "receiving", [ONE])
    _, heard = told(chain, "pharmacy-service", receiving)
    assert heard == [
        goods("rejected.wrong_party", "pharmacy-service", ONE, code="supply.not_receiver")
    ]


def test_held_packed_ended_and_unknown_things_on_the_counter_are_heard(
    chain: SupplyWorld,
) -> None:
    chain.commission("maker", ONE, TWO)
    sold_to(chain, "pharmacy", ONE, TWO)
    chain.submit("maker-admin", recall(lot()))
    refused = {"supply.recalled": ("rejected.held", ONE)}
    for code, (kind, thing) in refused.items():
        _, heard = told(chain, "pharmacy-service", dispensing(chain, thing))
        assert heard == [goods(kind, "pharmacy-service", thing, code=code)]
    chain.submit("maker-admin", closing(lift=True))
    chain.dispense("pharmacy", ONE)
    chain.pack("pharmacy", CASE, TWO)
    for thing, kind, code in (
        (ONE, "rejected.not_free", "supply.final"),
        (TWO, "rejected.not_free", "supply.packed"),
        (pack("false"), "rejected.counterfeit", "supply.unknown_item"),
    ):
        _, heard = told(chain, "pharmacy-service", dispensing(chain, thing))
        assert heard == [goods(kind, "pharmacy-service", thing, code=code)]


def test_quantities_out_of_nothing_are_heard(chain: SupplyWorld) -> None:
    made = chain.event(
        "object", "ADD", "commissioning", quantities=quantities((lot("L9"), 5, 0, "KGM"))
    )
    assert chain.capture("maker", made).ok
    more = chain.event(
        "object",
        "OBSERVE",
        "shipping",
        quantities=quantities((lot("L9"), 6, 0, "KGM")),
        receiver="pharmacy",
    )
    _, heard = told(chain, "maker-service", more)
    assert heard == [
        goods("rejected.quantity", "maker-service", lot("L9"), code="supply.not_enough")
    ]


def test_honest_mistakes_alert_nobody(chain: SupplyWorld) -> None:
    chain.commission("maker", ONE)
    watching = chain.event("object", "OBSERVE", "inspecting", [ONE])
    result, heard = told(chain, "pharmacy-service", watching)
    assert (result.code, heard) == ("supply.not_custodian", [])
    nowhere = chain.event("object", "OBSERVE", "shipping", [ONE])
    result, heard = told(chain, "maker-service", nowhere)
    assert (result.ok, heard) == (False, [])


@pytest.mark.parametrize(
    "field",
    ["", "actions", "actions[7].items[0].names[0]", "approvals[0]", "actions[0].devices[0]"],
)
def test_a_refusal_that_points_at_no_thing_names_none(chain: SupplyWorld, field: str) -> None:
    prepared = chain.prepared("pharmacy-service", dispensing(chain, ONE))
    refused = Result("supply.recalled", field)
    heard = list(alerts_of(prepared.raw, refused, chain.timestamp_ms, chain.state))
    assert all(each.things == () for each in heard if isinstance(each, GoodsAlert))


def test_every_kind_of_evidence_is_a_code_of_the_ledger() -> None:
    assert set(EVIDENCE) <= set(REJECTIONS)


async def test_the_description_has_both_shapes_of_alerts(node: Node) -> None:
    described = (await node.get("/openapi.json")).document["components"]["schemas"]
    assert set(described["PatientAlert"]["properties"]) == {
        "kind",
        "patient",
        "subject",
        "transaction",
    }
    assert {"code", "things", "organization"} <= set(described["GoodsAlert"]["properties"])


async def test_goods_are_for_organisations_and_not_for_patients(node: Node) -> None:
    cast = node.cast
    registered, _ = node.story.register(cast.patient, b"content")
    assert (await node.solo.committed_now(registered)).ok
    builder = node.story.builder(cast.clinician)
    builder.add(doubt("01/09521141012345/21/false"))
    built = node.story.finish(builder)
    assert (await node.solo.committed_now(built)).ok
    async with listening(node, "?after=1") as stream:
        alert, transaction, _ = await stream.take(3)
    assert (alert.kind, alert.id, transaction.kind) == ("alert", "", "transaction")
    assert alert.document == {
        "kind": "suspect.report",
        "code": "ok",
        "subject": person("report").hex(),
        "things": ["01/09521141012345/21/false"],
        "organization": "hospital-a",
        "sender": cast.clinician.principal.hex(),
        "transaction": {"id": built.id.hex(), "height": 2, "index": 0},
    }
    async with listening(node, "?after=1", wallet=cast.patient) as stream:
        (only,) = await stream.take(1)
    assert (only.kind, only.document) == ("block", {"height": 2})
