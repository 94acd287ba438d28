"""The part of the table of routes that is about goods: items, lots, products, recalls, alerts."""

import datetime as dt
import re
from typing import Final

from chain.errors import InvalidMessage
from client.scanned import scan
from node.api import supply_reads
from node.api.access import Scope, scoped
from node.api.limits import RECORDS_PAGE_MAX
from node.api.parameters import Parameter, choice, cursor, identifier, named, number
from node.api.routing import Route, answers
from node.api.supply_documents import (
    AlertsDocument,
    DispensedPage,
    HoldersDocument,
    ItemDocument,
    PartyDocument,
    ProductDocument,
    RecallPage,
    RecallProgressDocument,
    ShipmentPage,
    TraceDocument,
    VerificationPage,
)

_READ: Final = scoped(Scope.LEDGER_READ)
_LIMIT: Final = number("limit", 1, RECORDS_PAGE_MAX, "entries on a page", 50)
_GTIN: Final = re.compile(r"[0-9]{14}\Z")
_GLN: Final = re.compile(r"[0-9]{13}\Z")
_MEMBER: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z")
_PLACE: Final = re.compile(r"[!-~]{1,128}\Z")
_NAME: Final = re.compile(r"[!-~]{1,160}\Z")


def _thing(text: str) -> str:
    """The ledger's spelling of what a person or a scanner names."""
    try:
        return scan(text, dt.datetime.now(dt.UTC).year).name
    except InvalidMessage:
        raise ValueError from None


def _matching(pattern: re.Pattern[str], text: str) -> str:
    if pattern.match(text) is None:
        raise ValueError
    return text


_ANY_SPELLING: Final = "a path (01/…/21/…), EPC URN, Digital Link or barcode, percent-encoded"
_EPC: Final = named("epc", _thing, f"an item or a lot: {_ANY_SPELLING}", "path")
_CLASS: Final = named("class", _thing, f"a lot or a product: {_ANY_SPELLING}", "path")
_BY_ID: Final = cursor("after", 16, "the last id of the page before")


def _after_name(pattern: re.Pattern[str] = _NAME) -> Parameter:
    return named(
        "after",
        lambda text: _matching(pattern, text),
        "what the page before gave as `next`",
        "query",
    )


SUPPLY_ROUTES: Final = (
    Route(
        "GET",
        "/v1/items/{epc}",
        "getItem",
        "Where an item is, who has it, whether it may go on and why not",
        supply_reads.item,
        _READ,
        answers(ItemDocument),
        (_EPC,),
        problems=(404,),
    ),
    Route(
        "GET",
        "/v1/items/{epc}/trace",
        "traceItem",
        "The way of an item or a lot: handovers, packing, transformation, temperatures",
        supply_reads.item_trace,
        _READ,
        answers(TraceDocument),
        (_EPC, number("after", 0, 2**53 - 1, "go on after the event of this number", 0)),
        problems=(404,),
    ),
    Route(
        "GET",
        "/v1/lots/{class}/holders",
        "listHolders",
        "Who holds what of a lot, has it in transit, or has used it up",
        supply_reads.holders,
        _READ,
        answers(HoldersDocument),
        (_CLASS, _after_name(_PLACE), _LIMIT),
        problems=(404,),
    ),
    Route(
        "GET",
        "/v1/products/{gtin}",
        "getProduct",
        "A product: its manufacturer, limits and recalls, who has the key for hidden serials",
        supply_reads.product,
        _READ,
        answers(ProductDocument),
        (named("gtin", lambda text: _matching(_GTIN, text), "a GTIN of 14 digits", "path"),),
        problems=(404,),
    ),
    Route(
        "GET",
        "/v1/parties/{gln}",
        "getParty",
        "Whose a Global Location Number is",
        supply_reads.party,
        _READ,
        answers(PartyDocument),
        (named("gln", lambda text: _matching(_GLN, text), "a GLN of 13 digits", "path"),),
        problems=(404,),
    ),
    Route(
        "GET",
        "/v1/shipments",
        "listShipments",
        "Shipments that are not received, those due first first",
        supply_reads.shipments,
        _READ,
        answers(ShipmentPage),
        (
            choice("state", ("open", "overdue"), "open", "all that are open, or those overdue"),
            cursor("after", 16, "what the page before gave as `next`"),
            _LIMIT,
        ),
    ),
    Route(
        "GET",
        "/v1/recalls",
        "listRecalls",
        "Recalls, by id, those that are closed too",
        supply_reads.recalls,
        _READ,
        answers(RecallPage),
        (_BY_ID, _LIMIT),
    ),
    Route(
        "GET",
        "/v1/recalls/{id}",
        "getRecall",
        "A recall, who has what of it, and who has answered what",
        supply_reads.recall,
        _READ,
        answers(RecallProgressDocument),
        (identifier("id", 16, "the recall's id"),),
        problems=(404,),
    ),
    Route(
        "GET",
        "/v1/recalls/{id}/dispensed",
        "listDispensed",
        "Which recalled packs an organisation gave to patients, and with which events",
        supply_reads.dispensed,
        _READ,
        answers(DispensedPage),
        (
            identifier("id", 16, "the recall's id"),
            named(
                "organization",
                lambda text: _matching(_MEMBER, text),
                "whose; the caller's organisation where left out",
                "query",
            ),
            _after_name(),
            _LIMIT,
        ),
        problems=(404,),
    ),
    Route(
        "GET",
        "/v1/verifications",
        "listVerifications",
        "Questions to manufacturers, and their answers",
        supply_reads.verifications,
        _READ,
        answers(VerificationPage),
        (_BY_ID, _LIMIT),
    ),
    Route(
        "GET",
        "/v1/supply/alerts",
        "listSupplyAlerts",
        "What was tried in vain, and what an organisation should see to now",
        supply_reads.alerts,
        _READ,
        answers(AlertsDocument),
        (
            number("from", 0, 2**63 - 1, "the first height to look for attempts in", 0),
            named(
                "organization",
                lambda text: _matching(_MEMBER, text),
                "whose alerts; the caller's organisation where left out",
                "query",
            ),
        ),
    ),
)
