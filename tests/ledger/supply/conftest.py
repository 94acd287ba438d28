"""The supply chain of the ledger's tests."""

import pytest

from tests.ledger.supply.supply_world import SupplyWorld


@pytest.fixture
def chain() -> SupplyWorld:
    return SupplyWorld()
