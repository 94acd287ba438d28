"""When two documents are one event: however spelled, but not whatever said."""

from typing import Any

import pytest

from client.epcis.sameness import said
from client.fhir_json import canonical
from tests.client.epcis.event_world import CONTEXT

EVENT: dict[str, Any] = {
    "@context": [CONTEXT],
    "eventID": "urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a8",
    "type": "ObjectEvent",
    "action": "OBSERVE",
    "bizStep": "shipping",
    "eventTime": "2026-11-02T09:15:00.000Z",
    "eventTimeZoneOffset": "+00:00",
    "epcList": ["urn:epc:id:sgtin:9521141.001234.2017"],
}
WRONG = {"declarationTime": "2026-11-03T00:00:00Z"}


def same(changed: dict[str, Any]) -> bool:
    return said(canonical(EVENT)) == said(canonical({**EVENT, **changed}))


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"bizStep": "https://ref.gs1.org/cbv/BizStep-shipping"},
        {"epcList": ["https://id.gs1.org/01/09521141012345/21/2017"]},
        {"eventTime": "2026-11-02T10:15:00+01:00"},
    ],
)
def test_spelling_makes_no_other_event(changed: dict[str, Any]) -> None:
    assert same(changed)


@pytest.mark.parametrize(
    "changed",
    [
        {"bizStep": "receiving"},
        {"epcList": ["urn:epc:id:sgtin:9521141.001234.2018"]},
        {"eventTime": "2026-11-02T09:15:01Z"},
        {"errorDeclaration": WRONG},
        {"certificationInfo": "https://council.example/7"},
        {"type": "NoEvent"},
    ],
)
def test_content_does(changed: dict[str, Any]) -> None:
    assert not same(changed)


def test_what_is_no_event_is_the_same_as_itself_only() -> None:
    for raw in (b"", b"{", b"[]", b"\xff", b'{"type": "ObjectEvent"}'):
        assert said(raw) == said(raw)
        assert said(raw) != said(canonical(EVENT))
        assert said(raw) != said(raw + b" ")
