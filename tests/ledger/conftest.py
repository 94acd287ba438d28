"""The consortium of the ledger's tests."""

import pytest

from tests.ledger.ledger_world import World


@pytest.fixture
def world() -> World:
    return World()
