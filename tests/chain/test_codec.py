"""One value, one encoding: everything else is refused, with a pointer."""

from typing import Annotated

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from chain.block import HEADER, Header
from chain.codec import FORMAT_VERSION, Codec, Record
from chain.document import from_document, to_document
from chain.errors import InvalidMessage
from chain.transaction import BODY, Transaction
from chain.types import PublicKey


class Leaf(Record, frozen=True, tag="leaf"):
    count: Annotated[int, Meta(ge=0)]
    names: Annotated[tuple[str, ...], Meta(max_length=3)]


class Branch(Record, frozen=True, tag="branch"):
    leaves: Annotated[tuple[Leaf, ...], Meta(max_length=4)]


CODEC = Codec[Leaf | Branch](Leaf | Branch, name="tree", bytes_max=1_000)
TREE = Branch((Leaf(1, ("a",)), Leaf(2, ())))


def refusal(raw: bytes) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as caught:
        CODEC.decode(raw)
    return caught.value


def test_an_independent_decoder_reads_our_bytes() -> None:
    unpacker = msgpack.Unpacker()
    unpacker.feed(CODEC.encode(TREE))
    assert list(unpacker) == [
        FORMAT_VERSION,
        ["branch", [["leaf", 1, ["a"]], ["leaf", 2, []]]],
    ]


def test_what_is_encoded_is_decoded() -> None:
    assert CODEC.decode(CODEC.encode(TREE)) == TREE


@pytest.mark.parametrize(
    ("value", "code", "field"),
    [
        (["leaf", -1, []], "codec.wrong_type", "tree"),
        (["leaf", 1.0, []], "codec.wrong_type", "tree"),
        (["leaf", 1, [1]], "codec.wrong_type", "tree"),
        (["leaf", 1, ["a"] * 4], "codec.wrong_type", "tree"),
        (["leaf", 1, [], 5], "codec.wrong_type", "tree"),
        (["bush", 1, []], "codec.wrong_type", "tree"),
        ({"leaf": 1}, "codec.wrong_type", "tree"),
        (msgpack.ExtType(5, b"x"), "codec.wrong_type", "tree"),
        (None, "codec.wrong_type", "tree"),
    ],
)
def test_wrong_shapes_are_refused(value: object, code: str, field: str) -> None:
    caught = refusal(b"\x01" + msgpack.packb(value))
    assert caught.code == code
    assert caught.field.startswith(field)


def test_the_pointer_names_the_field() -> None:
    raw = bytearray(HEADER.encode(header()))
    raw[raw.index(b"hospital-a")] = ord("H")
    with pytest.raises(InvalidMessage) as caught:
        HEADER.decode(bytes(raw))
    assert caught.value.field == "header.proposer"


def header() -> Header:
    return Header(
        "net", 1, bytes(32), 5, "hospital-a", bytes(32), bytes(32), bytes(32), bytes(32), bytes(32)
    )


@pytest.mark.parametrize(
    "body",
    [
        b"\x93\xa4leaf\xcc\x01\x90",  # 1 as uint8
        b"\x93\xa4leaf\xcd\x00\x01\x90",  # 1 as uint16
        b"\xdc\x00\x03\xa4leaf\x01\x90",  # array16 of three
        b"\x93\xd9\x04leaf\x01\x90",  # str8 of four
        b"\x93\xa4leaf\x01\xdd\x00\x00\x00\x00",  # array32 of none
    ],
)
def test_longer_forms_of_the_same_value_are_refused(body: bytes) -> None:
    assert refusal(b"\x01" + body).code == "codec.not_canonical"


def test_a_newer_format_says_what_to_do() -> None:
    caught = refusal(b"\x02" + CODEC.encode(TREE)[1:])
    assert caught.code == "codec.version_unsupported"
    assert "upgrade" in caught.cause


@pytest.mark.parametrize("raw", [b"", b"\x00", b"\xff", b"\x01", b"\x01\xc1", b"\x90"])
def test_what_is_not_ours_is_malformed(raw: bytes) -> None:
    assert refusal(raw).code == "codec.malformed"


def test_deep_nesting_is_refused_without_descending() -> None:
    bomb = b"\x01\x92\xa6branch" + b"\x91" * 900
    assert refusal(bomb).code == "codec.wrong_type"


def test_a_claimed_count_allocates_nothing() -> None:
    assert refusal(b"\x01\x92\xa6branch\xdd\xff\xff\xff\xff").code == "codec.wrong_type"


def test_too_many_bytes_are_not_looked_at() -> None:
    assert refusal(b"\x01" * 1_001).code == "codec.too_large"


def test_invalid_utf8_is_refused() -> None:
    assert refusal(b"\x01\x93\xa4leaf\x01\x91\xa2\xc3\x28").code.startswith("codec.")


@given(st.binary(max_size=64))
def test_any_bytes_decode_to_themselves_or_not_at_all(body: bytes) -> None:
    raw = b"\x01" + body
    try:
        value = CODEC.decode(raw)
    except InvalidMessage:
        return
    assert CODEC.encode(value) == raw


@given(st.data())
def test_every_mutation_of_a_transaction_is_itself_or_refused(data: st.DataObject) -> None:
    transaction = Transaction(bytes(16), bytes(16), 10, (b"\x01\x90",), (), ())
    raw = bytearray(BODY.encode(transaction))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        value = BODY.decode(bytes(raw))
    except InvalidMessage:
        return
    assert BODY.encode(value) == raw


class Optional(Record, frozen=True):
    key: PublicKey | None


def test_an_optional_identifier_is_hex_in_a_document_too() -> None:
    document = to_document(Optional(b"\xfb" * 32))
    assert document == {"key": "fb" * 32}
    assert from_document(Optional, document) == Optional(b"\xfb" * 32)


@pytest.mark.parametrize("value", [["MARISOL", 1, []], ["leaf", 1, ["MARISOL"] * 4], "MARISOL"])
def test_a_refusal_never_repeats_what_was_sent(value: object) -> None:
    refused = refusal(bytes([FORMAT_VERSION]) + msgpack.packb(value))
    assert "MARISOL" not in f"{refused} {refused.cause} {refused.field}"
    assert refused.cause
