"""Recalled packs and the patients who got them: found at their own site, from its own list."""

import json
from typing import Any

import pytest

from client.wallet import load_wallet
from node.supply_demo import events
from tests.node.supply_market import PRODUCT, Shop

AT_MS = 1_700_000_000_000


def sold(shop: Shop, lot: str, size: int, member: str = "hospital-a") -> list[str]:
    packs = shop.commission(size, lot)
    shop.capture("manufacturer", events.shipping("manufacturer", packs, member, AT_MS))
    shop.capture(member, events.receiving(member, packs, AT_MS + 1))
    return packs


def give(shop: Shop, packs: list[str], patient: str, member: str = "hospital-a") -> Any:
    given = events.dispensing(member, packs, AT_MS + 2)
    return shop.capture(member, given, more=("--patient", patient))


def recalled(shop: Shop, *lots: str) -> str:
    scope = [f"01/{PRODUCT}/10/{lot}" for lot in lots]
    done = shop.ok(
        *("supply", "recall", "open", *scope, "--class", "I"),
        *("--as", "manufacturer-administrator"),
    )
    return str(done["recall"])


def ask(shop: Shop, recall: str, *names: str, member: str = "hospital-a") -> Any:
    file = shop.file("patients.txt", "\n".join(names) + "\n")
    return shop.ok("supply", "recall", "patients", recall, "--patients", file, "--as", member)


def test_a_site_finds_its_patients_and_the_counts_to_acknowledge(shop: Shop) -> None:
    packs = sold(shop, "PA", 6)
    others = sold(shop, "PA", 1, "hospital-b")
    give(shop, packs[:2], "anna, née Öst")
    give(shop, packs[2:3], "bert")
    give(shop, packs[3:4], "somebody who moved away")
    give(shop, others, "bert", "hospital-b")
    give(shop, sold(shop, "PB", 1), "bert")
    recall = recalled(shop, "PA")
    told = ask(shop, recall, "nobody", "bert", "anna, née Öst", "bert")
    assert {each["item"]: each["patient"] for each in told["packs"]} == {
        packs[0]: "anna, née Öst",
        packs[1]: "anna, née Öst",
        packs[2]: "bert",
        packs[3]: None,
    }
    assert {each["given_ms"] for each in told["packs"]} == {AT_MS + 2}
    assert told["counts"] == {"held": 2, "dispensed": 4, "resolved": 2}
    file = shop.file("patients.txt", "bert\r\n\r\n  \r\n")
    said = shop.says(
        "supply", "recall", "patients", recall, "--patients", file, "--as", "hospital-a"
    )
    assert "--held 2 --dispensed 4 --resolved 1 --notified N" in said
    assert "of 3 packs the patient stays unknown" in said
    shop.ok(
        *("supply", "recall", "acknowledge", recall, "--held", 2, "--dispensed", 4),
        *("--resolved", 2, "--notified", 2, "--as", "hospital-a"),
    )


def test_another_site_learns_nothing_of_whom_a_tag_is_for(shop: Shop) -> None:
    (pack,) = sold(shop, "PC", 1)
    give(shop, [pack], "carl")
    recall = recalled(shop, "PC")
    told = ask(shop, recall, "carl", member="hospital-b")
    assert (told["packs"], told["counts"]["dispensed"]) == ([], 0)
    said = shop.says(
        *("supply", "recall", "patients", recall, "--as", "hospital-b"),
        *("--patients", shop.file("p", "carl\n")),
    )
    assert "hospital-b has given nothing of it to patients" in said


def test_a_dispense_that_was_taken_back_counts_no_more(shop: Shop) -> None:
    (pack,) = sold(shop, "PD", 1)
    given = {
        **events.dispensing("hospital-a", [pack], AT_MS + 2),
        "eventID": "urn:uuid:66666666-aaaa-4000-8000-1",
    }
    shop.capture("hospital-a", given, more=("--patient", "the wrong one"))
    wrong = {**given, "errorDeclaration": {"declarationTime": "2026-11-02T00:00:00Z"}}
    shop.capture("hospital-a", wrong, more=("--patient", "the wrong one"))
    give(shop, [pack], "the right one")
    recall = recalled(shop, "PD")
    (told,) = ask(shop, recall, "the wrong one", "the right one")["packs"]
    assert told["patient"] == "the right one"


def test_names_stay_on_the_machine(shop: Shop) -> None:
    (pack,) = sold(shop, "PE", 1)
    give(shop, [pack], "CANARY-PATIENT")
    ask(shop, recalled(shop, "PE"), "CANARY-PATIENT")
    assert load_wallet(shop.path / "wallets" / "hospital-a.wallet", b"secret").links == ()
    node = [each for each in shop.path.rglob("*") if each.is_file() and "wallets" not in each.parts]
    kept = [each for each in node if each.suffix not in {".txt", ".json"}]
    assert all(b"CANARY-PATIENT" not in each.read_bytes() for each in kept)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "names nobody"),
        (b"\n \n\r\n", "names nobody"),
        (b"\xef\xbb\xbf\n", "names nobody"),
        (b"anna\nb\xffrt\n", "line 2: no UTF-8"),
    ],
)
def test_a_list_that_names_nobody_is_refused(shop: Shop, content: bytes, cause: str) -> None:
    file = shop.path / "list"
    file.write_bytes(content)
    error = shop.refused(
        "supply", "recall", "patients", "00" * 16, "--patients", file, "--as", "hospital-a"
    )
    assert error["code"] == "E018"
    assert cause in error["cause"]


def test_who_may_not_and_what_is_not_there_is_told(shop: Shop) -> None:
    file = shop.file("p", "anna\n")
    for recall, member, code in (
        ("12", "hospital-a", "E070"),
        ("00" * 16, "hospital-a", "E034"),
        ("00" * 16, "hospital-a-doctor", "E070"),
    ):
        error = shop.refused(
            "supply", "recall", "patients", recall, "--patients", file, "--as", member
        )
        assert error["code"] == code, (recall, member)
    assert json.dumps(error["fix"]).count("service") == 1
