"""Every codec that there is: what it encodes it decodes to the same value, and whatever else comes
is refused, or is the one encoding of what it decodes to. In bounded memory."""

import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.codec import Codec
from chain.document import from_document, to_document
from chain.errors import InvalidMessage
from tests import campaign
from tests.fuzz.shapes import all_codecs, damaged, garbage, values

CODECS = all_codecs()
BUDGET = campaign.budget(6)
MEMORY_BYTES_MAX = 4 << 20
LIES = {
    "an array of four billion": b"\xdd\xff\xff\xff\xff",
    "a map of four billion": b"\xdf\xff\xff\xff\xff",
    "four gigabytes of bytes": b"\xc6\xff\xff\xff\xff",
    "four gigabytes of text": b"\xdb\xff\xff\xff\xff",
    "four gigabytes of an extension": b"\xc9\xff\xff\xff\xff\x01",
    "arrays in arrays": b"\x91" * 100_000,
    "long arrays in long arrays": b"\xdd\xff\xff\xff\xff" * 10_000,
    "maps in maps": b"\x81\xa0" * 100_000,
}


def test_all_codecs_are_tried_here() -> None:
    names = {name.partition(":")[2] for name in CODECS}
    assert {
        "signed_transaction",
        "block",
        "receipt",
        "genesis",
        "action",
        "packet",
        "greeting",
    } <= names
    assert len(CODECS) > 30


every_codec = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)


def check(codec: Codec[Any], raw: bytes) -> None:
    """Identity or refusal, and nothing else."""
    try:
        value = codec.decode(raw)
    except InvalidMessage as error:
        refusal = error
    else:
        assert codec.encode(value) == raw
        return
    assert refusal.code.startswith("codec.")
    assert refusal.field.startswith(codec.name)


@every_codec
@BUDGET
@given(st.data())
def test_what_is_encoded_is_decoded(codec: Codec[Any], data: st.DataObject) -> None:
    value = data.draw(values(codec._shape))
    assert codec.decode(codec.encode(value)) == value


@every_codec
@BUDGET
@given(st.data())
def test_damage_is_refused_or_means_what_it_says(codec: Codec[Any], data: st.DataObject) -> None:
    check(codec, data.draw(damaged(values(codec._shape).map(codec.encode)) | garbage()))


@every_codec
@BUDGET
@given(st.data())
def test_a_document_says_the_same(codec: Codec[Any], data: st.DataObject) -> None:
    """JSON for people and for the API, from the same shapes."""
    value = data.draw(values(codec._shape))
    assert from_document(codec._shape, to_document(value)) == value


@pytest.fixture
def memory() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@every_codec
@pytest.mark.parametrize("lie", LIES)
def test_a_lie_about_lengths_or_depths_costs_nothing(
    codec: Codec[Any], lie: str, memory: None
) -> None:
    for prefix in (b"", b"\x91", b"\x92", b"\x99", b"\xdc\x00\x20"):
        raw = b"\x01" + prefix + LIES[lie]
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        with pytest.raises(InvalidMessage):
            codec.decode(raw)
        _, peak = tracemalloc.get_traced_memory()
        assert peak - before < MEMORY_BYTES_MAX
