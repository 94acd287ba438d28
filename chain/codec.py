"""Canonical MessagePack: one value, one encoding, or a refusal.

Every encoding opens with a format version (itself a MessagePack integer, so a stream reader sees
two objects: version and value). A decoder accepts exactly the bytes that the encoder would write,
which rules out floats, extension types, long integer forms, unknown fields and trailing bytes.
Depth is limited by the shapes, which are not recursive; counts by the field types; size here.
"""

import re
from collections.abc import Iterator
from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec import inspect

from chain.errors import InvalidMessage

FORMAT_VERSION: Final = 1
_VERSION_BYTE: Final = bytes([FORMAT_VERSION])
_INDEX: Final = re.compile(r"\[(\d+|\.\.\.)\]")
_ECHOING: Final = ("Invalid enum value", "Invalid value", "Object contains unknown field")
_MEANINGLESS: Final = "a value with no meaning here"
_ENCODE: Final = msgspec.msgpack.Encoder().encode


class Value(msgspec.Struct, frozen=True, gc=False):
    """Base of what a node holds in memory by the thousand: immutable, made in a tenth of the time
    of a dataclass, never part of a cycle and so nothing to the garbage collector. What may be part
    of one says `gc=True`."""


class Record(Value, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """Base of everything stored or sent: immutable, its fields in a fixed order."""


T = TypeVar("T")


class Codec(Generic[T]):
    """Encodes and decodes one shape.

    `shape` is a `Record` or a union of tagged ones; `name` begins the field pointers of errors;
    `bytes_max` bounds an encoding, checked before a byte is looked at.
    """

    def __init__(self, shape: Any, *, name: str, bytes_max: int) -> None:
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(shape)
        self._shape = shape
        self.name = name
        self.bytes_max = bytes_max

    def encode(self, value: T) -> bytes:
        """The canonical bytes. The caller keeps our own values within `bytes_max`."""
        return _VERSION_BYTE + _ENCODE(value)

    def decode(self, raw: bytes) -> T:
        """The value, or `InvalidMessage` (`codec.*`) with a pointer to the field."""
        if len(raw) > self.bytes_max:
            raise InvalidMessage(
                "codec.too_large", self.name, f"{len(raw)} bytes, at most {self.bytes_max}"
            )
        if not raw:
            raise InvalidMessage("codec.malformed", self.name, "no bytes")
        if raw[0] != FORMAT_VERSION:
            raise _version_refused(raw[0], self.name)
        body = raw[1:]
        try:
            value = self._decoder.decode(body)
        except msgspec.ValidationError as error:
            cause, path = cause_of(error)
            raise InvalidMessage(
                "codec.wrong_type", field_pointer(self._shape, path, self.name), cause
            ) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise InvalidMessage("codec.malformed", self.name, "not MessagePack") from None
        if _ENCODE(value) != body:
            raise InvalidMessage(
                "codec.not_canonical", self.name, "another encoding of the same value"
            )
        return value


def cause_of(error: msgspec.ValidationError) -> tuple[str, str]:
    """The cause in msgspec's words, and its index path. Where those words quote what was sent (it
    does so for values that no literal or tag allows), they are replaced."""
    cause, _, path = str(error).partition(" - at `$")
    return (_MEANINGLESS if cause.startswith(_ECHOING) else cause), path


def field_pointer(shape: Any, path: str, name: str) -> str:
    """Turns msgspec's index path into `shape` ("[2][0]") into field names below `name`."""
    return "".join((name, *_field_names(inspect.type_info(shape), path))).lstrip(".")


def _version_refused(version: int, name: str) -> InvalidMessage:
    if FORMAT_VERSION < version < 0x80:
        return InvalidMessage(
            "codec.version_unsupported",
            name,
            f"format version {version}, this release reads {FORMAT_VERSION}: upgrade Medlock",
        )
    return InvalidMessage("codec.malformed", name, "does not open with a format version")


def _field_names(kind: inspect.Type, path: str) -> Iterator[str]:
    for match in _INDEX.finditer(path):
        index = match.group(1)
        while isinstance(kind, inspect.Metadata):
            kind = kind.type
        if isinstance(kind, inspect.StructType) and index != "...":
            position = int(index) - (kind.tag is not None)
            if not 0 <= position < len(kind.fields):
                yield ".type"
                return
            yield f".{kind.fields[position].name}"
            kind = kind.fields[position].type
        elif isinstance(kind, inspect.VarTupleType | inspect.ListType):
            yield "[]" if index == "..." else f"[{index}]"
            kind = kind.item_type
        else:
            yield f"[{index}]"
            kind = inspect.AnyType()
