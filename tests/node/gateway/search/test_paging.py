"""A token of a page opens for whom it was made, for what, and not for ever."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.gateway.fhir.search.index import Position
from node.gateway.fhir.search.paging import AGE_MS_MAX, open_position, seal_position
from node.gateway.fhir.search.problem import SearchProblem
from tests.node.gateway.search.archive import NOW_MS, query_of

KEY = b"k" * 32
DIGEST = query_of("Patient", "name=conn").digest
POSITION = Position(NOW_MS, 50, b"r" * 32)
TOKEN = seal_position(POSITION, DIGEST, KEY, NOW_MS, b"dr who")


def refused(token: str, digest: bytes = DIGEST, key: bytes = KEY, reader: bytes = b"dr who") -> str:
    with pytest.raises(SearchProblem) as caught:
        open_position(token, digest, key, NOW_MS, reader)
    assert caught.value.field == "http._page"
    return caught.value.code


def test_a_token_opens_until_it_is_too_old() -> None:
    for later in (0, AGE_MS_MAX):
        assert open_position(TOKEN, DIGEST, KEY, NOW_MS + later, b"dr who") == POSITION
    for at in (NOW_MS + AGE_MS_MAX + 1, NOW_MS - 1):
        with pytest.raises(SearchProblem) as caught:
            open_position(TOKEN, DIGEST, KEY, at, b"dr who")
        assert caught.value.code == "search.page_expired"
        assert caught.value.issue == "expired"


def test_a_token_is_of_one_query_one_reader_and_one_gateway() -> None:
    assert refused(TOKEN, digest=query_of("Patient", "name=other").digest) == "search.wrong_page"
    assert refused(TOKEN, key=b"l" * 32) == "search.wrong_page"
    assert refused(TOKEN, reader=b"dr no") == "search.wrong_page"


def test_a_token_fits_a_url_and_says_nothing_of_the_search() -> None:
    assert len(TOKEN) < 250
    assert TOKEN.replace("-", "").replace("_", "").isalnum()
    assert b"conn" not in urlsafe_b64decode(TOKEN + "=" * (-len(TOKEN) % 4))


@pytest.mark.parametrize(
    "token", ["", "a", "=", TOKEN + "=", TOKEN + "A", "ä", " " + TOKEN, "A" * 500]
)
def test_other_text_is_no_token(token: str) -> None:
    assert refused(token) == "search.wrong_page"


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_every_bit_counts(at: int, change: int) -> None:
    raw = bytearray(urlsafe_b64decode(TOKEN + "=" * (-len(TOKEN) % 4)))
    raw[at % len(raw)] ^= change
    assert refused(urlsafe_b64encode(raw).decode().rstrip("=")) == "search.wrong_page"
