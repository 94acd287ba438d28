"""What the index keeps of a resource: a compact record, canonical MessagePack.

It holds clinical content and names, so at rest it is for the vault alone. Each map goes from a
parameter's name to the values that the resource has for it.
"""

from typing import Final, TypeAlias

import msgspec

from chain.codec import Codec, Record
from chain.errors import InvalidMessage
from node.gateway.fhir.search.parameters import TABLE_EDITION, Parameter

ENTRY_BYTES_MAX: Final = 65_536

Token: TypeAlias = tuple[str, str]
"""(system, code), the code folded; "" for a system that there is not."""
Reference: TypeAlias = tuple[str, str]
"""(type, id) of a literal reference; ("", text) of any other: urn:uuid, absolute, canonical."""
Quantity: TypeAlias = tuple[str, str, str, str, str]
"""(low, high, system, code, unit), bounds as decimals, "" where open."""


class Entry(Record, frozen=True, gc=False):
    """One resource.

    `own_id` is the id that it was sealed with, if any. `texts` is what `:text` looks at,
    `identifiers` what `:identifier` does. `bare` are parameters whose element is there without a
    value to search for; `cut` those of which not all values are here.
    """

    edition: int
    type: str
    own_id: str
    tokens: dict[str, tuple[Token, ...]]
    texts: dict[str, tuple[str, ...]]
    dates: dict[str, tuple[tuple[int, int], ...]]
    strings: dict[str, tuple[str, ...]]
    references: dict[str, tuple[Reference, ...]]
    identifiers: dict[str, tuple[Token, ...]]
    quantities: dict[str, tuple[Quantity, ...]]
    bare: tuple[str, ...]
    cut: tuple[str, ...]

    def has(self, parameter: Parameter) -> bool:
        """Whether the resource has the element (`:missing=false`)."""
        name = parameter.name
        return (
            name in self.tokens
            or name in self.dates
            or name in self.strings
            or name in self.references
            or name in self.identifiers
            or name in self.quantities
            or name in self.bare
        )


ENTRY: Final = Codec[Entry](Entry, name="index_entry", bytes_max=ENTRY_BYTES_MAX)
_READ: Final = msgspec.msgpack.Decoder(Entry).decode


def decode_entry(raw: bytes) -> Entry:
    """The entry in bytes from outside of the index; `InvalidMessage` where they are none, or of
    another edition (`search.edition`: extract the resource anew)."""
    entry = ENTRY.decode(raw)
    if entry.edition != TABLE_EDITION:
        raise InvalidMessage("search.edition", "index_entry.edition", "extracted by another table")
    return entry


def reread(raw: bytes) -> Entry:
    """The entry in bytes that `decode_entry` has accepted before."""
    return _READ(memoryview(raw)[1:])
