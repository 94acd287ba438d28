"""One identifier out of whatever form it was given in: EPC URN, GS1 Digital Link, canonical text.

Things, classes, places, parties and documents alike. What CBV 2.0 section 8 permits besides GS1
keys (UUIDs, private http URIs and URNs, `geo:`) is its own canonical text. Who wants one form of
all takes `Identifier.text`; `as_digital_link` and `as_urn` lead back.
"""

import re
from typing import Final

from chain.errors import InvalidMessage
from client.epcis.digital_link import as_digital_link, parse_link, parse_path
from client.epcis.keys import Identifier, Kind
from client.epcis.urn import PREFIX, as_urn, parse_urn

__all__ = ["URI_CHARS_MAX", "Identifier", "Kind", "as_digital_link", "as_urn", "parse_identifier"]

URI_CHARS_MAX: Final = 512

_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20\x7f<>\"{}|\\^`]+\Z")
_PATH: Final = re.compile(r"[0-9]{2,4}/")


def parse_identifier(text: str, where: str = "") -> Identifier:
    """The identifier in `text`.

    Raises `InvalidMessage` (`identifier.*`) at `where` for what is no URI, an unknown EPC scheme,
    a compressed link, and a key of wrong length, check digit or characters.
    """
    if len(text) > URI_CHARS_MAX:
        raise InvalidMessage("identifier.too_long", where, f"at most {URI_CHARS_MAX} characters")
    if _PATH.match(text):
        return parse_path(text, where)
    if not is_uri(text):
        raise InvalidMessage("identifier.not_a_uri", where, "a URI")
    scheme = text[: len(PREFIX)].lower()
    if scheme == PREFIX:
        return parse_urn(text, where)
    if scheme.startswith(("http:", "https:")):
        return parse_link(text, where) or Identifier(Kind.URI, text)
    return Identifier(Kind.URI, text)


def is_uri(text: str) -> bool:
    """Whether `text` has the shape of an absolute URI (RFC 3986 3, not resolved)."""
    return _URI.match(text) is not None
