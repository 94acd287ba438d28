"""Options of the whole suite, and which of its tests never run at the same time."""

import os
from typing import Any, Final

import pytest

OVER_NODES = ("tests/network/", "tests/fuzz/test_api.py::")
"""Tests over real node processes, by how their ids begin."""
ASIDE: Final = 5
"""How nice the others are to them."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--perturb",
        type=int,
        default=5,
        metavar="N",
        help="tell each regression story N times, with other delays, orders and members",
    )
    parser.addoption(
        "--twins",
        default="1..20",
        metavar="A..B",
        help="which of the twins scenarios are run",
    )
    parser.addoption(
        "--packs",
        type=int,
        default=20_000,
        metavar="N",
        help="how many packs a recall over real nodes is of: thousands, in five pallets",
    )
    parser.addoption(
        "--rewrite-transcripts",
        action="store_true",
        help="write into tests/scenarios/*.txt what happens now",
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where several processes share the tests (`-n 3 --dist loadscope`), each takes the next test
    when it has done one, but one of them gets all that start real nodes, and begins with them:
    these tests share a network, and two networks at once are too much for two cores."""
    if config.getoption("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - not needed by one process

    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = lambda test: "over nodes" if is_over_nodes(test) else test
    return scheduler


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """No test that starts nodes escapes from among the others, for its place alone tells."""
    for item in items:
        if item.get_closest_marker("network") is not None and not is_over_nodes(item.nodeid):
            raise pytest.UsageError(f"{item.nodeid} starts nodes: OVER_NODES has to say so")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests over nodes wait for most of their time, in which the others run; what they wait for is
    done first, as it is on a machine that does nothing else."""
    shared = "PYTEST_XDIST_WORKER" in os.environ
    if shared and not is_over_nodes(item.nodeid) and os.nice(0) < ASIDE:
        os.nice(ASIDE - os.nice(0))


def is_over_nodes(test: str) -> bool:
    return test.startswith(OVER_NODES)
