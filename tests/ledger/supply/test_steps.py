"""The table of steps: what each kind of event does."""

from typing import get_args

import pytest

from ledger.supply.fields import EventAction, EventKind
from ledger.supply.steps import TABLE, Effect, rule_of


@pytest.mark.parametrize(
    ("kind", "action", "step", "effect", "who"),
    [
        ("object", "ADD", "commissioning", "commission", "maker"),
        ("object", "ADD", "other", "commission", "maker"),
        ("object", "DELETE", "decommissioning", "finish", "custodian"),
        ("object", "DELETE", "dispensing", "finish", "dispenser"),
        ("object", "OBSERVE", "decommissioning", "finish", "custodian"),
        ("object", "OBSERVE", "shipping", "ship", "custodian"),
        ("aggregation", "OBSERVE", "shipping", "ship", "custodian"),
        ("transaction", "OBSERVE", "receiving", "receive", "receiver"),
        ("object", "OBSERVE", "accepting", "accept", "receiver"),
        ("object", "OBSERVE", "void_shipping", "void", "sender"),
        ("object", "OBSERVE", "transporting", "observe", "party"),
        ("object", "OBSERVE", "cycle_counting", "observe", "custodian"),
        ("aggregation", "ADD", "shipping", "pack", "custodian"),
        ("aggregation", "DELETE", "receiving", "unpack", "custodian"),
        ("transaction", "ADD", "shipping", "ship", "custodian"),
        ("transaction", "DELETE", "other", "observe", "custodian"),
        ("association", "ADD", "assembling", "attach", "custodian"),
        ("association", "DELETE", "other", "detach", "custodian"),
        ("association", "OBSERVE", "shipping", "observe", "custodian"),
        ("transformation", None, "commissioning", "transform", "custodian"),
    ],
)
def test_an_event_does_what_its_row_says(
    kind: EventKind, action: EventAction | None, step: str, effect: Effect, who: str
) -> None:
    rule = rule_of(kind, action, step)
    assert (rule.effect, rule.who) == (effect, who)


def test_only_what_leads_on_is_closed_to_what_is_held() -> None:
    closed = {row.rule.effect if not row.rule.held else None for row in TABLE} - {None}
    assert closed == {"finish", "ship", "transform"}
    ends = {row.rule.status for row in TABLE if row.rule.effect == "finish" and not row.rule.held}
    assert ends == {"dispensed", "administered"}


def test_every_effect_has_a_row() -> None:
    assert {row.rule.effect for row in TABLE} == set(get_args(Effect))
