"""Rules for sealed records: versions follow each other, author and owner never change."""

from typing import Final

from chain.errors import Rejected
from ledger.actions import RecordAmend, RecordPut, RecordRetract
from ledger.entries import CATEGORY, RECORD, RecordContent, RecordEntry
from ledger.ids import owner_of
from ledger.keyspace import category_key, record_key, record_version_key
from ledger.patients import check_owner
from ledger.request import Request
from ledger.scopes import check_fresh, check_open, is_record_erased

WRITER_KINDS: Final = ("clinician", "device", "service", "patient")
FIRST_VERSION: Final = 1


def put(request: Request, action: RecordPut) -> None:
    """Version 1; the id is taken for ever, by its author."""
    _check_writer(request)
    check_owner(request, owner_of(action.record), "record")
    key = record_key(action.record)
    if request.state.read(key, RECORD) is not None:
        raise Rejected("record.exists", "record")
    request.state.write(key, RECORD, _version(request, FIRST_VERSION, _content(request, action)))


def amend(request: Request, action: RecordAmend) -> None:
    """The next version, by the author's organisation, under a category key that is current."""
    _check_writer(request)
    current = _current(request, action)
    content = _content(request, action)
    _succeed(request, action.record, current, content)


def retract(request: Request, action: RecordRetract) -> None:
    """The last version: entered in error."""
    _check_writer(request)
    _succeed(request, action.record, _current(request, action), None)


def _check_writer(request: Request) -> None:
    if request.principal.kind not in WRITER_KINDS:
        raise Rejected("record.not_writer", "record")


def _current(request: Request, action: RecordAmend | RecordRetract) -> RecordEntry:
    """The version that `action` builds on, where the sender may and the number is right."""
    entry = request.state.read(record_key(action.record), RECORD)
    if entry is None:
        raise Rejected("record.unknown", "record")
    if not _is_author(request, action.record, entry):
        raise Rejected("record.not_author", "record")
    _check_not_erased(request, action.record, entry)
    if entry.retracted:
        raise Rejected("record.retracted", "record")
    if action.version != entry.version + 1:
        raise Rejected("record.version_out_of_order", "version")
    return entry


def _is_author(request: Request, record: bytes, entry: RecordEntry) -> bool:
    """A self-report is its patient's alone; anything else is its organisation's."""
    if entry.organization is None:
        return request.sender == owner_of(record)
    return request.organization == entry.organization


def _check_not_erased(request: Request, record: bytes, entry: RecordEntry) -> None:
    if request.organization is not None and owner_of(record) == request.author:
        return  # An organisation's own records: no patient asks to erase them.
    if is_record_erased(request.state, record):
        raise Rejected("scope.erased", "record")
    categories = () if entry.content is None else (entry.content.category,)
    check_open(request.state, owner_of(record), categories, "record")


def _content(request: Request, action: RecordPut | RecordAmend) -> RecordContent:
    """The content that `action` names, under the current epoch of the sender's category key."""
    owner, author = owner_of(action.record), request.author
    category = request.state.read(category_key(owner, action.category, author), CATEGORY)
    if category is None:
        raise Rejected("category.not_open", "category")
    if category.epoch != action.epoch:
        raise Rejected("category.epoch_not_current", "epoch")
    if owner != author or request.organization is None:
        check_fresh(request.state, owner, action.category, author, action.epoch)
    return RecordContent(action.category, action.epoch, action.ciphertext, action.key_commitment)


def _succeed(
    request: Request, record: bytes, current: RecordEntry, content: RecordContent | None
) -> None:
    """Moves `current` among the earlier versions and puts the next one in its place."""
    request.state.write(record_version_key(record, current.version), RECORD, current)
    request.state.write(record_key(record), RECORD, _version(request, current.version + 1, content))


def _version(request: Request, version: int, content: RecordContent | None) -> RecordEntry:
    return RecordEntry(
        version,
        request.organization,
        request.sender,
        request.transaction_id,
        request.block.timestamp_ms,
        content,
    )
