"""Each story is told several times; telling 0 is the plain one."""

import pytest

from tests.simulator.regressions.stage import Perturbation


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "perturbation" in metafunc.fixturenames:
        tellings = [Perturbation(seed) for seed in range(metafunc.config.getoption("--perturb"))]
        metafunc.parametrize("perturbation", tellings, ids=str)
