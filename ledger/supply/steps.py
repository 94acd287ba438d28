"""The table of business steps: what an event of each kind does, who may say so, to what.

Steps and dispositions are those of CBV 2.0 (GS1 Core Business Vocabulary, 7.1 and 7.2) in their
bare form. The first row that fits an event is its rule; a step that no row names is something that
who has the things in hand has seen. `administering` and the disposition `exported` are words of
our own: CBV has none for them.
"""

from typing import Final, Literal, NamedTuple

from ledger.supply.fields import EventAction, EventKind, Status

Effect = Literal[
    "commission",
    "pack",
    "unpack",
    "ship",
    "receive",
    "accept",
    "void",
    "finish",
    "transform",
    "attach",
    "detach",
    "observe",
]
Who = Literal["maker", "custodian", "dispenser", "receiver", "sender", "party"]
"""Who may: the manufacturer of the product; who has the things in hand; a hospital, clinic or
pharmacy that has; whom the shipment names; who shipped; who has them, either side of the shipment,
a carrier or a regulator."""


class Rule(NamedTuple):
    """What an event does. `held` is true where it may be done to what is held; `status` is what
    becomes of the things; `before` are the statuses that they may have had."""

    effect: Effect
    who: Who
    held: bool
    status: Status = "active"
    before: tuple[Status, ...] = ("active",)


class Row(NamedTuple):
    """Where a rule holds. No actions are those of an event that has none, no steps are all."""

    kinds: tuple[EventKind, ...]
    actions: tuple[EventAction, ...]
    steps: tuple[str, ...]
    rule: Rule


_MOVED: Final[tuple[EventKind, ...]] = ("object", "aggregation", "transaction")
_SEEN: Final[tuple[EventAction, ...]] = ("OBSERVE", "ADD")
"""An ADD comes here of transactions only: a shipment may add its orders to its things."""
_ENDED: Final[tuple[EventAction, ...]] = ("OBSERVE", "DELETE")
_OBSERVED: Final = Rule("observe", "custodian", held=True)

TABLE: Final[tuple[Row, ...]] = (
    Row(("object",), ("ADD",), (), Rule("commission", "maker", held=True)),
    Row(("aggregation",), ("ADD",), (), Rule("pack", "custodian", held=True)),
    Row(("aggregation",), ("DELETE",), (), Rule("unpack", "custodian", held=True)),
    Row(("association",), ("ADD",), (), Rule("attach", "custodian", held=True)),
    Row(("association",), ("DELETE",), (), Rule("detach", "custodian", held=True)),
    Row(("transformation",), (), (), Rule("transform", "custodian", held=False, status="consumed")),
    Row(
        ("object",),
        _ENDED,
        ("dispensing", "retail_selling"),
        Rule("finish", "dispenser", held=False, status="dispensed"),
    ),
    Row(
        ("object",),
        _ENDED,
        ("administering",),
        Rule(
            "finish",
            "dispenser",
            held=False,
            status="administered",
            before=("active", "dispensed"),
        ),
    ),
    Row(
        ("object",),
        _ENDED,
        ("destroying",),
        Rule("finish", "custodian", held=True, status="destroyed"),
    ),
    Row(
        ("object",),
        _ENDED,
        ("decommissioning",),
        Rule("finish", "custodian", held=True, status="decommissioned"),
    ),
    Row(
        ("object",),
        ("DELETE",),
        (),
        Rule("finish", "custodian", held=True, status="decommissioned"),
    ),
    Row(_MOVED, _SEEN, ("shipping",), Rule("ship", "custodian", held=False)),
    Row(_MOVED, _SEEN, ("receiving",), Rule("receive", "receiver", held=True)),
    Row(_MOVED, _SEEN, ("accepting",), Rule("accept", "receiver", held=True)),
    Row(_MOVED, _SEEN, ("void_shipping",), Rule("void", "sender", held=True)),
    Row(
        _MOVED,
        _SEEN,
        (
            "arriving",
            "departing",
            "loading",
            "sensor_reporting",
            "staging_outbound",
            "transporting",
            "unloading",
        ),
        Rule("observe", "party", held=True),
    ),
)

EXPORTED: Final = "exported"
"""The disposition with which a shipment leaves the consortium, which is final."""

HELD_MAY_GO: Final = ("destroyed", "disposed", "recalled", "returned")
"""The dispositions with which what is held may be shipped: back, or to its end."""


def rule_of(kind: EventKind, action: EventAction | None, step: str) -> Rule:
    """What an event of this kind, action and step does."""
    for row in TABLE:
        if (
            kind in row.kinds
            and (action in row.actions if row.actions else action is None)
            and (not row.steps or step in row.steps)
        ):
            return row.rule
    return _OBSERVED
