"""Nothing real can be reached from a run: no wall clock, no entropy, no thread, no socket."""

import os
import random
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable

import pytest

from node.simulator.run import run_seed

_BOOKKEEPING = ("prometheus_client", "logging")
"""They stamp what nobody in a simulation reads."""


def forbid(name: str, real: Callable[..., object]) -> Callable[..., object]:
    def refuse(*args: object, **kwargs: object) -> object:
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if caller.startswith(_BOOKKEEPING):
            return real(*args, **kwargs)
        raise AssertionError(f"{name} was called by {caller}")

    return refuse


@pytest.mark.parametrize("seed", [1, 4, 7, 12])
def test_a_run_reaches_nothing_real(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, names in (
        (time, ("time", "time_ns", "monotonic", "monotonic_ns", "sleep")),
        (os, ("urandom", "fsync", "open")),
        (random, ("random", "randbytes", "randint", "choice", "shuffle")),
        (secrets, ("token_bytes", "randbits")),
        (socket, ("socket", "create_connection", "getaddrinfo")),
        (threading.Thread, ("start",)),
    ):
        for name in names:
            monkeypatch.setattr(module, name, forbid(name, getattr(module, name)))
    outcome = run_seed(seed)
    assert outcome.passed, outcome.violation
