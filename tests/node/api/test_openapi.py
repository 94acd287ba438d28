"""The description: valid, complete, from the table."""

import json
import re
from collections.abc import Iterator
from typing import Any

from node.api.routes import ROUTES
from tests.node.api.conftest import Node

KEYWORDS = {
    "$ref", "additionalProperties", "anyOf", "const", "contentEncoding", "contentMediaType",
    "default", "description", "enum", "items", "maxItems", "maxLength", "maximum", "minItems",
    "minLength", "minimum", "pattern", "properties", "required", "title", "type",
}  # fmt: skip
TYPES = {"object", "array", "string", "integer", "boolean", "null"}


def schemas_in(document: Any) -> Iterator[dict[str, Any]]:
    """Every schema of the document, nested ones too."""
    if isinstance(document, list):
        for each in document:
            yield from schemas_in(each)
    elif isinstance(document, dict):
        for name, value in document.items():
            if name == "schema":
                yield from nested(value)
            else:
                yield from schemas_in(value)


def nested(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for each in schema.get("properties", {}).values():
        yield from nested(each)
    for each in schema.get("anyOf", []):
        yield from nested(each)
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield from nested(schema[name])


async def test_the_description_is_openapi_3_1(node: Node) -> None:
    reply = await node.get("/openapi.json")
    document = reply.document
    assert document["openapi"].startswith("3.1.")
    assert set(document["info"]) >= {"title", "version"}
    names = [
        operation["operationId"]
        for operations in document["paths"].values()
        for operation in operations.values()
    ]
    assert len(set(names)) == len(names) == len(ROUTES)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            named = {
                each["name"] for each in operation.get("parameters", []) if each["in"] == "path"
            }
            assert named == set(re.findall(r"{(\w+)}", path))
            assert operation["responses"]
            assert any(status.startswith("2") for status in operation["responses"])
            assert all(answer["description"] for answer in operation["responses"].values())


async def test_schemas_are_json_schema_and_references_lead_somewhere(node: Node) -> None:
    document = (await node.get("/openapi.json")).document
    found = list(schemas_in(document["paths"]))
    assert len(found) > 100
    for schema in found:
        assert set(schema) <= KEYWORDS, schema
        assert schema.get("type", "object") in TYPES
        if "pattern" in schema:
            re.compile(schema["pattern"])
        if "$ref" in schema:
            target: Any = document
            for step in schema["$ref"].removeprefix("#/").split("/"):
                target = target[step]


async def test_security_says_what_the_table_says(node: Node) -> None:
    document = (await node.get("/openapi.json")).document
    flows = document["components"]["securitySchemes"]["smart"]["flows"]
    scopes = set(flows["clientCredentials"]["scopes"])
    for route in ROUTES:
        operation = document["paths"][route.path][route.method.lower()]
        listed = {scope for each in operation["security"] for scope in each["smart"]}
        assert route.access is not None
        assert listed == set(route.access.spellings())
        assert listed <= scopes


async def test_the_page_loads_nothing_and_runs_nothing(node: Node) -> None:
    reply = await node.get("/docs")
    page = reply.body.decode()
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page
    for route in ROUTES:
        assert route.path.replace("&", "&amp;") in page
    policy = reply.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


async def test_the_description_is_the_same_bytes_each_time(node: Node) -> None:
    first, second = [await node.get("/openapi.json") for _ in range(2)]
    assert first.body == second.body
    assert json.loads(first.body)
