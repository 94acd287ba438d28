"""The API's own description as one page: no script, nothing loaded from anywhere."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from typing import Any, Final

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "h2{margin-top:2.5rem;border-bottom:1px solid #8888}code,.p{font-family:ui-monospace,monospace}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.2rem .8rem .2rem 0;"
    "vertical-align:top}.m{font-weight:600}@media(prefers-color-scheme:dark){body{background:#111;"
    "color:#eee}a{color:#8cf}}"
)


@dataclass(frozen=True, slots=True)
class Page:
    """HTML with the policy that lets exactly its own style in."""

    body: bytes
    content_security_policy: str


def reference(document: dict[str, Any]) -> Page:
    """The reference page of an OpenAPI document."""
    title = escape(document["info"]["title"])
    rows = "".join(_operations(document))
    html = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{title}</h1><p>{escape(document['info']['description'])}</p>"
        f'<p>Machine-readable: <a href="/openapi.json">/openapi.json</a></p>{rows}</html>'
    )
    digest = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return Page(html.encode(), policy)


def _operations(document: dict[str, Any]) -> Iterator[str]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            scopes = [scope for each in operation["security"] for scope in each.get("smart", ())]
            allowed = " or ".join(scopes) if scopes else "anyone"
            yield f'<h2><span class="m">{method.upper()}</span> <span class="p">'
            yield f"{escape(path)}</span></h2><p>{escape(operation['summary'])}</p>"
            yield f"<p>Who may call: {escape(allowed)}</p>"
            yield from _parameters(operation.get("parameters", []))
            yield from _answers(operation["responses"])


def _parameters(parameters: list[dict[str, Any]]) -> Iterator[str]:
    if parameters:
        yield "<table><tr><th>Parameter<th>In<th>Meaning</tr>"
        for each in parameters:
            name, meaning = escape(each["name"]), escape(each["description"])
            yield f"<tr><td><code>{name}</code><td>{escape(each['in'])}<td>{meaning}</tr>"
        yield "</table>"


def _answers(responses: dict[str, Any]) -> Iterator[str]:
    yield "<table><tr><th>Answer<th>Types</tr>"
    for status, answer in responses.items():
        types = ", ".join(answer.get("content", {})) or "none"
        yield f"<tr><td>{escape(status)} {escape(answer['description'])}"
        yield f"<td><code>{escape(types)}</code></tr>"
    yield "</table>"
