"""Every code has its sentence, no sentence is about nothing, and sources keep to integers."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.codes import INVALID, REJECTIONS

ROOT = Path(__file__).parents[2]
LEDGER = sorted((ROOT / "ledger").rglob("*.py"))
FORMATS = [ROOT / "chain" / f"{name}.py" for name in ("codec", "keys", "readiness", "transaction")]


def raised(paths: list[Path], blame: str) -> set[str]:
    """The codes with which `blame` is called in the sources."""
    return {
        node.args[0].value
        for path in paths
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == blame
        and isinstance(node.args[0], ast.Constant)
    }


def test_every_code_of_a_rule_is_explained_and_no_other() -> None:
    assert set(REJECTIONS) == raised(LEDGER, "Rejected")


def test_every_code_of_malformed_input_is_explained_and_no_other() -> None:
    assert set(INVALID) == raised(LEDGER + FORMATS, "InvalidMessage")


def test_codes_fit_a_result_and_sentences_are_sentences() -> None:
    for table in (REJECTIONS, INVALID):
        assert list(table) == sorted(table)
        for code, explanation in table.items():
            assert len(code) <= 64
            assert explanation.rule.endswith(".")
            assert explanation.fix.endswith(".")


def test_every_rule_has_a_test_that_names_its_code() -> None:
    tests = "".join(path.read_text() for path in Path(__file__).parent.rglob("test_*.py"))
    assert [code for code in REJECTIONS if f'"{code}"' not in tests] == []


def floating(tree: ast.AST) -> Iterator[int]:
    """Lines that make a float, hash by seed, or walk through a set."""
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=float()) | ast.BinOp(op=ast.Div()):
                yield node.lineno
            case ast.Call(func=ast.Name(id="float" | "hash" | "frozenset" | "id" | "round")):
                yield node.lineno
            case ast.For(iter=ast.Set() | ast.SetComp() | ast.Call(func=ast.Name(id="set"))):
                yield node.lineno
            case _:
                pass


@pytest.mark.parametrize("path", LEDGER, ids=lambda path: str(path.relative_to(ROOT)))
def test_sources_know_no_floats_no_seeded_hash_and_walk_no_set(path: Path) -> None:
    assert list(floating(ast.parse(path.read_text()))) == []


def test_the_search_for_floats_finds_them() -> None:
    for line in ("1.5", "1 / 2", "float(1)", "hash(1)", "for _ in set(()): pass"):
        assert list(floating(ast.parse(line))) == [1]
