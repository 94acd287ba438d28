"""A hospital's wallet, a small consortium, and the FHIR bundles beside the checkout."""

import random
from pathlib import Path

import pytest

from client.sealing import Random
from client.vault import KdfLimits
from tests.client.client_world import FAST, Consortium, Ledger, found_consortium

FHIR = Path(__file__).parents[3] / "shared" / "data" / "fhir"


@pytest.fixture(scope="session")
def consortium() -> Consortium:
    return found_consortium(random.Random(7).randbytes)


@pytest.fixture
def ledger(consortium: Consortium) -> Ledger:
    return Ledger(consortium.genesis)


@pytest.fixture
def chance() -> Random:
    return random.Random(11).randbytes


@pytest.fixture
def fast() -> KdfLimits:
    return FAST


@pytest.fixture(scope="session")
def fhir() -> Path:
    if not FHIR.is_dir():
        pytest.skip("no FHIR bundles beside the checkout")
    return FHIR
