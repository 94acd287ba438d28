import json, asyncio
from urllib.parse import quote
from pathlib import Path
import pytest

DOCS = Path("/work/shared/data/epcis/documents")


async def test_thin(world):
    house = world.a
    raw = (DOCS / "Combination_of_different_event.json").read_bytes()
    base = house.runner.url + "/epcis"
    r = await house.ask(
        "POST",
        base + "/capture",
        data=raw,
        headers={"Content-Type": "application/json"},
        who="service",
    )
    print(r.status, r.document, r.headers)
    assert r.status == 202, r.body
    for _ in range(200):
        j = await house.get(r.headers["Location"], who="service")
        if not j.document["running"]:
            break
        await asyncio.sleep(0.01)
    print(j.document)
    e = await house.get(base + "/events?perPage=1", who="service")
    print(e.status, e.headers.get("Link"), json.dumps(e.document)[:600])
    for p in (
        "",
        "/",
        "/epcs?perPage=2",
        "/bizSteps",
        "/eventTypes",
        "/readPoints",
        "/bizLocations",
        "/dispositions",
        "/events?EQ_bizStep=shipping",
        "/capture",
    ):
        x = await house.get(base + p, who="service")
        print(p, x.status, x.headers.get("Link"), x.body[:300])
    epcs = (await house.get(base + "/epcs?perPage=100", who="service")).document["epc"]
    x = await house.get(base + "/epcs/" + quote(epcs[0], safe="") + "/events", who="service")
    print(x.status, x.body[:200])
    from yarl import URL

    x = await house.get(
        URL(base + "/epcs/" + quote(epcs[0], safe="") + "/events", encoded=True).human_repr(),
        who="service",
    )
    print(x.status, x.body[:200])
    x = await house.ask("OPTIONS", base + "/capture", who="service")
    print(x.status, x.headers)
    assert 0
