"""The story of goods that the test network tells, against a node of one validator."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from client.genesis_file import save_genesis
from node.cli.supply_story import tell_supply_story
from node.cli.telling import Told
from node.testnet.state import load_testnet
from tests.node.member_world import Town, save_wallets, served

SAMPLES = Path(__file__).parents[2] / "configs" / "samples" / "supply"


class Market(Town):
    """Who makes, keeps, dispenses and watches over goods."""

    members: ClassVar[tuple[tuple[str, Any], ...]] = (
        ("hospital-a", "hospital"),
        ("hospital-b", "hospital"),
        ("manufacturer", "manufacturer"),
        ("regulator", "regulator"),
        ("wholesaler", "wholesaler"),
    )


@pytest.fixture
def market(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    for name in list(os.environ):
        if name.startswith("MEDLOCK_"):
            monkeypatch.delenv(name)
    town = Market()
    save_wallets(tmp_path, town)
    save_genesis(tmp_path / "genesis.json", town.genesis)
    with served(town, tmp_path) as (_, address):
        monkeypatch.setenv("MEDLOCK_API", address)
        yield tmp_path


def test_the_story_holds_and_can_be_told_again(market: Path) -> None:
    for _ in range(2):
        told = tell_supply_story(load_testnet(market), SAMPLES, lambda _: None)
        assert_holds(told)


def assert_holds(told: list[Told]) -> None:
    broken = [each for each in told if not each.as_expected]
    assert not broken, broken[0]
    assert len(told) > 40
