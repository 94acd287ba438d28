"""Who takes part in a test network, and where: pure decisions, made before anything is created."""

import hashlib
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from chain.types import Role
from client.sealing import Random
from node.errors import OperatorError

VALIDATORS_MAX: Final = 13
HOST: Final = "127.0.0.1"
PORT_MIN: Final = 10_240
PORT_MAX: Final = 32_767
"""Below the ports that systems give to outgoing connections, so that none of those ever sits on the
port of a node that is down."""
PORT_TRIES_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class PlannedMember:
    """An organisation. Only those with a node vote."""

    id: str
    name: str
    role: Role
    with_node: bool


_CORE: Final[tuple[tuple[str, str, Role], ...]] = (
    ("hospital-a", "Hospital A", "hospital"),
    ("hospital-b", "Hospital B", "hospital"),
    ("wholesaler", "Wholesaler", "wholesaler"),
    ("manufacturer", "Manufacturer", "manufacturer"),
)
_WITHOUT_NODE: Final[tuple[tuple[str, str, Role], ...]] = (
    ("pharmacy", "Pharmacy", "pharmacy"),
    ("regulator", "Regulator", "regulator"),
)


def plan_members(validators: int) -> tuple[PlannedMember, ...]:
    """The members of a network with that many validators, in the order of their ids.

    Raises `OperatorError` (E070) outside of 1 to 13.
    """
    if not 1 <= validators <= VALIDATORS_MAX:
        raise OperatorError("E070", f"a test network has 1 to {VALIDATORS_MAX} validators")
    further: list[tuple[str, str, Role]] = [
        (f"hospital-{letter}", f"Hospital {letter.upper()}", "hospital")
        for letter in "cdefghijk"[: max(0, validators - len(_CORE))]
    ]
    able = [*_CORE, *further]
    members = [
        PlannedMember(*each, with_node=index < validators) for index, each in enumerate(able)
    ]
    members += [PlannedMember(*each, with_node=False) for each in _WITHOUT_NODE]
    return tuple(sorted(members, key=lambda member: member.id))


def free_ports(count: int, below: Callable[[int], int] = secrets.randbelow) -> list[int]:
    """Ports on loopback that nothing listens on now, distinct, in no particular order."""
    held: list[socket.socket] = []
    try:
        for _ in range(PORT_TRIES_MAX):
            if len(held) == count:
                break
            holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                holder.bind((HOST, PORT_MIN + below(PORT_MAX - PORT_MIN + 1)))
            except OSError:
                holder.close()
            else:
                held.append(holder)
        if len(held) < count:
            raise OperatorError("E011", f"no {count} free ports between {PORT_MIN} and {PORT_MAX}")
        return [holder.getsockname()[1] for holder in held]
    finally:
        for holder in held:
            holder.close()


def seeded(seed: int) -> Random:
    """A stream that gives the same bytes for the same seed: throw-away keys for development."""
    counter = 0

    def give(size: int) -> bytes:
        nonlocal counter
        counter += 1
        return hashlib.shake_256(f"medlock testnet {seed} {counter}".encode()).digest(size)

    return give
