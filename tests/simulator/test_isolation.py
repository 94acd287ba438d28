"""Nothing real can be reached from a run: no wall clock, no entropy, no thread, no socket. And
nothing of it stays when it is over."""

import asyncio
import gc
import os
import random
import secrets
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import NoReturn

import pytest

from node.engine import BlockValidated, Certified, Engine, Input
from node.execution import InvalidBlock
from node.simulator.run import run_seed
from node.simulator.world import World

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


def refused(engine: Engine) -> NoReturn:
    raise InvalidBlock("block.test", str(engine.replica.height))


def refusal(engine: Engine, world: World) -> Input:
    """As it comes from where the engine validates: with the frames that it went through."""
    del world
    try:
        refused(engine)
    except InvalidBlock as outcome:
        return BlockValidated(b"", outcome)


def proof(engine: Engine, world: World) -> Input:
    """As it comes from the synchronisation, which waits until the engine is through with it."""
    del engine
    done = asyncio.Event()
    done._loop = world.loop  # type: ignore[attr-defined]
    return Certified((), "b", done)


@pytest.mark.parametrize("late", [refusal, proof])
def test_a_world_that_ends_in_the_midst_of_things_is_garbage(
    late: Callable[[Engine, World], Input],
) -> None:
    """A worker of a campaign has thousands of them, one after the other."""
    with World() as world:
        world.start()
        world.advance(1)
        life = world.machines["a"].life
        assert life is not None
        engine = life.node.engine
    engine.offer(late(engine, world))  # nobody takes it any more
    left = weakref.ref(engine)
    del world, life, engine
    gc.collect()
    assert left() is None
