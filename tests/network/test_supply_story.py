"""Goods over real node processes: the document about them as it stands, and the story that the test
network tells, with every fraud that it knows."""

from collections.abc import Iterator

import pytest

from tests.network.transcript import ROOT, Shell, blocks_of, reading
from tests.network.world import medlock

pytestmark = pytest.mark.network
BLOCKS = blocks_of((ROOT / "docs" / "supply.md").read_text("utf-8"))
FRAUDS = {
    "supply.already_commissioned": "rejected.counterfeit",
    "supply.not_manufacturer": "rejected.counterfeit",
    "supply.unknown_item": "rejected.counterfeit",
    "supply.not_custodian": "rejected.wrong_party",
    "supply.not_receiver": "rejected.wrong_party",
    "supply.packed": "rejected.not_free",
    "supply.final": "rejected.not_free",
    "supply.excursion": "rejected.held",
    "supply.expired": "rejected.held",
    "supply.recalled": "rejected.held",
    "supply.not_enough": "rejected.quantity",
}


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with reading(BLOCKS, tmp_path_factory.mktemp("supply")) as reader:
        yield reader


def test_every_block_about_goods_prints_what_it_says(shell: Shell) -> None:
    assert len(BLOCKS) > 10
    for block in BLOCKS[1:-1]:
        shell.follow(block)


def test_the_story_of_goods_holds_and_every_fraud_is_kept_and_told(shell: Shell) -> None:
    path = shell.folder / ".medlock" / "testnet"
    told = medlock("testnet", "demo", "supply", "--dir", path, "--json").document
    broken = [each for each in told["steps"] if not each["as_expected"]]
    assert (told["verdict"], broken) == ("held", [])
    outcomes = " / ".join(each["outcome"] for each in told["steps"])
    assert all(code in outcomes for code in FRAUDS)
    for node in ("hospital-a", "manufacturer"):
        alerts = medlock(
            *("supply", "alerts", "--node", node, "--as", node, "--dir", path, "--json")
        ).document
        kinds = {each["code"]: each["kind"] for each in alerts["attempts"]}
        assert FRAUDS.items() <= kinds.items()
        assert all(each["organization"] for each in alerts["attempts"])
