"""One key on two honest machines, leaders and partitions enumerated: safe, and live once healed."""

from collections import Counter

import pytest

from node.simulator.twins import (
    LEADERS,
    PARTITIONS,
    SCENARIOS,
    main,
    run_twins,
    scenario,
)
from tests.simulator.regressions import switches


def test_a_range_of_scenarios_breaks_nothing(pytestconfig: pytest.Config) -> None:
    first, _, last = pytestconfig.getoption("--twins").partition("..")
    report = run_twins(int(first), int(last))
    assert not report.failures, str(report)
    assert report.rounds == 7 * (int(last) - int(first) + 1)
    assert report.rounds_decided > report.rounds / 10, "most of it should not be standstill"
    assert max(report.views) > 0


def test_the_space_is_four_leaders_by_sixteen_partitions_over_seven_rounds() -> None:
    assert len(set(PARTITIONS)) == 16
    assert SCENARIOS == 64**7
    seen = {scenario(number) for number in range(1, 2_001)}
    assert len(seen) == 2_000
    used = Counter((each.leader, each.apart) for rounds in seen for each in rounds)
    assert len(used) == len(LEADERS) * len(PARTITIONS)
    assert scenario(1) != scenario(SCENARIOS)


def test_a_number_is_one_scenario_and_one_outcome() -> None:
    assert str(run_twins(7, 8)) == str(run_twins(7, 8))


def test_a_certificate_that_is_forgotten_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The search sees: without the carried certificate, this order of partitions shows it."""
    switches.forgets_what_it_prepared(monkeypatch)
    assert main(["35..35"]) == 1
    said = capsys.readouterr().out
    assert "S6" in said
    assert "a leads abc|a2d" in said
