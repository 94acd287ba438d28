"""What is printed on a pack says which pack it is, and until when it may be used."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import InvalidMessage
from client.epcis.barcode import read_barcode, read_date
from tests import campaign

BUDGET = campaign.budget(80)
SET_82 = "!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
FIELDS = st.text(SET_82, min_size=1, max_size=20)
PACK = "01/09521141012345/21/2017"


@pytest.mark.parametrize(
    "text",
    [
        "]d20109521141012345212017\x1d1726123110LOT",
        "]C10109521141012345212017\x1d1726123110LOT",
        "]Q3\x1d0109521141012345212017\x1d1726123110LOT",
        "\x1d0109521141012345\x1d17261231\x1d10LOT\x1d212017",
        "010952114101234517261231" + "10LOT\x1d212017\x1d",
        "(01)09521141012345(21)2017(17)261231(10)LOT",
        "(01)09521141012345 (21)2017 (17)261231 (10)LOT",
    ],
)
def test_every_way_to_write_it_says_the_same(text: str) -> None:
    found = read_barcode(text, 2026)
    assert found.item.text == PACK
    assert (found.lot, found.expiry, found.item.lot) == ("LOT", date(2026, 12, 31), "LOT")


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("]C100095201234567891235", "00/095201234567891235"),
        ("(00)095201234567891235(02)09521141012345(37)12", "00/095201234567891235"),
        ("(01)09521141012345(10)L7", "01/09521141012345/10/L7"),
        ("(01)09521141012345(240)X(3103)001250(710)12345", "01/09521141012345"),
        ("(01)09521141012345(235)AB", "01/09521141012345/235/AB"),
        ("(8003)04012345555554987", "8003/04012345555554987"),
        ("(8004)4000001111", "8004/4000001111"),
        ("(8006)040123451234560102(21)987", "8006/040123451234560102/21/987"),
        ("(8010)06141415PQ7/Z43(8011)12345", "8010/06141415PQ7%2FZ43/8011/12345"),
        ("(8018)061414100000102534", "8018/061414100000102534"),
        ("(414)4023333000017(254)12", "414/4023333000017/254/12"),
        ("(253)06141410000121618034(8200)https://a.example/x", "253/06141410000121618034"),
        ("(01)09521141012345(21)A(99)B(21)C", None),
        ("(01)09521141012345(21)A(x)B(1)", "01/09521141012345/21/A%28x%29B%281%29"),
    ],
)
def test_what_a_symbol_names(text: str, item: str | None) -> None:
    if item is None:
        with pytest.raises(InvalidMessage, match="contradiction"):
            read_barcode(text, 2026)
        return
    assert read_barcode(text, 2026).item.text == item


def test_other_elements_can_be_asked_for() -> None:
    found = read_barcode("(01)09521141012345(711)999(30)5", 2026)
    assert (found.value("711"), found.value("30"), found.value("10")) == ("999", "5", "")
    assert found.expiry is None


def test_an_expiry_to_the_minute_is_one_of_that_day() -> None:
    assert read_barcode("(01)09521141012345(7003)2612312359", 2026).expiry == date(2026, 12, 31)


@pytest.mark.parametrize(
    ("digits", "this_year", "day"),
    [
        ("260200", 2026, date(2026, 2, 28)),
        ("280200", 2026, date(2028, 2, 29)),
        ("760101", 2026, date(2076, 1, 1)),
        ("770101", 2026, date(1977, 1, 1)),
        ("490101", 2000, date(2049, 1, 1)),
        ("510101", 2000, date(1951, 1, 1)),
        ("000101", 2099, date(2100, 1, 1)),
        ("991231", 2026, date(1999, 12, 31)),
    ],
)
def test_dates_find_their_century_and_the_end_of_their_month(
    digits: str, this_year: int, day: date
) -> None:
    assert read_date(digits, this_year) == day


@pytest.mark.parametrize(
    ("text", "code", "field"),
    [
        ("", "no_key", ""),
        ("(17)261231", "no_key", ""),
        ("0109521141012346", "check_digit", "(01) at 0"),
        ("0109521141012345\x1d17269931", "date", "(17) at 17"),
        ("(01)09521141012345(17)260230", "date", "(17) at 18"),
        ("(01)09521141012345(7003)2612312460", "date", "(7003) at 18"),
        ("(01)0952114101234", "length", "(01) at 0"),
        ("(01)09521141012345(21)", "length", "(21) at 18"),
        ("(01)09521141012345(21)" + "1" * 21, "length", "(21) at 18"),
        ("(01)09521141012345(10)a b", "character", "(10) at 18"),
        ("(01)09521141012345(30)1x", "character", "(30) at 18"),
        ("(01)09521141012345(21)1(21)2", "contradiction", "(21) at 23"),
        ("(05)1", "unknown_ai", "at 0"),
        ("x(01)09521141012345", "unknown_ai", "at 0"),
        ("010952114101234505", "unknown_ai", "at 16"),
        ("]E04012345678901", "symbology", "at 0"),
        ("]d2" + "9" * 600, "too_long", ""),
        ("(00)095201234567891236", "check_digit", "(00) at 0"),
    ],
)
def test_refusals_name_the_element_and_where_it_stands(text: str, code: str, field: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        read_barcode(text, 2026)
    assert (caught.value.code, caught.value.field) == (f"barcode.{code}", field)


@BUDGET
@given(FIELDS, FIELDS)
def test_any_serial_and_lot_are_read_back(serial: str, lot: str) -> None:
    found = read_barcode(f"]d20109521141012345\x1d21{serial}\x1d10{lot}", 2026)
    assert (found.item.serial, found.lot) == (serial, lot)


@BUDGET
@given(st.text(max_size=40) | st.text("()0123456789\x1d]d2", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = read_barcode(text, 2026)
    except InvalidMessage:
        return
    assert found.elements
