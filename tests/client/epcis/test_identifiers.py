"""One thing has one canonical text, however it was named; what names nothing is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import InvalidMessage
from client.epcis.identifiers import Kind, as_digital_link, as_urn, parse_identifier
from client.epcis.keys import check_digit, from_elements
from tests import campaign

BUDGET = campaign.budget(80)
SET_82 = "!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
SERIALS = st.text(SET_82, min_size=1, max_size=20)

SAME = [
    ("urn:epc:id:sgtin:0614141.107346.2017", Kind.SGTIN, "01/10614141073464/21/2017"),
    ("urn:epc:class:lgtin:4012345.012345.998877", Kind.LGTIN, "01/04012345123456/10/998877"),
    ("urn:epc:idpat:sgtin:4012345.066666.*", Kind.GTIN, "01/04012345666663"),
    ("urn:epc:id:sscc:0614141.1234567890", Kind.SSCC, "00/106141412345678908"),
    ("urn:epc:id:sgln:0614141.07346.1234", Kind.SGLN, "414/0614141073467/254/1234"),
    ("urn:epc:id:sgln:0614141.00777.0", Kind.SGLN, "414/0614141007776"),
    ("urn:epc:id:sgln:401234500000..5", Kind.SGLN, "414/4012345000009/254/5"),
    ("urn:epc:id:pgln:4012345.00225", Kind.PGLN, "417/4012345002256"),
    ("urn:epc:id:grai:4012345.55555.987", Kind.GRAI, "8003/04012345555554987"),
    ("urn:epc:idpat:grai:4012345.55555.*", Kind.GRAI, "8003/04012345555554"),
    ("urn:epc:id:giai:4000001.111", Kind.GIAI, "8004/4000001111"),
    ("urn:epc:id:gdti:0614141.00001.1618034", Kind.GDTI, "253/06141410000121618034"),
    ("urn:epc:id:gsrn:0614141.0000010253", Kind.GSRN, "8018/061414100000102534"),
    ("urn:epc:id:gsrnp:0614141.0000010253", Kind.GSRNP, "8017/061414100000102534"),
    ("urn:epc:id:sgcn:4012345.67890.04711", Kind.GCN, "255/401234567890104711"),
    ("urn:epc:id:cpi:0614141.5PQ7%2FZ43.12345", Kind.CPI, "8010/06141415PQ7%2FZ43/8011/12345"),
    ("urn:epc:id:itip:4012345.012345.01.02.987", Kind.ITIP, "8006/040123451234560102/21/987"),
    ("urn:epc:id:upui:1234567.089456.51qI%2FY)", Kind.UPUI, "01/01234567894560/235/51qI%2FY%29"),
    ("urn:epc:id:ginc:0614141.xyz3311cba", Kind.GINC, "401/0614141xyz3311cba"),
    ("urn:epc:id:gsin:0614141.123456789", Kind.GSIN, "402/06141411234567890"),
]


@pytest.mark.parametrize(("urn", "kind", "canonical"), SAME)
def test_urn_link_and_canonical_text_name_the_same(urn: str, kind: Kind, canonical: str) -> None:
    identifier = parse_identifier(urn)
    assert (identifier.kind, identifier.text) == (kind, canonical)
    assert parse_identifier(canonical) == identifier
    assert parse_identifier("https://id.gs1.org/" + canonical) == identifier
    assert parse_identifier("http://shop.example:8080/en/x/" + canonical + "?a=b#c") == identifier
    assert as_digital_link(identifier) == "https://id.gs1.org/" + canonical
    assert as_urn(identifier) == urn
    length = identifier.company_prefix_length
    assert as_urn(parse_identifier(canonical), length) == urn


def test_parts_of_an_identifier_can_be_had() -> None:
    pack = parse_identifier("https://id.gs1.org/01/09521141012345/10/L7/21/20%2F17")
    assert (pack.gtin, pack.lot, pack.serial) == ("09521141012345", "L7", "20/17")
    assert pack == parse_identifier("01/09521141012345/21/20%2F17")
    place = parse_identifier("urn:epc:id:sgln:0614141.07346.1234")
    assert (place.gln, place.serial, place.gtin) == ("0614141073467", "1234", "")
    assert parse_identifier("8006/040123451234560102/21/1").gtin == "04012345123456"


def test_a_class_and_its_things_are_told_apart() -> None:
    classes = ("01/09521141012345", "01/09521141012345/10/L7", "8003/04012345555554")
    things = ("01/09521141012345/21/1", "00/095201234567891235", "8004/4000001111", "urn:uuid:x")
    assert all(parse_identifier(text).is_class for text in classes)
    assert not any(parse_identifier(text).is_class for text in things)


@pytest.mark.parametrize("digits", ["95211411", "614141000012", "9521141012345"])
def test_shorter_gtins_are_padded(digits: str) -> None:
    assert check_digit(digits[:-1]) == digits[-1]
    assert parse_identifier(f"https://id.gs1.org/01/{digits}").gtin == digits.zfill(14)


@pytest.mark.parametrize(
    "text",
    [
        "urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a8",
        "https://transaction.acme.example/po/12345678",
        "https://acme.example/01/catalogue",
        "https://id.example.com/8003/952012200000001004",
        "urn:epcglobal:cbv:bt:0614141073467:1152",
        "urn:acme:asset:7",
        "geo:52.5,13.4",
        "urn:epc:id:gid:95100000.12345.400",
    ],
)
def test_private_uris_stay_what_they_are(text: str) -> None:
    identifier = parse_identifier(text)
    assert (identifier.kind, identifier.text) == (Kind.URI, text)
    assert as_urn(identifier) == as_digital_link(identifier) == text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "not_a_uri"),
        ("shipping", "not_a_uri"),
        ("urn:acme:with space", "not_a_uri"),
        ("http://[::1", "not_a_uri"),
        ("https:///01/09521141012345", "not_a_uri"),
        ("https://user@id.gs1.org/01/09521141012345", "not_a_uri"),
        ("urn:acme:" + "a" * 512, "too_long"),
        ("urn:epc:id:nothing:1.2.3", "unknown_scheme"),
        ("urn:epc:tag:sgtin-96:1.0614141.107346.1", "unknown_scheme"),
        ("URN:EPC:ID:SGTIN:0614141.107346.2017", "unknown_scheme"),
        ("urn:epc:class:sgtin:0614141.107346.2017", "unknown_scheme"),
        ("urn:epc:id:lgtin:0614141.107346.2017", "unknown_scheme"),
        ("urn:epc:idpat:sscc:0614141.*", "unknown_scheme"),
        ("urn:epc:id:sgtin", "unknown_scheme"),
        ("urn:epc:id:sgtin:0614141.107346", "shape"),
        ("urn:epc:id:sgtin:06141.10734600.1", "shape"),
        ("urn:epc:idpat:sgtin:0614141.*.*", "length"),
        ("urn:epc:idpat:sgtin:0614141.107346.1", "shape"),
        ("urn:epc:id:giai:4000001.", "shape"),
        ("urn:epc:id:sgtin:0614141.1073461.2017", "length"),
        ("urn:epc:id:sgtin:0614141.107346.", "length"),
        ("urn:epc:id:grai:4012345.55555.", "length"),
        ("urn:epc:id:sgtin:0614141.107346." + "1" * 21, "length"),
        ("urn:epc:id:giai:4000001." + "1" * 24, "length"),
        ("urn:epc:id:sgtin:0614141.107346.a/b", "character"),
        ("urn:epc:id:sgtin:0614141.107346.a%41", "character"),
        ("urn:epc:id:sgtin:0614141.107346.a%2", "character"),
        ("urn:epc:id:sgtin:0614141.107346.ä", "character"),
        ("urn:epc:id:itip:4012345.012345.03.02.987", "shape"),
        ("01/09521141012346", "check_digit"),
        ("01/0952114101234X", "character"),
        ("01/952114101234", "check_digit"),
        ("01/0952114101234", "check_digit"),
        ("01/09521141012345/21", "shape"),
        ("01/09521141012345/21/", "length"),
        ("01/09521141012345/21/a b", "character"),
        ("01/09521141012345/21/%zz", "character"),
        ("01/09521141012345/21/%C3%A4", "character"),
        ("01/09521141012345/21/" + "1" * 21, "length"),
        ("01/09521141012345/21/1/21/1", "shape"),
        ("01/09521141012345/8011/1", "shape"),
        ("01/09521141012345/235/1/21/1", "shape"),
        ("00/095201234567891236", "check_digit"),
        ("414/0614141073468", "check_digit"),
        ("8003/14012345555551987", "shape"),
        ("8003/04012345555555987", "check_digit"),
        ("253/06141410000131618034", "check_digit"),
        ("8018/061414100000102535", "check_digit"),
        ("99/123456", "unknown_key"),
        ("https://id.gs1.org/", "shape"),
        ("https://id.gs1.org/index.html", "shape"),
        ("https://id.gs1.org/shop/01/09521141012345", "shape"),
        ("https://id.gs1.org/AQnYUc1gmiCNV4JGLg", "compressed"),
        ("https://id.gs1.org/01/09521141012345/AQnYUc1gmiCNV4", "compressed"),
        ("https://shop.example/01/09521141012346/21/1", "check_digit"),
        ("https://shop.example/01/09521141012345/reviews/7", "shape"),
        ("https://shop.example/414/0614141073468", "check_digit"),
    ],
)
def test_what_names_nothing_is_refused(text: str, code: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        parse_identifier(text, "/epcList/0")
    assert (caught.value.code, caught.value.field) == (f"identifier.{code}", "/epcList/0")
    assert not text or text not in str(caught.value)


@BUDGET
@given(SERIALS, st.integers(6, 12))
def test_any_serial_number_survives_every_form(serial: str, length: int) -> None:
    pack = from_elements([("01", "09521141012345"), ("21", serial)])
    assert pack.serial == serial
    again = parse_identifier(as_urn(pack, length))
    assert again == pack == parse_identifier(as_digital_link(pack)) == parse_identifier(pack.text)
    assert (again.serial, again.company_prefix_length) == (serial, length)


@BUDGET
@given(st.sampled_from(SAME), st.integers(6, 7))
def test_urns_lead_back(sample: tuple[str, Kind, str], length: int) -> None:
    identifier = parse_identifier(sample[2])
    urn = as_urn(identifier, length)
    assert parse_identifier(urn) == identifier
    assert as_urn(parse_identifier(urn)) == urn


def test_a_urn_needs_to_know_the_company_prefix() -> None:
    pack = parse_identifier("01/09521141012345/21/2017")
    with pytest.raises(InvalidMessage, match="company_prefix_unknown"):
        as_urn(pack)
    with pytest.raises(InvalidMessage, match="company_prefix_unknown"):
        as_urn(pack, company_prefixes=["4012345"])
    with pytest.raises(InvalidMessage, match="company_prefix_unknown"):
        as_urn(pack, 13)
    known = ("952114", "95211410", "4012345")
    assert as_urn(pack, company_prefixes=known) == "urn:epc:id:sgtin:95211410.01234.2017"


def test_a_key_that_ends_with_its_prefix_has_no_urn() -> None:
    with pytest.raises(InvalidMessage, match=r"identifier\.shape"):
        as_urn(parse_identifier("8004/4000001"), 7)


@BUDGET
@given(st.text(max_size=60) | st.from_regex(r"urn:epc:(id|idpat|class):[a-z]{3,5}:[0-9.*]{3,30}\Z"))
def test_any_text_is_an_identifier_or_refused(text: str) -> None:
    try:
        identifier = parse_identifier(text)
    except InvalidMessage:
        return
    assert parse_identifier(identifier.text) == identifier
