"""Goods, command by command: found, traced, checked, recalled; and what is refused."""

import json
import time
from hashlib import sha256

import pytest

from client.wallet import load_wallet
from ledger.ids import event_category, organization_owner
from node.supply_demo import events, names
from tests.node.supply_market import EXPIRES_MS, EXPIRY, LOT, PRODUCT, Shop

AT_MS = 1_700_000_000_000
CANARY = "CANARY the line was not clean"


def barcode(pack: str, lot: str = LOT, expiry: str = "310630") -> str:
    return f"(01){PRODUCT}(21){pack.rpartition('/')[2]}(17){expiry}(10){lot}"


def test_in_transit_it_says_from_whom_to_whom_and_until_when(shop: Shop) -> None:
    (pack,) = shop.commission()
    shop.capture("manufacturer", events.shipping("manufacturer", [pack], "wholesaler", AT_MS))
    found = shop.locate(barcode(pack))
    assert found["custodian"] is None
    sent = found["shipment"]["shipment"]
    assert (sent["sender"], sent["receiver"], sent["void"]) == ("manufacturer", "wholesaler", False)
    assert sent["due_ms"] > time.time() * 1_000
    said = shop.says("supply", "locate", pack, "--as", "regulator")
    assert "in transit  manufacturer to wholesaler" in said


def test_of_a_lot_it_says_who_has_how_many(shop: Shop) -> None:
    lot = "HOLDERS"
    packs = shop.commission(5, lot)
    shop.capture("manufacturer", events.shipping("manufacturer", packs[:2], "wholesaler", AT_MS))
    shop.capture("wholesaler", events.receiving("wholesaler", packs[:1], AT_MS))
    found = shop.locate(f"(01){PRODUCT}(10){lot}")
    held = {
        (each["organization"], each["receiver"], each["fate"]): each["pieces"]
        for each in found["holders"]
    }
    assert held == {
        ("manufacturer", None, "in hand"): 3,
        ("manufacturer", "wholesaler", "in transit"): 1,
        ("wholesaler", None, "in hand"): 1,
    }


def test_a_trace_leads_from_the_line_to_the_patient_with_receipts_and_documents(
    shop: Shop,
) -> None:
    packs, case, pallet = shop.fresh(2), shop.unit(), shop.unit()
    shop.capture(
        "manufacturer",
        events.commissioning("manufacturer", packs, LOT, EXPIRY, AT_MS),
        events.packing("manufacturer", case, packs, AT_MS + 1),
        events.packing("manufacturer", pallet, [case], AT_MS + 2),
        events.shipping("manufacturer", [pallet], "hospital-a", AT_MS + 3),
    )
    shop.capture(
        "hospital-a",
        events.receiving("hospital-a", [pallet], AT_MS + 4),
        events.unpacking("hospital-a", pallet, AT_MS + 5),
        events.unpacking("hospital-a", case, AT_MS + 6),
    )
    given = events.dispensing("hospital-a", packs[:1], AT_MS + 7)
    shop.capture("hospital-a", given, more=("--patient", "our 4711"))
    told = shop.ok("supply", "trace", packs[0], "--documents", "--as", "wholesaler")
    (leg,) = told["trace"]["legs"]
    assert [each["event"]["step"] for each in leg["steps"]] == [
        *("commissioning", "packing", "packing", "shipping", "receiving"),
        *("unpacking", "unpacking", "dispensing"),
    ]
    assert {each["thing"] for each in leg["steps"]} == {packs[0], case, pallet}
    assert not told["trace"]["cut"]
    assert all(each["document"]["differs"] == [] for each in leg["steps"])
    assert leg["steps"][-1]["document"]["read_point"] == f"414/{names.gln('hospital-a')}"
    for step in leg["steps"]:
        assert shop.ok(
            *("receipt", "get", step["event"]["transaction"]),
            *("-o", shop.path / step["event"]["event"], "--as", "regulator"),
        )
    said = shop.says("supply", "trace", packs[0], "--as", "wholesaler")
    assert f"shipping by manufacturer to hospital-a  [{pallet}]" in said
    assert said.count("receipt ") == 8
    assert "our 4711" not in json.dumps(told), "the site alone knows whom a tag is for"


def test_a_document_for_its_parties_opens_for_them_and_for_nobody_else(shop: Shop) -> None:
    (pack,) = shop.commission()
    sent = events.shipping("manufacturer", [pack], "wholesaler", AT_MS)
    done = shop.capture("manufacturer", sent, more=("--visibility", "parties"))
    for member, sees in (("manufacturer", True), ("wholesaler", True), ("hospital-b", False)):
        told = shop.ok("supply", "trace", pack, "--documents", "--as", member)
        shown = told["trace"]["legs"][0]["steps"][-1]["document"]
        assert (shown is not None) == sees, member
        if sees:
            assert shown["differs"] == []
        said = shop.says("supply", "trace", pack, "--documents", "--as", member)
        assert ("its document does not open for you" in said) != sees
    wallet = load_wallet(shop.path / "wallets" / "manufacturer.wallet", b"secret")
    kept = {key.name.category for key in wallet.category_keys}
    parties = event_category(organization_owner(each) for each in ("manufacturer", "wholesaler"))
    assert {event_category(), parties} <= kept, "opened once, remembered"
    guessed = done["events"][0]["key"]
    assert guessed != sha256(done["events"][0]["id"].encode()).hexdigest()


def test_a_trace_shows_places_measurements_and_certificates_of_the_documents(shop: Shop) -> None:
    (pack,) = shop.fresh(1)
    made = {
        **events.commissioning("manufacturer", [pack], LOT, EXPIRY, AT_MS),
        "certificationInfo": ["https://council.example/7", "urn:certificate:gmp:12"],
        "sensorElementList": [
            {
                "sensorReport": [
                    {"type": "AbsoluteHumidity", "minValue": 2.5, "maxValue": 7.75, "uom": "A93"},
                    {"type": "Illuminance", "value": 40, "uom": "LUX"},
                    {"type": "Count", "booleanValue": True},
                ]
            }
        ],
    }
    shop.capture("manufacturer", made)
    told = shop.ok("supply", "trace", pack, "--documents", "--as", "wholesaler")
    (step,) = told["trace"]["legs"][0]["steps"]
    document = step["document"]
    assert document["certifications"] == ["https://council.example/7", "urn:certificate:gmp:12"]
    assert document["read_point"] == f"414/{names.gln('manufacturer')}"
    assert document["measured"] == [
        {"type": "AbsoluteHumidity", "min": "2.5", "max": "7.75", "uom": "A93"},
        {"type": "Illuminance", "min": "40", "max": "40", "uom": "LUX"},
        {"type": "Count", "min": None, "max": None, "uom": ""},
    ]
    said = shop.says("supply", "trace", pack, "--documents", "--as", "wholesaler")
    assert "AbsoluteHumidity: 2.5 to 7.75 A93" in said
    assert "Illuminance: 40 LUX" in said
    assert "Count: reported\n" in said
    assert "certificate https://council.example/7" in said
    assert "certificate urn:certificate:gmp:12" in said


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, None),
        ({"lot": "OTHER"}, "lot_differs"),
        ({"expiry": "310629"}, "expiry_differs"),
    ],
)
def test_a_scan_before_dispensing_compares_the_label_with_the_ledger(
    shop: Shop, change: dict[str, str], code: str | None
) -> None:
    (pack,) = shop.delivered()
    ran = shop.run("supply", "verify", barcode(pack, **change), "--as", "hospital-a", "--json")
    assert ran.code == (0 if code is None else 1)
    codes = [each["code"] for each in ran.document["findings"]]
    assert codes == ([] if code is None else [code])
    assert ran.document["dispensable"] == (code is None)


def test_what_a_scan_does_not_say_is_told_to_be_uncompared(shop: Shop) -> None:
    (pack,) = shop.delivered()
    for name, missing in (
        (pack, "lot and expiry"),
        (f"(01){PRODUCT}(21){pack.rpartition('/')[2]}(10){LOT}", "expiry"),
    ):
        said = shop.says("supply", "verify", name, "--as", "hospital-a")
        assert f"not compared with the label: {missing};" in said
    assert "not compared" not in shop.says("supply", "verify", barcode(pack), "--as", "hospital-a")


def test_a_case_is_no_pack_and_is_not_dispensed(shop: Shop) -> None:
    packs, case = shop.delivered(), shop.unit()
    shop.capture("hospital-a", events.packing("hospital-a", case, packs, AT_MS))
    ran = shop.run("supply", "verify", case, "--as", "hospital-a", "--json")
    assert (ran.code, ran.document["findings"][0]["code"]) == (1, "no_pack")


def test_dates_and_amounts_read_as_labels_do(shop: Shop) -> None:
    packs, case = shop.commission(2), shop.unit()
    shop.capture("manufacturer", events.packing("manufacturer", case, packs, AT_MS))
    for name in (packs[0], f"01/{PRODUCT}/10/{LOT}"):
        said = shop.says("supply", "locate", name, "--as", "regulator")
        assert "good until the end of 2031-06-30" in said
    said = shop.says("supply", "locate", case, "--as", "regulator")
    assert f"contains    2 pieces of 01/{PRODUCT}/10/{LOT}" in said
    wrong = shop.run("supply", "verify", barcode(packs[0], expiry="310629"), "--as", "manufacturer")
    assert "which says: good until the end of 2031-06-30" in wrong.out


def test_a_scan_says_why_a_pack_must_not_be_dispensed(shop: Shop) -> None:
    def codes(pack: str, member: str = "hospital-a") -> list[str]:
        ran = shop.run("supply", "verify", pack, "--as", member, "--json")
        assert ran.code == 1
        return [each["code"] for each in ran.document["findings"]]

    (pack,) = shop.delivered()
    assert codes(shop.fresh(1)[0]) == ["unknown"]
    assert codes(pack, "hospital-b") == ["not_custodian"]
    given = events.dispensing("hospital-a", [pack], AT_MS)
    shop.capture("hospital-a", given, more=("--patient", "x"))
    assert codes(pack) == ["dispensed"]
    (boxed,), case = shop.delivered(), shop.unit()
    shop.capture("hospital-a", events.packing("hospital-a", case, [boxed], AT_MS))
    assert codes(boxed) == ["packed"]
    (sent,) = shop.commission()
    shop.capture("manufacturer", events.shipping("manufacturer", [sent], "hospital-a", AT_MS))
    assert codes(sent) == ["in_transit"]
    said = shop.run("supply", "verify", sent, "--as", "hospital-a")
    assert (said.code, "must NOT be dispensed" in said.out) == (1, True)


def test_a_dispense_needs_to_say_to_whom_and_a_wallet_that_speaks_for_its_site(shop: Shop) -> None:
    (pack,) = shop.delivered()
    file = shop.document(events.dispensing("hospital-a", [pack], AT_MS))
    error = shop.refused("supply", "capture", file, "--as", "hospital-a")
    assert "supply.no_tag" in error["cause"]
    error = shop.refused("supply", "capture", file, "--patient", "x", "--as", "hospital-a-doctor")
    assert (error["code"], "--patient" in error["cause"]) == ("E070", True)


def test_a_recall_is_opened_answered_shown_closed_and_lifted(shop: Shop) -> None:
    lot = "RECALLED"
    packs = shop.commission(3, lot)
    shop.capture("manufacturer", events.shipping("manufacturer", packs, "hospital-a", AT_MS))
    shop.capture("hospital-a", events.receiving("hospital-a", packs, AT_MS))
    given = events.dispensing("hospital-a", packs[:1], AT_MS)
    shop.capture("hospital-a", given, more=("--patient", "x"))
    note = shop.file("note", CANARY)
    opened = shop.ok(
        *("supply", "recall", "open", f"(01){PRODUCT}(10){lot}", "--class", "II"),
        *("--note-file", note, "--as", "manufacturer-administrator"),
    )
    recall = opened["recall"]
    found = shop.locate(packs[1])
    assert found["holds"] == ["recalled"]
    (reason,) = found["reasons"]
    assert (reason["subject"], reason["recall"], reason["organization"]) == (
        f"01/{PRODUCT}/10/{lot}",
        recall,
        "manufacturer",
    )
    late = shop.document(events.dispensing("hospital-a", packs[1:2], AT_MS))
    error = shop.refused("supply", "capture", late, "--patient", "x", "--as", "hospital-a")
    assert "supply.recalled" in error["cause"]
    shop.ok(
        *("supply", "recall", "acknowledge", recall, "--held", 2, "--dispensed", 1),
        *("--resolved", 1, "--notified", 1, "--as", "hospital-a"),
    )
    shown = shop.ok("supply", "recall", "show", recall, "--as", "wholesaler")
    assert shown["words"] == CANARY, "a recall's note is for everybody"
    (progress,) = (each for each in shown["progress"] if each["organization"] == "hospital-a")
    assert (progress["held"], progress["dispensed"]) == (2, 1)
    assert progress["acknowledgement"]["notified"] == 1
    assert recall in [
        each["id"] for each in shop.ok("supply", "recall", "list", "--as", "regulator")["recalls"]
    ]
    error = shop.refused("supply", "recall", "close", recall, "--as", "hospital-a-administrator")
    assert "recall.not_permitted" in error["cause"]
    shop.ok("supply", "recall", "close", recall, "--as", "manufacturer-administrator")
    assert shop.locate(packs[1])["holds"] == ["recalled"], "what is caught stays caught"
    shop.ok("supply", "recall", "close", recall, "--lift", "--as", "manufacturer-administrator")
    assert shop.locate(packs[1])["holds"] == []
    said = shop.says("supply", "recall", "show", recall, "--as", "regulator")
    assert "lifted" in said


def test_quarantine_is_placed_seen_and_released(shop: Shop) -> None:
    (pack,) = shop.delivered()
    shop.ok(
        *("supply", "quarantine", "place", barcode(pack), "--reason", "damage"),
        *("--as", "hospital-a"),
    )
    found = shop.locate(pack)
    assert found["holds"] == ["quarantined"]
    (reason,) = found["reasons"]
    assert (reason["organization"], reason["reason"]) == ("hospital-a", "damage")
    ran = shop.run("supply", "verify", pack, "--as", "hospital-a", "--json")
    assert [each["code"] for each in ran.document["findings"]] == ["quarantined"]
    shop.ok("supply", "quarantine", "release", pack, "--as", "hospital-a-doctor")
    assert shop.locate(pack)["holds"] == []


def test_a_suspicion_is_reported_asked_about_and_ended(shop: Shop) -> None:
    (pack,) = shop.delivered()
    shop.ok(
        *("supply", "suspect", "report", barcode(pack), "--reason", "tampered"),
        *("--as", "hospital-a"),
    )
    assert shop.locate(pack)["holds"] == ["suspect"]
    asked = shop.ok("supply", "verification", "ask", barcode(pack), "--as", "hospital-a")
    assert asked["lot"] == LOT
    listed = shop.ok("supply", "verification", "list", "--as", "manufacturer")["verifications"]
    (waiting,) = (each for each in listed if each["id"] == asked["verification"])
    assert waiting["verification"]["verdict"] is None
    assert waiting["verification"]["lot"] == {"lot": LOT, "expires_ms": EXPIRES_MS}
    shop.ok(
        *("supply", "verification", "answer", asked["verification"], "genuine"),
        *("--as", "manufacturer-administrator"),
    )
    assert shop.locate(pack)["holds"] == []


def test_alerts_name_who_tried_what_and_what_an_organisation_should_see_to(shop: Shop) -> None:
    (pack,) = shop.delivered()
    stolen = shop.document(events.shipping("hospital-b", [pack], "wholesaler", AT_MS))
    shop.refused("supply", "capture", stolen, "--as", "hospital-b")
    told = shop.ok("supply", "alerts", "--as", "wholesaler")
    (attempt,) = (each for each in told["attempts"] if pack in each["things"])
    assert (attempt["organization"], attempt["code"], attempt["kind"]) == (
        "hospital-b",
        "supply.not_custodian",
        "rejected.wrong_party",
    )
    assert attempt["height"] >= told["from_height"]
    later = shop.ok("supply", "alerts", "--since", attempt["height"] + 1, "--as", "wholesaler")
    assert all(pack not in each["things"] for each in later["attempts"])
    shop.ok("supply", "quarantine", "place", pack, "--reason", "other", "--as", "hospital-a")
    own = shop.ok("supply", "alerts", "--as", "hospital-a")
    assert pack in [each["subject"] for each in own["alerts"] if each["kind"] == "quarantine"]
    others = shop.ok("supply", "alerts", "--of", "hospital-a", "--as", "regulator")
    assert others["alerts"] == own["alerts"]
    assert "rejected.wrong_party" in shop.says("supply", "alerts", "--as", "regulator")
    said = shop.says("supply", "alerts", "--as", "hospital-a")
    assert "tried against the rules since height 1:" in said
    assert "it is in quarantine" in said
    quiet = shop.says("supply", "alerts", "--since", 10**9, "--as", "wholesaler")
    assert "nothing was tried against the rules since height 1000000000" in quiet
    shop.ok("supply", "quarantine", "release", pack, "--as", "hospital-a-doctor")


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (("locate", "(01)123"), "barcode.length"),
        (("locate", "(01)09521141101019"), "barcode.check_digit"),
        (("locate", "pack"), "identifier.not_a_uri"),
        (("trace", "urn:epc:id:sgtin:1.2.3"), "identifier."),
        (("verify", f"01/{PRODUCT}"), "names a lot or a product"),
        (("verify", f"01/{PRODUCT}/10/L1"), "names a lot or a product"),
        (("recall", "open", f"01/{PRODUCT}/21/1", "--class", "I"), "names one thing"),
        (("recall", "show", "12"), "32 hex digits"),
        (("recall", "close", "x" * 32), "hex expected"),
        (("suspect", "report", f"01/{PRODUCT}", "--reason", "stolen"), "names a lot"),
        (("product", "register", "123"), "GTIN is refused"),
        (("product", "register", PRODUCT, "--temperature", "8", "2"), "--temperature"),
        (("party", "register", "00/395211410001100011"), "GLN is refused"),
        (("party", "show", "9521141000015"), "GLN is refused"),
        (("verification", "ask", f"01/{PRODUCT}/21/1", "--expiry", "2027-06-30"), "lot"),
        (
            ("verification", "ask", f"01/{PRODUCT}/21/1", "--lot", "L", "--expiry", "x"),
            "2027-06-30",
        ),
        (("quarantine", "release", f"01/{PRODUCT}/21/1", "--of", "nobody"), "no organisation"),
    ],
)
def test_what_names_nothing_is_a_usage_error_with_a_fix(
    shop: Shop, arguments: tuple[str, ...], cause: str
) -> None:
    error = shop.refused("supply", *arguments, "--as", "hospital-a")
    assert (error["code"], error["exit_code"]) == ("E070", 2)
    assert cause in error["cause"]


def test_whom_nobody_knows_is_not_found(shop: Shop) -> None:
    for arguments in (
        ("locate", f"01/{PRODUCT}/21/NOBODY"),
        ("locate", f"01/{PRODUCT}/10/NOTHING"),
        ("trace", f"01/{PRODUCT}/21/NOBODY"),
        ("product", "show", names.gtin(77)),
        ("party", "show", names.gln("regulator")),
        ("recall", "show", "00" * 16),
    ):
        error = shop.refused("supply", *arguments, "--as", "hospital-a")
        assert error["code"] == "E034"
        if arguments[0] in {"locate", "trace"}:
            assert f"the ledger knows no {arguments[1]}" in error["cause"]
