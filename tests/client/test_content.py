"""Content opens whole, in its place, under its key; anything else is noticed."""

from hashlib import sha256

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.errors import InvalidMessage
from client.category import CategoryKey, CategoryName, new_category_key
from client.content import (
    CHUNK_BYTES,
    HEADER_BYTES,
    PADDED_BYTES_MIN,
    PLACE,
    ContentOpener,
    DataKey,
    Place,
    SealedContent,
    open_content,
    padded_size,
    place_of,
    seal_content,
    seal_stream,
)
from client.errors import Tampered
from client.sealing import Random

NAME = CategoryName(b"o" * 16, b"c" * 16, b"a" * 16, 3)
RECORD = b"o" * 16 + b"r" * 16
CHUNK_ON_DISK = CHUNK_BYTES + 16


@pytest.fixture
def key(chance: Random) -> CategoryKey:
    return new_category_key(NAME, chance)


@pytest.fixture
def place(key: CategoryKey) -> Place:
    return place_of(key, "net", RECORD, 1)


def refused(sealed: SealedContent, place: Place, key: CategoryKey, attachment: bytes) -> str:
    with pytest.raises(Tampered) as caught:
        open_content(attachment, place, key, sealed.key_commitment)
    return caught.value.code


@pytest.mark.parametrize(
    "size", [0, 1, 247, 248, 249, 5_000, CHUNK_BYTES - 8, CHUNK_BYTES, CHUNK_BYTES * 3 + 17]
)
def test_a_round_trip(size: int, key: CategoryKey, place: Place, chance: Random) -> None:
    content = chance(size)
    sealed = seal_content(content, place, key, chance)
    assert open_content(sealed.attachment, place, key, sealed.key_commitment) == content
    assert sealed.hash == sha256(sealed.attachment).digest()


def test_two_versions_share_no_key(key: CategoryKey, place: Place, chance: Random) -> None:
    first = seal_content(b"same", place, key, chance)
    second = seal_content(b"same", msgspec.structs.replace(place, version=2), key, chance)
    assert first.key_commitment != second.key_commitment
    assert first.attachment[HEADER_BYTES:] != second.attachment[HEADER_BYTES:]


def test_no_flipped_byte_opens(key: CategoryKey, place: Place, chance: Random) -> None:
    sealed = seal_content(b"content", place, key, chance)
    for index in range(len(sealed.attachment)):
        bent = bytearray(sealed.attachment)
        bent[index] ^= 1 << (index % 8)
        refused(sealed, place, key, bytes(bent))


@pytest.mark.parametrize("field", list(Place.__struct_fields__))
def test_a_moved_ciphertext_does_not_open(
    field: str, key: CategoryKey, place: Place, chance: Random
) -> None:
    sealed = seal_content(b"content", place, key, chance)
    value = getattr(place, field)
    other = {int: lambda: value + 1, bytes: lambda: b"x" * len(value), str: lambda: "other"}
    moved = msgspec.structs.replace(place, **{field: other[type(value)]()})
    assert refused(sealed, moved, key, sealed.attachment) == "content.wrong_place"


def test_another_category_key_does_not_open_it(
    key: CategoryKey, place: Place, chance: Random
) -> None:
    sealed = seal_content(b"content", place, key, chance)
    other = new_category_key(NAME, chance)
    assert refused(sealed, place, other, sealed.attachment) == "content.wrong_place"


def test_an_author_cannot_show_two_readers_two_records(
    key: CategoryKey, place: Place, chance: Random
) -> None:
    """A second ciphertext that opens under K still fails the commitment on the chain."""
    sealed = seal_content(b"for one", place, key, chance)
    second = seal_content(b"for another", place, key, chance)
    assert refused(sealed, place, key, second.attachment) == "content.other_key"


def chunks(attachment: bytes) -> list[bytes]:
    body = attachment[HEADER_BYTES:]
    return [body[i : i + CHUNK_ON_DISK] for i in range(0, len(body), CHUNK_ON_DISK)]


@pytest.mark.parametrize(
    "change",
    [
        lambda parts: parts[:-1],
        lambda parts: parts[:1],
        lambda parts: [],
        lambda parts: [parts[1], parts[0], *parts[2:]],
        lambda parts: [parts[0], parts[2], parts[1], *parts[3:]],
        lambda parts: [parts[0], *parts],
        lambda parts: [*parts, parts[-1]],
        lambda parts: parts[1:],
        lambda parts: [*parts[:-1], parts[-1][:-1]],
        lambda parts: [*parts, b"\0"],
    ],
)
def test_a_stream_that_was_cut_or_turned_is_noticed(
    change: object, key: CategoryKey, place: Place, chance: Random
) -> None:
    sealed = seal_content(chance(CHUNK_BYTES * 3), place, key, chance)
    bent = sealed.attachment[:HEADER_BYTES] + b"".join(change(chunks(sealed.attachment)))  # type: ignore[operator]
    refused(sealed, place, key, bent)


def test_every_cut_of_a_small_one_is_noticed(
    key: CategoryKey, place: Place, chance: Random
) -> None:
    sealed = seal_content(b"content", place, key, chance)
    for size in range(len(sealed.attachment)):
        refused(sealed, place, key, sealed.attachment[:size])


def test_a_later_release_is_not_mistaken_for_this_one(
    key: CategoryKey, place: Place, chance: Random
) -> None:
    sealed = seal_content(b"content", place, key, chance)
    assert refused(sealed, place, key, b"\x02" + sealed.attachment[1:]) == (
        "codec.version_unsupported"
    )


@pytest.mark.parametrize("piece_bytes", [1, 64, 65, 66, 70_000, 1 << 20])
def test_streams_open_in_any_pieces(
    piece_bytes: int, key: CategoryKey, place: Place, chance: Random
) -> None:
    content = chance(CHUNK_BYTES * 2 + 5 if piece_bytes > 1 else 300)
    data_key = DataKey(place, chance(32))
    halves = (content[:99], content[99:])
    attachment = b"".join(seal_stream(halves, len(content), data_key, key, chance))
    opener = ContentOpener(place, key, data_key.commitment)
    opened = [
        opener.update(attachment[i : i + piece_bytes])
        for i in range(0, len(attachment), piece_bytes)
    ]
    assert b"".join([*opened, opener.finish()]) == content


@pytest.mark.parametrize("announced", [0, 6, 8])
def test_a_stream_of_another_size_than_announced_is_refused(
    announced: int, key: CategoryKey, place: Place, chance: Random
) -> None:
    with pytest.raises(InvalidMessage):
        list(seal_stream((b"seven b",), announced, DataKey(place, chance(32)), key, chance))


def test_a_stream_that_is_too_large_is_refused_before_it_is_read(
    key: CategoryKey, place: Place, chance: Random
) -> None:
    with pytest.raises(InvalidMessage) as caught:
        list(seal_stream((), (1 << 30) + 1, DataKey(place, chance(32)), key, chance))
    assert caught.value.code == "content.too_large"


def test_sizes_are_padded(key: CategoryKey, place: Place, chance: Random) -> None:
    sizes = {
        len(seal_content(b"x" * n, place, key, chance).attachment) for n in range(3_000, 3_050)
    }
    assert len(sizes) <= 2
    assert padded_size(0) == padded_size(PADDED_BYTES_MIN) == PADDED_BYTES_MIN
    assert [padded_size(n) for n in (257, 1_000, 1_000_000)] == [272, 1_024, 1_015_808]


@settings(max_examples=300)
@given(st.integers(0, 1 << 30))
def test_padding_costs_at_most_an_eighth_and_never_shrinks(size: int) -> None:
    padded = padded_size(size)
    assert size <= padded <= max(size * 1.12, PADDED_BYTES_MIN)
    assert padded_size(padded) == padded
    assert padded_size(size + 1) >= padded


class AuthorsOwnPlaintext:
    """An author who seals what no honest client seals, under the right keys."""

    def __init__(self, place: Place, key: CategoryKey, chance: Random) -> None:
        self.place, self.key = place, key
        self.data_key = DataKey(place, chance(32))
        self.header = next(seal_stream((), 0, self.data_key, key, chance))

    def opens(self, plain: bytes, *, last: bool = True) -> bytes:
        bound = PLACE.encode(self.place) + self.header
        nonce = bytes(11) + bytes((last,))
        chunk = AESGCM(self.data_key.secret).encrypt(nonce, plain, bound)
        return open_content(self.header + chunk, self.place, self.key, self.data_key.commitment)


@pytest.mark.parametrize(
    "plain",
    [
        (7).to_bytes(8, "big") + b"content" + b"\1" + bytes(240),
        (7).to_bytes(8, "big") + b"content",
        (7).to_bytes(8, "big") + b"content" + bytes(1_000),
        (500).to_bytes(8, "big") + bytes(248),
        (2**64 - 1).to_bytes(8, "big") + bytes(248),
        b"short",
    ],
)
def test_padding_has_one_form(plain: bytes, key: CategoryKey, place: Place, chance: Random) -> None:
    author = AuthorsOwnPlaintext(place, key, chance)
    assert author.opens((7).to_bytes(8, "big") + b"content" + bytes(241)) == b"content"
    with pytest.raises(Tampered) as caught:
        author.opens(plain)
    assert caught.value.code == "content.wrong_padding"


def test_a_last_chunk_says_that_it_is_the_last(
    key: CategoryKey, place: Place, chance: Random
) -> None:
    author = AuthorsOwnPlaintext(place, key, chance)
    with pytest.raises(Tampered) as caught:
        author.opens((7).to_bytes(8, "big") + b"content" + bytes(241), last=False)
    assert caught.value.code == "content.tampered"


def test_secrets_never_show_themselves(place: Place) -> None:
    assert "CANARY" not in repr(DataKey(place, b"CANARY".ljust(32, b"C")))
