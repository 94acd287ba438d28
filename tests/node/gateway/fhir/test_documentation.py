"""docs/fhir.md says what the code does: types, codes, limits, names."""

import re
from pathlib import Path

from client import fhir_json
from ledger.fields import CATEGORIES_MAX
from node.gateway.fhir import bundles, invariants, narrative, outcome, planning, primitives
from node.gateway.fhir.supported import SUPPORTED
from node.gateway.fhir.validation import DEPTH_MAX, ELEMENTS_MAX

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "fhir.md").read_text()
CODE = re.compile(r'"((?:fhir|bundle|consent|condition|reference|json)\.[a-z_0-9]+)"')


def test_every_type_is_named() -> None:
    for name in SUPPORTED:
        assert re.search(rf"\b{name}\b", PAGE), name


def test_every_code_is_named() -> None:
    sources = [*(ROOT / "node" / "gateway" / "fhir").glob("*.py"), ROOT / "client" / "fhir_json.py"]
    for source in sources:
        for code in CODE.findall(source.read_text()):
            assert f"`{code}`" in PAGE, code


def test_every_invariant_is_named() -> None:
    for key in (rule[0] for rules in invariants.RULES.values() for rule in rules):
        assert key in PAGE, key


def test_every_limit_is_true() -> None:
    for words, limit in (
        ("entries of a bundle", bundles.ENTRIES_MAX),
        ("conditions of a bundle", planning.LOOKUPS_MAX),
        ("levels of elements in a resource", DEPTH_MAX),
        ("values in a resource", ELEMENTS_MAX),
        ("levels of JSON", fhir_json.DEPTH_MAX),
        ("characters of a string", primitives.STRING_LENGTH_MAX),
        ("levels of a narrative", narrative.DEPTH_MAX),
        ("issues in one answer", outcome.ISSUES_MAX),
        ("categories in a Consent", CATEGORIES_MAX),
    ):
        assert f"| {words} | {limit:,} |" in PAGE
    assert f"±{primitives.DECIMAL_EXPONENT_MAX}" in PAGE


def test_every_name_of_ours_is_listed() -> None:
    named = (ROOT / "node" / "gateway" / "fhir" / "names.py").read_text()
    for urn in re.findall(r'"(urn:medlock:[a-z:]+)"', named):
        assert urn in PAGE, urn
