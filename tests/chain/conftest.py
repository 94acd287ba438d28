"""A small consortium for tests of the formats."""

import pytest
from chain_world import World


@pytest.fixture(scope="session")
def world() -> World:
    return World()
