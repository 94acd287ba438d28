"""Operations: what the gateway can do, judging a resource, everything about a patient."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from client.fhir_json import Number, Value
from ledger.ids import owner_of
from node.api.calls import Call
from node.gateway.fhir.capability import capability_statement
from node.gateway.fhir.identity import to_milliseconds, to_pseudonym, to_record
from node.gateway.fhir.outcome import Issue, outcome, problem
from node.gateway.fhir.search.index import Position
from node.gateway.fhir.search.paging import open_position, seal_position
from node.gateway.fhir.search.parameters import ID, LAST_UPDATED, TYPES, parameters_of
from node.gateway.fhir.search.query import COUNT_MAX, PAGE
from node.gateway.fhir.supported import SUPPORTED
from node.gateway.fhir.validation import validate as faults
from node.gateway.reading import Opened
from node.gateway.refusals import Unavailable, Unknown
from node.gateway.rest.everything import Everything, read_request
from node.gateway.rest.exchange import Exchange, Resource, answer, base_of
from node.gateway.rest.finding import TRIES_MAX, learn, read_page
from node.gateway.rest.negotiation import check_format
from node.gateway.rest.reads import known_type
from node.gateway.rest.refusals import unknown
from node.gateway.rest.resources import resource_of
from node.gateway.rest.searches import PAGE_KEY, reader_of, searched

STATEMENT_DATE: Final = "2026-11-27"
"""When what the statement says last changed."""
_MODES: Final = frozenset({"create", "update", "delete"})
