"""How text is compared: without case, accents and odd spaces, and the same in every locale."""

import unicodedata
from typing import Final

TEXT_CHARACTERS_MAX: Final = 512
"""Of a string that is indexed or searched for: what lies behind is not looked at."""


def fold(text: str) -> str:
    """`text` as strings are compared (FHIR R4 §3.1.1.4.8: case and accents do not count)."""
    text = text[:TEXT_CHARACTERS_MAX]
    if text.isascii():
        return " ".join(text.lower().split())
    # Case first: the capital I with a dot folds to two characters, the second of which is a mark.
    parts = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(each for each in parts if not unicodedata.combining(each))
    return " ".join(bare.casefold().split())[:TEXT_CHARACTERS_MAX]


def fold_code(code: str) -> str:
    """`code` as tokens are compared: without case (FHIR R4 §3.1.1.4.10, when in doubt), accents
    count."""
    code = code.strip()
    return code.lower() if code.isascii() else unicodedata.normalize("NFC", code.casefold())
