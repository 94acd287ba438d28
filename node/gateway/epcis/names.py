"""One spelling for whatever events and queries call a thing, a place, a word or a field.

A scanner's element string, an EPC URN, a Digital Link and our canonical text name one thing; a word
of the CBV stands bare, as a URN, as a web URI or behind the prefix `cbv:`. Here each becomes one
text, by which it is found. What is no GS1 key and no word of the CBV is its own name.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from chain.errors import InvalidMessage
from client.epcis.barcode import read_barcode
from client.epcis.identifiers import parse_identifier
from client.epcis.vocabulary import Vocabulary

Prefixes = Mapping[str, str]
"""What a prefix of a JSON-LD context stands for."""

STANDARD_PREFIXES: Final[Prefixes] = MappingProxyType(
    {
        "cbv": "https://ref.gs1.org/cbv/",
        "cbvmda": "urn:epcglobal:cbv:mda:",
        "epcis": "https://ref.gs1.org/epcis/",
        "gs1": "https://gs1.org/voc/",
    }
)
"""Those that every EPCIS document knows without saying so (EPCIS 2.0 §10.3)."""
_CURIE: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]*):(?!//)([^/].*|)\Z")
_EVENT_TYPE: Final = re.compile(r"(?:epcis:|https?://(?:ref|ns)\.gs1\.org/epcis/)(?=[A-Za-z]+\Z)")
_SYMBOL: Final = ("(", "]")
_FIELD_END: Final = re.compile(r"(.*)[#/:]([^#/:]+)\Z", re.DOTALL)


def thing(text: str) -> str:
    """The canonical name of an item, class, place, party or document."""
    try:
        return parse_identifier(text).text
    except InvalidMessage:
        return text


def asked_thing(text: str, this_year: int) -> str:
    """As `thing`, for what a person or a scanner asks about in `this_year`: an element string as
    well."""
    if text.startswith(_SYMBOL) or text.isdigit():
        try:
            return read_barcode(text, this_year).item.text
        except InvalidMessage:
            return text
    return thing(text)


def word(vocabulary: Vocabulary | None, text: str, prefixes: Prefixes = STANDARD_PREFIXES) -> str:
    """A word of the standard bare (`shipping`); one of somebody's own as its whole URI."""
    if vocabulary is None:
        return _EVENT_TYPE.sub("", text) if _EVENT_TYPE.match(text) else expanded(text, prefixes)
    try:
        return vocabulary.normalise(expanded(vocabulary.normalise(text), prefixes))
    except InvalidMessage:
        return expanded(text, prefixes)


def expanded(text: str, prefixes: Prefixes) -> str:
    """`text` with its prefix spelled out, where `prefixes` know it."""
    found = _CURIE.match(text)
    if found is None or found[1] not in prefixes:
        return text
    return prefixes[found[1]] + found[2]


def shortened(text: str, prefixes: Prefixes) -> tuple[str, str | None]:
    """`text` behind the longest of `prefixes` that fits, and that prefix; as it is, and None, where
    none does."""
    fitting = [each for each in prefixes if text.startswith(prefixes[each])]
    prefix = max(fitting, key=lambda each: len(prefixes[each]), default=None)
    if prefix is None:
        return text, None
    short = f"{prefix}:{text.removeprefix(prefixes[prefix])}"
    return (short, prefix) if expanded(short, prefixes) == text else (text, None)


def field(name: str, prefixes: Prefixes) -> str:
    """The name of a field of somebody's own: `namespace#local`, without the sign that ended the
    namespace, because JSON-LD joins the two without one and EPCIS 1 joined them with "#"."""
    whole = expanded(name, prefixes)
    found = _FIELD_END.match(whole)
    if found is None:
        return whole
    return f"{found[1].rstrip('#/:')}#{found[2]}"


def prefixes_of(context: object) -> dict[str, str]:
    """The prefixes that an `@context` declares beside the standard ones."""
    declared: dict[str, str] = dict(STANDARD_PREFIXES)
    for each in context if isinstance(context, list) else [context]:
        if not isinstance(each, dict):
            continue
        for name, said in each.items():
            stands_for = said.get("@id") if isinstance(said, dict) else said
            if isinstance(stands_for, str) and not name.startswith("@"):
                declared[name] = stands_for
    return declared
