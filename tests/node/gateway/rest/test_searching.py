"""Pages, totals, links, cuts; by URL and by form; what is not understood is said."""

import pytest

from tests.network.world import FHIR
from tests.node.gateway.rest.house import World, observation, patient, synthea, transaction


async def written(world: World, count: int) -> None:
    made = [observation(effectiveDateTime=f"2020-01-{day + 1:02}") for day in range(count)]
    reply = await world.a.post("", transaction(patient("Liz"), *made))
    assert reply.status == 200, reply.body


async def test_pages_follow_each_other_to_the_end(world: World) -> None:
    await written(world, 7)
    url: str | None = "/Observation?_count=3&_sort=date"
    days: list[str] = []
    pages = 0
    while url is not None:
        reply = await world.a.get(url)
        assert reply.document["total"] == 7
        assert reply.link("self") is not None
        days += [each["effectiveDateTime"] for each in reply.resources]
        url, pages = reply.link("next"), pages + 1
    assert days == sorted(days)
    assert (len(days), pages) == (7, 3)


async def test_a_link_is_good_for_who_got_it(world: World) -> None:
    await written(world, 3)
    following = (await world.a.get("/Observation?_count=1")).link("next")
    assert following is not None
    other = await world.a.get(following, who="service")
    assert (other.status, other.reason) == (400, "search.wrong_page")
    assert (await world.a.get(following)).status == 200


async def test_a_form_searches_as_the_url_does(world: World) -> None:
    await written(world, 2)
    reply = await world.a.ask("POST", "/Observation/_search", data={"code": "8302-2"})
    assert (reply.status, reply.document["total"]) == (200, 2)
    wrong = await world.a.ask("POST", "/Observation/_search", json={"code": "8302-2"})
    assert wrong.status == 415
    assert wrong.issue["expression"] == ["http.content-type"]


NOT_UNDERSTOOD: tuple[tuple[str, int, str | None], ...] = (
    ("/Observation?colour=red", 400, "http.colour"),
    ("/Observation?date=yesterday", 400, "http.date"),
    ("/Observation?_count=many", 400, "http._count"),
    ("/Observation?_sort=colour", 400, "http._sort"),
    ("/Observation?_include=Observation", 400, "http._include"),
    ("/Observation?page=made-up", 400, None),
    ("/Imaginary", 404, "http.type"),
    ("/_history", 405, "http.url"),
)


async def test_what_is_not_understood_is_said(world: World) -> None:
    for path, status, place in NOT_UNDERSTOOD:
        reply = await world.a.get(path)
        assert reply.status == status, reply.body
        if place is not None:
            assert reply.issue["expression"] == [place]
        assert b"yesterday" not in reply.body


async def test_a_lenient_client_gets_an_answer_and_is_told(world: World) -> None:
    await written(world, 1)
    reply = await world.a.get(
        "/Observation?colour=red&code=8302-2", headers={"Prefer": "handling=lenient"}
    )
    assert reply.document["total"] == 1
    assert "colour" not in str(reply.link("self"))
    assert reply.document["entry"][-1]["search"]["mode"] == "outcome"


async def test_cuts(world: World) -> None:
    await written(world, 1)
    count = await world.a.get("/Observation?_summary=count")
    assert (count.document["total"], count.resources) == (1, [])
    cut = (await world.a.get("/Observation?_elements=code")).resources[0]
    assert "valueQuantity" not in cut
    assert cut["meta"]["tag"][0]["code"] == "SUBSETTED"
    read = await world.a.get(f"/Observation/{cut['id']}?_elements=code")
    assert "valueQuantity" not in read.document
    assert (await world.a.get(f"/Observation/{cut['id']}?colour=red")).status == 400


@pytest.mark.skipif(not FHIR.exists(), reason="the sample records are not here")
async def test_everything_of_a_bundle_is_found_and_comes_in_pages(world: World) -> None:
    sent = synthea("Liz_Conn.json")
    reply = await world.a.post("", sent)
    owner = reply.document["entry"][0]["response"]["location"].split("/")[1][:32]
    types = sorted(each["resource"]["resourceType"] for each in sent["entry"])
    whole = await world.a.get(f"/Patient/{owner}/$everything")
    assert sorted(each["resourceType"] for each in whole.resources) == types
    url: str | None = f"/Patient/{owner}/$everything?_count=40"
    seen: list[str] = []
    while url is not None:
        page = await world.a.get(url)
        seen += [each["id"] for each in page.resources]
        url = page.link("next")
    assert sorted(seen) == sorted(each["id"] for each in whole.resources)
    some = await world.a.get(f"/Patient/{owner}/$everything?_type=Encounter,Claim")
    assert {each["resourceType"] for each in some.resources} == {"Encounter", "Claim"}
    late = await world.a.get(f"/Patient/{owner}/$everything?_since=2999-01-01T00:00:00Z")
    assert late.document["total"] == 0
    for query in ("_since=yesterday", "_count=0", "start=2020-01-01", "_type=Imaginary"):
        assert (await world.a.get(f"/Patient/{owner}/$everything?{query}")).status in {400, 404}
    encounter = next(each for each in whole.resources if each["resourceType"] == "Encounter")
    along = await world.a.get(f"/Observation?encounter=Encounter/{encounter['id']}&_count=5")
    assert along.status == 200
