"""Genesis files and member cards: JSON documents that people exchange and check by hash."""

import json
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from chain.document import from_document, to_document
from chain.errors import InvalidMessage
from chain.genesis import GENESIS_BYTES_MAX, Genesis, GenesisPrincipal, Member, check_genesis
from client.files import read_bounded, write_whole

_PUBLIC_MODE: Final = 0o644
_CARD_BYTES_MAX: Final = 1 << 18

T = TypeVar("T")


def save_genesis(path: Path, genesis: Genesis) -> None:
    """Writes `genesis.json`, whole or not at all."""
    write_document(path, to_document(genesis))


def load_genesis(path: Path) -> Genesis:
    """The genesis in a file from which a network can start.

    Raises `InvalidMessage` with a pointer, `OSError` where the file cannot be read.
    """
    genesis = _load(path, Genesis, GENESIS_BYTES_MAX * 2)
    check_genesis(genesis)
    return genesis


def save_member(path: Path, member: Member) -> None:
    """Writes a member card: an organisation's public keys, roles and node."""
    write_document(path, to_document(member))


def load_member(path: Path) -> Member:
    """The member card in a file; errors as `load_genesis`."""
    return _load(path, Member, _CARD_BYTES_MAX)


def load_principal(path: Path) -> GenesisPrincipal:
    """A principal's card (`wallet show --card`); errors as `load_genesis`."""
    return _load(path, GenesisPrincipal, _CARD_BYTES_MAX)


def write_document(path: Path, document: Any) -> None:
    """Writes a public JSON document, indented for people."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    write_whole(path, f"{text}\n".encode(), _PUBLIC_MODE)


def _load(path: Path, shape: type[T], bytes_max: int) -> T:
    raw = read_bounded(path, bytes_max)
    if len(raw) > bytes_max:
        raise InvalidMessage("document.too_large", "", f"at most {bytes_max} bytes")
    try:
        document = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidMessage("document.malformed", "", "not JSON") from None
    return from_document(shape, document)
