"""What the benchmark measures with."""

from threading import active_count

from node.bench.machine import VerificationMeter


def test_a_meter_has_measured_however_soon_it_ends_and_leaves_no_thread() -> None:
    threads = active_count()
    with VerificationMeter() as meter:
        assert active_count() == threads + 1
    assert active_count() == threads
    assert meter.us > 0
