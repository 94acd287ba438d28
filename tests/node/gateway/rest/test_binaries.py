"""Binaries: as bytes and as FHIR, large ones in pieces, only for who may."""

import os
from base64 import b64decode, b64encode

from tests.node.gateway.rest.house import World


def raw(pseudonym: bytes, media_type: str = "application/pdf") -> dict[str, str]:
    return {
        "Content-Type": media_type,
        "X-Security-Context": f"Patient/{pseudonym.hex()}",
    }


async def test_bytes_come_back(world: World) -> None:
    pseudonym, wallet = await world.liz()
    for size in (1, 2, 3, 300_001):
        sent = os.urandom(size)
        path = await stored(world, pseudonym, sent)
        back = await world.a.get(path)
        assert (back.status, back.headers["Content-Type"]) == (200, "application/pdf")
        assert back.body == sent
        fhir = await world.a.get(path, headers={"Accept": "application/fhir+json"})
        assert b64decode(fhir.document["data"]) == sent
        assert fhir.document["id"] == path.removeprefix("/Binary/")
        assert fhir.document["securityContext"]["reference"] == f"Patient/{pseudonym.hex()}"
    assert (await world.b.get(path)).status == 403
    await world.grant(wallet)
    assert (await world.b.get(path)).body == sent


async def stored(world: World, pseudonym: bytes, sent: bytes) -> str:
    made = await world.a.ask("POST", "/Binary", data=sent, headers=raw(pseudonym))
    assert made.status == 201, made.body
    return f"/Binary/{made.headers['Location'].split('/')[-3]}"


async def test_as_fhir(world: World) -> None:
    pseudonym, _ = await world.liz()
    resource = {
        "resourceType": "Binary",
        "contentType": "text/plain",
        "securityContext": {"reference": f"Patient/{pseudonym.hex()}"},
        "data": b64encode(b"as it is").decode(),
    }
    made = await world.a.post("/Binary", resource)
    assert made.status == 201, made.body
    path = f"/Binary/{made.document['id']}"
    assert (await world.a.get(path)).body == b"as it is"
    deleted = await world.a.delete(path)
    assert deleted.status == 204, deleted.body
    assert (await world.a.get(path)).status == 410


async def test_what_is_wrong(world: World) -> None:
    pseudonym, _ = await world.liz()
    nobody = await world.a.ask("POST", "/Binary", data=b"x", headers={"Content-Type": "text/plain"})
    assert (nobody.status, nobody.issue["expression"]) == (400, ["http.x-security-context"])
    stranger = await world.a.ask("POST", "/Binary", data=b"x", headers=raw(bytes(16)))
    assert stranger.status in {404, 422}, stranger.body
    none = await world.a.ask("POST", "/Binary", data=b"", headers=raw(pseudonym))
    assert none.status == 411
    odd = await world.a.ask("POST", "/Binary", data=b"x", headers=raw(pseudonym, "x"))
    assert odd.status == 415
    observation = (await world.a.get("/Observation")).resources[0]["id"]
    assert (await world.a.get(f"/Binary/{observation}")).status == 404
