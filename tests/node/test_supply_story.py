"""The story of goods that the test network tells, against a node of one validator."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.cli.supply_story import tell_supply_story
from node.testnet.state import load_testnet
from tests.node.member_world import settings
from tests.node.supply_market import open_market

SAMPLES = Path(__file__).parents[2] / "configs" / "samples" / "supply"


@pytest.fixture
def market(tmp_path: Path) -> Iterator[Path]:
    with open_market(tmp_path) as (_, address), settings(tmp_path, address):
        yield tmp_path


def test_the_story_holds_and_can_be_told_again(market: Path) -> None:
    for _ in range(2):
        told = tell_supply_story(load_testnet(market), SAMPLES, lambda _: None)
        broken = [each for each in told if not each.as_expected]
        assert not broken, broken[0]
        assert len(told) > 40
