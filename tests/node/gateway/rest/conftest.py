"""Two hospitals, each with its gateway and its port, on one chain."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.node.gateway.gateway_world import Hospitals
from tests.node.gateway.rest.house import World, served


@pytest.fixture(scope="session")
def hospitals() -> Hospitals:
    return Hospitals()


@pytest.fixture
async def world(hospitals: Hospitals, tmp_path: Path) -> AsyncIterator[World]:
    async with served(hospitals, tmp_path) as world:
        yield world


@pytest.fixture(autouse=True)
def nothing_unforeseen(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No request meets a failure that nobody foresaw."""
    yield
    for when in ("setup", "call"):
        for record in caplog.get_records(when):  # type: ignore[arg-type]
            places = getattr(record, "places", None)
            assert places is None, "\n".join((str(vars(record)["exception"]), *places))
