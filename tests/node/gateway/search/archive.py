"""A small archive of resources with short names, and searches as a client writes them."""

import json
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from client.fhir_json import Value, parse
from node.gateway.fhir.search.documents import Listing
from node.gateway.fhir.search.evaluation import Visible
from node.gateway.fhir.search.extract import extract_bytes
from node.gateway.fhir.search.index import Found, Index, Position
from node.gateway.fhir.search.query import Query, decode_pairs, parse_query

FHIR = Path(__file__).parents[5] / "shared" / "data" / "fhir"
NOW_MS = 1_700_000_000_000
"""14 November 2023."""


def named(name: str) -> bytes:
    """The 16 bytes of whatever has this name."""
    return sha256(name.encode()).digest()[:16]


LIZ, BOB = named("liz"), named("bob")
HOSPITAL_A, HOSPITAL_B = named("hospital-a"), named("hospital-b")
GENERAL, SENSITIVE = named("general"), named("sensitive")
EVERYTHING = Visible(lambda owner, category, author: True)


def value(resource: dict[str, Any]) -> dict[str, Value]:
    """A resource as the gateway holds it: numbers as they were written."""
    read = parse(json.dumps(resource).encode())
    assert isinstance(read, dict)
    return read


def query_of(resource_type: str, text: str = "", **options: Any) -> Query:
    return parse_query(resource_type, decode_pairs(text), NOW_MS, **options)


class Archive:
    """Records are named by what they are put as; answers name them so."""

    def __init__(self, *, short_lived: bool = False) -> None:
        self.index = Index(short_lived=short_lived)
        self.records: dict[str, bytes] = {}
        self.listings: dict[str, Listing] = {}
        self._names: dict[bytes, str] = {}

    def put(
        self,
        name: str,
        resource_type: str,
        owner: bytes = LIZ,
        /,
        author: bytes = HOSPITAL_A,
        category: bytes = GENERAL,
        at_ms: int = NOW_MS,
        record_id: str | None = None,
        **elements: Any,
    ) -> str:
        """Puts or amends `name`; the FHIR id."""
        record = self.records.setdefault(name, owner + named(name))
        self._names[record] = name
        before = self.index.version(record) or 0
        entry = extract_bytes(value({"resourceType": resource_type, **elements}))
        listing = Listing(record, before + 1, category, author, at_ms, entry, record_id)
        self.listings[name] = listing
        self.index.add(listing)
        return record_id or record.hex()

    def ask(
        self,
        resource_type: str,
        text: str = "",
        visible: Visible = EVERYTHING,
        position: Position | None = None,
    ) -> Found:
        return self.index.find(query_of(resource_type, text), visible, position)

    def names(self, records: Iterable[bytes]) -> list[str]:
        return [self._names[each] for each in records]

    def search(
        self, resource_type: str, text: str = "", visible: Visible = EVERYTHING
    ) -> list[str]:
        """The names of the matches of the first page, in their order."""
        return self.names(self.ask(resource_type, text, visible).matches)

    def found(self, resource_type: str, text: str = "") -> set[str]:
        return set(self.search(resource_type, text))

    def included(self, resource_type: str, text: str, visible: Visible = EVERYTHING) -> set[str]:
        return set(self.names(self.ask(resource_type, text, visible).included))
