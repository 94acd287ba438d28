"""FHIR ids: one spelling each, there and back."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.gateway.fhir import identity

FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")


@settings(max_examples=50)
@given(st.binary(min_size=48, max_size=48), st.integers(1, 2**32 - 1))
def test_ids_come_back_and_are_valid_fhir_ids(raw: bytes, version: int) -> None:
    record, case, access = raw[:32], raw[16:], raw[:40]
    for spelt, back, original in (
        (identity.record_id(record), identity.to_record, record),
        (identity.consent_id(raw), identity.to_consent, raw),
        (identity.case_id(case), identity.to_case, case),
        (identity.access_id(access), identity.to_access, access),
        (identity.pseudonym(raw[:16]), identity.to_pseudonym, raw[:16]),
    ):
        assert FHIR_ID.match(spelt)
        assert back(spelt) == original
    spelt = identity.provenance_id(record, version)
    assert FHIR_ID.match(spelt)
    assert identity.to_provenance(spelt) == (record, version)
    assert identity.to_etag(identity.etag(version)) == version


@settings(max_examples=100)
@given(st.text(max_size=80))
def test_no_text_names_a_thing_by_a_second_spelling(text: str) -> None:
    for back, spell in (
        (identity.to_record, identity.record_id),
        (identity.to_consent, identity.consent_id),
        (identity.to_case, identity.case_id),
        (identity.to_access, identity.access_id),
    ):
        found = back(text)
        assert found is None or spell(found) == text
    identity.to_provenance(text)
    identity.to_etag(text)
    identity.to_milliseconds(text)


@pytest.mark.parametrize("text", ["AB" * 32, "ab" * 31, "ab" * 33, "", "é" * 64, "../" * 21 + "x"])
def test_what_is_no_record_id_names_none(text: str) -> None:
    assert identity.to_record(text) is None


def test_a_spelling_with_spare_bits_names_nothing() -> None:
    spelt = identity.case_id(bytes(32))
    assert identity.to_case(spelt[:-1] + "B") is None


@pytest.mark.parametrize("text", ["0", "01", "-1", "4294967296", "1.0", "", "x", "١"])
def test_what_is_no_version_names_none(text: str) -> None:
    assert identity.to_version(text) is None


@pytest.mark.parametrize("text", ['"', '""', "W/3", '"3', "3", "*", 'W/"03"'])
def test_what_is_no_etag_names_none(text: str) -> None:
    assert identity.to_etag(text) is None


def test_instants_have_milliseconds_and_come_back() -> None:
    for at_ms in (0, 1, 999, 1_796_000_000_123, 4_102_444_800_000):
        spelt = identity.instant(at_ms)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", spelt)
        assert identity.to_milliseconds(spelt) == at_ms


def test_zones_count_and_dates_alone_are_no_moment() -> None:
    assert identity.to_milliseconds("1970-01-01T01:00:00+01:00") == 0
    assert identity.to_milliseconds("1969-12-31T23:59:59Z") == -1_000
    for text in ("2024", "2024-01-01", "2024-01-01T10:00:00", "2016-12-31T23:59:60Z"):
        assert identity.to_milliseconds(text) is None
