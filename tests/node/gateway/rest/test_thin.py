from tests.node.gateway.rest.house import World


async def test_a_bundle_is_written_read_and_found(world: World) -> None:
    pseudonym, _ = await world.liz()
    found = await world.a.get(f"/Observation?patient=Patient/{pseudonym.hex()}")
    assert found.status == 200, found.body
    assert found.document["total"] == 1
    read = await world.a.get(f"/Observation/{found.resources[0]['id']}")
    assert read.status == 200, read.body
    print(read.document)
