"""GS1 Digital Link URIs: `https://id.gs1.org/01/09521141012345/21/2017`, of any domain.

Source: GS1 Digital Link Standard, URI Syntax 4 (structure, custom domains with a path before the
key, query strings that identify nothing), and its compression chapter, which we refuse.

A private URI may look like a link. On id.gs1.org all is a link; elsewhere a path is one where a
key and a value of at least six digits (the shortest company prefix) are followed by pairs only.
There a fault in a key that the supply chain's rules are about (trade items, logistic units,
places, parties) is refused, and another key that is none remains the private URI that it is.
"""

import re
from itertools import pairwise
from typing import Final
from urllib.parse import unquote, urlsplit

from chain.errors import InvalidMessage
from client.epcis.keys import KEYS, Identifier, Kind, from_elements

DOMAIN: Final = "https://id.gs1.org/"

_GS1_HOST: Final = "id.gs1.org"
_LEADING_DIGITS: Final = re.compile(r"[0-9]{6}")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_COMPRESSED: Final = re.compile(r"[A-Za-z0-9_-]{8,}\Z")
_ALWAYS_A_KEY: Final = frozenset({"00", "01", "414", "417", "8006"})


def as_digital_link(identifier: Identifier) -> str:
    """The canonical link, below id.gs1.org; a private URI is its own."""
    return identifier.text if identifier.kind is Kind.URI else DOMAIN + identifier.text


def parse_link(text: str, where: str = "") -> Identifier | None:
    """The identifier in an http(s) URI, or None where it is a private URI.

    Raises `InvalidMessage` (`identifier.*`) at `where` for a link that is not in order, a
    compressed one included.
    """
    host, path = _split(text, where)
    segments = path.split("/")[1:]
    if host == _GS1_HOST:
        return _on_gs1(segments, where)
    start = _start(segments)
    if start is None:
        return None
    try:
        return parse_path("/".join(segments[start:]), where)
    except InvalidMessage:
        if segments[start] in _ALWAYS_A_KEY:
            raise
        return None


def parse_path(path: str, where: str = "") -> Identifier:
    """The identifier in `AI/value/AI/value…`, which is how canonical texts look."""
    segments = path.split("/")
    if len(segments) % 2:
        if segments[0] in KEYS and _COMPRESSED.match(segments[-1]):
            raise _compressed(where)
        raise InvalidMessage("identifier.shape", where, "pairs of AI and value")
    values = [_decode(segment, where) for segment in segments[1::2]]
    return from_elements(list(zip(segments[::2], values, strict=True)), where)


def _split(text: str, where: str) -> tuple[str, str]:
    """Host and path of an http(s) URI."""
    try:
        parts = urlsplit(text)
        if parts.hostname and "@" not in parts.netloc:
            return parts.hostname, parts.path
    except ValueError:
        pass
    raise InvalidMessage("identifier.not_a_uri", where, "an http URI names a host, and no user")


def _on_gs1(segments: list[str], where: str) -> Identifier:
    if len(segments) == 1 and _COMPRESSED.match(segments[0]):
        raise _compressed(where)
    return parse_path("/".join(segments), where)


def _start(segments: list[str]) -> int | None:
    for at, (ai, value) in enumerate(pairwise(segments)):
        if ai in KEYS and _LEADING_DIGITS.match(value):
            return at
    return None


def _decode(segment: str, where: str) -> str:
    if _BAD_ESCAPE.search(segment):
        raise InvalidMessage("identifier.character", where, "a percent sign that escapes nothing")
    return unquote(segment, errors="replace")


def _compressed(where: str) -> InvalidMessage:
    return InvalidMessage(
        "identifier.compressed", where, "compressed links are not read; give the link uncompressed"
    )
