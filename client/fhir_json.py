"""FHIR JSON as it was written, in one canonical spelling.

Keys sorted by code point, no white space, UTF-8 without needless escapes; numbers keep every
character, because in FHIR "1.10" and "1.1" differ in precision (FHIR R4 §2.24.0.1, decimal).
What is sealed and what is opened again are these bytes. Knows JSON only, no resource.

Errors point at the place and never repeat content: exceptions of the JSON library hold the whole
document, so none of them is kept as a context.
"""

import json
import re
from json.encoder import encode_basestring
from typing import Final, NoReturn, TypeAlias

from chain.errors import InvalidMessage

DOCUMENT_BYTES_MAX: Final = 16 << 20
DEPTH_MAX: Final = 64
NUMBER_TEXT_MAX: Final = 64

_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}\Z")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class Number:
    """A JSON number as its text. It never becomes a float, so nothing is rounded or respelled."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return "Number(…)"


Value: TypeAlias = "dict[str, Value] | list[Value] | str | Number | bool | None"


class _RepeatedKey:
    """Stands where an object named a key twice, until the walk knows where that was."""


class _ConstantFound(Exception):  # noqa: N818 - a signal inside this module
    """NaN or an infinity: JavaScript, not JSON."""


def parse(raw: bytes, field: str = "") -> Value:
    """The value in `raw`; `InvalidMessage` (`json.*`) with a pointer below `field` where refused.

    Refuses what is not UTF-8, not JSON (RFC 8259), larger than `DOCUMENT_BYTES_MAX` or deeper than
    `DEPTH_MAX`, objects that name a key twice, and lone surrogates.
    """
    if len(raw) > DOCUMENT_BYTES_MAX:
        raise InvalidMessage(
            "json.too_large", field, f"{len(raw)} bytes, at most {DOCUMENT_BYTES_MAX}"
        )
    value, refusal = _load(raw)
    if refusal is not None:
        raise InvalidMessage(refusal[0], field, refusal[1])
    _check(value, field, 0)
    return value


def canonical(value: Value) -> bytes:
    """The one spelling of `value`."""
    pieces: list[str] = []
    _write(value, pieces)
    return "".join(pieces).encode()


def below(field: str, key: str) -> str:
    """The pointer to member `key` of the object at `field`; odd keys are not repeated."""
    name = key if _PLAIN_KEY.match(key) else "?"
    return f"{field}.{name}" if field else name


def _load(raw: bytes) -> tuple[Value, tuple[str, str] | None]:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return None, ("json.not_utf8", f"byte {error.start} is not UTF-8")
    try:
        return _DECODER.decode(text), None
    except json.JSONDecodeError as error:
        return None, ("json.malformed", f"not JSON at line {error.lineno}, column {error.colno}")
    except RecursionError:
        return None, ("json.too_deep", f"at most {DEPTH_MAX} levels")
    except _ConstantFound:
        return None, ("json.malformed", "NaN and infinities are not JSON")


def _object(pairs: list[tuple[str, Value]]) -> object:
    members = dict(pairs)
    return members if len(members) == len(pairs) else _RepeatedKey()


def _constant(_: str) -> NoReturn:
    raise _ConstantFound


_DECODER: Final = json.JSONDecoder(
    parse_float=Number, parse_int=Number, parse_constant=_constant, object_pairs_hook=_object
)


def _check(value: object, field: str, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise InvalidMessage("json.too_deep", field, f"at most {DEPTH_MAX} levels")
    match value:
        case dict():
            for key, member in value.items():
                here = below(field, key)
                _check_text(key, here)
                _check(member, here, depth + 1)
        case list():
            for index, item in enumerate(value):
                _check(item, f"{field}[{index}]", depth + 1)
        case str():
            _check_text(value, field)
        case Number():
            if len(value.text) > NUMBER_TEXT_MAX:
                raise InvalidMessage(
                    "json.number_too_long", field, f"at most {NUMBER_TEXT_MAX} characters"
                )
        case _RepeatedKey():
            raise InvalidMessage("json.repeated_key", field, "an object that names a key twice")
        case _:
            pass


def _check_text(text: str, field: str) -> None:
    if not text.isascii() and _SURROGATE.search(text):
        raise InvalidMessage("json.lone_surrogate", field, "half of a surrogate pair")


def _write(value: Value, pieces: list[str]) -> None:
    match value:
        case dict():
            separator = "{"
            for key in sorted(value):
                pieces += (separator, encode_basestring(key), ":")
                _write(value[key], pieces)
                separator = ","
            pieces.append("}" if value else "{}")
        case list():
            separator = "["
            for item in value:
                pieces.append(separator)
                _write(item, pieces)
                separator = ","
            pieces.append("]" if value else "[]")
        case str():
            pieces.append(encode_basestring(value))
        case Number():
            pieces.append(value.text)
        case None:
            pieces.append("null")
        case bool():
            pieces.append("true" if value else "false")
