"""What the machine can do: the bound that every other figure is compared with."""

import os
import time
from threading import Event, Thread

from chain.keys import SigningKey, verify

MEASURED_S = 1.0
MESSAGE_BYTES = 300
METER_VERIFICATIONS = 12
METER_PAUSE_S = 0.05


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


class VerificationMeter:
    """What one verification costs while something else runs, in µs of processor time: a machine
    that others share has faster and slower minutes, and what is measured an hour apart is compared
    in this unit. Takes a fiftieth of a core."""

    def __init__(self) -> None:
        self._key = SigningKey(bytes(32))
        self._stop = Event()
        self._thread = Thread(target=self._measure, name="verification-meter")
        self._spent_s = 0.0
        self._count = 0

    def __enter__(self) -> "VerificationMeter":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def us(self) -> float:
        """The mean; to be asked once it has ended."""
        return self._spent_s / self._count * 1e6

    def _measure(self) -> None:
        message = bytes(MESSAGE_BYTES)
        signature = self._key.sign_raw(message)
        while True:
            started = time.thread_time()
            for _ in range(METER_VERIFICATIONS):
                assert verify(self._key.public, signature, message)
            self._spent_s += time.thread_time() - started
            self._count += METER_VERIFICATIONS
            if self._stop.wait(METER_PAUSE_S):
                return


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
