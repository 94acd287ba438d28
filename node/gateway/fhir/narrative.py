"""Is a narrative plain XHTML that a browser may show? (FHIR R4 §2.4, txt-1 and txt-2.)

One `div`, well-formed, of the formatting elements and attributes that the standard allows: no
script, no form, no event, no link that runs something. What is allowed is listed; all else is not.
"""

import re
from typing import Final
from xml.parsers import expat

DEPTH_MAX: Final = 64


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ELEMENTS: Final = _names(
    "a abbr acronym address area b bdo big blockquote br caption cite code col colgroup dd del "
    "dfn div dl dt em h1 h2 h3 h4 h5 h6 hr i img ins kbd li map ol p pre q s samp small span "
    "strike strong sub sup table tbody td tfoot th thead tr tt u ul var"
)
_ATTRIBUTES: Final = _names(
    "abbr align alt axis border cellpadding cellspacing char charoff cite class clear color "
    "cols colspan compact coords datetime dir frame headers height href hreflang id lang name "
    "noshade nowrap rel rowspan rows rules scope shape size span src start style summary "
    "tabindex title type usemap valign value width xml:lang xml:space xmlns"
)
_LINKS: Final = frozenset({"cite", "href", "src"})
_LINK: Final = re.compile(
    r"(?:(?:https?|mailto|tel|urn):|data:image/|[^:]*\Z|[^:/?#]*[/?#])", re.IGNORECASE
)
_RUNNING_STYLE: Final = re.compile(
    r"expression|javascript|behavior|@import|-moz-binding", re.IGNORECASE
)
_XHTML: Final = "http://www.w3.org/1999/xhtml"


class _Refused(Exception):  # noqa: N818 - a signal inside this module
    """Something that is not allowed; the argument says what, without repeating it."""


class _Reader:
    """Follows the events of one document."""

    def __init__(self) -> None:
        self.says_something = False
        self._depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self._depth == 0 and name != "div":
            raise _Refused("one div expected")
        if name not in _ELEMENTS:
            raise _Refused("an element that narratives may not have")
        for attribute, value in attributes.items():
            _check_attribute(attribute, value)
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise _Refused(f"at most {DEPTH_MAX} levels")
        self.says_something = self.says_something or name == "img"

    def end(self, _: str) -> None:
        self._depth -= 1

    def text(self, text: str) -> None:
        self.says_something = self.says_something or not text.isspace()

    def entity(self, _name: str, _parameter: object) -> None:
        """A named entity of XHTML, such as &nbsp;."""

    def refuse(self, *_: object) -> None:
        raise _Refused("no declarations and no processing instructions")


def fault(div: str) -> tuple[str, str] | None:
    """(invariant, what is wrong) with the XHTML in `div`; None where nothing is."""
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.UseForeignDTD(True)  # XHTML's named entities are no errors then
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.SkippedEntityHandler = reader.entity
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.EntityDeclHandler = reader.refuse
    parser.ProcessingInstructionHandler = reader.refuse
    parser.XmlDeclHandler = reader.refuse
    try:
        parser.Parse(div.strip(), True)
    except _Refused as refused:
        return "txt-1", str(refused)
    except (expat.ExpatError, ValueError):
        return "txt-1", "well-formed XHTML expected"
    return None if reader.says_something else ("txt-2", "a text that says something expected")


def _check_attribute(name: str, value: str) -> None:
    if name not in _ATTRIBUTES:
        raise _Refused("an attribute that narratives may not have")
    if name == "xmlns" and value != _XHTML:
        raise _Refused("the namespace of XHTML expected")
    if name in _LINKS and not _LINK.match(value.strip()):
        raise _Refused("a link of a kind that narratives may not have")
    if name == "style" and _RUNNING_STYLE.search(value):
        raise _Refused("a style that runs something")
