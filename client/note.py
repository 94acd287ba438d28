"""Sealed notes: a reason or an answer in words, about one patient, for those whom it concerns.

The chain holds the hash of the attachment only. A note is written once, for few readers, and has no
category: a fresh key seals the text and is itself sealed to each reader. Sizes are padded.
"""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Meta

from chain.codec import Codec, Record
from chain.errors import InvalidMessage
from chain.types import ChainId, PrincipalId
from client.category import Recipient, SealedKey, Seals, check_seals
from client.content import padded_size
from client.errors import NotForUs, Tampered
from client.sealing import PrivateKey, Random, open_sealed, seal

NOTE_BYTES_MAX: Final = 16_384
RECIPIENTS_MAX: Final = 32

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_LENGTH_BYTES: Final = 4


class _NotePlace(Record, frozen=True):
    """What a note is bound to: it opens for no other patient and on no other chain."""

    purpose: str
    chain_id: ChainId
    patient: PrincipalId


class _SealPlace(Record, frozen=True):
    """HPKE's `info` of the seal for one reader."""

    place: _NotePlace
    recipient: PrincipalId


class Note(Record, frozen=True):
    """The attachment. `text` is nonce ‖ AES-256-GCM of length ‖ words ‖ zeros."""

    suite: Literal[1]
    seals: Annotated[tuple[SealedKey, ...], Meta(min_length=1, max_length=RECIPIENTS_MAX)]
    text: Annotated[bytes, Meta(min_length=_NONCE_BYTES, max_length=2 * NOTE_BYTES_MAX)]


NOTE: Final = Codec[Note](Note, name="note", bytes_max=256 * 1_024)
_NOTE_PLACE: Final = Codec[_NotePlace](_NotePlace, name="note_place", bytes_max=512)
_SEAL_PLACE: Final = Codec[_SealPlace](_SealPlace, name="seal_place", bytes_max=512)


def seal_note(
    words: str, chain_id: str, patient: bytes, recipients: Sequence[Recipient], random: Random
) -> bytes:
    """The attachment that says `words` about `patient` to `recipients`.

    Raises `InvalidMessage` for too many words, repeated recipients and unusable keys.
    """
    raw = words.encode()
    if not 1 <= len(raw) <= NOTE_BYTES_MAX:
        raise InvalidMessage("note.size", "note", f"between 1 and {NOTE_BYTES_MAX} bytes")
    ordered = sorted(recipients, key=lambda each: each.id)
    if not 1 <= len(ordered) <= RECIPIENTS_MAX:
        raise InvalidMessage("note.recipients", "recipients", f"between 1 and {RECIPIENTS_MAX}")
    place, secret = _NotePlace("medlock note", chain_id, patient), random(_KEY_BYTES)
    seals = tuple(
        SealedKey(each.id, each.key.suite, seal(secret, each.key, _info(place, each.id)))
        for each in ordered
    )
    check_seals(Seals(seals))
    nonce = random(_NONCE_BYTES)
    plain = len(raw).to_bytes(_LENGTH_BYTES, "big") + raw
    plain = plain.ljust(padded_size(len(plain)), b"\0")
    return NOTE.encode(
        Note(1, seals, nonce + AESGCM(secret).encrypt(nonce, plain, _NOTE_PLACE.encode(place)))
    )


def open_note(
    attachment: bytes, chain_id: str, patient: bytes, keyring: Sequence[tuple[bytes, PrivateKey]]
) -> str:
    """The words, for a reader whose keyring (recipient id, key) opens one of the seals.

    Raises `NotForUs`, `Tampered`, or `InvalidMessage` where it is no note.
    """
    note = NOTE.decode(attachment)
    place = _NotePlace("medlock note", chain_id, patient)
    ours = [
        (sealed, key)
        for recipient, key in keyring
        for sealed in note.seals
        if (sealed.recipient, sealed.suite) == (recipient, key.suite)
    ]
    if not ours:
        raise NotForUs("note.not_sealed_to_us", "the note is sealed to others", "ask who wrote it")
    for sealed, key in ours:
        try:
            secret = open_sealed(sealed.sealed, key, _info(place, sealed.recipient))
            nonce, cipher = note.text[:_NONCE_BYTES], note.text[_NONCE_BYTES:]
            plain = AESGCM(secret).decrypt(nonce, cipher, _NOTE_PLACE.encode(place))
            return _words(plain)
        except (Tampered, InvalidTag, ValueError):
            continue
    raise Tampered(
        "note.does_not_open",
        "the note was changed, moved, or sealed to a key that is no longer ours",
        "fetch it again from another node",
    )


def _words(plain: bytes) -> str:
    """`ValueError` where the padding is not what `seal_note` writes."""
    length = int.from_bytes(plain[:_LENGTH_BYTES], "big")
    raw = plain[_LENGTH_BYTES : _LENGTH_BYTES + length]
    if len(raw) != length or len(plain) != padded_size(_LENGTH_BYTES + length):
        raise ValueError("wrong padding")
    return raw.decode()


def _info(place: _NotePlace, recipient: bytes) -> bytes:
    return _SEAL_PLACE.encode(_SealPlace(place, recipient))
