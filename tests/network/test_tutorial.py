"""The tutorial as it stands, and the story that the test network tells of itself, both against one
network of real processes."""

from collections.abc import Iterator

import pytest

from tests.network.transcript import ROOT, Shell, Typed, blocks_of, pattern_of, reading
from tests.network.world import NODES, medlock

pytestmark = pytest.mark.network
BLOCKS = blocks_of((ROOT / "docs" / "tutorial.md").read_text("utf-8"))


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with reading(BLOCKS, tmp_path_factory.mktemp("tutorial")) as reader:
        yield reader


def test_every_block_of_the_tutorial_prints_what_it_says(shell: Shell) -> None:
    assert len(BLOCKS) > 15
    for block in BLOCKS[1:-1]:
        shell.follow(block)
    directory = shell.folder / ".medlock" / "testnet"
    assert {path.name for path in directory.iterdir()} >= set(NODES)


def test_the_demo_tells_a_story_that_holds(shell: Shell) -> None:
    path = shell.folder / ".medlock" / "testnet"
    told = medlock("testnet", "demo", "--dir", path, "--json").document
    assert told["verdict"] == "held"
    assert all(each["as_expected"] for each in told["steps"])
    assert [each["step"] for each in told["steps"]] == list(range(1, len(told["steps"]) + 1))
    outcomes = " / ".join(each["outcome"] for each in told["steps"])
    for wanted in (
        "key.not_sealed_to_us",
        "hospital-b asks: Seen in our outpatient clinic",
        "5 resources: ",
        "hospital-b read all of general on the basis of a consent",
        "no: it is sealed to the patient and to hospital A",
        "emergency.not_reviewer",
        "erasure.on_hold",
        "4 of 4 have attested",
        "no, none does",
    ):
        assert wanted in outcomes


def test_a_transcript_that_is_not_so_is_found_out() -> None:
    (block,) = blocks_of("x\n```console\n$ a\none  <ID> …\n…\nend\n$ b\n```\n")
    assert block == [Typed("a", ("one  <ID> …", "…", "end")), Typed("b", ())]
    pattern = pattern_of(block[0].prints)
    match = pattern.fullmatch("one   7f and more\nx\ny\nend\n")
    assert match is not None
    assert match["ID"] == "7f"
    for printed in ("one 7f\nend\n", "one 7f and more\nend\nmore\n", "two 7f x\nend\n", ""):
        assert pattern.fullmatch(printed) is None
