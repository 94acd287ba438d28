"""Two hospitals on one chain, whose gateways record what they are told."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.node.gateway.epcis.warehouse import World, served
from tests.node.gateway.gateway_world import Hospitals
from tests.node.gateway.rest.conftest import nothing_unforeseen

__all__ = ["nothing_unforeseen"]


@pytest.fixture(scope="session")
def hospitals() -> Hospitals:
    return Hospitals()


@pytest.fixture
async def world(hospitals: Hospitals, tmp_path: Path) -> AsyncIterator[World]:
    async with served(hospitals, tmp_path, binding=False) as world:
        yield world
