"""What `_include` brings along with resources that the ledger keeps: records that these refer to.

Of the records only those that the reader may see, logged before they are opened, as everywhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from node.gateway.catalogue import View
from node.gateway.fhir.identity import to_pseudonym, to_record
from node.gateway.fhir.search.criteria import Include
from node.gateway.fhir.search.extract import extract
from node.gateway.fhir.search.index import INCLUDED_MAX
from node.gateway.fhir.search.query import Query
from node.gateway.reading import Opened
from node.gateway.refusals import Unavailable
from node.gateway.rest.exchange import Exchange, Resource

_PATIENT: Final = "Patient"


@dataclass(frozen=True, slots=True, repr=False)
class Joined:
    """`truncated`: more belongs to the page than comes along."""

    opened: tuple[Opened, ...]
    truncated: bool


async def joined(exchange: Exchange, query: Query, resources: Sequence[Resource]) -> Joined:
    """The records to which `resources`, one page of `query`, refer as its includes say.

    Raises `Unavailable` where one of them cannot be opened now.
    """
    includes = [each for each in query.includes if each.source == query.type]
    if not includes or not resources:
        return Joined((), truncated=False)

    def look() -> list[bytes]:
        with exchange.gateway.catalogue.view(exchange.reader) as view:
            named = dict.fromkeys(
                record for each in resources for record in _named(exchange, view, includes, each)
            )
        return list(named)

    records = await exchange.in_thread(look)
    outcomes = await exchange.gateway.reading.outcomes(exchange.reader, records[:INCLUDED_MAX])
    for each in outcomes:
        if isinstance(each, Unavailable):
            raise each
    opened = tuple(each for each in outcomes if isinstance(each, Opened))
    return Joined(opened, truncated=len(records) > INCLUDED_MAX)


def _named(
    exchange: Exchange, view: View, includes: Sequence[Include], resource: Resource
) -> Iterator[bytes]:
    """The records that are here, that the reader may see, and whose type the token allows."""
    references = extract(resource).references
    for include in includes:
        names = references if include.parameter is None else (include.parameter.name,)
        for name in names:
            for kind, fhir_id in references.get(name, ()):
                if include.target not in {"", kind} or not exchange.may("r", kind):
                    continue
                record = _record(view, kind, fhir_id)
                if record is not None and view.type_seen(record) == kind:
                    yield record


def _record(view: View, kind: str, fhir_id: str) -> bytes | None:
    """A Patient goes by his record, or by his pseudonym."""
    owner = to_pseudonym(fhir_id) if kind == _PATIENT else None
    if owner is None:
        return to_record(fhir_id)
    return next(iter(view.everything(owner, None, (_PATIENT,))), None)
