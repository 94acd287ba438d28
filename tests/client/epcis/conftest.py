"""The EPCIS documents beside the checkout."""

from pathlib import Path

import pytest

EPCIS = Path(__file__).parents[4] / "shared" / "data" / "epcis"


@pytest.fixture(scope="session")
def epcis() -> Path:
    if not EPCIS.is_dir():
        pytest.skip("no EPCIS documents beside the checkout")
    return EPCIS
