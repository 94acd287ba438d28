"""A town for the commands of a module, and a market for those about goods."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from node_command import Terminal

from tests.node.member_world import Town, Ward, settings
from tests.node.supply_market import PRODUCT, Shop, open_market


@pytest.fixture(scope="module")
def town() -> Town:
    return Town()


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Ward, str]]:
    path = tmp_path_factory.mktemp("market")
    with open_market(path) as (ward, address):
        yield path, ward, address


@pytest.fixture
def shop(market: tuple[Path, Ward, str], capsys: pytest.CaptureFixture[str]) -> Iterator[Shop]:
    """The parties and the product are registered."""
    path, ward, address = market
    with settings(path, address):
        made = Shop(Terminal(capsys), path, ward)
        known = made.run("supply", "product", "show", PRODUCT, "--as", "regulator")
        if known.code != 0:
            made.register()
        yield made
