"""Asking for events: by every parameter, page by page, below the lists, and by their names."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from client.epcis.events import EventType
from client.epcis.vocabulary import BIZ_STEPS, DISPOSITIONS
from node.gateway.supply.supply import EpcisSettings
from tests.node.gateway.epcis.warehouse import (
    AS_SENT,
    NAMESPACE,
    Speaker,
    encoded,
    epc,
    event_id,
    events_in,
    members_in,
    next_link,
    problem,
    some,
)
from tests.node.gateway.gateway_world import Hospitals
from tests.node.gateway.rest.house import served

SECRET = "blood-of-anna"
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shelves(
    hospitals: Hospitals, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Speaker]:
    """Hospital A with these, for tests that only look."""
    recording = EpcisSettings(binding=False)
    async with served(hospitals, tmp_path_factory.mktemp("shelves"), epcis=recording) as world:
        yield await some(world)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [1, 2, 3]),
        ("eventType=ObjectEvent", [1, 3]),
        ("eventType=AggregationEvent|ObjectEvent", [1, 2, 3]),
        ("EQ_action=ADD", [2, 3]),
        ("EQ_bizStep=cbv:BizStep-packing|storing", [2, 3]),
        ("EQ_disposition=in_transit", [1]),
        ("EQ_persistentDisposition_set=completeness_verified", [2]),
        ("EQ_readPoint=https://id.gs1.org/414/9521141000014", [1]),
        ("EQ_bizLocation=urn:epc:id:sgln:9521141.00001.A7", [1]),
        ("EQ_bizLocation=urn:epc:id:sgln:9521141.00001.0", []),
        ("WD_bizLocation=urn:epc:id:sgln:9521141.00001.0", [1]),
        ("EQ_bizTransaction_po=urn:own:po:1", [1]),
        ("EQ_bizTransaction_inv=urn:own:po:1", []),
        ("EQ_source_owning_party=417/9521141000014", [1]),
        ("MATCH_epc=(01)09521141012345(21)1", [1]),
        ("MATCH_epc=urn:epc:id:sgtin:9521141.001234.2", [2]),
        ("MATCH_parentID=00/095211411234567892", [2]),
        ("MATCH_anyEPC=urn:epc:id:sscc:9521141.0123456789|urn:own:nothing", [2]),
        ("MATCH_epc=urn:epc:idpat:sgtin:9521141.001234.*", [1, 2, 3]),
        ("MATCH_epcClass=https://id.gs1.org/01/09521141012345/10/L7", [2]),
        ("MATCH_anyEPCClass=01/09521141012345/10/L7", [2]),
        ("GE_quantity=12&LT_quantity=13", [2]),
        ("GT_quantity_KGM=12", []),
        ("EQ_quantity_KGM=12", [2]),
        ("EQ_own:note=fragile", [1]),
        ("EXISTS_own:rank=", [1, 2]),
        ("GE_own:rank=2", [1]),
        ("EQ_ILMD_own:grade=A", [3]),
        ("EXISTS_sensorElementList=1", [3]),
        ("GE_value_CEL=5.5&EQ_type=Temperature", [3]),
        ("GT_value_CEL=5.5", []),
        ("EQ_deviceID=https://id.gs1.org/8004/9521141probe", [3]),
        ("GE_time=2023-11-14T09:00:00Z", [3]),
        ("EXISTS_errorDeclaration=1", []),
        ("GE_errorDeclarationTime=2020-01-01T00:00:00Z", []),
        ("LT_errorDeclaration_Time=2100-01-01T00:00:00Z", []),
        ("EQ_eventID=urn:uuid:00000000-0000-4000-8000-000000000002", [2]),
        ("GE_eventTime=2023-11-14T10:02:00Z", [2, 3]),
        ("LT_eventTime=2023-11-14T10:02:00%2B00:00", [1]),
        ("LT_recordTime=2000-01-01T00:00:00Z", []),
        ("orderBy=eventTime", [3, 2, 1]),
        ("orderBy=eventTime&orderDirection=ASC&eventCountLimit=2", [1, 2]),
        ("orderBy=recordTime&orderDirection=ASC", [1, 2, 3]),
        ("orderBy=own:rank&orderDirection=ASC", [3, 2, 1]),
        ("orderBy=own:rank&eventCountLimit=1", [1]),
        ("maxEventCount=3", [1, 2, 3]),
    ],
)
async def test_what_is_asked_is_found(shelves: Speaker, query: str, found: list[int]) -> None:
    headers = {"GS1-Extensions": f"own={NAMESPACE}"}
    for pages in ("", "perPage=1"):
        numbers, link = [], f"/events?{'&'.join(filter(None, (query, pages)))}"
        while link is not None:
            reply = await shelves.get(link, headers=headers)
            assert reply.status == 200, reply.body
            page = events_in(reply)
            assert not pages or len(page) <= 1
            numbers += [int(each["eventID"][-3:]) for each in page]
            link = next_link(reply)  # type: ignore[assignment]
        assert numbers == found, (query, pages)


async def test_more_than_the_client_wants(shelves: Speaker) -> None:
    reply = await shelves.get("/events?maxEventCount=2")
    assert (reply.status, problem(reply)["type"]) == (413, "epcisException:QueryTooLargeException")


@pytest.mark.parametrize(
    "query",
    [
        f"{SECRET}=1",
        f"EQ_action={SECRET}",
        f"nextPageToken={SECRET}",
        "perPage=0",
        "EQ_bizStep=shipping&EQ_bizStep=storing",
    ],
)
async def test_what_is_not_understood_is_not_repeated(shelves: Speaker, query: str) -> None:
    reply = await shelves.get(f"/events?{query}")
    assert reply.status == 400
    found = problem(reply)
    assert found["type"] == "epcisException:QueryParameterException"
    assert found["field"].startswith("query")
    assert SECRET.encode() not in reply.body


async def test_a_token_fits_its_own_list_only(shelves: Speaker) -> None:
    link = next_link(await shelves.get("/events?perPage=1"))
    assert link is not None
    token = link.rpartition("nextPageToken=")[2]
    for path in (
        f"/events?EQ_action=ADD&nextPageToken={token}",
        f"/eventTypes/ObjectEvent/events?nextPageToken={token}",
        f"/bizSteps?nextPageToken={token}",
        f"/epcs?nextPageToken={token}",
        f"/events?nextPageToken={token[:-2]}AA",
        f"/events?nextPageToken={'A' * 2000}",
    ):
        refused = await shelves.get(path)
        assert refused.status == 400, path
        assert problem(refused)["type"] == "epcisException:QueryParameterException"
    assert (await shelves.get(f"/events?perPage=2&nextPageToken={token}")).status == 200


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("/eventTypes", sorted(each.value for each in EventType)),
        ("/bizSteps", sorted(BIZ_STEPS.words)),
        ("/dispositions", sorted(DISPOSITIONS.words)),
        ("/readPoints", ["urn:epc:id:sgln:9521141.00001.0"]),
        ("/bizLocations", ["https://id.gs1.org/414/9521141000014/254/A7"]),
        ("/epcs", [epc(1), "urn:epc:id:sscc:9521141.0123456789", epc(2), epc(3)]),
    ],
)
async def test_the_lists(shelves: Speaker, path: str, values: list[str]) -> None:
    """Collections, of what the standard has and of what events have brought."""
    for page in (1, 100):
        found, link = [], f"{path}?perPage={page}"
        while link is not None:
            reply = await shelves.get(link, headers=AS_SENT)
            assert reply.status == 200
            members = members_in(reply)
            assert len(members) <= page
            found += members
            link = next_link(reply)  # type: ignore[assignment]
        assert found == values
    for value in values:
        one = f"{path}/{encoded(value)}"
        for asked in ("", "?perPage=10"):
            assert members_in(await shelves.get(one + asked)) == ["events"]
        assert (await shelves.get(f"{one}/events")).status == 200
    refused = await shelves.get(f"{path}/{encoded(values[0])}?nextPageToken=AAAA")
    assert (refused.status, problem(refused)["code"]) == (400, "epcis.wrong_token")


async def test_words_of_the_standard_are_there_before_any_event_has_them(shelves: Speaker) -> None:
    for path in ("/bizSteps/dispensing", "/dispositions/recalled", "/eventTypes/AssociationEvent"):
        assert events_in(await shelves.get(f"{path}/events")) == []
    for path, count in (("/bizSteps/packing", 1), ("/eventTypes/ObjectEvent", 2)):
        assert len(events_in(await shelves.get(f"{path}/events"))) == count


async def test_members_go_by_any_of_their_names(shelves: Speaker) -> None:
    for path in (
        f"/epcs/{encoded('urn:epc:id:sgtin:9521141.001234.1')}/events",
        f"/epcs/{encoded('01/09521141012345/21/1')}/events",
        f"/epcs/{encoded('(01)09521141012345(21)1')}/events",
        f"/readPoints/{encoded('https://id.gs1.org/414/9521141000014')}/events",
        f"/dispositions/{encoded('urn:epcglobal:cbv:disp:in_transit')}/events?EQ_action=OBSERVE",
    ):
        found = await shelves.get(path)
        assert [each["eventID"] for each in events_in(found)] == [event_id(1)], path
    found = await shelves.get(f"/epcs/{encoded(epc(1))}/events?EQ_action=ADD")
    assert events_in(found) == []


@pytest.mark.parametrize(
    "path",
    [
        f"/events/{SECRET}",
        f"/epcs/{SECRET}",
        f"/epcs/{SECRET}/events",
        f"/bizSteps/{SECRET}/events",
        f"/eventTypes/{SECRET}",
        f"/{SECRET}",
        f"/epcs/{SECRET}/{SECRET}",
    ],
)
async def test_what_is_not_there(shelves: Speaker, path: str) -> None:
    reply = await shelves.get(path)
    assert reply.status == 404
    assert problem(reply)["type"] == "epcisException:NoSuchNameException"
    assert SECRET.encode() not in reply.body


async def test_the_type_stands_in_the_path_or_in_the_query(shelves: Speaker) -> None:
    reply = await shelves.get("/eventTypes/ObjectEvent/events?eventType=ObjectEvent")
    assert (reply.status, problem(reply)["type"]) == (
        400,
        "epcisException:QueryParameterException",
    )


async def test_identifiers_in_the_form_that_is_asked_for(shelves: Speaker) -> None:
    path = f"/events/{encoded(event_id(2))}"
    links = await shelves.get(path, headers={"GS1-EPC-Format": "Always_GS1_Digital_Link"})
    (found,) = events_in(links)
    assert links.headers["GS1-EPC-Format"] == "Always_GS1_Digital_Link"
    assert found["parentID"] == "https://id.gs1.org/00/095211411234567892"
    assert found["childQuantityList"][0]["epcClass"] == (
        "https://id.gs1.org/01/09521141012345/10/L7"
    )
    urns = await shelves.get(path, headers={"GS1-EPC-Format": "Always_EPC_URN"})
    (found,) = events_in(urns)
    # A link does not tell how long its company prefix is: it stays a link.
    assert (found["parentID"], found["childEPCs"]) == (
        "urn:epc:id:sscc:9521141.0123456789",
        [epc(2)],
    )
    listed = await shelves.get("/readPoints", headers={"GS1-EPC-Format": "Always_GS1_Digital_Link"})
    assert members_in(listed) == ["https://id.gs1.org/414/9521141000014"]


async def test_who_does_not_say_which_form_gets_digital_links(shelves: Speaker) -> None:
    path = f"/events/{encoded(event_id(2))}"
    reply = await shelves.get(path)
    assert reply.headers["GS1-EPC-Format"] == "Always_GS1_Digital_Link"
    assert events_in(reply)[0]["parentID"] == "https://id.gs1.org/00/095211411234567892"
    reply = await shelves.get(path, headers={"GS1-EPC-Format": "No_Preference"})
    assert reply.headers["GS1-EPC-Format"] == "Never_Translates"
    assert events_in(reply)[0]["parentID"] == "urn:epc:id:sscc:9521141.0123456789"
