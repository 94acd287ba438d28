"""Options of the whole suite, and which of its tests never run at the same time."""

from typing import Any

import pytest

OVER_NODES = ("tests/network/", "tests/fuzz/test_api.py::")
"""Tests over real node processes, by how their ids begin."""


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
        "--rewrite-transcripts",
        action="store_true",
        help="write into tests/scenarios/*.txt what happens now",
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where several processes share the tests (`-n 2 --dist loadscope`), each takes the next test
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


def is_over_nodes(test: str) -> bool:
    return test.startswith(OVER_NODES)
