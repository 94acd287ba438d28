"""What the machine can do: the bound that every other figure is compared with."""

import os
import time

from chain.keys import SigningKey, verify

MEASURED_S = 1.0
MESSAGE_BYTES = 300
VERIFICATIONS = 5_000


def verifications_per_s() -> float:
    """Ed25519 verifications a second on one core."""
    key = SigningKey(bytes(32))
    message = bytes(MESSAGE_BYTES)
    signature = key.sign_raw(message)
    count = 0
    started = time.perf_counter()
    while (elapsed := time.perf_counter() - started) < MEASURED_S:
        for _ in range(100):
            assert verify(key.public, signature, message)
        count += 100
    return count / elapsed


def verification_us() -> float:
    """Processor time of one verification now, in µs: a machine that others share has faster and
    slower minutes, and what is measured an hour apart is compared in this unit."""
    key = SigningKey(bytes(32))
    message = bytes(MESSAGE_BYTES)
    signature = key.sign_raw(message)
    started = time.process_time()
    for _ in range(VERIFICATIONS):
        assert verify(key.public, signature, message)
    return (time.process_time() - started) / VERIFICATIONS * 1e6


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def resident_mb(pid: int) -> float:
    """Resident memory of a process, in MB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:  # noqa: PTH123 - not a real file
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1_024 / 1e6
    raise AssertionError("every process has a resident size")


def processor_s(pid: int) -> float:
    """Processor time that a process has taken, in seconds."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:  # noqa: PTH123 - not a real file
        # The name, in parentheses, may hold anything; user and system time are 12 and 13 after it.
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
