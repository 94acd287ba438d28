"""What holds for actions about quality before any state is asked: lanes, weights, notes, shapes."""

import pytest
from msgspec.structs import replace

from chain.errors import InvalidMessage
from chain.genesis import Parameters
from ledger.actions import ACTION, Action, attachments_of, decode_action, kind_of
from ledger.lanes import Lane, lane_of
from ledger.prepare import prepare
from ledger.supply.actions import RecallOpen, SupplyCapture
from ledger.supply.fields import RECALLED_MAX
from ledger.weights import weight_of
from tests.ledger.ledger_world import digest, encoded
from tests.ledger.supply.quality_world import (
    acknowledgement,
    answer,
    closing,
    disposal,
    doubt,
    quarantine,
    question,
    recall,
    releasing,
)
from tests.ledger.supply.supply_world import SupplyWorld, lot, pack

ONE = pack("1")
NOTED = (recall(lot()), quarantine(ONE), disposal(ONE), doubt(ONE), answer("genuine"))
OTHERS = (acknowledgement(), closing(), releasing(ONE, "maker"), question(ONE))


@pytest.mark.parametrize(
    "action",
    [recall(lot()), closing(), quarantine(ONE), doubt(ONE)],
    ids=lambda each: type(each).__name__,
)
def test_what_stops_goods_goes_first(action: Action) -> None:
    assert lane_of([action]) == Lane.URGENT


@pytest.mark.parametrize(
    "action",
    [acknowledgement(), releasing(ONE, "maker"), disposal(ONE), question(ONE), answer("genuine")],
    ids=lambda each: type(each).__name__,
)
def test_what_lets_them_go_waits_its_turn(action: Action) -> None:
    assert lane_of([action]) == Lane.NORMAL
    assert lane_of([action, quarantine(ONE)]) == Lane.NORMAL


def test_a_recall_of_many_lots_fits_a_transaction_and_weighs_what_it_writes(
    chain: SupplyWorld,
) -> None:
    many = recall(*(lot(f"L{number}") for number in range(RECALLED_MAX)))
    assert weight_of(many) > RECALLED_MAX
    assert weight_of(closing(lift=True)) > RECALLED_MAX
    assert weight_of(many) < Parameters().transaction_weight_max
    execution = chain.commit(chain.prepared("maker-admin", many))
    assert execution.results[0].ok
    assert len(execution.writes) <= weight_of(many)


def test_a_recall_of_more_is_malformed() -> None:
    many = recall(*(lot(f"L{number}") for number in range(RECALLED_MAX + 1)))
    with pytest.raises(InvalidMessage) as caught:
        decode_action(ACTION.encode(many), "actions[0]")
    assert (caught.value.code, caught.value.field) == ("codec.wrong_type", "actions[0].scope")


@pytest.mark.parametrize("action", NOTED, ids=lambda each: type(each).__name__)
def test_a_note_is_an_attachment_where_there_is_one(chain: SupplyWorld, action: Action) -> None:
    assert attachments_of(action) == ()
    noted = replace(action, note=digest("why"))  # type: ignore[type-var]
    assert attachments_of(noted) == (("note", digest("why")),)
    bare = replace(chain.transaction("maker-admin", noted), attachments=())
    with pytest.raises(InvalidMessage) as caught:
        prepare(encoded(bare), Parameters())
    assert caught.value.code == "transaction.missing_attachment"
    assert caught.value.field == "actions[0].note"


@pytest.mark.parametrize("action", OTHERS, ids=lambda each: type(each).__name__)
def test_others_name_no_attachment(action: Action) -> None:
    assert attachments_of(action) == ()


def test_a_kind_is_told_however_many_fields_it_has(chain: SupplyWorld) -> None:
    event = chain.event("object", "OBSERVE", "inspecting", [ONE])
    assert kind_of(ACTION.encode(event)) is SupplyCapture
    assert kind_of(ACTION.encode(recall(lot()))) is RecallOpen
    crooked = replace(event, step="")
    with pytest.raises(InvalidMessage) as caught:
        decode_action(ACTION.encode(crooked), "actions[0]")
    assert caught.value.field == "actions[0].step"
    assert kind_of(b"\x01\xdc") is None
