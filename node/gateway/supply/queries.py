"""Named queries: views on the events, kept until somebody deletes them (EPCIS 2.0 §12.7)."""

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from client.fhir_json import Value, canonical
from node.gateway.epcis.problem import EpcisProblem, no_such
from node.gateway.epcis.query import Asker, Query, from_document
from node.gateway.office import Office
from node.gateway.shelf import Shelf
from node.gateway.supply.standing import NAME, NAMED_QUERY, QUERY_BYTES_MAX, RESERVED, NamedQuery

QUERIES_MAX: Final = 1_000
QUERIES_CALLER_MAX: Final = 128


class Queries:
    """One for each gateway."""

    def __init__(self, office: Office, shelf: Shelf) -> None:
        self._office = office
        self._shelf = shelf
        self._queries = {
            query.name: query for query in (NAMED_QUERY.decode(raw) for _, raw in shelf.items())
        }
        self._changing = asyncio.Lock()

    async def create(self, caller: bytes, document: Mapping[str, Value]) -> NamedQuery:
        """A new one, durable at return, from `{"name": …, "query": {…}}`. Raises `EpcisProblem`."""
        name, definition = document.get("name"), document.get("query")
        if not isinstance(name, str) or not re.match(NAME, name) or name in RESERVED:
            raise _invalid("a name of 1 to 64 letters, digits and ._~-", "name")
        if not isinstance(definition, dict):
            raise _invalid("a query: an object of parameters", "query")
        if not set(document) <= {"name", "query", "@context"}:
            raise _invalid("name and query, and nothing else", "body")
        if "@context" in document and "@context" not in definition:
            definition = {"@context": document["@context"], **definition}
        from_document(definition, Asker(self.this_year()))
        raw = canonical(definition)
        if len(raw) > QUERY_BYTES_MAX:
            raise _invalid(f"a query of at most {QUERY_BYTES_MAX} bytes", "query")
        query = NamedQuery(name, caller, self._office.clock.wall_ms(), raw)
        async with self._changing:
            self._check_room(query)
            await self._office.backend.in_thread(
                lambda: self._shelf.put(name.encode(), NAMED_QUERY.encode(query))
            )
            self._queries[name] = query
        return query

    def _check_room(self, query: NamedQuery) -> None:
        if query.name in self._queries:
            raise EpcisProblem(
                409,
                "ResourceAlreadyExistsException",
                "epcis.query_exists",
                "there is a query of that name",
                field="name",
                fix="choose another, or delete that one first",
            )
        own = sum(each.caller == query.caller for each in self._queries.values())
        if len(self._queries) >= QUERIES_MAX or own >= QUERIES_CALLER_MAX:
            raise EpcisProblem(
                429,
                "ImplementationException",
                "epcis.too_many_queries",
                f"at most {QUERIES_CALLER_MAX} queries a caller, {QUERIES_MAX} in all",
                fix="delete one first",
            )

    def get(self, name: str) -> NamedQuery:
        """The query of that name; `EpcisProblem` (404) where there is none."""
        found = self._queries.get(name)
        if found is None:
            raise no_such("query", "path.queryName")
        return found

    def find(self, name: str) -> NamedQuery | None:
        """The same; None where there is none."""
        return self._queries.get(name)

    def understood(self, name: str) -> Query:
        """What the query of that name asks."""
        return self.get(name).query(self.this_year())

    def all(self) -> list[NamedQuery]:
        """In the order of their names."""
        return [self._queries[name] for name in sorted(self._queries)]

    async def delete(self, name: str) -> None:
        """Gone, durably, at return."""
        async with self._changing:
            self.get(name)
            await self._office.backend.in_thread(lambda: self._shelf.remove(name.encode()))
            del self._queries[name]

    def this_year(self) -> int:
        """Of the wall clock."""
        return datetime.fromtimestamp(self._office.clock.wall_ms() / 1_000, UTC).year


def _invalid(expected: str, where: str) -> EpcisProblem:
    return EpcisProblem(
        400, "ValidationException", "epcis.wrong_query", f"expected: {expected}", field=where
    )
