"""What the ledger is told of an event is what the event says, in the ledger's own words."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import InvalidMessage
from client.epcis.document import parse_document
from client.epcis.facts import (
    capture_of,
    day_after_ms,
    hidden_serial,
    parties_named,
    products_named,
    serials_named,
    step_of,
)
from ledger.ids import device_of
from ledger.supply.actions import EventContent, SupplyCapture
from ledger.supply.fields import Amount, ClassQuantity, ItemGroup, LotFacts
from ledger.supply.wellformed import check_capture
from tests import campaign
from tests.client.epcis.event_world import (
    AGGREGATION,
    ASSOCIATION,
    EVENTS,
    LOT,
    OBJECT,
    PACK,
    PARTY,
    SITE,
    TRANSFORMATION,
    bent,
    read,
)

BUDGET = campaign.budget(40)
NAMED = b"\1" * 32
CONTENT = EventContent(bytes(16), 1, bytes(32), bytes(32))
GTIN = "09521141012345"
LOGGER = "urn:epc:id:giai:4000001.111"
PARTIES = {"4012345002256": "pharmacy", "4012345000054": "hospital-a"}


def capture(event: dict[str, Any], **more: Any) -> SupplyCapture:
    return capture_of(
        read(event), NAMED, CONTENT, more.pop("parties", PARTIES), **{"binding": True, **more}
    )


def refused(event: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(InvalidMessage) as caught:
        capture(event)
    return caught.value.code, caught.value.field


def observed(**fields: Any) -> dict[str, Any]:
    return bent(OBJECT, action="OBSERVE", **fields)


def measured(**report: Any) -> dict[str, Any]:
    return observed(
        sensorElementList=[
            {
                "sensorMetadata": {"deviceID": LOGGER},
                "sensorReport": [{"type": "Temperature", "uom": "CEL", **report}],
            }
        ]
    )


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["type"])
def test_what_every_kind_says_is_well_formed(event: dict[str, Any]) -> None:
    action = capture(event)
    check_capture(action, "actions[0]")
    assert action.kind == event["type"].removesuffix("Event").lower()
    assert (action.action, action.step) == (event.get("action"), "other")
    assert (action.event, action.content, action.binding) == (NAMED, CONTENT, True)


def test_every_event_of_others_is_well_formed_or_refused(epcis: Any) -> None:
    told = 0
    for path in sorted((epcis / "documents").glob("*.json")):
        for event in parse_document(path.read_bytes()).events:
            try:
                action = capture_of(event, NAMED, CONTENT, {}, binding=False)
            except InvalidMessage:
                continue
            check_capture(action, "actions[0]")
            told += 1
    assert told > 30


def test_a_commissioning() -> None:
    ilmd = {"cbvmda:lotNumber": "L/7", "cbvmda:itemExpirationDate": "2027-12-31"}
    action = capture(
        bent(
            OBJECT,
            bizStep="commissioning",
            disposition="active",
            ilmd=ilmd,
            epcList=[PACK, "https://id.gs1.org/00/095201234567891235", "urn:acme:cart:2"],
        )
    )
    assert action.items == (
        ItemGroup("", ("urn:acme:cart:2",)),
        ItemGroup("00", ("095201234567891235",)),
        ItemGroup(f"01/{GTIN}/21", ("2017",)),
    )
    assert action.lot == LotFacts("L%2F7", 1_830_297_600_000)
    assert day_after_ms(date(2027, 12, 31)) == 1_830_297_600_000
    assert (action.step, action.disposition) == ("commissioning", "active")


def test_a_lot_may_stand_in_the_links() -> None:
    links = [f"https://id.gs1.org/01/{GTIN}/10/L7/21/{serial}" for serial in (1, 2)]
    assert capture(bent(OBJECT, epcList=links)).lot == LotFacts("L7", None)
    assert capture(bent(OBJECT, epcList=links, action="OBSERVE")).lot is None
    other = bent(OBJECT, epcList=links, ilmd={"cbvmda:lotNumber": "L8"})
    assert refused(other) == ("facts.lot", "lot")


def test_a_packing_and_a_transformation() -> None:
    packing = capture(bent(AGGREGATION, childQuantityList=[{"epcClass": LOT, "quantity": 3}]))
    assert packing.parent == "00/095201234567891235"
    assert packing.items == (ItemGroup(f"01/{GTIN}/21", ("2017", "2018")),)
    assert packing.quantities == (ClassQuantity(f"01/{GTIN}/10/L7", Amount(3, 0, "")),)
    mixing = capture(TRANSFORMATION)
    assert mixing.quantities == (ClassQuantity(f"01/{GTIN}/10/L7", Amount(2, 0, "KGM")),)
    assert mixing.outputs == (ItemGroup(f"01/{GTIN}/21", ("2017",)),)


def test_individual_assets_that_are_associated_are_devices() -> None:
    tote = "urn:epc:id:grai:4012345.55555.987"
    action = capture(bent(ASSOCIATION, childEPCs=[LOGGER, tote]))
    assert action.devices == (device_of("8004/4000001111"),)
    assert action.items == (ItemGroup("8003", ("04012345555554987",)),)
    assert capture(bent(AGGREGATION, childEPCs=[LOGGER])).devices == ()


@pytest.mark.parametrize(
    ("number", "uom", "amount"),
    [
        (2.50, "KGM", Amount(25, -1, "KGM")),
        (200, None, Amount(200, 0, "")),
        (200, "EA", Amount(200, 0, "")),
        (1e3, "H87", Amount(1_000, 0, "")),
        (0.0000015, "LTR", Amount(2, -6, "LTR")),
        (0.0000025, "LTR", Amount(2, -6, "LTR")),
    ],
)
def test_amounts(number: float, uom: str | None, amount: Amount) -> None:
    quantity = bent({"epcClass": LOT, "quantity": number}, uom=uom)
    (told,) = capture(observed(quantityList=[quantity])).quantities
    assert told.amount == amount


def test_a_class_that_stands_there_twice_is_added_up() -> None:
    twice = [{"epcClass": LOT, "quantity": 1.5}, {"epcClass": LOT, "quantity": 2.5}]
    (told,) = capture(observed(quantityList=twice)).quantities
    assert told.amount == Amount(4, 0, "")


def test_the_receiver_of_a_shipment() -> None:
    def sent(*destinations: tuple[str, str]) -> str | None:
        listed = [{"type": kind, "destination": place} for kind, place in destinations]
        return capture(observed(bizStep="shipping", destinationList=listed)).receiver

    stranger = "urn:epc:id:pgln:0614141.00777"
    assert sent() is None
    assert sent(("location", SITE)) == "hospital-a"
    assert sent(("location", SITE), ("possessing_party", PARTY)) == "pharmacy"
    assert sent(("owning_party", PARTY), ("possessing_party", stranger)) is None
    assert sent(("location", "urn:acme:gate:7")) is None
    two = [{"type": "location", "destination": place} for place in (SITE, stranger)]
    event = observed(bizStep="shipping", destinationList=two)
    assert refused(event) == ("facts.receiver", "receiver")
    assert capture(bent(event, bizStep="receiving")).receiver is None


def test_who_and_what_is_named() -> None:
    event = read(
        observed(
            readPoint={"id": SITE},
            bizLocation={"id": "geo:1,2"},
            sourceList=[{"type": "possessing_party", "source": PARTY}],
            destinationList=[{"type": "owning_party", "destination": PARTY}],
            quantityList=[{"epcClass": "urn:epc:idpat:sgtin:4012345.066666.*", "quantity": 1}],
        )
    )
    assert parties_named(event) == ("4012345002256", "4012345000054")
    assert products_named(event) == ("04012345666663", GTIN)


@pytest.mark.parametrize(
    ("step", "known"),
    [
        ("shipping", "shipping"),
        ("", "other"),
        ("https://acme.example/step/administering", "administering"),
        ("urn:acme:administering", "administering"),
        ("https://acme.example/step#administering", "administering"),
        ("https://acme.example/step/shipping", "other"),
        ("https://acme.example/step/tasting", "other"),
    ],
)
def test_steps(step: str, known: str) -> None:
    assert step_of(step) == known


def test_dispositions_of_users() -> None:
    assert capture(observed(disposition="urn:acme:exported")).disposition == "exported"
    assert capture(observed(disposition="urn:acme:shiny")).disposition is None
    assert capture(observed(disposition="in_transit")).disposition == "in_transit"


def test_temperatures_are_rounded_outwards() -> None:
    (whole,) = capture(measured(minValue=2.0004, maxValue=8.0004, meanValue=4)).readings
    assert (whole.min_mc, whole.max_mc) == (2_000, 8_001)
    assert whole.device == device_of("8004/4000001111")
    assert whole.from_ms == whole.to_ms == 1_784_695_500_000
    (fahrenheit,) = capture(measured(value=36.5, uom="FAH")).readings
    assert (fahrenheit.min_mc, fahrenheit.max_mc) == (2_500, 2_500)
    (odd,) = capture(measured(value=-10, uom="FAH")).readings
    assert (odd.min_mc, odd.max_mc) == (-23_334, -23_333)
    (kelvin,) = capture(measured(value=0, uom="KEL")).readings
    assert kelvin.min_mc == -273_150


def test_other_measurements_and_unknown_devices_are_no_readings() -> None:
    assert capture(measured(type="RelativeHumidity", value=40, uom="P1")).readings == ()
    assert capture(measured(sDev=1)).readings == ()
    nameless = [{"sensorReport": [{"type": "Temperature", "value": 4}]}]
    assert capture(observed(sensorElementList=nameless)).readings == ()


@pytest.mark.parametrize(
    ("event", "code", "field"),
    [
        (observed(epcList=["urn:acme:" + "a" * 200]), "facts.name", "items"),
        (observed(epcList=["urn:acme:ü"]), "facts.name", "items"),
        (bent(AGGREGATION, parentID="urn:acme:" + "a" * 200), "facts.name", "parent"),
        (observed(epcList=[f"{PACK}{n}" for n in range(2_049)]), "facts.too_many", "items"),
        (observed(quantityList=[{"epcClass": LOT}]), "facts.amount", "quantities"),
        (
            observed(quantityList=[{"epcClass": LOT, "quantity": 1e-9}]),
            "facts.amount",
            "quantities",
        ),
        (
            observed(quantityList=[{"epcClass": LOT, "quantity": 1e16}]),
            "facts.amount",
            "quantities",
        ),
        (
            observed(
                quantityList=[
                    {"epcClass": LOT, "quantity": 1, "uom": "KGM"},
                    {"epcClass": LOT, "quantity": 1},
                ]
            ),
            "facts.units",
            "quantities",
        ),
        (bent(OBJECT, ilmd={"itemExpirationDate": "2027-12-31"}), "facts.lot", "lot"),
        (bent(OBJECT, ilmd={"lotNumber": "L" * 21}), "facts.name", "lot.lot"),
        (
            bent(OBJECT, ilmd={"lotNumber": "L", "itemExpirationDate": "1969-12-30"}),
            "facts.time",
            "lot.expires_ms",
        ),
        (observed(eventTime="1969-12-31T23:59:59Z"), "facts.time", "event_time_ms"),
        (measured(value=4, uom="P1"), "facts.unit", "readings"),
        (measured(value=-300), "facts.temperature", "readings"),
        (
            bent(ASSOCIATION, childEPCs=[f"{LOGGER}{n}" for n in range(17)]),
            "facts.too_many",
            "devices",
        ),
    ],
)
def test_what_the_ledger_has_no_words_for(event: dict[str, Any], code: str, field: str) -> None:
    assert refused(event) == (code, field)


def test_too_many_readings() -> None:
    report = {"type": "Temperature", "value": 4, "uom": "CEL"}
    element = {"sensorMetadata": {"deviceID": LOGGER}, "sensorReport": [report] * 65}
    assert refused(observed(sensorElementList=[element])) == ("facts.too_many", "readings")


def test_a_declaration_has_its_own_name_and_says_the_same() -> None:
    declared = {"declarationTime": "2026-07-23T00:00:00Z"}
    event, wrong = capture(OBJECT), capture(bent(OBJECT, errorDeclaration=declared))
    assert event.declaration is None
    assert wrong.declares_error
    assert wrong.event == event.event != wrong.declaration
    assert (wrong.items, wrong.kind, wrong.event_time_ms) == (
        event.items,
        event.kind,
        event.event_time_ms,
    )
    later = {"declarationTime": "2026-07-24T00:00:00Z"}
    assert capture(bent(OBJECT, errorDeclaration=later)).declaration != wrong.declaration


def test_hidden_serial_numbers() -> None:
    hidden = {GTIN: b"k" * 32}
    (group,) = capture(OBJECT, hidden=hidden).items
    assert group == ItemGroup(f"01/{GTIN}/21", (hidden_serial(hidden[GTIN], GTIN, "2017"),))
    (name,) = group.names
    assert (name[0], len(name), "2017" in name) == ("~", 23, False)
    assert capture(OBJECT, hidden={"04012345666663": b"k" * 32}).items == capture(OBJECT).items
    assert hidden_serial(b"l" * 32, GTIN, "2017") != name
    inside = capture(bent(AGGREGATION, parentID=f"{PACK}9"), hidden=hidden)
    assert inside.parent == f"01/{GTIN}/21/{hidden_serial(hidden[GTIN], GTIN, '20179')}"


@BUDGET
@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=20, unique=True), st.randoms())
def test_the_order_of_a_list_does_not_count(serials: list[int], chance: Any) -> None:
    listed = [f"https://id.gs1.org/01/{GTIN}/21/{serial}" for serial in serials]
    first = capture(observed(epcList=list(listed)))
    chance.shuffle(listed)
    assert capture(observed(epcList=listed)) == first
    check_capture(first, "actions[0]")


def test_serial_numbers_that_cannot_be_hidden_are_not_told() -> None:
    hidden = {GTIN: b"k" * 32}
    for thing in (
        f"https://id.gs1.org/01/{GTIN}/235/XYZ",
        f"https://id.gs1.org/8006/{GTIN}0102/21/7",
    ):
        assert "7" in str(capture(bent(OBJECT, epcList=[thing])).items) or "XYZ" in thing
        with pytest.raises(InvalidMessage) as refusal:
            capture(bent(OBJECT, epcList=[thing]), hidden=hidden)
        assert (refusal.value.code, refusal.value.field) == ("facts.not_hidden", "items")


def test_which_products_have_their_serial_numbers_named() -> None:
    assert serials_named(read(OBJECT)) == (GTIN,)
    assert serials_named(read(TRANSFORMATION)) == (GTIN,)
    counted = bent(OBJECT, epcList=None, quantityList=[{"epcClass": LOT, "quantity": 2}])
    assert serials_named(read(counted)) == ()
    assert products_named(read(counted)) == (GTIN,)
