"""Whatever comes: a 4xx, an OperationOutcome with a place, nothing changed, nothing repeated."""

import asyncio
import io
import json
from pathlib import Path

import pytest

from tests.node.gateway.rest.house import JSON, World, patient

CANARY = "Zzyzx"


BODIES = (
    (b"", {400}),
    (b"{", {400}),
    (b"null", {400}),
    (b"[]", {400}),
    (b'"Patient"', {400}),
    (b"\xff\xfe{}", {400}),
    (b'{"resourceType":"Patient","gender":"a","gender":"b"}', {400}),
    (b'{"resourceType":"Patient","birthDate":NaN}', {400}),
    (b'{"resourceType":"Observation"}', {400}),
    (b'{"resourceType":7}', {400}),
    (b"{}", {400}),
    (b'{"resourceType":"Patient","colour":"Zzyzx"}', {422}),
    (b'{"resourceType":"Patient","gender":"Zzyzx"}', {422}),
    (b'{"resourceType":"Patient","birthDate":"1970-02-30"}', {422}),
    (b'{"resourceType":"Patient","name":"Zzyzx"}', {422}),
    (b'{"resourceType":"Patient","active":"true"}', {422}),
    (b'{"resourceType":"Patient","contained":[' + b"[" * 5000, {400}),
    (b'{"a":' * 5000, {400}),
    (b'{"resourceType":"Patient","extension":' + b"[" * 60 + b"]" * 60 + b"}", {400, 422}),
)


async def test_bodies(world: World) -> None:
    tip = world.solo.store.tip()
    for body, statuses in BODIES:
        reply = await world.a.ask("POST", "/Patient", data=body, headers=JSON)
        assert reply.status in statuses, (body, reply.body)
        assert reply.issue["expression"]
        assert CANARY not in reply.body.decode()
    assert world.solo.store.tip() == tip


async def test_too_much(world: World) -> None:
    body = json.dumps(patient("x" * (9 << 20))).encode()
    reply = await world.a.ask("POST", "/Patient", data=io.BytesIO(body), headers=JSON)
    assert reply.status == 413
    assert reply.issue["code"] == "too-long"


REQUESTS: tuple[tuple[str, str, dict[str, str], int], ...] = (
    ("GET", "/Patient", {"Accept": "application/fhir+xml"}, 406),
    ("GET", "/Patient?_format=xml", {}, 406),
    ("GET", "/Patient", {"Accept": "text/html"}, 406),
    ("GET", "/metadata", {"Accept": "application/fhir+xml"}, 406),
    ("POST", "/Patient", {"Content-Type": "application/fhir+xml"}, 415),
    ("POST", "/Patient", {"Content-Type": "text/plain"}, 415),
    ("POST", "/Patient", {**JSON, "Content-Encoding": "gzip"}, 415),
    ("PATCH", f"/Patient/{'1' * 64}", {}, 405),
    ("PUT", "/Patient", {}, 405),
    ("DELETE", "/Patient", {}, 405),
    ("GET", "", {}, 405),
    ("GET", "/Patient/x/y/z", {}, 404),
    ("POST", "/Patient/$everything", JSON, 405),
    ("GET", "/Patient", {"Purpose-Of-Use": "CURIOSITY"}, 400),
    ("GET", "/Patient", {"Authorization": "Bearer made-up"}, 401),
    ("GET", "/Patient", {"Authorization": ""}, 401),
    ("POST", "/Patient?colour=red", JSON, 400),
)


async def test_requests(world: World) -> None:
    tip = world.solo.store.tip()
    for method, path, headers, status in REQUESTS:
        body = b"{}" if method == "POST" else b""
        reply = await world.a.ask(method, path, headers=headers, data=body)
        assert reply.status == status, (method, path, headers, reply.body)
        assert reply.issue["expression"]
    assert world.solo.store.tip() == tip


async def test_json_in_every_spelling(world: World) -> None:
    for accept in (
        "application/fhir+json",
        "application/json;q=0.5, application/fhir+xml;q=0",
        "application/fhir+xml, */*;q=0.1",
    ):
        assert (await world.a.get("/Patient", headers={"Accept": accept})).status == 200
    for form in ("json", "application/json", "application/fhir+json"):
        assert (await world.a.get(f"/Patient?_format={form}")).status == 200


async def test_head_is_refused(world: World) -> None:
    reply = await world.a.ask("HEAD", "/Patient")
    assert reply.status == 405
    assert reply.headers["Content-Type"].startswith("application/fhir+json")


async def test_a_token_of_too_little_scope_opens_nothing(world: World) -> None:
    made = (await world.a.post("/Patient", patient("Liz"))).document
    path = f"/Patient/{made['id']}"
    scope = "system/Patient.s"
    assert (await world.a.get("/Patient", scope=scope)).status == 200
    for method, where in (
        ("GET", path),
        ("GET", f"{path}/_history"),
        ("GET", f"{path}/$everything"),
        ("GET", "/Observation"),
        ("DELETE", path),
    ):
        reply = await world.a.ask(method, where, scope=scope)
        assert (reply.status, reply.reason) == (403, "auth.scope"), where
        assert "insufficient_scope" in reply.headers["WWW-Authenticate"]
    assert (await world.a.post("/Patient", patient("Ann"), scope=scope)).status == 403
    assert (await world.a.put(path, made, scope=scope)).status == 403


async def test_without_a_quorum_only_ones_own_is_read(world: World) -> None:
    _, wallet = await world.liz()
    own = (await world.a.get("/Observation")).resources[0]["id"]
    await world.grant(wallet)
    world.a.solo.is_ready = world.b.solo.is_ready = False
    assert (await world.a.get(f"/Observation/{own}")).status == 200
    reply = await world.b.get(f"/Observation/{own}")
    assert (reply.status, reply.issue["code"]) == (503, "transient")
    assert "Retry-After" in reply.headers
    write = await world.a.post("/Patient", patient("Ann"))
    assert (write.status, write.reason) == (503, "network.no_quorum")
    world.a.solo.is_ready = world.b.solo.is_ready = True


async def test_what_is_clinical_is_in_no_log_metric_or_block(
    world: World, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level("DEBUG")
    made = await world.a.post("/Patient", patient(CANARY))
    assert made.status == 201
    for path in (f"/Patient?name={CANARY}", f"/Patient?colour={CANARY}", f"/Patient/{CANARY}"):
        await world.a.get(path)
    await world.a.post("/Patient", patient(CANARY, gender=CANARY))
    metrics = await world.a.get(world.a.runner.url + "/metrics", who="administrator")
    assert b"/fhir/R4/{type}" in metrics.body
    assert CANARY not in metrics.body.decode()
    ours = [each for each in caplog.records if each.name.startswith("medlock")]
    assert not [each for each in ours if CANARY in repr(vars(each))]
    assert not await asyncio.to_thread(lambda: files_with(tmp_path, CANARY.encode()))
    for _, raw in world.solo.store.state.scan(b""):
        assert CANARY.encode() not in raw


def files_with(folder: Path, canary: bytes) -> list[Path]:
    files = [each for each in folder.rglob("*") if each.is_file()]
    assert files
    return [each for each in files if canary in each.read_bytes()]
