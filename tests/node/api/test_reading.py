"""Blocks, state proofs, records, members; in JSON and in MessagePack."""

import base64
from typing import Any

import msgspec

from chain.block import Header
from chain.certificate import Certificate, check_certificate
from chain.document import from_document
from chain.state_proof import StateProof, verify_state_proof
from ledger.entries import CategoryEntry, OrganizationEntry, PrincipalEntry, RecordEntry
from ledger.keyspace import principal_key
from tests.node.api.conftest import Node
from tests.node.api.solo import digest_of


def unbase64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def test_a_block_by_height_by_hash_and_the_latest_is_one_block(node: Node) -> None:
    built = node.story.enrol(node.story.newcomer())
    await node.solo.committed_now(built)
    reader = node.cast.auditor
    latest = (await node.get("/v1/blocks/latest", reader)).document
    assert (await node.get("/v1/blocks/1", reader)).document == latest
    assert (await node.get(f"/v1/blocks/{latest['hash']}", reader)).document == latest
    assert latest["transactions"][0]["id"] == built.id.hex()
    header = from_document(Header, latest["header"])
    assert header.hash.hex() == latest["hash"]
    certificate = from_document(Certificate, latest["certificate"])
    check_certificate(certificate, node.solo.genesis.validators, node.solo.genesis.hash)
    genesis = (await node.get("/v1/blocks/0", reader)).document
    assert (genesis["certificate"], genesis["transactions"]) == (None, [])


async def test_pages_of_blocks_meet_without_gap_or_overlap(node: Node) -> None:
    for _ in range(4):
        await node.solo.committed_now(node.story.enrol(node.story.newcomer()))
    heights: list[int] = []
    following: int | None = 0
    while following is not None:
        path = f"/v1/blocks?from={following}&limit=2"
        page = (await node.get(path, node.cast.auditor)).document
        heights += [each["header"]["height"] for each in page["blocks"]]
        following = page["next"]
    assert heights == [0, 1, 2, 3, 4]


async def test_a_state_value_comes_with_a_proof_against_a_certified_header(node: Node) -> None:
    newcomer = node.story.newcomer()
    await node.solo.committed_now(node.story.enrol(newcomer))
    for principal, present in ((newcomer.principal, True), (b"nobody" + b"0" * 10, False)):
        key = principal_key(principal)
        path = f"/v1/state/{key.hex()}?proof=1"
        found = (await node.get(path, node.cast.auditor)).document
        header = from_document(Header, found["header"])
        proof = from_document(StateProof, found["proof"])
        digest = verify_state_proof(proof, key, header.state_root)
        certificate = from_document(Certificate, found["certificate"])
        assert certificate.block_hash == header.hash
        if present:
            assert digest is not None
            assert digest.hex() == digest_of(unbase64url(found["value"]))
        else:
            assert digest is None
            assert found["value"] is None


async def test_messagepack_is_the_same_document(node: Node) -> None:
    as_json = await node.get("/v1/blocks/0", node.cast.auditor)
    packed = await node.get(
        "/v1/blocks/0", node.cast.auditor, headers={"Accept": "text/html, application/msgpack;q=1"}
    )
    assert packed.headers["Content-Type"] == "application/msgpack"
    assert msgspec.msgpack.decode(packed.body) == as_json.document


async def pages(node: Node, path: str, name: str) -> list[Any]:
    items: list[Any] = []
    query = "?limit=1"
    while True:
        page = (await node.get(path + query, node.cast.clinician)).document
        assert len(page[name]) <= 1
        items += page[name]
        if page["next"] is None:
            return items
        query = f"?limit=1&after={page['next']}"


async def test_records_of_a_patient_page_by_page(node: Node) -> None:
    registration, records = node.story.register(node.cast.patient, b"1", b"2", b"3")
    assert (await node.solo.committed_now(registration)).ok
    owner = node.cast.patient.principal.hex()
    found = await pages(node, f"/v1/patients/{owner}/records", "records")
    assert [each["id"] for each in found] == sorted(each.hex() for each in records)
    entry = from_document(RecordEntry, found[0]["record"])
    assert (entry.version, entry.organization) == (1, "hospital-a")
    one = (await node.get(f"/v1/records/{found[0]['id']}", node.cast.clinician)).document
    assert one == found[0]


async def test_an_owner_without_records_has_an_empty_page(node: Node) -> None:
    reply = await node.get(f"/v1/patients/{'0' * 32}/records", node.cast.clinician)
    assert reply.document == {"records": [], "next": None}


async def test_versions_of_a_record_oldest_first(node: Node) -> None:
    opening, key = node.story.open_category()
    await node.solo.committed_now(opening)
    builder = node.story.builder(node.cast.clinician)
    record = builder.put(b"one", key)
    await node.solo.committed_now(node.story.finish(builder))
    for version in (2, 3):
        builder = node.story.builder(node.cast.clinician)
        builder.amend(record, version, b"more", key)
        assert (await node.solo.committed_now(node.story.finish(builder))).ok
    found = await pages(node, f"/v1/records/{record.hex()}/versions", "versions")
    assert [from_document(RecordEntry, each).version for each in found] == [1, 2, 3]


async def test_category_keys_of_an_owner(node: Node) -> None:
    registration, _ = node.story.register(node.cast.patient, b"1")
    await node.solo.committed_now(registration)
    owner = node.cast.patient.principal.hex()
    (found,) = await pages(node, f"/v1/patients/{owner}/categories", "categories")
    path = f"/v1/patients/{owner}/categories/{found['category']}/{found['author']}"
    one = (await node.get(path, node.cast.patient)).document
    assert one == found
    seals = from_document(CategoryEntry, one["entry"]).seals.hex()
    sealed = await node.get(f"/v1/attachments/{seals}", node.cast.patient)
    assert (sealed.status, digest_of(sealed.body)) == (200, seals)


async def test_members_and_principals(node: Node) -> None:
    members = (await node.get("/v1/members", node.cast.device)).document["members"]
    names = [from_document(OrganizationEntry, each).id for each in members]
    assert names == ["hospital-a", "hospital-b", "wholesaler"]
    device = node.cast.device.principal.hex()
    own = (await node.get(f"/v1/principals/{device}", node.cast.device)).document
    assert from_document(PrincipalEntry, own["principal"]).kind == "device"


async def test_the_time_of_the_chain_is_that_of_its_newest_block(node: Node) -> None:
    registration, _ = node.story.register(node.cast.patient)
    await node.solo.committed_now(registration)
    told = (await node.get("/v1/time", node.cast.patient)).document
    block = (await node.get("/v1/blocks/1", node.cast.administrator)).document
    assert told == {"height": 1, "timestamp_ms": block["header"]["timestamp_ms"]}


async def test_the_node_about_itself(node: Node) -> None:
    operator = node.cast.administrator
    assert (await node.get("/v1/status", operator)).document["node"] == "hospital-a"
    assert (await node.get("/v1/peers", operator)).document == {"peers": []}
    assert (await node.get("/v1/why-stalled", operator)).document == {"missing": []}
    assert (await node.get("/v1/consensus", operator)).status == 200
    metrics = (await node.get("/metrics", operator)).body.decode()
    line = 'medlock_http_requests_total{method="GET",route="/v1/status",status="200"} 1.0'
    assert line in metrics
    assert (await node.get("/readyz")).status == 200
    node.solo.is_ready = False
    assert (await node.get("/readyz")).code == "node.not_ready"
    assert (await node.get("/healthz")).status == 200
