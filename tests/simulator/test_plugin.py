"""The fixture `medlock_network`, in projects of their own."""

import re
from pathlib import Path

import pytest

# `pytester` runs its projects in this process and takes out of it what they import. What is here
# already stays, so that a second project does not meet half of the modules twice.
import node.simulator.world  # noqa: F401

pytest_plugins = ["pytester"]
PAGE = Path(__file__).parents[2] / "docs" / "testing-on-medlock.md"


def project(pytester: pytest.Pytester, source: str, mode: str = "auto") -> tuple[str, ...]:
    """A project with one test file; returns the arguments for its asyncio plugin."""
    pytester.makepyfile(test_it=source)
    if mode == "none":
        return ("-p", "no:asyncio")
    pytester.makeini(
        f"[pytest]\nasyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = function\n"
    )
    return ()


def test_the_documented_example_runs(pytester: pytest.Pytester) -> None:
    example = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert example is not None
    arguments = project(pytester, example.group(1))
    pytester.runpytest(*arguments).assert_outcomes(passed=5)


@pytest.mark.parametrize("mode", ["strict", "none"])
def test_it_needs_no_plugin_for_asyncio_and_no_mode_of_it(
    pytester: pytest.Pytester, mode: str
) -> None:
    source = """
        async def test_it(medlock_network):
            await medlock_network.advance(10)
            assert medlock_network.now_s > 10
    """
    pytester.runpytest(*project(pytester, source, mode)).assert_outcomes(passed=1)


def test_it_lives_beside_asyncio_tests_that_do_not_use_it(pytester: pytest.Pytester) -> None:
    arguments = project(
        pytester,
        """
        import asyncio

        import pytest

        @pytest.fixture
        async def number():
            await asyncio.sleep(0)
            return 3

        async def test_real_time(number):
            assert number == 3
            assert type(asyncio.get_running_loop()).__name__ != "VirtualLoop"

        class TestVirtualTime:
            async def test_half_a_minute(self, medlock_network, tmp_path):
                async with asyncio.timeout(40):
                    await asyncio.gather(asyncio.sleep(30), medlock_network.advance(20))
                assert 30 <= medlock_network.now_s < 31

        def test_plain():
            pass
        """,
    )
    pytester.runpytest(*arguments).assert_outcomes(passed=3)


def test_a_project_that_does_not_use_it_loads_nothing(pytester: pytest.Pytester) -> None:
    project(
        pytester,
        """
        import sys

        def test_it(request):
            assert request.config.pluginmanager.hasplugin("medlock")
            ours = ("chain", "consensus", "ledger", "p2p", "storage", "client")
            assert not [name for name in sys.modules if name.split(".")[0] in ours]
            assert not [name for name in sys.modules if name.endswith(".world")]
        """,
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_a_broken_promise_fails_the_test_and_says_how_to_see_it_again(
    pytester: pytest.Pytester,
) -> None:
    """Quorums of one: every node decides alone."""
    arguments = project(
        pytester,
        """
        import chain.validators

        async def test_alone(medlock_network, monkeypatch):
            monkeypatch.setattr(chain.validators, "quorum", lambda n: 1)
            await medlock_network.submit("a")
            await medlock_network.advance(10)
            raise RuntimeError("not reached")
        """,
    )
    result = pytester.runpytest(*arguments, "--medlock-seed", "7")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*Violation: S5 at *: 1 members sealed it, 3 of 4 are needed",
            "*a promise was broken:",
            "*medlock: seed 7; reproduce: pytest 'test_it.py::test_alone' --medlock-seed 7",
        ]
    )
    assert "not reached" not in "".join(each for each in result.outlines if each.startswith("E "))


def test_a_failed_assertion_names_its_seed(pytester: pytest.Pytester) -> None:
    arguments = project(
        pytester,
        """
        import pytest

        async def test_never(medlock_network):
            await medlock_network.until(lambda: False, within_s=5)

        @pytest.mark.medlock(within_s=60)
        async def test_endless(medlock_network):
            while True:
                await medlock_network.advance(1)

        async def test_refused(medlock_network):
            await medlock_network.acknowledged(await medlock_network.submit("a", raw=b"bad"))
        """,
    )
    result = pytester.runpytest(*arguments, "--medlock-seeds", "2")
    result.assert_outcomes(failed=6)
    result.stdout.fnmatch_lines(
        [
            "*not within 5 virtual seconds*",
            "*reproduce: pytest 'test_it.py::test_never?seed-1?'",
            "*not within 60 virtual seconds*",
            "*the transaction is refused*",
        ]
    )


def test_the_same_seed_is_the_same_run(pytester: pytest.Pytester) -> None:
    arguments = project(
        pytester,
        """
        import pytest

        hashes = {}

        @pytest.mark.parametrize("time", [1, 2])
        @pytest.mark.parametrize("seed", [1, 2])
        async def test_it(medlock_network, seed, time):
            await medlock_network.crash("d", "torn")
            await medlock_network.acknowledged(await medlock_network.submit("a"))
            hashes.setdefault(medlock_network.seed, set()).add(medlock_network.world.trace.hash)

        def test_hashes():
            assert [len(each) for each in hashes.values()] == [1, 1]
            assert len(set.union(*hashes.values())) == 2
        """,
    )
    pytester.runpytest(*arguments, "--medlock-seeds", "2").assert_outcomes(passed=9)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def test_it(medlock_network): pass", "*medlock_network is for async tests*"),
        (
            """
            import pytest
            @pytest.mark.medlock(nodes=7)
            async def test_it(medlock_network): pass
            """,
            "*the marker is medlock(n=4, seed=0, seeds=0, within_s=3600), not*nodes*",
        ),
        (
            """
            import pytest
            @pytest.mark.medlock(n=14)
            async def test_it(medlock_network): pass
            """,
            "*between 1 and 13 members*",
        ),
    ],
)
def test_a_wrong_use_is_an_error_that_says_so(
    pytester: pytest.Pytester, source: str, said: str
) -> None:
    arguments = project(pytester, source)
    result = pytester.runpytest(*arguments)
    assert result.ret != 0
    result.assert_outcomes(passed=0, failed=0, errors=1)
    result.stdout.fnmatch_lines([said])
