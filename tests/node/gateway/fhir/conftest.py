"""The sample bundles, where they are; tests that need them are skipped elsewhere."""

from pathlib import Path

import pytest

from client.fhir_json import Value, parse

FHIR = next(
    (
        found
        for above in Path(__file__).parents
        if (found := above / "shared" / "data" / "fhir").is_dir()
    ),
    None,
)


@pytest.fixture(scope="session")
def sample_bundles() -> dict[str, dict[str, Value]]:
    """The five bundles by name, parsed anew for the session: never change them."""
    if FHIR is None:
        pytest.skip("the sample bundles are not here")
    found: dict[str, dict[str, Value]] = {}
    for path in sorted(FHIR.glob("*.json")):
        value = parse(path.read_bytes())
        assert isinstance(value, dict)
        found[path.stem] = value
    return found


@pytest.fixture(scope="session")
def sample_resources(sample_bundles: dict[str, dict[str, Value]]) -> list[dict[str, Value]]:
    """Every resource of the five bundles."""
    found = []
    for bundle in sample_bundles.values():
        entries = bundle["entry"]
        assert isinstance(entries, list)
        for entry in entries:
            assert isinstance(entry, dict)
            resource = entry["resource"]
            assert isinstance(resource, dict)
            found.append(resource)
    return found
