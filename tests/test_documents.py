"""What the documents point at is there: files, folders, and the tests that they name."""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
DOCUMENTS: Final = sorted(
    path.relative_to(ROOT)
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))
    if path.name != "CHANGELOG.md"
)
_TEST: Final = re.compile(r"`(?:pytest )?(tests/[A-Za-z0-9_/.]+)(?:::([a-z0-9_]+))?")
_LINK: Final = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_a_document_names_tests_and_links_to_files_that_exist(document: Path) -> None:
    text = (ROOT / document).read_text()
    wrong = []
    for path, name in _TEST.findall(text):
        file = ROOT / path
        if not file.exists() or (name and f"def {name}(" not in file.read_text()):
            wrong.append(f"{path}::{name}" if name else path)
    wrong += [
        target for target in _LINK.findall(text) if not (ROOT / document.parent / target).exists()
    ]
    assert not wrong
