"""Two hospitals on one chain, whose gateways record what they are told."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from node.gateway.supply.supply import EpcisSettings
from tests.node.gateway.epcis.warehouse import World, served
from tests.node.gateway.gateway_world import Hospitals
from tests.node.gateway.rest.conftest import nothing_unforeseen

__all__ = ["nothing_unforeseen"]


@pytest.fixture(scope="session")
def hospitals() -> Hospitals:
    return Hospitals()


@pytest.fixture
async def world(hospitals: Hospitals, tmp_path: Path) -> AsyncIterator[World]:
    async with served(
        hospitals, tmp_path, epcis=EpcisSettings(binding=False, private_targets=True)
    ) as world:
        yield world
