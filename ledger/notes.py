"""Sealed notes: a reason or an answer in words, of which the chain knows the hash only."""

from ledger.consent_entries import NOTE, NoteEntry
from ledger.keyspace import note_key
from ledger.request import Request


def keep_note(request: Request, patient: bytes, note: bytes | None) -> None:
    """Files a note under its patient, so that erasing him finds it."""
    if note is not None:
        entry = NoteEntry(request.block.timestamp_ms)
        request.state.write(note_key(patient, note), NOTE, entry)
