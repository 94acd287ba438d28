"""Options of the whole suite."""

import pytest


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
