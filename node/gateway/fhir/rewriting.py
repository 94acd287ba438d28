"""Rewrites what in a resource names another entry of its bundle; nothing else changes.

FHIR R4 §3.1.0.11.2: a server that assigns ids updates the references between the entries, in
elements of the types Reference, uri, url, oid, uuid and canonical, and in links and images of
narratives. Which element is which, the definitions say: a string that looks like a URN (the value
of an Identifier, say) stays what it is. Numbers keep their text, members their order.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from client.fhir_json import Value
from node.gateway.fhir.definitions import (
    Definition,
    Element,
    resource_definition,
    type_definition,
)
from node.gateway.fhir.outcome import Issue

Resource = dict[str, Value]

Use = Literal["reference", "uri", "link"]
"""Where a candidate stands: in Reference.reference, in a URI, in a narrative."""

_URIS: Final = frozenset({"uri", "url", "oid", "uuid", "canonical"})
_SUFFIX: Final = re.compile(r"[#|]")
_LINK: Final = re.compile(
    r"""(<(?:a\b[^<>]*?\bhref|img\b[^<>]*?\bsrc)\s*=\s*)(["'])([^"'<>]*)\2""", re.IGNORECASE
)
"""Stops at the next tag, so that a text of a megabyte that begins many costs no more than its
length."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a candidate becomes. `type` is the type of the resource that it names."""

    text: str
    type: str


Replace = Callable[[str, Use, str], "Target | Issue | None"]
"""(candidate, use, its FHIRPath) to what it becomes, why it is wrong, or None: it stays."""


@dataclass(slots=True)
class _Rewriting:
    replace: Replace
    issues: list[Issue] = field(default_factory=list)

    def object(self, value: Value, definition: Definition, path: str) -> Value:
        if not isinstance(value, dict):
            return value
        members = {
            name: self.member(name, member, definition, path) for name, member in value.items()
        }
        same = all(members[name] is member for name, member in value.items())
        return value if same else members

    def member(self, name: str, member: Value, definition: Definition, path: str) -> Value:
        extends = name.startswith("_")
        element = definition.elements.get(name[1:] if extends else name)
        if element is None:
            return member
        here = f"{path}.{element.path}"
        if not isinstance(member, list):
            return self.one(member, element, here, extends=extends)
        items = [
            self.one(each, element, f"{here}[{index}]", extends=extends)
            for index, each in enumerate(member)
        ]
        return member if all(a is b for a, b in zip(items, member, strict=True)) else items

    def one(self, member: Value, element: Element, path: str, *, extends: bool) -> Value:
        if extends:
            return self.object(member, type_definition("FHIRPrimitiveExtension"), path)
        if element.primitive:
            return self.text(member, element, path) if isinstance(member, str) else member
        if element.kind == "Resource":
            return self.inner(member, path)
        value = self.object(member, type_definition(element.kind), path)
        return self.reference(value, element, path) if element.kind == "Reference" else value

    def inner(self, member: Value, path: str) -> Value:
        kind = member.get("resourceType") if isinstance(member, dict) else None
        definition = resource_definition(kind) if isinstance(kind, str) else None
        return member if definition is None else self.object(member, definition, path)

    def text(self, member: str, element: Element, path: str) -> str:
        if element.kind in _URIS:
            return self.ask(member, "uri", path)
        if element.kind == "xhtml":
            return _LINK.sub(
                lambda found: (
                    f"{found.group(1)}{found.group(2)}"
                    f"{self.ask(found.group(3), 'link', path)}{found.group(2)}"
                ),
                member,
            )
        return member

    def reference(self, value: Value, element: Element, path: str) -> Value:
        literal = value.get("reference") if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(literal, str):
            return value
        here = f"{path}.reference"
        answer = self.replace(literal, "reference", here)
        match answer:
            case None:
                return value
            case Issue():
                self.issues.append(answer)
                return value
            case Target():
                if element.targets and answer.type not in element.targets:
                    self.issues.append(
                        Issue(
                            "value",
                            "fhir.wrong_target",
                            f"a reference to {' or '.join(element.targets)} expected",
                            (here,),
                        )
                    )
                return value if answer.text == literal else {**value, "reference": answer.text}

    def ask(self, text: str, use: Use, path: str) -> str:
        answer = self.replace(text, use, path)
        return answer.text if isinstance(answer, Target) else text


def rewrite(resource: Resource, path: str, replace: Replace) -> tuple[Resource, list[Issue]]:
    """`resource`, whose FHIRPath is `path`, with what `replace` says; and what was wrong.

    What does not change is shared with the argument, which itself never changes.
    """
    definition = resource_definition(str(resource.get("resourceType")))
    assert definition is not None, "validated before"
    work = _Rewriting(replace)
    value = work.object(resource, definition, path)
    assert isinstance(value, dict)
    return value, work.issues


def split_suffix(text: str) -> tuple[str, str]:
    """A URI and the suffix that says more about its target: "#…" or, of a canonical, "|…"."""
    found = _SUFFIX.search(text)
    return (text, "") if found is None else (text[: found.start()], text[found.start() :])


def by_table(targets: Mapping[str, Target], text: str) -> Target | None:
    """What `text` becomes where the table knows it; a suffix stays."""
    name, suffix = split_suffix(text)
    found = targets.get(name)
    return None if found is None else Target(found.text + suffix, found.type)
