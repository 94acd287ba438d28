"""`medlock_network`: a simulated network for tests of projects that build on Medlock.

    async def test_a_minority_commits_nothing(medlock_network):
        await medlock_network.partition({"a"}, {"b", "c", "d"})
        ...

The test runs on the network's virtual loop: `asyncio.sleep(5)` takes no real time. What is promised
is checked at every step, and a broken promise fails the test with the line that reproduces it.
pytest loads this module in every project that has Medlock installed: it must not import anything
heavy, nor change a test that does not ask for the fixture. See docs/testing-on-medlock.md.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from node.simulator.playground import MedlockNetwork

FIXTURE: Final = "medlock_network"
N_DEFAULT: Final = 4
MARKER: Final = (
    "medlock(n=4, seed=0, seeds=0, within_s=3600): the network of `medlock_network`: its size, its "
    "seed (or how many seeds, each a test), and how long the test may last in virtual seconds"
)
_OPTIONS: Final = frozenset({"n", "seed", "seeds", "within_s"})


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--medlock-seed`, `--medlock-seeds`."""
    group = parser.getgroup("medlock", "simulated Medlock networks")
    group.addoption(
        "--medlock-seed", type=int, metavar="SEED", help="the seed of every medlock_network"
    )
    group.addoption(
        "--medlock-seeds", type=int, metavar="N", help="run each test on it with the seeds 1 to N"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known."""
    config.addinivalue_line("markers", MARKER)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each seed, where several are wanted."""
    if FIXTURE not in metafunc.fixturenames:
        return
    wanted = _wanted(metafunc.definition)
    seeds = metafunc.config.getoption("--medlock-seeds") or wanted.get("seeds", 0)
    if seeds and metafunc.config.getoption("--medlock-seed") is None:
        ids = [f"seed-{seed}" for seed in range(1, seeds + 1)]
        metafunc.parametrize(FIXTURE, range(1, seeds + 1), indirect=True, ids=ids)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_pycollect_makeitem() -> Generator[None, Any, Any]:
    """Turns the async tests on the fixture into plain ones that drive the virtual loop, before any
    plugin for asyncio takes them for its own."""
    made = yield
    for item in made if isinstance(made, list) else [made]:
        is_ours = isinstance(item, pytest.Function) and FIXTURE in item.fixturenames
        if is_ours and inspect.iscoroutinefunction(item.obj):
            item.obj = _driven(item.obj)
    return made


def _driven(test: Callable[..., Any]) -> Callable[..., None]:
    @functools.wraps(test)
    def drive(*arguments: Any, **fixtures: Any) -> None:
        network: MedlockNetwork = fixtures[FIXTURE]
        network.drive(test(*arguments, **fixtures))

    return drive


@pytest.fixture
def medlock_network(request: pytest.FixtureRequest) -> Iterator[MedlockNetwork]:
    """A simulated network, all nodes running and connected."""
    from node.simulator.playground import MedlockNetwork  # noqa: PLC0415 - only where it is used

    if not inspect.iscoroutinefunction(inspect.unwrap(request.function)):
        raise pytest.UsageError(
            f"{FIXTURE} is for async tests: async def {request.function.__name__}"
        )
    wanted = _wanted(request.node)
    option = request.config.getoption("--medlock-seed")
    again = f"pytest '{request.node.nodeid}'"
    if hasattr(request, "param"):
        seed = request.param
    else:
        seed = wanted.get("seed", 0) if option is None else option
        again += f" --medlock-seed {seed}"
    with MedlockNetwork(
        wanted.get("n", N_DEFAULT), seed, within_s=wanted.get("within_s", 3_600.0), again=again
    ) as network:
        yield network


def _wanted(node: pytest.Item | pytest.Function) -> dict[str, Any]:
    """What the nearest `medlock` marker says."""
    marker = node.get_closest_marker("medlock")
    if marker is None:
        return {}
    unknown = sorted(set(marker.kwargs) - _OPTIONS)
    if unknown or marker.args:
        raise pytest.UsageError(f"the marker is {MARKER.partition(':')[0]}, not {marker}")
    return dict(marker.kwargs)
