"""Whatever is sent: a 4xx with a code and a pointer, no echo, nothing changed, the node alive."""

import io
from typing import Any

import pytest

from chain.codec import FORMAT_VERSION
from chain.transaction import SIGNED, SignedTransaction, Transaction, sign_transaction
from client.wire import SUBMISSION, Submission
from tests.node.api.conftest import Node

MARK = "tellmenot"
ID = "0" * 64
NONE = "0" * 32
PACK = "01%2F09521141012345%2F21%2F2017"
MSGPACK = {"Content-Type": "application/msgpack"}
JSON = {"Content-Type": "application/json"}
DEEP = b"[" * 100_000 + b"]" * 100_000

PATHS = [
    ("/v1/transactions/" + MARK, "path.id"),
    ("/v1/transactions/" + ID.replace("0", "A"), "path.id"),
    ("/v1/transactions/" + ID[:-1], "path.id"),
    ("/v1/transactions/" + ID + "00", "path.id"),
    ("/v1/transactions/%20" + ID[2:], "path.id"),
    ("/v1/transactions/%ff%fe", "path.id"),
    ("/v1/transactions/" + "a" * 4_000, "path.id"),
    ("/v1/receipts/é", "path.id"),
    ("/v1/blocks/-1", "path.block"),
    ("/v1/blocks/01", "path.block"),
    ("/v1/blocks/9223372036854775808", "path.block"),
    ("/v1/blocks/%D9%A1", "path.block"),
    ("/v1/blocks/" + MARK, "path.block"),
    ("/v1/blocks?from=-1", "query.from"),
    ("/v1/blocks?from=1.5", "query.from"),
    ("/v1/blocks?from=" + "9" * 500, "query.from"),
    ("/v1/blocks?from=1&from=2", "query.from"),
    ("/v1/blocks?limit=0", "query.limit"),
    ("/v1/blocks?limit=101", "query.limit"),
    ("/v1/blocks?limit=", "query.limit"),
    (f"/v1/blocks?{MARK}=1", "query"),
    ("/v1/blocks?from=%ff", "query.from"),
    ("/v1/state/0", "path.key"),
    ("/v1/state/" + "00" * 257, "path.key"),
    ("/v1/state/00?proof=yes", "query.proof"),
    ("/v1/patients/00/records", "path.owner"),
    (f"/v1/patients/{'0' * 32}/records?after=00", "query.after"),
    (f"/v1/patients/{'0' * 32}/records?limit=1000000", "query.limit"),
    (f"/v1/records/{ID}/versions?after=-1", "query.after"),
    (f"/v1/patients/{'0' * 32}/consents?after={ID}", "query.after"),
    (f"/v1/patients/{'0' * 32}/accesses?after={ID}", "query.after"),
    (f"/v1/patients/{'0' * 32}/requests?after=00", "query.after"),
    (f"/v1/patients/{'0' * 32}/releases?after={ID}", "query.after"),
    (f"/v1/patients/{'0' * 32}/erasures?limit=0", "query.limit"),
    (f"/v1/patients/{MARK}/emergencies", "path.owner"),
    (f"/v1/careplans/{MARK}/versions", "path.id"),
    (f"/v1/careplans/{ID}/goals?after={ID}", "query.after"),
    (f"/v1/records/{ID}/decision?purpose={MARK}", "query.purpose"),
    (f"/v1/records/{ID}/decision?actor={MARK}", "query.actor"),
    ("/v1/records/00/decision", "path.id"),
    (f"/v1/attachments/{MARK}", "path.hash"),
    ("/v1/events?after=x", "query.after"),
    (f"/v1/items/{MARK}", "path.epc"),
    ("/v1/items/(01)09521141012346", "path.epc"),
    ("/v1/items/01%2F09521141012346%2F21%2F1", "path.epc"),
    ("/v1/items/%00", "path.epc"),
    ("/v1/items/" + "1" * 4_000, "path.epc"),
    (f"/v1/items/{MARK}/trace", "path.epc"),
    (f"/v1/items/{PACK}/trace?after=-1", "query.after"),
    (f"/v1/lots/{MARK}/holders", "path.class"),
    (f"/v1/lots/{PACK}/holders?after=%20", "query.after"),
    (f"/v1/lots/{PACK}/holders?limit=201", "query.limit"),
    ("/v1/products/123", "path.gtin"),
    (f"/v1/products/{MARK}", "path.gtin"),
    ("/v1/parties/095211410123", "path.gln"),
    (f"/v1/shipments?state={MARK}", "query.state"),
    ("/v1/shipments?after=00", "query.after"),
    ("/v1/recalls/00", "path.id"),
    ("/v1/recalls?after=x", "query.after"),
    ("/v1/recalls/00/dispensed", "path.id"),
    (f"/v1/recalls/{NONE}/dispensed?after=%20", "query.after"),
    (f"/v1/recalls/{NONE}/dispensed?organization=A%20b", "query.organization"),
    (f"/v1/recalls/{NONE}/dispensed?limit=201", "query.limit"),
    (f"/v1/verifications?limit={MARK}", "query.limit"),
    ("/v1/supply/alerts?from=-1", "query.from"),
    ("/v1/supply/alerts?organization=A%20b", "query.organization"),
]


@pytest.mark.parametrize(("path", "field"), PATHS)
async def test_paths_and_queries(node: Node, path: str, field: str) -> None:
    reply = await node.get(path, node.cast.clinician)
    assert reply.status == 400
    assert reply.document["field"] == field
    assert reply.code.startswith("http.")
    assert MARK not in reply.body.decode()


NOT_FOUND = [
    "/v1/blocks/" + "0" * 64,
    "/v1/blocks/77",
    "/v1/blocks/9223372036854775807",
    "/v1/state/00",
    "/v1/receipts/" + ID,
    "/v1/records/" + ID,
    f"/v1/records/{ID}/versions",
    "/v1/principals/" + "0" * 32,
    f"/v1/patients/{'0' * 32}/categories/{'0' * 32}/{'0' * 32}",
    f"/v1/records/{ID}/decision",
    "/v1/attachments/" + ID,
    f"/v1/items/{PACK}",
    f"/v1/items/{PACK}/trace",
    "/v1/items/urn:epc:id:sgtin:9521141.001234.2017",
    "/v1/lots/01%2F09521141012345%2F10%2FL7/holders",
    "/v1/products/09521141012345",
    "/v1/parties/9521141000014",
    f"/v1/recalls/{NONE}",
    f"/v1/recalls/{NONE}/dispensed",
    f"/{MARK}",
    "/v1/",
    "/v1/blocks/1/2",
    "//",
]


@pytest.mark.parametrize("path", NOT_FOUND)
async def test_what_is_not_there(node: Node, path: str) -> None:
    reply = await node.get(path, node.cast.clinician)
    assert reply.status == 404
    assert reply.code
    assert MARK not in reply.body.decode()


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE"])
async def test_methods_that_a_path_has_not(node: Node, method: str) -> None:
    reply = await node.ask(method, "/v1/status", wallet=node.cast.clinician)
    assert (reply.status, reply.headers["Allow"]) == (405, "GET")


BODIES: list[tuple[str, bytes, dict[str, str], int, str]] = [
    ("nothing", b"", MSGPACK, 400, "codec.malformed"),
    ("noise", b"\xc1" * 100, MSGPACK, 400, "codec.malformed"),
    ("a later version", bytes([FORMAT_VERSION + 1]), MSGPACK, 400, "codec.version_unsupported"),
    ("deep arrays", b"\x01" + b"\x91" * 100_000, MSGPACK, 400, "codec.wrong_type"),
    ("a map", b"\x01\x81\xa1a\x01", MSGPACK, 400, "codec.wrong_type"),
    ("a float", b"\x01\x92\xca\x00\x00\x00\x00\x90", MSGPACK, 400, "codec.wrong_type"),
    ("an extension", b"\x01\x92\xd4\x00\x00\x90", MSGPACK, 400, "codec.wrong_type"),
    ("an extra field", b"\x01\x93\xc4\x00\x90\x00", MSGPACK, 400, "codec.wrong_type"),
    ("trailing bytes", b"\x01\x92\xc4\x00\x90\x00", MSGPACK, 400, "codec.malformed"),
    ("a long form", b"\x01\x92\xc5\x00\x00\x90", MSGPACK, 400, "codec.not_canonical"),
    ("a giant length", b"\x01\x92\xc6\xff\xff\xff\xff", MSGPACK, 400, "codec."),
    ("5 MiB", bytes(5 << 20), MSGPACK, 413, "http.body_too_large"),
    ("deep JSON", DEEP, JSON, 400, "document.malformed"),
    ("no JSON", b"{", JSON, 400, "document.malformed"),
    ("not UTF-8", b'{"transaction":"\xff"}', JSON, 400, "document.malformed"),
    ("a lone surrogate", b'{"transaction":"\\ud800","attachments":[]}', JSON, 400, "document."),
    ("an array", b"[]", JSON, 400, "document.wrong_type"),
    ("null", b"null", JSON, 400, "document.wrong_type"),
    ("a number", b'{"transaction":1,"attachments":[]}', JSON, 400, "document.wrong_type"),
    ("a missing field", b'{"transaction":""}', JSON, 400, "document.missing_field"),
    (
        "an unknown field",
        b'{"transaction":"","attachments":[],"tellmenot":1}',
        JSON,
        400,
        "document.unknown_field",
    ),
    ("padding", b'{"transaction":"AA==","attachments":[]}', JSON, 400, "document.wrong_value"),
    ("other base64", b'{"transaction":"+/8","attachments":[]}', JSON, 400, "document.wrong_value"),
    ("an empty transaction", b'{"transaction":"","attachments":[]}', JSON, 400, "codec.malformed"),
    ("NaN", b"NaN", JSON, 400, "document.malformed"),
    ("no type", b"{}", {"Content-Type": ""}, 415, "http.media_type"),
    ("another type", b"{}", {"Content-Type": "text/tellmenot"}, 415, "http.media_type"),
    ("gzip", b"{}", JSON | {"Content-Encoding": "gzip"}, 415, "http.compressed_body"),
]


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [each[1:] for each in BODIES],
    ids=[each[0] for each in BODIES],
)
async def test_bodies(
    node: Node, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    root = node.solo.store.tip()
    reply = await node.ask(
        "POST",
        "/v1/transactions",
        wallet=node.cast.clinician,
        data=io.BytesIO(body),
        headers=headers,
    )
    assert reply.status == status, reply.body
    assert reply.code.startswith(code)
    assert "tellmenot" not in reply.body.decode()
    assert node.solo.store.tip() == root
    assert (await node.get("/healthz")).status == 200


async def transaction_cases(node: Node) -> list[tuple[str, bytes, tuple[bytes, ...], str]]:
    story = node.story
    built = story.enrol(story.newcomer())
    other_key = SignedTransaction(built.signed.body, bytes(64))
    stranger = story.builder(node.cast.stranger)
    stranger.rotate_keys(
        node.cast.stranger.principal, None, node.cast.stranger.encryption_keys[0].public, 0
    )
    late = story.builder(node.cast.administrator)
    late.retract(b"r" * 32, 2)
    registration, _ = story.register(node.cast.patient, b"{}")
    swapped = (*registration.attachments[:-1], b"other")
    return [
        ("wrong signature", SIGNED.encode(other_key), (), "transaction.wrong_signature"),
        ("unknown sender", story.finish(stranger).raw, (), "transaction.unknown_sender"),
        ("expired", late.sign(1).raw, (), "transaction.expired"),
        ("missing attachment", registration.raw, (), "transaction.attachment_missing"),
        ("wrong attachment", registration.raw, swapped, "transaction.attachment_wrong"),
        ("no transaction", b"\x01\xc0", (), "codec.wrong_type"),
    ]


async def test_transactions_that_no_honest_sender_makes(node: Node) -> None:
    for name, raw, attachments, code in await transaction_cases(node):
        reply = await node.submit(raw, attachments)
        assert 400 <= reply.status < 500, name
        assert reply.code == code, name
        assert reply.document["field"], name
    assert not node.solo._pool


async def test_values_that_msgspec_would_quote_are_not_echoed(node: Node) -> None:
    """An unknown kind of action is named in msgspec's message, and must not come back."""
    action = b"\x01\x92\xa9" + MARK.encode() + b"\xc0"
    body = Transaction(
        node.cast.clinician.principal, b"n" * 16, node.clock.now_ms + 1_000, (action,), (), ()
    )
    signed = sign_transaction(body, node.cast.clinician.signing_key, node.solo.genesis.hash)
    reply = await node.submit(SIGNED.encode(signed))
    assert (reply.status, reply.code) == (400, "codec.wrong_type")
    assert MARK not in reply.body.decode()


async def test_a_body_where_none_belongs(node: Node) -> None:
    reply = await node.get("/v1/status", node.cast.clinician, data=b"x")
    assert (reply.status, reply.code) == (400, "http.unexpected_body")


async def test_wait_and_timeout_have_their_words_and_ranges(node: Node) -> None:
    raw = SUBMISSION.encode(Submission(b"", ()))
    for query in ("wait=forever", "wait=committed&timeout_ms=-1", "timeout_ms=99999999", "now=1"):
        reply: Any = await node.ask(
            "POST",
            f"/v1/transactions?{query}",
            wallet=node.cast.clinician,
            data=raw,
            headers=MSGPACK,
        )
        assert reply.status == 400
        assert reply.document["field"].startswith("query")


async def test_what_nobody_foresaw_is_an_incident_without_a_word_of_the_request(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    node.solo.failure = RuntimeError(MARK)
    reply = await node.submit(node.story.enrol(node.story.newcomer()).raw)
    assert (reply.status, reply.code) == (500, "node.unexpected")
    assert MARK not in reply.body.decode()
    (record,) = [each for each in caplog.records if each.name == "medlock.api"]
    assert vars(record)["incident"] == reply.document["incident"]
    assert vars(record)["exception"] == "RuntimeError"
    assert MARK not in str(vars(record))


async def test_every_answer_carries_the_security_headers(node: Node) -> None:
    for path in ("/healthz", "/v1/status", "/nowhere", "/docs"):
        headers = (await node.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "Server" not in headers
