"""The way of a thing, over histories as the ledger keeps them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from chain.codec import Codec
from ledger.keyspace import container_key, event_key, history_key, item_key, lot_key
from ledger.supply.actions import EventContent, SupplyCapture
from ledger.supply.entries import (
    CONTAINER,
    EVENT,
    EVENTS_AT_HAND_MAX,
    ITEM,
    LOT,
    PAGE,
    ContainerEntry,
    EventEntry,
    History,
    ItemEntry,
    LotEntry,
    PageEntry,
)
from ledger.supply.fields import ItemGroup
from ledger.supply.trace import LEGS_MAX, STEPS_MAX, Trace, trace

CONTENT = EventContent(bytes(16), 0, bytes(32), bytes(32))


@dataclass
class Tale:
    """A state that is told event by event, and what was said in each."""

    state: dict[bytes, bytes] = field(default_factory=dict)
    actions: dict[int, SupplyCapture] = field(default_factory=dict)
    histories: dict[str, list[int]] = field(default_factory=dict)
    reads: int = 0
    asked: int = 0

    def get(self, key: bytes) -> bytes | None:
        self.reads += 1
        return self.state.get(key)

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        raise AssertionError("a trace never scans")

    def action_at(self, transaction: bytes, index: int) -> SupplyCapture | None:
        self.asked += 1
        return self.actions.get(int.from_bytes(transaction, "big"))

    def tell(
        self,
        step: str,
        *things: str,
        kind: str = "object",
        action: str | None = "OBSERVE",
        parent: str | None = None,
        items: tuple[str, ...] | None = None,
        outputs: tuple[str, ...] = (),
        **more: Any,
    ) -> int:
        """One event that touches `things`; its number."""
        number = len(self.actions) + 1
        named = things if items is None else items
        entry: dict[str, Any] = {
            "transaction": number.to_bytes(32, "big"),
            "action_index": 0,
            "organization": "manufacturer",
            "recorded_ms": number,
            "event": number.to_bytes(32, "big"),
            "kind": kind,
            "action": action,
            "step": step,
            "disposition": None,
            "binding": True,
            "event_time_ms": number,
            "parent": parent,
            "receiver": None,
            "shipment": None,
            "min_mc": None,
            "max_mc": None,
            "tag": None,
            "declares_error": False,
            "error": None,
            "facts": bytes(32),
            "before": None,
            "content": CONTENT,
        }
        self._put(event_key(number), EVENT, EventEntry(**{**entry, **more}))
        self.actions[number] = SupplyCapture(
            number.to_bytes(32, "big"), None, kind, action, step, None, True, number,  # type: ignore[arg-type]
            (ItemGroup("", named),) if named else (), (), parent,
            (ItemGroup("", outputs),) if outputs else (), (), None, None, (), (), None, CONTENT,
        )  # fmt: skip
        for each in things:
            self._touch(each, number)
        return number

    def pack(self, parent: str, *children: str) -> int:
        return self.tell(
            "packing", *children, parent, kind="aggregation", action="ADD", parent=parent,
            items=children,
        )  # fmt: skip

    def unpack(self, parent: str, *children: str) -> int:
        return self.tell(
            "unpacking", *children, parent, kind="aggregation", action="DELETE", parent=parent,
            items=children,
        )  # fmt: skip

    def empty(self, parent: str) -> int:
        self._put(
            container_key(parent), CONTAINER, ContainerEntry(1, 0, 0, 0, (), (), 0, (), None, (), 0)
        )
        return self.tell(
            "unpacking", parent, kind="aggregation", action="DELETE", parent=parent, items=()
        )

    def transform(self, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> int:
        return self.tell(
            "transforming", *inputs, *outputs, kind="transformation", action=None,
            items=inputs, outputs=outputs,
        )  # fmt: skip

    def trace(self, thing: str, after: int = 0) -> Trace:
        found = trace(self, thing, self.action_at, after)
        assert found is not None
        return found

    def _put(self, key: bytes, codec: Codec[Any], entry: Any) -> None:
        self.state[key] = codec.encode(entry)

    def _touch(self, thing: str, number: int) -> None:
        numbers = self.histories.setdefault(thing, [])
        numbers.append(number)
        pages, at_hand = divmod(len(numbers), EVENTS_AT_HAND_MAX)
        if not at_hand:
            pages, at_hand = pages - 1, EVENTS_AT_HAND_MAX
        for page in range(pages):
            events = numbers[page * EVENTS_AT_HAND_MAX : (page + 1) * EVENTS_AT_HAND_MAX]
            self._put(history_key(thing, page), PAGE, PageEntry(tuple(events)))
        history = History(tuple(numbers[-at_hand:]), pages)
        if "/10/" in thing:
            entry = LotEntry("09521141101018", None, None, 0, None, 0, (), history)
            self._put(lot_key(thing), LOT, entry)
        else:
            item = ItemEntry("", "manufacturer", None, None, "active", 0, 0, False, history)
            self._put(item_key(thing), ITEM, item)


def numbers(found: Trace) -> list[int]:
    return [each.number for each in found.legs[0].steps]


def tree(found: Trace) -> dict[str, tuple[str, str]]:
    """Of each leg but the first: which way, on what it hangs."""
    return {each.thing: (each.way, found.legs[each.of].thing) for each in found.legs[1:]}


def test_nothing_is_told_of_what_nobody_knows() -> None:
    tale = Tale()
    assert trace(tale, "pack", tale.action_at) is None


def test_a_pack_moves_with_the_pallet_that_its_case_is_on() -> None:
    tale = Tale()
    made = tale.tell("commissioning", "pack", action="ADD")
    boxed = tale.pack("case", "pack")
    stacked = tale.pack("pallet", "case")
    moved = [tale.tell(step, "pallet") for step in ("shipping", "receiving")]
    tale.tell("shipping", "other pallet")
    found = tale.trace("pack")
    assert numbers(found) == [made, boxed, stacked, *moved]
    steps = [(each.level, each.thing) for each in found.legs[0].steps]
    assert steps == [(0, "pack"), (0, "pack"), (1, "case"), (2, "pallet"), (2, "pallet")]


def test_what_a_container_went_through_before_and_after_is_no_step_of_its_content() -> None:
    tale = Tale()
    tale.tell("commissioning", "pack", action="ADD")
    tale.tell("inspecting", "case")
    boxed = tale.pack("case", "pack")
    seen = tale.tell("inspecting", "case")
    out = tale.unpack("case", "pack")
    tale.tell("inspecting", "case")
    given = tale.tell("dispensing", "pack")
    assert numbers(tale.trace("pack")) == [1, boxed, seen, out, given]


def test_what_came_out_when_all_came_out_is_not_followed_any_more() -> None:
    tale = Tale()
    boxed = tale.pack("case", "pack")
    emptied = tale.empty("case")
    tale.tell("inspecting", "case")
    found = tale.trace("pack")
    assert numbers(found) == [boxed, emptied]
    assert tale.trace("pack").legs[0].steps[-1].thing == "case"
    again = tale.pack("box", "pack")
    moved = tale.tell("shipping", "box")
    assert numbers(tale.trace("pack")) == [boxed, emptied, again, moved]


def test_a_case_taken_off_its_pallet_leaves_its_packs_in_it() -> None:
    tale = Tale()
    boxed = tale.pack("case", "pack")
    stacked = tale.pack("pallet", "case")
    tale.tell("shipping", "pallet")
    off = tale.empty("pallet")
    tale.tell("shipping", "pallet")
    carried = tale.tell("shipping", "case")
    assert numbers(tale.trace("pack")) == [boxed, stacked, 3, off, carried]


def test_other_packs_that_go_into_a_case_are_no_step_unless_it_was_measured_meanwhile() -> None:
    tale = Tale()
    boxed = tale.pack("case", "pack")
    tale.pack("case", "another")
    warm = tale.tell(
        "packing", "third", "case", kind="aggregation", action="ADD", parent="case",
        items=("third",), min_mc=9_000, max_mc=12_000,
    )  # fmt: skip
    assert numbers(tale.trace("pack")) == [boxed, warm]


def test_an_event_that_was_taken_back_packs_nothing() -> None:
    tale = Tale()
    tale.tell("packing", "pack", "case", kind="aggregation", action="ADD", parent="case",
              items=("pack",), error=2)  # fmt: skip
    tale.tell("packing", "pack", "case", kind="aggregation", action="ADD", parent="case",
              items=("pack",), declares_error=True, error=1)  # fmt: skip
    tale.tell("shipping", "case")
    assert numbers(tale.trace("pack")) == [1, 2]


def test_what_is_only_recorded_moves_nothing() -> None:
    tale = Tale()
    tale.tell("packing", "pack", "case", kind="aggregation", action="ADD", parent="case",
              items=("pack",), binding=False)  # fmt: skip
    tale.tell("shipping", "case")
    assert numbers(tale.trace("pack")) == [1]


def test_a_transformation_leads_back_to_what_went_in_and_on_to_what_came_out() -> None:
    tale = Tale()
    tale.tell("commissioning", "powder", action="ADD")
    tale.transform(("powder", "water"), ("syrup",))
    tale.transform(("syrup",), ("bottle-1", "bottle-2"))
    tale.tell("shipping", "bottle-1")
    assert tree(tale.trace("bottle-1")) == {
        "syrup": ("origin", "bottle-1"),
        "powder": ("origin", "syrup"),
        "water": ("origin", "syrup"),
    }, "what came out beside it is not its way"
    assert tree(tale.trace("powder")) == {
        "syrup": ("outcome", "powder"),
        "bottle-1": ("outcome", "syrup"),
        "bottle-2": ("outcome", "syrup"),
    }
    assert tree(tale.trace("syrup")) == {
        "powder": ("origin", "syrup"),
        "water": ("origin", "syrup"),
        "bottle-1": ("outcome", "syrup"),
        "bottle-2": ("outcome", "syrup"),
    }
    (bottle,) = (each for each in tale.trace("syrup").legs if each.thing == "bottle-1")
    assert [each.number for each in bottle.steps] == [3, 4]


def test_a_lot_is_traced_like_a_thing() -> None:
    tale = Tale()
    tale.tell("commissioning", "01/09521141101018/10/L7", action="ADD")
    tale.tell("shipping", "01/09521141101018/10/L7")
    assert numbers(tale.trace("01/09521141101018/10/L7")) == [1, 2]


def test_a_chain_of_transformations_is_cut_where_it_goes_too_far() -> None:
    tale = Tale()
    for number in range(20):
        tale.transform((f"thing-{number}",), (f"thing-{number + 1}",))
    found = tale.trace("thing-0")
    assert [each.thing for each in found.legs] == [f"thing-{number}" for number in range(9)]
    assert found.cut
    assert [each.cut for each in found.legs] == [False] * 8 + [True]


def test_what_has_very_many_ingredients_is_cut_with_a_mark() -> None:
    tale = Tale()
    tale.transform(tuple(f"part-{number:03}" for number in range(300)), ("machine",))
    found = tale.trace("machine")
    assert (len(found.legs), found.cut, found.legs[0].cut) == (LEGS_MAX, True, True)


def test_a_ring_of_transformations_ends() -> None:
    tale = Tale()
    tale.transform(("a",), ("b",))
    tale.transform(("b",), ("a",))
    assert list(tree(tale.trace("a"))) == ["b"]


def test_a_long_way_is_cut_with_a_mark_and_goes_on_from_there() -> None:
    tale = Tale()
    for _ in range(STEPS_MAX + 100):
        tale.tell("inspecting", "pump")
    found = tale.trace("pump")
    assert (len(found.legs[0].steps), found.cut, found.after) == (STEPS_MAX, True, STEPS_MAX)
    rest = tale.trace("pump", STEPS_MAX)
    assert (numbers(rest), rest.cut) == (list(range(STEPS_MAX + 1, STEPS_MAX + 101)), False)


def test_a_reused_crate_costs_what_the_pack_saw_of_it_and_not_its_whole_life() -> None:
    tale = Tale()
    for _ in range(2_000):
        tale.tell("inspecting", "crate")
    boxed = tale.pack("crate", "pack")
    moved = tale.tell("shipping", "crate")
    out = tale.unpack("crate", "pack")
    for _ in range(2_000):
        tale.tell("inspecting", "crate")
    tale.reads = 0
    assert numbers(tale.trace("pack")) == [boxed, moved, out]
    assert tale.reads < 700, "pages are searched, and a bounded number of events looked back at"
