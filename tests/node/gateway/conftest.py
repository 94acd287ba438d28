"""Two hospitals on one chain."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.gateway.gateway_world import Hospitals, World


@pytest.fixture(scope="session")
def hospitals() -> Hospitals:
    return Hospitals()


@pytest.fixture
def world(hospitals: Hospitals, tmp_path: Path) -> Iterator[World]:
    world = World(hospitals, tmp_path)
    yield world
    world.close()
