"""Whatever a scanner or a person gives names a thing in one spelling."""

import pytest

from chain.errors import InvalidMessage
from client.scanned import scan

PACK = "01/09521141012345/21/2017"
JUNE_30_2027_ENDS_MS = 1_814_400_000_000


@pytest.mark.parametrize(
    "text",
    [
        PACK,
        "https://id.gs1.org/01/09521141012345/21/2017",
        "https://example.com/x/01/09521141012345/21/2017?17=270630",
        "urn:epc:id:sgtin:9521141.001234.2017",
        "(01)09521141012345(21)2017",
        "0109521141012345212017",
        "]d20109521141012345212017",
        " (01)09521141012345(21)2017 ",
    ],
)
def test_all_spellings_name_one_pack(text: str) -> None:
    assert scan(text, 2026).name == PACK


@pytest.mark.parametrize(
    "name", ["8004/9521141LOGGER1", "00/395211410001100011", "414/9521141000014"]
)
def test_the_ledgers_own_spelling_stays(name: str) -> None:
    assert scan(name, 2026).name == name


def test_a_barcode_says_lot_and_expiry_too() -> None:
    found = scan("(01)09521141012345(21)2017(17)270630(10)L7", 2026)
    assert (found.name, found.lot, found.expires_ms) == (PACK, "L7", JUNE_30_2027_ENDS_MS)


def test_what_says_no_expiry_has_none() -> None:
    found = scan("0109521141012345212017\x1d10L7", 2026)
    assert (found.lot, found.expires_ms) == ("L7", None)


def test_a_lot_and_a_product_are_classes() -> None:
    lot = scan("(01)09521141012345(10)L7", 2026)
    assert (lot.name, lot.identifier.is_class) == ("01/09521141012345/10/L7", True)
    assert scan("01/09521141012345", 2026).identifier.is_class


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "identifier.not_a_uri"),
        ("pack", "identifier.not_a_uri"),
        ("(01)09521141012346(21)2017", "barcode.check_digit"),
        ("01/09521141012346/21/2017", "identifier.check_digit"),
        ("(99999)1", "barcode.unknown_ai"),
        ("(01)09521141012345(17)279930", "barcode.date"),
        ("urn:epc:id:nothing:1.2.3", "identifier.unknown_scheme"),
        ("(01)" + "9" * 600, "barcode.too_long"),
        ("x:" + "y" * 600, "identifier.too_long"),
    ],
)
def test_what_names_nothing_is_refused_with_its_code(text: str, code: str) -> None:
    with pytest.raises(InvalidMessage) as refusal:
        scan(text, 2026, "path.epc")
    assert refusal.value.code == code
    assert refusal.value.field.startswith("path.epc")


TAG = "01/09521141012345/21/~" + "aB3_-" * 4 + "xy"


def test_a_tag_in_place_of_a_serial_number_names_a_pack() -> None:
    found = scan(TAG, 2026)
    assert (found.name, found.identifier.gtin) == (TAG, "09521141012345")
    assert not found.shows_serial
    assert not found.identifier.is_class


@pytest.mark.parametrize(
    "text",
    [
        TAG[:-1],
        TAG + "a",
        TAG.replace("_", "."),
        TAG.replace("12345/", "12346/"),
        "https://id.gs1.org/" + TAG,
        f"(01)09521141012345(21){TAG[-23:]}",
        TAG + "/10/L7",
    ],
)
def test_what_is_no_tag_is_refused(text: str) -> None:
    with pytest.raises(InvalidMessage):
        scan(text, 2026)


@pytest.mark.parametrize(
    ("text", "shows"),
    [
        (PACK, True),
        ("01/09521141012345/235/XYZ", True),
        ("8006/095211410123450102/21/7", True),
        ("01/09521141012345/10/L7", False),
        ("01/09521141012345", False),
        ("00/395211410001100011", False),
    ],
)
def test_what_shows_the_serial_number_of_a_trade_item(text: str, shows: bool) -> None:
    assert scan(text, 2026).shows_serial == shows
