"""How references are spelled (FHIR R4 §2.3.0.5), and the ids that name records in them."""

import re
from typing import Final

OWNER_HEX: Final = re.compile(r"[0-9a-f]{32}\Z")
RECORD_HEX: Final = re.compile(r"[0-9a-f]{64}\Z")
URN_UUID: Final = "urn:uuid:"
_RELATIVE: Final = re.compile(
    r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?\Z"
)


def read_reference(text: str) -> tuple[str, str]:
    """(type, id) of a relative reference, its version left out; ("", text) of any other."""
    match = _RELATIVE.match(text)
    return (match.group(1), match.group(2)) if match else ("", text)


def reference_key(reference: tuple[str, str]) -> str:
    """The one spelling of a read reference."""
    resource_type, name = reference
    return f"{resource_type}/{name}" if resource_type else name
