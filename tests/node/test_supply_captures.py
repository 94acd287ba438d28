"""Goods captured from the command line: once, all of a file or nothing, and what is refused."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from client.files import read_bounded
from client.intent import IntentFile
from client.wallet import load_wallet
from ledger.codes import REJECTIONS
from node.supply_demo import events, names
from tests.node.supply_market import EXPIRES_MS, EXPIRY, LOT, PRODUCT, Shop

AT_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
EPCIS = Path(__file__).parents[3] / "shared" / "data" / "epcis"


@pytest.fixture
def epcis() -> Path:
    if not EPCIS.is_dir():
        pytest.skip("no EPCIS documents beside the checkout")
    return EPCIS


def test_a_capture_says_where_it_stands_and_what_it_captured(shop: Shop) -> None:
    (pack,) = shop.fresh(1)
    made = events.commissioning("manufacturer", [pack], LOT, EXPIRY, AT_MS)
    done = shop.capture("manufacturer", {**made, "eventID": "urn:uuid:11111111-aaaa-4000-8000-1"})
    assert done["events"][0]["id"] == "urn:uuid:11111111-aaaa-4000-8000-1"
    assert shop.ok(
        "receipt", "get", done["transaction"], "-o", shop.path / "r", "--as", "regulator"
    )
    found = shop.locate(pack)
    assert (found["custodian"], found["status"], found["holds"]) == ("manufacturer", "active", [])
    assert (found["lot"], found["expires_ms"]) == (f"01/{PRODUCT}/10/{LOT}", EXPIRES_MS)
    assert [each["event"]["step"] for each in found["events"]] == ["commissioning"]


def test_an_event_without_an_id_goes_by_the_hash_of_what_it_says(shop: Shop) -> None:
    made = events.commissioning("manufacturer", shop.fresh(1), LOT, EXPIRY, AT_MS)
    done = shop.capture("manufacturer", made)
    assert done["events"][0]["id"].startswith("ni:///sha-256;")
    again = shop.capture("manufacturer", made)
    assert again["events"] == [{**done["events"][0], "captured": False}]


def test_what_stands_on_the_chain_already_is_left_out_and_all_of_it_is_no_transaction(
    shop: Shop,
) -> None:
    one, two = (
        events.commissioning("manufacturer", shop.fresh(1), LOT, EXPIRY, AT_MS) for _ in range(2)
    )
    first = shop.capture("manufacturer", one)
    both = shop.document(one, two)
    done = shop.ok("supply", "capture", both, "--as", "manufacturer")
    assert [each["captured"] for each in done["events"]] == [False, True]
    assert done["events"][0]["key"] == first["events"][0]["key"]
    height = shop.ok("status", "--as", "regulator")["height"]
    again = shop.ok("supply", "capture", both, "--as", "manufacturer")
    assert (again["transaction"], again["height"]) == (None, None)
    assert [each["key"] for each in again["events"]] == [each["key"] for each in done["events"]]
    said = shop.says("supply", "capture", both, "--as", "manufacturer")
    assert said.startswith("nothing to capture")
    assert said.count("was there already") == 2
    assert shop.ok("status", "--as", "regulator")["height"] == height


def test_how_an_event_is_spelled_does_not_make_it_another(shop: Shop) -> None:
    (pack,) = shop.fresh(1)
    made = {
        **events.commissioning("manufacturer", [pack], LOT, EXPIRY, AT_MS),
        "eventID": "urn:uuid:22222222-aaaa-4000-8000-1",
    }
    shop.capture("manufacturer", made)
    serial = pack.rpartition("/")[2]
    urn = f"urn:epc:id:sgtin:{PRODUCT[1:8]}.{PRODUCT[0]}{PRODUCT[8:13]}.{serial}"
    spelled = json.loads(json.dumps(made).replace(names.link(pack), urn))
    assert spelled != made
    (told,) = shop.capture("manufacturer", spelled)["events"]
    assert not told["captured"]


def test_another_event_under_an_id_that_stands_is_refused_with_its_place(shop: Shop) -> None:
    ours = "urn:uuid:33333333-aaaa-4000-8000-1"
    one, two, other = (
        events.commissioning("manufacturer", shop.fresh(1), LOT, EXPIRY, AT_MS) for _ in range(3)
    )
    shop.capture("manufacturer", {**one, "eventID": ours})
    file = shop.document(two, {**other, "eventID": ours})
    height = shop.ok("status", "--as", "regulator")["height"]
    error = shop.refused("supply", "capture", file, "--as", "manufacturer")
    assert (error["code"], error["exit_code"]) == ("E033", 1)
    assert error["cause"] == (
        "rejected: supply.event_exists at events[1].eventID: what stands there says something else"
    )
    assert "eventID of its own" in error["fix"]
    same = shop.document({**one, "eventID": ours})
    for more, member, why in (
        (("--recording",), "manufacturer", "captured as binding"),
        (("--patient", "x"), "manufacturer", "another patient"),
        ((), "wholesaler", "manufacturer has captured it"),
    ):
        error = shop.refused("supply", "capture", same, *more, "--as", member)
        assert why in error["cause"], (member, more)
    assert shop.ok("status", "--as", "regulator")["height"] == height, "nothing was sent"


def test_a_dispense_captured_again_is_the_same_for_the_same_patient_only(shop: Shop) -> None:
    (pack,) = shop.delivered()
    file = shop.document(events.dispensing("hospital-a", [pack], AT_MS))
    shop.ok("supply", "capture", file, "--patient", "a", "--as", "hospital-a")
    again = shop.ok("supply", "capture", file, "--patient", "a", "--as", "hospital-a")
    assert again["transaction"] is None
    error = shop.refused("supply", "capture", file, "--patient", "b", "--as", "hospital-a")
    assert "another patient" in error["cause"]


def test_what_was_captured_for_its_parties_is_found_again(shop: Shop) -> None:
    (pack,) = shop.commission()
    sent = events.shipping("manufacturer", [pack], "wholesaler", AT_MS)
    shop.capture("manufacturer", sent, more=("--visibility", "parties"))
    for visibility in ("parties", "consortium"):
        again = shop.capture("manufacturer", sent, more=("--visibility", visibility))
        assert again["transaction"] is None, visibility


def test_a_declaration_of_an_error_is_another_event_than_the_one_that_it_takes_back(
    shop: Shop,
) -> None:
    made = {
        **events.commissioning("manufacturer", shop.fresh(1), LOT, EXPIRY, AT_MS),
        "eventID": "urn:uuid:44444444-aaaa-4000-8000-1",
    }
    wrong = {**made, "errorDeclaration": {"declarationTime": "2026-11-02T00:00:00Z"}}
    shop.capture("manufacturer", made)
    both = shop.document(made, wrong)
    done = shop.ok("supply", "capture", both, "--as", "manufacturer")
    assert [each["captured"] for each in done["events"]] == [False, True]
    again = shop.ok("supply", "capture", both, "--as", "manufacturer")
    assert again["transaction"] is None


def test_what_a_file_says_twice_is_captured_once(shop: Shop) -> None:
    one, two = (
        events.commissioning("manufacturer", shop.fresh(1), LOT, EXPIRY, AT_MS) for _ in range(2)
    )
    assert len(shop.capture("manufacturer", one, one)["events"]) == 1
    named = [{**each, "eventID": "urn:uuid:55555555-aaaa-4000-8000-1"} for each in (one, two)]
    file = shop.document(*named)
    error = shop.refused("supply", "capture", file, "--as", "manufacturer")
    assert (error["code"], "/epcisBody/eventList/1/eventID" in error["cause"]) == ("E018", True)


def test_a_refusal_counts_events_as_the_file_does(shop: Shop) -> None:
    known, fresh = (
        events.commissioning("manufacturer", shop.fresh(1), LOT, EXPIRY, AT_MS) for _ in range(2)
    )
    shop.capture("manufacturer", known)
    foreign = events.receiving("manufacturer", [shop.unit()], AT_MS)
    file = shop.document(known, fresh, foreign)
    error = shop.refused("supply", "capture", file, "--as", "manufacturer")
    assert "events[2].items[0].names[0]" in error["cause"]


def test_the_standards_own_documents_that_share_an_event_are_captured_one_after_the_other(
    shop: Shop, epcis: Path
) -> None:
    shared = 0
    for name in ("ObjectEvent", "ObjectEvent_with_error_declaration"):
        file = epcis / "documents" / f"{name}.json"
        done = shop.ok("supply", "capture", file, "--recording", "--as", "manufacturer")
        shared += sum(not each["captured"] for each in done["events"])
    assert shared == 1


def test_many_events_are_one_transaction_and_all_of_it_or_nothing(shop: Shop) -> None:
    packs, case = shop.fresh(2), shop.unit()
    made = events.commissioning("manufacturer", packs, LOT, EXPIRY, AT_MS)
    boxed = events.packing("manufacturer", case, packs, AT_MS + 1)
    foreign = events.receiving("manufacturer", [case], AT_MS + 2)
    error = shop.refused(
        "supply", "capture", shop.document(made, boxed, foreign), "--as", "manufacturer"
    )
    assert "rejected: supply.not_in_transit at events[2].items[0].names[0]" in error["cause"]
    assert error["why"] == REJECTIONS["supply.not_in_transit"].rule
    assert shop.refused("supply", "locate", packs[0], "--as", "regulator")["code"] == "E034"
    done = shop.capture("manufacturer", made, boxed)
    assert len(done["events"]) == 2
    assert shop.locate(packs[0])["containers"] == [case]
    assert shop.locate(case)["contents"] == [
        {"item_class": f"01/{PRODUCT}/10/{LOT}", "pieces": 2, "amount": None}
    ]


def test_what_is_only_recorded_moves_nothing(shop: Shop) -> None:
    (pack,) = shop.commission()
    sent = events.shipping("manufacturer", [pack], "wholesaler", AT_MS)
    shop.capture("manufacturer", sent, more=("--recording",))
    found = shop.locate(pack)
    assert (found["custodian"], found["shipment"]) == ("manufacturer", None)


def test_a_later_capture_uses_the_key_that_the_first_one_made(shop: Shop) -> None:
    shop.commission()
    before = load_wallet(shop.path / "wallets" / "manufacturer.wallet", b"secret")
    shop.commission()
    assert load_wallet(shop.path / "wallets" / "manufacturer.wallet", b"secret") == before


def test_a_colleague_without_the_organisations_key_captures_too(shop: Shop) -> None:
    shop.commission()
    packs = shop.fresh(1)
    made = events.commissioning("manufacturer", packs, LOT, EXPIRY, AT_MS)
    shop.capture("manufacturer-administrator", made)
    shop.commission()
    told = shop.ok("supply", "trace", packs[0], "--documents", "--as", "hospital-b")
    assert told["trace"]["legs"][0]["steps"][0]["document"]["differs"] == []


def test_a_capture_that_was_left_open_is_finished_by_the_next_command(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = shop.document(
        events.commissioning("manufacturer", shop.fresh(1), "LATER", EXPIRY, AT_MS)
    )
    shop.ward.autocommit = False
    try:
        error = shop.refused("supply", "capture", file, "--as", "manufacturer", "--timeout", 1)
    finally:
        shop.ward.autocommit = True
    assert error["code"] in {"E040", "E022"}
    wallet = shop.path / "wallets" / "manufacturer.wallet"
    (left,) = IntentFile.all_of(wallet, b"secret")
    intent = left.load()
    assert intent is not None
    assert b"LATER" not in read_bounded(left.path, 1 << 20)
    done = shop.ok("supply", "capture", file, "--as", "manufacturer")
    assert done["transaction"] == intent.transactions[0].id.hex(), "the same transaction"
    assert not list(IntentFile.all_of(wallet, b"secret"))


def test_a_slip_of_the_pen_is_refused_at_the_door_and_leaves_nothing(shop: Shop) -> None:
    height = shop.ok("status", "--as", "regulator")["height"]
    (pack,) = shop.fresh(1)
    late = events.commissioning(
        "manufacturer", [pack], LOT, EXPIRY, int(time.time() * 1_000) + HOUR_MS
    )
    error = shop.refused("supply", "capture", shop.document(late), "--as", "manufacturer")
    assert "supply.future_event" in error["cause"]
    assert shop.ok("status", "--as", "regulator")["height"] == height


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "json."),
        ("{}", "/@context: epcis.context"),
        ('{"resourceType": "Patient"}', "/resourceType"),
        (json.dumps(events.document([], AT_MS)), "0 events, and 1 to 64 go"),
    ],
)
def test_a_file_that_is_no_document_is_refused_with_the_place(
    shop: Shop, text: str, place: str
) -> None:
    error = shop.refused("supply", "capture", shop.file("wrong.json", text), "--as", "manufacturer")
    assert (error["code"], error["exit_code"]) == ("E018", 1)
    assert place in error["cause"]


def test_faults_of_events_are_listed_each_with_its_place(shop: Shop) -> None:
    (pack,) = shop.fresh(1)
    made: dict[str, Any] = events.commissioning("manufacturer", [pack], LOT, EXPIRY, AT_MS)
    wrong = {**made, "eventTime": "yesterday", "action": "MAKE"}
    error = shop.refused("supply", "capture", shop.document(wrong), "--as", "manufacturer")
    assert "/epcisBody/eventList/0/eventTime" in error["cause"]
    assert "/epcisBody/eventList/0/action" in error["cause"]
    assert "mend the file" in error["fix"]
    ran = shop.run("supply", "capture", shop.document(wrong), "--as", "manufacturer")
    lines = ran.err.splitlines()
    faults = [each for each in lines if each.startswith("  /epcisBody/eventList/0/")]
    assert len(faults) == 3, "one a line, and one more for the action: no ilmd goes with it"
