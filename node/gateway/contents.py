"""Contents as they leave the attachments: checked against the chain, opened, whole or in pieces.

Blocks. Must not know who reads: whoever asks here has logged the access before.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from client.category import CategoryKey, CategoryName
from client.content import ContentOpener, place_of
from client.epcis_reading import open_document
from client.errors import ClientError, Tampered
from client.reading import category_name, open_record
from ledger.entries import RecordContent, RecordEntry
from ledger.supply.entries import EventEntry
from node.gateway.refusals import Erased, TooLarge, Unavailable, Unreadable
from storage.attachments import AttachmentStore
from storage.errors import AttachmentDamaged, AttachmentErased, AttachmentMissing

WHOLE_BYTES_MAX: Final = 64 << 20
"""Sealed bytes that are opened in one piece, of all the records of one read together."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A version of a record, and the key that opens it."""

    record: bytes
    entry: RecordEntry
    key: CategoryKey

    @property
    def content(self) -> RecordContent:
        """What the chain says of its content."""
        assert self.entry.content is not None, "a retraction has nothing to open"
        return self.entry.content


def name_of(record: bytes, entry: RecordEntry) -> CategoryName:
    """Under which key a version is sealed, that has a content."""
    assert entry.content is not None, "a retraction is sealed under nothing"
    return category_name(record, entry, entry.content)


class Contents:
    """Opens what the node's attachments hold."""

    def __init__(self, attachments: AttachmentStore, chain_id: str) -> None:
        self._attachments = attachments
        self._chain_id = chain_id

    def size(self, entry: RecordEntry) -> int:
        """Sealed bytes of a version; 0 where they are not here."""
        if entry.content is None:
            return 0
        try:
            return self._attachments.size(entry.content.ciphertext)
        except (AttachmentMissing, AttachmentErased):
            return 0

    def open(self, sealed: Sealed) -> bytes:
        """All of it, byte for byte as its author sealed it.

        Raises `Unavailable` where the attachment is not here (yet), `Erased`, `TooLarge`, and
        `Unreadable` where hash, place or key commitment do not fit.
        """
        raw = self._read(sealed.content.ciphertext, WHOLE_BYTES_MAX)
        try:
            return open_record(raw, sealed.record, sealed.entry, sealed.key, self._chain_id).content
        except ClientError as refusal:
            raise Unreadable(refusal.code) from None

    def open_event(self, entry: EventEntry, key: CategoryKey, bytes_max: int) -> bytes:
        """The document of an event of EPCIS. Raises as `open`."""
        raw = self._read(entry.content.ciphertext, bytes_max)
        try:
            return open_document(raw, entry, key, self._chain_id)
        except ClientError as refusal:
            raise Unreadable(refusal.code) from None

    def _read(self, ciphertext: bytes, bytes_max: int) -> bytes:
        try:
            if self._attachments.size(ciphertext) > bytes_max:
                raise TooLarge
            return self._attachments.read(ciphertext)
        except AttachmentErased:
            raise Erased from None
        except (AttachmentMissing, AttachmentDamaged):
            raise _missing() from None

    def pieces(self, sealed: Sealed) -> Iterator[bytes]:
        """The same in pieces, in bounded memory. That it was all is known only when the last one
        came: an exception before means that what was given is worth nothing."""
        place = place_of(sealed.key, self._chain_id, sealed.record, sealed.entry.version)
        opener = ContentOpener(place, sealed.key, sealed.content.key_commitment)
        try:
            for chunk in self._attachments.stream(sealed.content.ciphertext):
                if piece := opener.update(chunk):
                    yield piece
            yield opener.finish()
        except AttachmentErased:
            raise Erased from None
        except (AttachmentMissing, AttachmentDamaged):
            raise _missing() from None
        except Tampered as refusal:
            raise Unreadable(refusal.code) from None


def _missing() -> Unavailable:
    return Unavailable("attachment.missing", "its sealed content is still to be fetched from peers")
