"""The content of one record version, as the attachment that every member stores.

A fresh key (DEK) for each version, wrapped under the category key; content in AES-256-GCM chunks
with a counter and a last-chunk flag (the STREAM construction: Hoang, Reyhanitabar, Rogaway, Vizár,
2015), so that a cut, an exchange or a repetition is noticed. Associated data binds everything to
its place. Sizes are padded (Padmé: Nikitin et al., "Reducing Metadata Leakage from Encrypted Files
and Communication with PURBs", 2019), inside of the encryption.

    attachment = header ‖ chunk …         header = canonical ContentHeader, of one length
    plaintext  = length (8 bytes, big-endian) ‖ content ‖ zeros

AEADs do not commit to their key, so the chain holds a keyed hash of the place; readers check it.
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2b, sha256
from hmac import compare_digest
from typing import Annotated, Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Meta

from chain.codec import Codec, Record
from chain.errors import InvalidMessage
from chain.types import CategoryId, ChainId, PrincipalId, RecordId, Unsigned
from client.category import CategoryKey
from client.errors import Tampered
from client.redacted import Redacted
from client.sealing import Random

DEK_BYTES: Final = 32
CHUNK_BYTES: Final = 1 << 16
"""Plaintext bytes of every chunk but the last, which has 1 to this many."""
PADDED_BYTES_MIN: Final = 256
CONTENT_BYTES_MAX: Final = 1 << 30

_TAG_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_LENGTH_BYTES: Final = 8
_WRAPPED_BYTES: Final = _NONCE_BYTES + DEK_BYTES + _TAG_BYTES
_FULL_CHUNK_BYTES: Final = CHUNK_BYTES + _TAG_BYTES


class Place(Record, frozen=True):
    """Where a content belongs. It opens nowhere else."""

    chain_id: ChainId
    owner: PrincipalId
    record: RecordId
    version: Unsigned
    category: CategoryId
    epoch: Unsigned
    author: PrincipalId


class ContentHeader(Record, frozen=True):
    """`wrapped_key` is nonce ‖ AES-256-GCM of the DEK under the category key."""

    suite: Literal[1]
    wrapped_key: Annotated[bytes, Meta(min_length=_WRAPPED_BYTES, max_length=_WRAPPED_BYTES)]


class SealedContent(Record, frozen=True):
    """What goes to the attachments, and what the chain says about it."""

    attachment: bytes
    hash: bytes
    key_commitment: bytes
    reference: bytes


class DataKey(Redacted, frozen=True):
    """A DEK in its place."""

    place: Place
    secret: Annotated[bytes, Meta(min_length=DEK_BYTES, max_length=DEK_BYTES)]

    @property
    def commitment(self) -> bytes:
        """BLAKE2b-256 of record ‖ version (8 bytes, big-endian), keyed with the DEK."""
        named = self.place.record + self.place.version.to_bytes(8, "big")
        return blake2b(named, key=self.secret, digest_size=32).digest()

    @property
    def reference(self) -> bytes:
        """BLAKE2b-256 of the same under another personalisation: names this version on the chain
        for its readers, and nothing for anybody else (`ledger.fields.Reference`)."""
        named = self.place.record + self.place.version.to_bytes(8, "big")
        return blake2b(named, key=self.secret, digest_size=32, person=b"medlock refers").digest()


_HEADER: Final = Codec[ContentHeader](ContentHeader, name="content", bytes_max=128)
PLACE: Final = Codec[Place](Place, name="place", bytes_max=512)
HEADER_BYTES: Final = len(_HEADER.encode(ContentHeader(1, bytes(_WRAPPED_BYTES))))


def place_of(key: CategoryKey, chain_id: str, record: bytes, version: int) -> Place:
    """The place of version `version` of `record` under the category that `key` is of."""
    name = key.name
    return Place(chain_id, name.owner, record, version, name.category, name.epoch, name.author)


def padded_size(size: int) -> int:
    """Padmé: `size` rounded up so that it tells O(log log size) bits; overhead at most 12 %."""
    size = max(size, PADDED_BYTES_MIN)
    exponent = size.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (size + mask) & ~mask


def seal_content(content: bytes, place: Place, key: CategoryKey, random: Random) -> SealedContent:
    """Seals `content` (bytes at rest in memory) for `place` under the category key."""
    data_key = DataKey(place, random(DEK_BYTES))
    attachment = b"".join(seal_stream((content,), len(content), data_key, key, random))
    return SealedContent(
        attachment, sha256(attachment).digest(), data_key.commitment, data_key.reference
    )


def seal_stream(
    pieces: Iterable[bytes], size: int, data_key: DataKey, key: CategoryKey, random: Random
) -> Iterator[bytes]:
    """The attachment of a content of `size` bytes that arrives in `pieces`, in bounded memory.

    `data_key` must be fresh: chunk nonces repeat under a used one.
    """
    sealer = ContentSealer(size, data_key, key, random)
    for piece in pieces:
        yield sealer.update(piece)
    yield from sealer.finish()


class ContentSealer:
    """Seals a content that arrives in pieces, in bounded memory: `seal_stream` for whoever cannot
    wait for the next piece."""

    def __init__(self, size: int, data_key: DataKey, key: CategoryKey, random: Random) -> None:
        """`size` is that of the content, in bytes. `data_key` must be fresh."""
        if size > CONTENT_BYTES_MAX:
            raise InvalidMessage(
                "content.too_large", "content", f"at most {CONTENT_BYTES_MAX} bytes"
            )
        self._size = size
        self._seen = 0
        self._header = _wrap(data_key, key, random)
        self._unsent = self._header
        self._cipher = AESGCM(data_key.secret)
        self._bound = PLACE.encode(data_key.place) + self._header
        self._buffer = bytearray(size.to_bytes(_LENGTH_BYTES, "big"))
        self._counter = 0

    def update(self, piece: bytes) -> bytes:
        """Takes content, gives the attachment's bytes that are ready."""
        self._seen += len(piece)
        return self._sealed(piece)

    def finish(self) -> Iterator[bytes]:
        """The rest of the attachment; `InvalidMessage` where the content was not of `size`."""
        if self._seen != self._size:
            raise InvalidMessage("content.wrong_size", "content", "not the size that was announced")
        zeros = padded_size(_LENGTH_BYTES + self._size) - _LENGTH_BYTES - self._size
        while zeros:
            yield self._sealed(bytes(min(zeros, CHUNK_BYTES)))
            zeros -= min(zeros, CHUNK_BYTES)
        rest = bytes(self._buffer)
        yield self._cipher.encrypt(_nonce(self._counter, last=True), rest, self._bound)

    def _sealed(self, plain: bytes) -> bytes:
        """Every chunk but the last, which only `finish` knows."""
        ready, self._unsent = [self._unsent], b""
        self._buffer += plain
        while len(self._buffer) > CHUNK_BYTES:
            chunk = bytes(self._buffer[:CHUNK_BYTES])
            del self._buffer[:CHUNK_BYTES]
            nonce = _nonce(self._counter, last=False)
            ready.append(self._cipher.encrypt(nonce, chunk, self._bound))
            self._counter += 1
        return b"".join(ready)


def sealed_size(size: int) -> int:
    """Bytes of the attachment in which a content of `size` bytes is sealed."""
    padded = padded_size(_LENGTH_BYTES + size)
    return HEADER_BYTES + padded + _TAG_BYTES * -(-padded // CHUNK_BYTES)


def open_content(attachment: bytes, place: Place, key: CategoryKey, key_commitment: bytes) -> bytes:
    """The content, complete and checked; `Tampered` where anything does not fit."""
    opener = ContentOpener(place, key, key_commitment)
    return opener.update(attachment) + opener.finish()


def reference_of(attachment: bytes, place: Place, key: CategoryKey) -> bytes:
    """By which reference the chain names this version, where it does (a care plan's `document`).

    Raises `Tampered` where the attachment is not of this place and key.
    """
    if len(attachment) < HEADER_BYTES:
        raise _tampered("content.cut", "the attachment ends too early")
    return _unwrap(attachment[:HEADER_BYTES], place, key).reference


class ContentOpener:
    """Opens an attachment that arrives in pieces, in bounded memory.

    What `update` returns is what the author sealed, in its order; that it is *all* is known only
    when `finish` returns. Every failure is `Tampered`.
    """

    def __init__(self, place: Place, key: CategoryKey, key_commitment: bytes) -> None:
        """`key_commitment` is the chain's."""
        self._place = place
        self._key = key
        self._commitment = key_commitment
        self._buffer = bytearray()
        self._cipher: AESGCM | None = None
        self._bound = b""
        self._counter = 0
        self._length: int | None = None
        self._plain_bytes = 0

    def update(self, piece: bytes) -> bytes:
        """Takes ciphertext, gives the content bytes that became readable."""
        self._buffer += piece
        if self._cipher is None:
            if len(self._buffer) < HEADER_BYTES:
                return b""
            self._open_header()
        opened = []
        while len(self._buffer) > _FULL_CHUNK_BYTES:
            opened.append(self._open_chunk(_FULL_CHUNK_BYTES, last=False))
        return b"".join(opened)

    def finish(self) -> bytes:
        """The rest of the content, after the last piece."""
        if self._cipher is None or len(self._buffer) <= _TAG_BYTES:
            raise _tampered("content.cut", "the attachment ends too early")
        rest = self._open_chunk(len(self._buffer), last=True)
        if self._length is None or self._plain_bytes != padded_size(_LENGTH_BYTES + self._length):
            raise _tampered("content.wrong_padding", "its length is not the one that it states")
        return rest

    def _open_header(self) -> None:
        header = bytes(self._buffer[:HEADER_BYTES])
        del self._buffer[:HEADER_BYTES]
        data_key = _unwrap(header, self._place, self._key)
        if not compare_digest(data_key.commitment, self._commitment):
            raise _tampered("content.other_key", "the chain commits its author to another key")
        self._cipher = AESGCM(data_key.secret)
        self._bound = PLACE.encode(self._place) + header

    def _open_chunk(self, size: int, *, last: bool) -> bytes:
        assert self._cipher is not None, "the header comes first"
        chunk = bytes(self._buffer[:size])
        del self._buffer[:size]
        try:
            plain = self._cipher.decrypt(_nonce(self._counter, last=last), chunk, self._bound)
        except (InvalidTag, OverflowError):
            raise _tampered(
                "content.tampered", "a part of it was changed, cut, exchanged or moved"
            ) from None
        self._counter += 1
        return self._unpad(plain)

    def _unpad(self, plain: bytes) -> bytes:
        """Takes the length off the front and the zeros off the end."""
        start = self._plain_bytes
        self._plain_bytes += len(plain)
        if self._length is None:
            if len(plain) < _LENGTH_BYTES:
                raise _tampered("content.wrong_padding", "it states no length")
            self._length = int.from_bytes(plain[:_LENGTH_BYTES], "big")
        first = max(_LENGTH_BYTES - start, 0)
        end = min(max(_LENGTH_BYTES + self._length - start, 0), len(plain))
        if any(plain[max(end, first) :]):
            raise _tampered("content.wrong_padding", "padding that is not zeros")
        return plain[first:end]


def _wrap(data_key: DataKey, key: CategoryKey, random: Random) -> bytes:
    assert data_key.place.owner == data_key.place.record[:16], "a record id begins with its owner"
    nonce = random(_NONCE_BYTES)
    bound = PLACE.encode(data_key.place)
    wrapped = nonce + AESGCM(key.secret).encrypt(nonce, data_key.secret, bound)
    return _HEADER.encode(ContentHeader(1, wrapped))


def _unwrap(header: bytes, place: Place, key: CategoryKey) -> DataKey:
    try:
        wrapped = _HEADER.decode(header).wrapped_key
        secret = AESGCM(key.secret).decrypt(
            wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], PLACE.encode(place)
        )
    except InvalidMessage as error:
        raise _tampered(error.code, error.cause) from None
    except InvalidTag:
        raise _tampered(
            "content.wrong_place", "sealed under another category key or for another place"
        ) from None
    return DataKey(place, secret)


def _nonce(counter: int, *, last: bool) -> bytes:
    """Seven zero bytes, the counter, the flag: a DEK is used for one attachment only."""
    return bytes(7) + counter.to_bytes(4, "big") + bytes((last,))


def _tampered(code: str, cause: str) -> Tampered:
    return Tampered(code, cause, "fetch it again from another node")
