"""The definitions of types and the table of bindings, against each other and fhir.resources."""

import subprocess
import sys

from client.fhir_json import Value
from node.gateway.fhir.bindings import CODES, CODINGS, SYSTEMS
from node.gateway.fhir.definitions import (
    KNOWN_TYPES,
    Definition,
    resource_definition,
    type_definition,
)
from tests.node.gateway.fhir.minimal import model_of


def test_every_known_type_loads_with_everything_inside() -> None:
    seen: dict[str, Definition] = {}
    waiting = []
    for name in KNOWN_TYPES:
        definition = resource_definition(name)
        assert definition is not None
        waiting.append(definition)
    while waiting:
        definition = waiting.pop()
        if definition.name in seen:
            continue
        seen[definition.name] = definition
        waiting += [
            type_definition(each.kind)
            for each in definition.elements.values()
            if not each.primitive and each.kind != "Resource"
        ]
    assert len(seen) > 200


def test_the_table_of_bindings_names_elements_that_exist() -> None:
    test_every_known_type_loads_with_everything_inside()
    beyond = {"Bundle", "BundleEntryRequest", "BundleEntrySearch"}
    for name, element in CODES.keys() | CODINGS.keys() | SYSTEMS.keys():
        if name not in beyond:
            assert element in type_definition(name).elements, (name, element)


def test_the_table_of_bindings_has_every_code_that_the_definitions_list() -> None:
    """fhir.resources notes short lists of codes beside elements; "+" says that there are more."""
    for (name, element), codes in CODES.items():
        model = model_of(name)
        field = next(each for each in model.model_fields.values() if each.alias == element)
        listed = (field.json_schema_extra or {}).get("enum_values")
        if listed is not None:
            assert set(listed) - {"+"} <= codes, (name, element)
            assert "+" in listed or set(listed) == codes, (name, element)


def test_memory_with_the_types_of_the_samples_stays_small(
    sample_resources: list[dict[str, Value]],
) -> None:
    kinds = sorted({str(each["resourceType"]) for each in sample_resources})
    program = (
        "import resource, sys\n"
        "from node.gateway.fhir.definitions import resource_definition, type_definition\n"
        "from node.gateway.fhir.validation import validate\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "def load(definition, seen):\n"
        "    for each in definition.elements.values():\n"
        "        if not each.primitive and each.kind not in seen | {'Resource'}:\n"
        "            seen.add(each.kind)\n"
        "            load(type_definition(each.kind), seen)\n"
        "for kind in sys.argv[1:]:\n"
        "    load(resource_definition(kind), set())\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    grown = subprocess.run(
        [sys.executable, "-c", program, *kinds], capture_output=True, check=True, text=True
    )
    assert int(grown.stdout) < 64 << 10, "KiB"
