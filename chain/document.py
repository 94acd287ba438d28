"""Records as JSON documents, for people and for the API: the same types, other clothes.

Identifiers and hashes are hex, other bytes base64url without padding, structs are objects with
their field names, a tagged struct names its kind in "type". Decoding is as strict as the binary
form and points at the field.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final, TypeVar, cast

import msgspec
from msgspec import inspect

from chain.codec import cause_of, field_pointer
from chain.errors import InvalidMessage

T = TypeVar("T")
TYPE_FIELD: Final = "type"


def to_document(value: Any) -> Any:
    """`value` (a `Record`, or plain JSON data) as JSON-ready data."""
    return _to(value, _type_info(type(value)))


def from_document(shape: type[T], document: Any, field: str = "") -> T:
    """The `shape` that `document` describes; `InvalidMessage` with a pointer where it does not."""
    plain = _from(document, _type_info(shape), field)
    try:
        return msgspec.convert(plain, shape)
    except msgspec.ValidationError as error:
        cause, path = cause_of(error)
        raise InvalidMessage(
            "document.wrong_value", field_pointer(shape, path, field), cause
        ) from None


def schema(shape: Any) -> dict[str, Any]:
    """The JSON Schema (2020-12) of the documents of `shape`, self-contained."""
    return _schema(_type_info(shape))


_TYPES: Final[dict[Any, inspect.Type]] = {}


def _type_info(shape: Any) -> inspect.Type:
    """`inspect.type_info`, remembered: as many entries as the program has shapes."""
    if shape not in _TYPES:
        _TYPES[shape] = inspect.type_info(shape)
    return _TYPES[shape]


def _is_hex(kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.UnionType):  # bytes, or nothing
        return any(map(_is_hex, kind.types))
    extra = kind.extra if isinstance(kind, inspect.Metadata) else None
    return bool(extra and extra.get("form") == "hex")


def _bare(kind: inspect.Type) -> inspect.Type:
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return kind


def _to(value: Any, kind: inspect.Type) -> Any:
    bare = _bare(kind)
    if isinstance(value, msgspec.Struct):
        return _struct_to(value, cast("inspect.StructType", _type_info(type(value))))
    if isinstance(value, bytes):
        return value.hex() if _is_hex(kind) else _base64url(value)
    if isinstance(value, tuple | list):
        item = (
            bare.item_type
            if isinstance(bare, inspect.VarTupleType | inspect.ListType)
            else inspect.AnyType()
        )
        return [_to(each, item) for each in value]
    if isinstance(value, dict):
        return {key: _to(each, inspect.AnyType()) for key, each in value.items()}
    return value


def _struct_to(value: msgspec.Struct, kind: inspect.StructType) -> dict[str, Any]:
    document = {} if kind.tag is None else {TYPE_FIELD: kind.tag}
    for each in kind.fields:
        document[each.name] = _to(getattr(value, each.name), each.type)
    return document


def _from(document: Any, kind: inspect.Type, field: str) -> Any:
    """Rebuilds the nested plain form that `msgspec.convert` takes for array-like structs."""
    bare = _bare(kind)
    match bare:
        case inspect.StructType():
            return _struct_from(document, bare, field)
        case inspect.UnionType():
            return _union_from(document, bare, field)
        case inspect.VarTupleType() | inspect.ListType():
            if not isinstance(document, list):
                raise InvalidMessage("document.wrong_type", field, "an array expected")
            return [
                _from(each, bare.item_type, f"{field}[{index}]")
                for index, each in enumerate(document)
            ]
        case inspect.BytesType():
            return _bytes_from(document, hexadecimal=_is_hex(kind), field=field)
        case _:
            return document


def _struct_from(document: Any, kind: inspect.StructType, field: str) -> list[Any]:
    if not isinstance(document, Mapping):
        raise InvalidMessage("document.wrong_type", field, "an object expected")
    known = {each.name for each in kind.fields}
    if kind.tag is not None:
        known.add(TYPE_FIELD)
    for number, name in enumerate(document, start=1):
        if name not in known:
            # The sender's own word is never repeated, so the place has to say which one it is.
            raise InvalidMessage(
                "document.unknown_field",
                f"{field}.*".lstrip("."),
                f"field number {number} has no meaning here; known are {', '.join(sorted(known))}",
            )
    values: list[Any] = [] if kind.tag is None else [kind.tag]
    for each in kind.fields:
        here = f"{field}.{each.name}" if field else each.name
        if each.name in document:
            values.append(_from(document[each.name], each.type, here))
        elif not each.required:
            values.append(_default(each))
        else:
            raise InvalidMessage("document.missing_field", here)
    return values


def _default(field: inspect.Field) -> Any:
    value = field.default
    return msgspec.to_builtins(value, builtin_types=(bytes,))


def _union_from(document: Any, kind: inspect.UnionType, field: str) -> Any:
    if document is None and kind.includes_none:
        return None
    structs = [each for each in map(_bare, kind.types) if isinstance(each, inspect.StructType)]
    if len(structs) == 1 and structs[0].tag is None:
        return _struct_from(document, structs[0], field)
    if structs and isinstance(document, Mapping):
        for struct in structs:
            if struct.tag == document.get(TYPE_FIELD):
                return _struct_from(document, struct, field)
        raise InvalidMessage("document.unknown_type", f"{field}.{TYPE_FIELD}".lstrip("."))
    for each in kind.types:
        if not isinstance(_bare(each), inspect.NoneType):
            return _from(document, each, field)
    return document


def _bytes_from(document: Any, *, hexadecimal: bool, field: str) -> bytes:
    if not isinstance(document, str):
        raise InvalidMessage("document.wrong_type", field, "a string expected")
    try:
        raw = bytes.fromhex(document) if hexadecimal else _unbase64url(document)
    except (ValueError, binascii.Error):
        form = "hex" if hexadecimal else "base64url"
        raise InvalidMessage("document.wrong_value", field, f"{form} expected") from None
    if document != (raw.hex() if hexadecimal else _base64url(raw)):
        raise InvalidMessage("document.wrong_value", field, "not in its one spelling")
    return raw


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _unbase64url(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _schema(kind: inspect.Type) -> dict[str, Any]:  # noqa: C901, PLR0911 - one visible match
    bare = _bare(kind)
    match bare:
        case inspect.StructType():
            return _struct_schema(bare)
        case inspect.UnionType():
            return {"anyOf": [_schema(each) for each in bare.types]}
        case inspect.VarTupleType() | inspect.ListType():
            bounds = {"minItems": bare.min_length, "maxItems": bare.max_length}
            return {"type": "array", "items": _schema(bare.item_type)} | _stated(bounds)
        case inspect.BytesType():
            return _bytes_schema(bare, hexadecimal=_is_hex(kind))
        case inspect.IntType():
            return {"type": "integer"} | _stated({"minimum": bare.ge, "maximum": bare.le})
        case inspect.StrType():
            bounds = {"minLength": bare.min_length, "maxLength": bare.max_length}
            pattern = bare.pattern and bare.pattern.replace(r"\Z", "$")
            return {"type": "string"} | _stated(bounds | {"pattern": pattern})
        case inspect.LiteralType():
            return {"enum": list(bare.values)}
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.NoneType():
            return {"type": "null"}
        case inspect.DictType():
            return {"type": "object", "additionalProperties": _schema(bare.value_type)}
        case _:
            return {}


def _struct_schema(kind: inspect.StructType) -> dict[str, Any]:
    properties = {each.name: _schema(each.type) for each in kind.fields}
    required = [each.name for each in kind.fields if each.required]
    if kind.tag is not None:
        properties = {TYPE_FIELD: {"const": kind.tag}} | properties
        required = [TYPE_FIELD, *required]
    return {
        "type": "object",
        "title": kind.cls.__name__,
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _bytes_schema(kind: inspect.BytesType, *, hexadecimal: bool) -> dict[str, Any]:
    if not hexadecimal:
        return {"type": "string", "contentEncoding": "base64url", "pattern": "^[A-Za-z0-9_-]*$"}
    bounds = f"{2 * (kind.min_length or 0)},{2 * kind.max_length if kind.max_length else ''}"
    return {"type": "string", "pattern": f"^[0-9a-f]{{{bounds}}}$"}


def _stated(bounds: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in bounds.items() if value is not None}
