"""Path and query parameters: one spelling each, checked before a route runs.

A parameter that a route does not declare, or that comes twice, is refused.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from aiohttp import web

from node.api.limits import QUERY_TEXT_MAX, STATE_KEY_BYTES_MAX
from node.api.problems import Problem


@dataclass(frozen=True, slots=True)
class Parameter:
    """`parse` gives the value, or raises ValueError; `schema` says the same to readers."""

    name: str
    place: Literal["path", "query"]
    parse: Callable[[str], Any]
    schema: Mapping[str, Any]
    description: str
    default: Any = None


def identifier(name: str, bytes_count: int, description: str) -> Parameter:
    """An id or a hash in the path: lower-case hex of exactly `bytes_count` bytes."""
    pattern = f"^[0-9a-f]{{{2 * bytes_count}}}$"
    return Parameter(
        name,
        "path",
        lambda text: _hex(text, bytes_count, bytes_count),
        {"type": "string", "pattern": pattern},
        description,
    )


def state_key(name: str) -> Parameter:
    """A key of the state, in hex."""
    return Parameter(
        name,
        "path",
        lambda text: _hex(text, 1, STATE_KEY_BYTES_MAX),
        {"type": "string", "pattern": f"^([0-9a-f]{{2}}){{1,{STATE_KEY_BYTES_MAX}}}$"},
        "key of the state",
    )


def number(
    name: str, least: int, most: int, description: str, default: int | None = None
) -> Parameter:
    """A decimal number in the query."""
    schema: dict[str, Any] = {"type": "integer", "minimum": least, "maximum": most}
    if default is not None:
        schema["default"] = default
    return Parameter(
        name, "query", lambda text: _number(text, least, most), schema, description, default
    )


def choice(name: str, choices: Sequence[str], default: str, description: str) -> Parameter:
    """One of a few words in the query."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError
        return text

    return Parameter(
        name,
        "query",
        parse,
        {"type": "string", "enum": list(choices), "default": default},
        description,
        default,
    )


def cursor(name: str, bytes_count: int, description: str) -> Parameter:
    """An id in the query, or none (empty): after which a page goes on, or who is asked about."""
    return Parameter(
        name,
        "query",
        lambda text: _hex(text, bytes_count, bytes_count),
        {"type": "string", "pattern": f"^[0-9a-f]{{{2 * bytes_count}}}$"},
        description,
        b"",
    )


def block(name: str) -> Parameter:
    """A height, a block's hash, or the word `latest`."""
    return Parameter(
        name,
        "path",
        _block,
        {"type": "string", "pattern": f"^(latest|{_DECIMAL}|[0-9a-f]{{64}})$"},
        "a height, a block hash in hex, or latest",
    )


def named(
    name: str, parse: Callable[[str], str], description: str, place: Literal["path", "query"]
) -> Parameter:
    """A name of something, in any form that `parse` takes to its one spelling."""
    schema = {"type": "string", "minLength": 1, "maxLength": QUERY_TEXT_MAX}
    return Parameter(name, place, parse, schema, description, "" if place == "query" else None)


_DECIMAL: Final = "(0|[1-9][0-9]{0,18})"


def read(
    declared: Sequence[Parameter], request: web.Request, *, whole_query: bool = True
) -> dict[str, Any]:
    """The arguments of `request`, by name. Without `whole_query` the rest of the query is
    somebody else's to read."""
    known = {each.name for each in declared if each.place == "query"}
    for name in request.query if whole_query else ():
        if name not in known:
            raise _refused("query", "a parameter with no meaning here", "unknown_parameter")
    return {each.name: _read(each, request) for each in declared}


def _read(parameter: Parameter, request: web.Request) -> Any:
    if parameter.place == "path":
        texts = [request.match_info[parameter.name]]
    else:
        texts = request.query.getall(parameter.name, [])
    if not texts:
        return parameter.default
    field = f"{parameter.place}.{parameter.name}"
    if len(texts) > 1 or len(texts[0]) > QUERY_TEXT_MAX:
        raise _refused(field, "once, and short", "wrong_parameter")
    try:
        return parameter.parse(texts[0])
    except ValueError:
        raise _refused(field, parameter.description, "wrong_parameter") from None


def _refused(field: str, expected: str, code: str) -> Problem:
    return Problem(
        400, f"http.{code}", f"expected: {expected}", field=field, fix="see /openapi.json"
    )


def _hex(text: str, least: int, most: int) -> bytes:
    raw = bytes.fromhex(text)
    if raw.hex() != text or not least <= len(raw) <= most:
        raise ValueError
    return raw


def _number(text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or str(int(text)) != text:
        raise ValueError
    value = int(text)
    if not least <= value <= most:
        raise ValueError
    return value


def _block(text: str) -> int | bytes | None:
    """A height, a hash, or None for the latest."""
    if text == "latest":
        return None
    if len(text) == 64:
        return _hex(text, 32, 32)
    return _number(text, 0, 2**63 - 1)
