"""From a query to a page: what is not known yet is opened, what is found is logged, then read.

All of one request is decided on one state. Where a consent changes between that and the log entry,
the request begins anew, so a page never tells what its reader may no longer see.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.decision import Decision
from ledger.ids import owner_of
from node.gateway.catalogue import Learnt, learnt_of
from node.gateway.fhir.identity import to_pseudonym, to_record
from node.gateway.fhir.search.criteria import (
    Criterion,
    Filter,
    ReferenceOperand,
    TokenOperand,
    parameters,
)
from node.gateway.fhir.search.index import Found, Position
from node.gateway.fhir.search.parameters import ID
from node.gateway.fhir.search.query import Query
from node.gateway.reading import Opened
from node.gateway.refusals import Denied, Erased, Retracted, TooLarge, Unavailable, Unknown
from node.gateway.rest.exchange import Exchange

TRIES_MAX: Final = 3
"""How often a request begins anew because what it rested on has changed meanwhile."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whom and what a query names: owners, and single records. What is known of everybody else is
    searched too, but nothing is opened for it."""

    owners: tuple[bytes, ...]
    records: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Page:
    """What was found, opened. `denials` are of patients of whom the reader may see nothing."""

    found: Found
    opened: Mapping[bytes, Opened]
    denials: tuple[Decision, ...]


def scope_of(query: Query) -> Scope:
    """What `query` names by id."""
    owners: dict[bytes, None] = {}
    records: dict[bytes, None] = {}
    for each in query.criteria:
        for resource_type, name in _ids(each):
            record, owner = to_record(name), to_pseudonym(name)
            if owner is not None and resource_type in {"", "Patient"}:
                owners[owner] = None
            elif record is not None and resource_type == "":
                records[record] = None
            elif record is not None:
                owners[owner_of(record)] = None
    if query.type == "Patient":
        # Who asks for a Patient by id wants him, whatever else is known of him.
        owners |= dict.fromkeys(owner_of(each) for each in records)
    return Scope(tuple(owners), tuple(records))


def _ids(criterion: Criterion) -> Iterable[tuple[str, str]]:
    """(type, id): the type is "" for the resource itself, where it is not a Patient."""
    if not isinstance(criterion, Filter) or criterion.modifier:
        return
    for operand in criterion.operands:
        match operand:
            case TokenOperand(code=str(code)) if criterion.parameter is ID:
                yield "", code
            case ReferenceOperand(type=kind, name=name) if criterion.parameter.compartment:
                if kind in {"", "Patient"}:
                    yield "Patient", name
            case _:
                pass


def check_scopes(exchange: Exchange, query: Query) -> None:
    """`FhirProblem` (403) where answering looks at what the token does not allow to search."""
    exchange.require("s", query.type, "http.type")
    for criterion in query.criteria:
        for resource_type, parameter in parameters(criterion, query.type):
            exchange.require("s", resource_type, f"http.{parameter.name}")


async def complete(exchange: Exchange, owner: bytes) -> dict[bytes, Opened]:
    """Opens, once it is logged, what the reader may see of `owner` and the catalogue lacks.

    Raises `Denied` where there is something, and nothing of it may be seen; `Unknown`, `Erased`,
    `Unavailable`.
    """
    catalogue = exchange.gateway.catalogue

    def lacking() -> tuple[bytes, ...]:
        with catalogue.view(exchange.reader) as view:
            return view.lacks(owner)

    return await open_known(exchange, await exchange.in_thread(lacking))


async def open_known(exchange: Exchange, records: Sequence[bytes]) -> dict[bytes, Opened]:
    """Opens `records`, as far as they may be seen, and has the catalogue know them."""
    found: dict[bytes, Opened] = {}
    while records:
        outcomes = await exchange.gateway.reading.outcomes(exchange.reader, records)
        for each in outcomes:
            if isinstance(each, Unavailable):
                raise each
        opened = {each.record: each for each in outcomes if isinstance(each, Opened)}
        await learn(exchange, tuple(opened.values()))
        found |= opened
        if not opened:
            break
        # What was more than is opened at once comes in the next round.
        pairs = zip(records, outcomes, strict=True)
        records = [record for record, outcome in pairs if isinstance(outcome, TooLarge)]
    return found


async def learn(exchange: Exchange, opened: Sequence[Opened]) -> None:
    """Has the catalogue know what was opened."""
    catalogue = exchange.gateway.catalogue

    def work() -> None:
        found: list[Learnt] = []
        for each in opened:
            learnt = learnt_of(each.record, each.entry, each.content)
            if learnt is None:
                catalogue.pass_over(each.record, each.entry.version)
            else:
                found.append(learnt)
        catalogue.learn(found)

    await exchange.in_thread(work)


async def find(exchange: Exchange, query: Query, position: Position | None) -> Page:
    """The page of `query` at `position`, every record of it logged and opened."""
    scope = scope_of(query)
    for _ in range(TRIES_MAX):
        opened, denials = await _opened_for(exchange, scope)
        found = await exchange.in_thread(lambda: _found(exchange, query, position))
        kept = tuple(each for each in found.included if _may_have(exchange, each))
        found = Found(found.matches, found.total, kept, found.truncated, found.next)
        page = await read_page(exchange, (*found.matches, *found.included), opened)
        if page is not None:
            return Page(found, page, denials)
    raise Unavailable("access.unsettled", "the consents change while it is read")


async def _opened_for(
    exchange: Exchange, scope: Scope
) -> tuple[dict[bytes, Opened], tuple[Decision, ...]]:
    opened: dict[bytes, Opened] = {}
    denials: list[Decision] = []
    for owner in scope.owners:
        try:
            opened |= await complete(exchange, owner)
        except Denied as denied:
            denials.append(denied.decision)
        except (Unknown, Erased):
            continue
    lacking = [
        record
        for record in scope.records
        if record not in opened and exchange.gateway.catalogue.type_of(record) is None
    ]
    opened |= await open_known(exchange, lacking)
    return opened, tuple(denials)


def _found(exchange: Exchange, query: Query, position: Position | None) -> Found:
    with exchange.gateway.catalogue.view(exchange.reader) as view:
        return view.find(query, position)


def _may_have(exchange: Exchange, record: bytes) -> bool:
    """What comes along is of types that the token allows to read."""
    resource_type = exchange.gateway.catalogue.type_of(record)
    return resource_type is not None and exchange.may("r", resource_type)


async def read_page(
    exchange: Exchange, records: Sequence[bytes], opened: Mapping[bytes, Opened]
) -> dict[bytes, Opened] | None:
    """`records`, logged and opened; None where one of them is not any more what was found.

    What is in `opened` is logged already.
    """
    catalogue = exchange.gateway.catalogue
    wanted = [each for each in records if each not in opened]
    try:
        fresh = await exchange.gateway.reading.open(exchange.reader, wanted) if wanted else ()
    except (Denied, Erased, Retracted, Unknown):
        return None
    moved = [each for each in fresh if catalogue.version_of(each.record) != each.entry.version]
    if moved:
        await learn(exchange, moved)
        return None
    return {**opened, **{each.record: each for each in fresh}}
