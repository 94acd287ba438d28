"""One network for all tests that leave it as they found it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.network.world import FHIR, Testnet


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testnet]:
    shared = Testnet(tmp_path_factory.mktemp("network") / "testnet")
    shared.up()
    yield shared
    shared.down()


@pytest.fixture
def whole(network: Testnet) -> Iterator[Testnet]:
    """The shared network for a test that breaks it; mended afterwards, however the test ended."""
    yield network
    network.testnet("heal")
    network.up()


@pytest.fixture(scope="session")
def fhir() -> Path:
    if not FHIR.is_dir():
        pytest.skip("the sample bundles are not beside the checkout")
    return FHIR
