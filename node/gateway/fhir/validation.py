"""Is this a valid FHIR R4 resource? Every issue, each with where it is.

Walks the JSON along the definitions of fhir.resources: unknown elements, wrong JSON types,
cardinalities, choices of types, primitives, references, required bindings, and the invariants that
matter to whoever reads the index or treats the patient. fhir.resources' own parser is not asked: it
reads what is no FHIR ("yes" as a boolean, an object as a string), stops at the first kind of fault,
and rounds decimals. What is stored are the bytes of `client.fhir_json`, never a model.

Costs about 0.2 ms a resource, 2 ms a large claim: callers run it in a thread.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from chain.errors import InvalidMessage
from client.fhir_json import Value, below, parse
from node.gateway.fhir.bindings import CODES, CODINGS, SYSTEMS
from node.gateway.fhir.definitions import (
    Definition,
    Element,
    resource_definition,
    type_definition,
)
from node.gateway.fhir.invariants import broken
from node.gateway.fhir.outcome import (
    ISSUES_MAX,
    FhirProblem,
    Issue,
    IssueType,
    of_invalid,
    problem,
    refuse,
)
from node.gateway.fhir.primitives import fault
from node.gateway.fhir.references import Form, form_of, type_of

DEPTH_MAX: Final = 32
"""Levels of elements inside of a resource; extensions of extensions count."""
ELEMENTS_MAX: Final = 100_000
"""JSON values of one resource."""

_CODES_NAMED_MAX: Final = 40
"""Longer value sets are not spelled out in an issue."""

Resource = dict[str, Value]


def parse_resource(raw: bytes, expected: str | None = None) -> Resource:
    """The resource in `raw`, not yet validated beyond its type.

    Raises `FhirProblem`: malformed JSON, no object, no type, another type than `expected`.
    """
    try:
        value = parse(raw)
    except InvalidMessage as error:
        raise of_invalid(error, expected or "") from None
    if not isinstance(value, dict):
        raise problem(400, "fhir.not_a_resource", "an object expected", code="structure")
    wrong = wrong_type(value, expected)
    if wrong is not None:
        raise FhirProblem(400, wrong)
    return value


def validate(resource: Resource) -> FhirProblem | None:
    """None where `resource` is valid; else a refusal (422) with every issue found, the first
    `ISSUES_MAX` of them."""
    wrong = wrong_type(resource, None)
    if wrong is not None:
        return FhirProblem(422, wrong)
    walk = _Walk()
    name = str(resource["resourceType"])
    definition = resource_definition(name)
    assert definition is not None
    walk.resource(resource, definition, name, 0)
    return refuse(422, walk.issues)


def validate_frame(bundle: Resource) -> tuple[Issue, ...]:
    """What is wrong with a Bundle outside of the resources in it (FHIR R4 §2.36)."""
    entries = bundle.get("entry")
    frame = dict(bundle)
    if isinstance(entries, list):
        frame["entry"] = [
            {**each, "resource": _NOTHING}
            if isinstance(each, dict) and isinstance(each.get("resource"), dict)
            else each
            for each in entries
        ]
    walk = _Walk()
    walk.resource(frame, type_definition("Bundle"), "Bundle", 0)
    return tuple(walk.issues)


_NOTHING: Final[Value] = {"resourceType": "Basic", "code": {"text": "the resource"}}
"""Stands for a resource that is looked at by itself."""


def wrong_type(resource: Resource, expected: str | None) -> Issue | None:
    """What is wrong with the resource's type; None where nothing is."""
    name = resource.get("resourceType")
    if not isinstance(name, str):
        return Issue("structure", "fhir.no_type", "resourceType expected", ("resourceType",))
    if resource_definition(name) is None:
        return Issue(
            "not-supported", "fhir.unknown_type", "no type that is known here", ("resourceType",)
        )
    if expected is not None and name != expected:
        return Issue("invalid", "fhir.wrong_type", f"{expected} expected", ("resourceType",))
    return None


class _Full(Exception):  # noqa: N818 - a signal inside this module
    """As many issues as one answer names."""


class _Walk:
    """One validation: the issues found so far, and what bounds it."""

    def __init__(self) -> None:
        self.issues: list[Issue] = []
        self._elements = 0
        self._contained: frozenset[str] = frozenset()

    def resource(self, value: Resource, definition: Definition, path: str, depth: int) -> None:
        """Checks a whole resource, with those that it contains."""
        self._contained = frozenset(_contained_ids(value))
        with suppress(_Full):
            self._object(value, definition, path, depth)

    def _say(self, code: IssueType, reason: str, text: str, path: str) -> None:
        self.issues.append(Issue(code, reason, text, (path,)))
        if len(self.issues) >= ISSUES_MAX:
            raise _Full

    def _object(self, value: Value, definition: Definition, path: str, depth: int) -> None:
        if not isinstance(value, dict):
            self._say("structure", "fhir.wrong_json_type", "an object expected", path)
            return
        if depth > DEPTH_MAX:
            self._say("too-long", "fhir.too_deep", f"at most {DEPTH_MAX} levels", path)
            return
        if not value:
            self._say("structure", "fhir.empty", "an empty object; leave it out", path)
            return
        for name, member in value.items():
            self._member(name, member, value, definition, path, depth)
        self._cardinality(value, definition, path)
        self._codings(value, definition, path)
        for issue in broken(definition.name, value, path):
            self._say(issue.code, issue.reason, issue.text, issue.expression[0])

    def _member(
        self,
        name: str,
        member: Value,
        owner: Resource,
        definition: Definition,
        path: str,
        depth: int,
    ) -> None:
        self._count(path)
        if name == "resourceType" and definition.is_resource:
            return
        extends = name.startswith("_")
        element = definition.elements.get(name[1:] if extends else name)
        if element is None or (extends and not element.primitive):
            self._say("structure", "fhir.unknown_element", "no such element", below(path, name))
            return
        here = f"{path}.{element.path}"
        if extends:
            self._extended(member, owner, element, here, depth)
        elif element.many:
            self._list(member, owner, element, definition, here, depth)
        else:
            self._one(member, element, definition, here, depth)

    def _list(
        self,
        member: Value,
        owner: Resource,
        element: Element,
        definition: Definition,
        path: str,
        depth: int,
    ) -> None:
        if not isinstance(member, list):
            self._say("structure", "fhir.wrong_json_type", "an array expected", path)
            return
        if not member:
            self._say("structure", "fhir.empty", "an empty array; leave it out", path)
            return
        siblings = owner.get(f"_{element.name}") if element.primitive else None
        for index, item in enumerate(member):
            here = f"{path}[{index}]"
            self._count(here)
            if item is None and _has_extension(siblings, index):
                continue
            self._one(item, element, definition, here, depth)

    def _one(
        self, member: Value, element: Element, definition: Definition, path: str, depth: int
    ) -> None:
        if member is None:
            self._say("structure", "fhir.null", "null; leave it out", path)
        elif element.primitive:
            self._primitive(member, element, definition, path)
        elif element.kind == "Resource":
            self._inner(member, path, depth)
        else:
            self._object(member, type_definition(element.kind), path, depth + 1)
            if element.kind == "Reference":
                self._reference(member, element, path)

    def _inner(self, member: Value, path: str, depth: int) -> None:
        """A contained resource (FHIR R4 §2.20.3), or one in a bundle."""
        if not isinstance(member, dict):
            self._say("structure", "fhir.wrong_json_type", "a resource expected", path)
            return
        wrong = wrong_type(member, None)
        if wrong is not None:
            self._say(wrong.code, wrong.reason, wrong.text, f"{path}.resourceType")
            return
        if "contained" in member:
            self._say(
                "invariant",
                "fhir.nested_contained",
                "contained resources contain none (dom-2)",
                f"{path}.contained",
            )
            return
        definition = resource_definition(str(member["resourceType"]))
        assert definition is not None
        self._object(member, definition, path, depth + 1)

    def _primitive(
        self, member: Value, element: Element, definition: Definition, path: str
    ) -> None:
        wrong = fault(element.kind, member)
        if wrong is not None:
            if wrong.json_type:
                self._say("structure", "fhir.wrong_json_type", wrong.text, path)
            else:
                self._say("value", f"fhir.wrong_{element.kind.lower()}", wrong.text, path)
            return
        codes = CODES.get((definition.name, element.name))
        if codes is not None and member not in codes:
            self._say("code-invalid", "fhir.wrong_code", _expected(codes), path)

    def _extended(
        self, member: Value, owner: Resource, element: Element, path: str, depth: int
    ) -> None:
        """The id and extensions of a primitive, beside it as `_name` (FHIR R4 §2.6.2.3)."""
        if not element.many:
            self._extension(member, path, depth)
            return
        if not isinstance(member, list) or not member:
            self._say("structure", "fhir.wrong_json_type", "an array expected", path)
            return
        values = owner.get(element.name)
        if isinstance(values, list) and len(values) != len(member):
            self._say("structure", "fhir.uneven_arrays", "as long as the array of its values", path)
        for index, item in enumerate(member):
            if item is not None:
                self._extension(item, f"{path}[{index}]", depth)

    def _extension(self, member: Value, path: str, depth: int) -> None:
        self._object(member, type_definition("FHIRPrimitiveExtension"), path, depth + 1)

    def _reference(self, member: Value, element: Element, path: str) -> None:
        target = member.get("reference") if isinstance(member, dict) else None
        if not isinstance(target, str):
            return
        form = form_of(target)
        here = f"{path}.reference"
        if form is Form.WRONG:
            self._say(
                "value",
                "fhir.wrong_reference",
                "Type/id, an absolute URL, urn:uuid:…, urn:oid:… or #id expected",
                here,
            )
        elif form is Form.CONTAINED and target[1:] not in self._contained and target != "#":
            self._say("invariant", "fhir.nothing_contained", "nothing contained has this id", here)
        named = type_of(target)
        if element.targets and named is not None and named not in element.targets:
            self._say(
                "value",
                "fhir.wrong_target",
                f"a reference to {' or '.join(element.targets)} expected",
                here,
            )

    def _cardinality(self, value: Resource, definition: Definition, path: str) -> None:
        chosen: dict[str, int] = {}
        for element in definition.elements.values():
            there = element.name in value
            if element.primitive and not there:
                there = f"_{element.name}" in value
            if element.required and not there:
                self._say("required", "fhir.missing", "missing", f"{path}.{element.path}")
            if element.choice is not None and there:
                chosen[element.choice] = chosen.get(element.choice, 0) + 1
        for choice, count in chosen.items():
            if count > 1:
                self._say(
                    "structure", "fhir.several_choices", "one type at a time", f"{path}.{choice}"
                )
        for choice in sorted(definition.required_choices - chosen.keys()):
            self._say("required", "fhir.missing", "missing", f"{path}.{choice}")

    def _codings(self, value: Resource, definition: Definition, path: str) -> None:
        for name in ("clinicalStatus", "verificationStatus"):
            binding = CODINGS.get((definition.name, name))
            if binding is not None and name in value:
                self._concept(value[name], binding, f"{path}.{name}")
        binding = SYSTEMS.get((definition.name, "class"))
        coding = value.get("class")
        if binding is None or not isinstance(coding, dict):
            return
        system, codes = binding
        if coding.get("system") == system and not _is_one_of(coding, codes):
            self._say("code-invalid", "fhir.wrong_code", _expected(codes), f"{path}.class.code")

    def _concept(self, value: Value, binding: tuple[str, frozenset[str]], path: str) -> None:
        system, codes = binding
        codings = value.get("coding") if isinstance(value, dict) else None
        for coding in codings if isinstance(codings, list) else []:
            if not isinstance(coding, dict) or coding.get("system") != system:
                continue
            if _is_one_of(coding, codes):
                return
        self._say(
            "code-invalid", "fhir.wrong_code", f"{_expected(codes)} of {system}", f"{path}.coding"
        )

    def _count(self, path: str) -> None:
        self._elements += 1
        if self._elements > ELEMENTS_MAX:
            self.issues.append(
                Issue("too-long", "fhir.too_large", f"at most {ELEMENTS_MAX} values", (path,))
            )
            raise _Full


def _expected(codes: frozenset[str]) -> str:
    if len(codes) > _CODES_NAMED_MAX:
        return "a code of the required value set expected"
    return f"one of {', '.join(sorted(codes))} expected"


def _is_one_of(coding: Resource, codes: frozenset[str]) -> bool:
    code = coding.get("code")
    return isinstance(code, str) and code in codes


def _has_extension(siblings: Value, index: int) -> bool:
    return (
        isinstance(siblings, list) and index < len(siblings) and isinstance(siblings[index], dict)
    )


def _contained_ids(resource: Resource) -> Iterator[str]:
    contained = resource.get("contained")
    for each in contained if isinstance(contained, list) else []:
        found = each.get("id") if isinstance(each, dict) else None
        if isinstance(found, str):
            yield found
