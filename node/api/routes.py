"""The one table of routes: what there is, who may call it, what goes in and what comes out."""

from typing import Any, Final

from client.wire import TOKEN_PATH, Submission
from node.api import (
    attachments,
    batch,
    callers,
    chain_reads,
    events,
    ledger_reads,
    operations,
    transactions,
)
from node.api.access import PUBLIC, Scope, scoped
from node.api.batch import NDJSON
from node.api.bodies import FORM
from node.api.calls import JSON, MSGPACK
from node.api.documents import (
    Accepted,
    BlockDocument,
    BlockPage,
    CommittedTransaction,
    CountedProposal,
    CutLinks,
    MemberPage,
    PrincipalDocument,
    ProposalPage,
    ReadinessDocument,
    ReceiptDocument,
    StateEntry,
    StoredAttachment,
    TokenAnswer,
    TransactionState,
)
from node.api.events import EVENT_SCHEMA, EVENT_STREAM
from node.api.limits import (
    BLOCKS_PAGE_MAX,
    COMMIT_WAIT_MS_DEFAULT,
    COMMIT_WAIT_MS_MAX,
    RECORDS_PAGE_MAX,
)
from node.api.parameters import block, choice, cursor, identifier, number, state_key
from node.api.patient_routes import PATIENT_ROUTES
from node.api.routing import Answer, Media, Route, answers
from node.api.supply_routes import SUPPLY_ROUTES

_READ: Final = scoped(Scope.LEDGER_READ)
_SUBMIT: Final = scoped(Scope.LEDGER_SUBMIT)
_OUTCOME: Final = scoped(Scope.LEDGER_READ, Scope.LEDGER_SUBMIT)
_OWN: Final = scoped(Scope.LEDGER_READ, Scope.RECORDS_OWN)
_ANY_TOKEN: Final = scoped(*Scope)
_OPERATE: Final = scoped(Scope.NODE_OPERATE)
_STATUS: Final = scoped(Scope.LEDGER_READ, Scope.NODE_OPERATE)

_OBJECT: Final[dict[str, Any]] = {"type": "object"}
_BYTES: Final[dict[str, Any]] = {"type": "string", "contentMediaType": "application/octet-stream"}
_STATUS_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": [
        "chain_id",
        "node",
        "height",
        "block_hash",
        "state_root",
        "view",
        "primary",
        "validators",
        "quorum",
        "peers",
        "mempool",
        "syncing",
        "version",
    ],
}
_TOKEN_FORM: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "grant_type": {"const": "client_credentials"},
        "client_assertion_type": {
            "const": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        },
        "client_assertion": {"type": "string"},
        "scope": {"type": "string"},
    },
    "required": ["grant_type", "client_assertion_type", "client_assertion"],
}


def _raw_or(shape: Any, description: str) -> tuple[Answer, ...]:
    """A JSON document, or in MessagePack the canonical bytes alone."""
    return (Answer(200, description, (Media(JSON, shape), Media(MSGPACK, _BYTES))),)


ROUTES: Final = (
    Route(
        "POST",
        "/v1/transactions",
        "submitTransaction",
        "Submit one signed transaction with its attachments",
        transactions.submit,
        _SUBMIT,
        (
            *answers(Accepted, "held by this node", 202),
            *_raw_or(CommittedTransaction, "on the chain, with its receipt"),
        ),
        (
            choice(
                "wait",
                ("none", "accepted", "committed"),
                "accepted",
                "when to answer: none and accepted once the node holds it, or committed",
            ),
            number(
                "timeout_ms",
                0,
                COMMIT_WAIT_MS_MAX,
                "how long committed may take",
                COMMIT_WAIT_MS_DEFAULT,
            ),
        ),
        (Media(MSGPACK, _BYTES), Media(JSON, Submission)),
        (409, 422, 503, 504),
    ),
    Route(
        "POST",
        "/v1/transactions/batch",
        "submitBatch",
        "Submit a stream of transactions, each framed by its length in 4 bytes, big-endian",
        batch.submit_batch,
        _SUBMIT,
        (Answer(200, "one line each, in order", (Media(NDJSON, {"type": "string"}),)),),
        body=(Media(MSGPACK, _BYTES),),
        problems=(503,),
    ),
    Route(
        "GET",
        "/v1/transactions/{id}",
        "getTransaction",
        "Where a transaction stands",
        transactions.transaction,
        _OUTCOME,
        answers(TransactionState),
        (identifier("id", 32, "the transaction's id"),),
    ),
    Route(
        "GET",
        "/v1/receipts/{id}",
        "getReceipt",
        "Proof that a transaction was committed",
        transactions.receipt,
        _OUTCOME,
        _raw_or(ReceiptDocument, "the receipt"),
        (identifier("id", 32, "the transaction's id"),),
        problems=(404,),
    ),
    Route(
        "GET",
        "/v1/blocks",
        "listBlocks",
        "Headers in order of height",
        chain_reads.blocks,
        _READ,
        answers(BlockPage),
        (
            number("from", 0, 2**63 - 1, "the first height", 0),
            number("limit", 1, BLOCKS_PAGE_MAX, "headers on a page", 20),
        ),
    ),
    Route(
        "GET",
        "/v1/blocks/{block}",
        "getBlock",
        "One block with its certificate and results",
        chain_reads.block,
        _READ,
        answers(BlockDocument),
        (block("block"),),
        problems=(404,),
    ),
    Route(
        "GET",
        "/v1/state/{key}",
        "getStateEntry",
        "The value of a key, on request with proof",
        chain_reads.state_entry,
        _READ,
        answers(StateEntry),
        (state_key("key"), number("proof", 0, 1, "1 for a proof of presence or absence", 0)),
        problems=(404,),
    ),
    Route(
        "PUT",
        "/v1/attachments/{hash}",
        "putAttachment",
        "Upload an attachment ahead of its transaction",
        attachments.put,
        _SUBMIT,
        (
            *answers(StoredAttachment, "held already"),
            *answers(StoredAttachment, "held now", 201),
        ),
        (identifier("hash", 32, "SHA-256 of the bytes"),),
        (Media(attachments.OCTETS, _BYTES),),
        (409, 411, 422, 503),
    ),
    Route(
        "GET",
        "/v1/attachments/{hash}",
        "getAttachment",
        "An attachment's bytes",
        attachments.get,
        _OWN,
        (Answer(200, "the bytes", (Media(attachments.OCTETS, _BYTES),)),),
        (identifier("hash", 32, "SHA-256 of the bytes"),),
        problems=(404,),
    ),
    *PATIENT_ROUTES,
    *SUPPLY_ROUTES,
    Route(
        "GET",
        "/v1/members",
        "listMembers",
        "The organisations of the consortium, which of them are suspended, and which vote",
        ledger_reads.members,
        _ANY_TOKEN,
        answers(MemberPage),
    ),
    Route(
        "GET",
        "/v1/proposals",
        "listProposals",
        "What the members were asked to decide, decided and expired proposals too",
        ledger_reads.proposals,
        _READ,
        answers(ProposalPage),
        (
            cursor("after", 16, "the last proposal's id of the page before"),
            number("limit", 1, RECORDS_PAGE_MAX, "entries on a page", 50),
        ),
    ),
    Route(
        "GET",
        "/v1/proposals/{id}",
        "getProposal",
        "A proposal with its votes, and how many it needs",
        ledger_reads.proposal,
        _READ,
        answers(CountedProposal),
        (identifier("id", 16, "the proposal's id"),),
        problems=(404,),
    ),
    Route(
        "GET",
        "/v1/principals/{id}",
        "getPrincipal",
        "A principal and its public keys",
        ledger_reads.principal,
        _ANY_TOKEN,
        answers(PrincipalDocument),
        (identifier("id", 16, "the principal's id"),),
        problems=(404,),
    ),
    Route(
        "GET",
        "/v1/events",
        "streamEvents",
        "Transactions, blocks and alerts as they come; Last-Event-ID resumes without loss",
        events.events,
        _OWN,
        (Answer(200, "an endless stream", (Media(EVENT_STREAM, EVENT_SCHEMA),)),),
        (number("after", 0, 2**63 - 1, "begin after this height instead of the tip"),),
        problems=(409,),
    ),
    Route(
        "GET",
        "/v1/status",
        "getStatus",
        "Where this node stands",
        operations.status,
        _STATUS,
        answers(_STATUS_SCHEMA),
    ),
    Route(
        "GET",
        "/v1/readiness",
        "getReadiness",
        "This node's signed word that it is ready to vote",
        operations.readiness,
        _STATUS,
        answers(ReadinessDocument),
        problems=(503,),
    ),
    Route(
        "GET",
        "/v1/consensus",
        "getConsensus",
        "What this node is voting on",
        operations.consensus,
        _OPERATE,
        answers(_OBJECT),
    ),
    Route(
        "GET",
        "/v1/peers",
        "getPeers",
        "This node's links",
        operations.peers,
        _OPERATE,
        answers(_OBJECT),
    ),
    Route(
        "GET",
        "/v1/why-stalled",
        "whyStalled",
        "Which votes are missing, and why",
        operations.why_stalled,
        _OPERATE,
        answers(_OBJECT),
    ),
    Route(
        "POST",
        "/v1/gateway/reindex",
        "reindexGateway",
        "Make the gateway's index anew from the chain",
        operations.reindex,
        _OPERATE,
        answers(_OBJECT),
        problems=(404, 503),
    ),
    Route(
        "GET",
        "/metrics",
        "getMetrics",
        "Prometheus metrics",
        operations.metrics,
        _OPERATE,
        (Answer(200, "Prometheus text", (Media("text/plain", {"type": "string"}),)),),
    ),
    Route(
        "GET",
        "/healthz",
        "isAlive",
        "The process answers",
        operations.healthy,
        PUBLIC,
        answers(_OBJECT),
    ),
    Route(
        "GET",
        "/readyz",
        "isReady",
        "The node takes part in consensus",
        operations.ready,
        PUBLIC,
        answers(_OBJECT),
        problems=(503,),
    ),
    Route(
        "GET",
        "/openapi.json",
        "getDescription",
        "This description",
        operations.openapi,
        PUBLIC,
        (Answer(200, "OpenAPI 3.1", (Media(JSON, _OBJECT),)),),
    ),
    Route(
        "GET",
        "/docs",
        "readDescription",
        "This description as a page",
        operations.docs,
        PUBLIC,
        (Answer(200, "a page", (Media("text/html", {"type": "string"}),)),),
    ),
    Route(
        "GET",
        "/.well-known/smart-configuration",
        "getSmartConfiguration",
        "How to get a token",
        operations.smart_configuration,
        PUBLIC,
        (Answer(200, "SMART configuration", (Media(JSON, _OBJECT),)),),
    ),
    Route(
        "POST",
        TOKEN_PATH,
        "getToken",
        "A JWT assertion for a short-lived token",
        callers.sign_in,
        PUBLIC,
        (Answer(200, "a token", (Media(JSON, TokenAnswer),)),),
        body=(Media(FORM, _TOKEN_FORM),),
        problems=(401, 503),
    ),
    Route(
        "POST",
        "/v1/dev/links",
        "cutLinks",
        "Cut links with members, to rehearse a partition",
        operations.cut_links,
        _OPERATE,
        answers(CutLinks),
        body=(Media(JSON, CutLinks),),
        problems=(422,),
        development=True,
    ),
    Route(
        "DELETE",
        "/v1/dev/links",
        "healLinks",
        "Undo every cut",
        operations.heal_links,
        _OPERATE,
        answers(CutLinks),
        development=True,
    ),
)
