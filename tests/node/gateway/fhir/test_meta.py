"""id and meta on and off; everything else byte for byte."""

import pytest

from chain.errors import InvalidMessage
from client.fhir_json import Value, canonical, parse
from node.gateway.fhir.meta import (
    read_form,
    seal_form,
    with_server_elements,
    without_server_elements,
)

ID = "ab" * 32


def test_what_was_sealed_leaves_with_id_version_and_time() -> None:
    content = b'{"resourceType":"Observation","valueQuantity":{"value":1.10}}'
    assert read_form(content, ID, 3, 1_500) == (
        b'{"id":"' + ID.encode() + b'","meta":{"lastUpdated":"1970-01-01T00:00:01.500Z",'
        b'"versionId":"3"},"resourceType":"Observation","valueQuantity":{"value":1.10}}'
    )


def test_what_the_author_says_in_meta_stays() -> None:
    raw = b'{"id":"x","meta":{"profile":["http://a"],"versionId":"9"},"resourceType":"Basic"}'
    value = parse(raw)
    assert isinstance(value, dict)
    assert seal_form(value) == b'{"meta":{"profile":["http://a"]},"resourceType":"Basic"}'
    shown = with_server_elements(value, ID, 1, 0)
    assert shown["meta"] == {
        "profile": ["http://a"],
        "versionId": "1",
        "lastUpdated": "1970-01-01T00:00:00.000Z",
    }
    assert canonical(value) == raw, "the argument is not changed"


def test_every_sample_comes_back_as_it_was(sample_resources: list[dict[str, Value]]) -> None:
    for resource in sample_resources:
        sealed = seal_form(resource)
        shown = parse(read_form(sealed, ID, 1, 0))
        assert isinstance(shown, dict)
        assert canonical(without_server_elements(shown)) == sealed
        assert shown | {"id": resource["id"], "meta": resource.get("meta")} == resource | {
            "meta": resource.get("meta")
        }


@pytest.mark.parametrize("content", [b"[1]", b'"x"', b"{", b"\xff", b""])
def test_what_is_no_resource_is_said_so(content: bytes) -> None:
    with pytest.raises(InvalidMessage):
        read_form(content, ID, 1, 0)
