"""The cold chain (invariant 12): who measures what, how long is too long, and what holds then."""

import pytest

from chain.block import OK, Result
from ledger.actions import PrincipalEnrol
from ledger.keyspace import device_key, excursion_key
from ledger.supply.cold_chain import added
from ledger.supply.entries import ATTACHED, EXCURSION, HELD_EXCURSION, ExcursionEntry, Span
from tests.ledger.ledger_world import ENCRYPTION, START_MS, key, person
from tests.ledger.supply.supply_world import (
    COLD,
    SupplyWorld,
    pack,
    quantities,
    reading,
)

PACKS = tuple(pack(str(number), COLD) for number in range(3))
CASE, PALLET = "00/1", "00/2"
MINUTE = 60_000
LOGGER = "maker-logger"
WARM = {"min_mc": 7_000, "max_mc": 9_000}


@pytest.fixture
def cold(chain: SupplyWorld) -> SupplyWorld:
    """Three cold packs in a case on a pallet that a logger measures, at `START_MS`."""
    assert chain.commission("maker", *PACKS) == OK
    assert chain.pack("maker", CASE, *PACKS) == OK
    assert chain.pack("maker", PALLET, CASE) == OK
    assert chain.attach("maker", PALLET, LOGGER, event_time_ms=START_MS) == OK
    chain.pass_time(600 * MINUTE)
    return chain


def at(minute: int) -> int:
    return START_MS + minute * MINUTE


def report(chain: SupplyWorld, first: int, last: int, *items: str, **fields: int) -> Result:
    """What the logger measured in some minutes, warm where `fields` say so."""
    measured = reading(LOGGER, at(first), at(last), **fields)
    return chain.observe("maker", "sensor_reporting", *(items or (PALLET,)), readings=(measured,))


def excursion(chain: SupplyWorld, item: str) -> ExcursionEntry | None:
    raw = chain.state.entries.get(excursion_key(item))
    return None if raw is None else EXCURSION.decode(raw)


def test_what_is_warm_for_longer_than_its_budget_is_held(cold: SupplyWorld) -> None:
    assert report(cold, 0, 20) == OK
    assert report(cold, 20, 80, **WARM) == OK
    assert cold.stands(PACKS[0]).exposure_ms == 60 * MINUTE
    assert cold.stands(PACKS[0]).holds == 0
    assert report(cold, 80, 81, **WARM) == OK
    assert cold.stands(PACKS[0]).holds == HELD_EXCURSION
    found = excursion(cold, PALLET)
    assert found is not None
    assert (found.custodian, found.device, found.since_ms, found.exposure_ms, found.unmeasured) == (
        "maker",
        person(LOGGER),
        at(80),
        61 * MINUTE,
        False,
    )
    assert cold.ship("maker", "wholesaler", PALLET).code == "supply.excursion"
    assert cold.ship("maker", "wholesaler", PALLET, disposition="destroyed") == OK


def test_at_the_edge_of_the_range_it_is_cold_enough(cold: SupplyWorld) -> None:
    assert report(cold, 0, 90, min_mc=2_000, max_mc=8_000) == OK
    assert cold.stands(PACKS[0]).exposure_ms == 0
    assert report(cold, 90, 91, min_mc=1_999, max_mc=2_000) == OK
    assert cold.stands(PACKS[0]).exposure_ms == MINUTE


def test_unmeasured_for_too_long_is_held_as_well(cold: SupplyWorld) -> None:
    assert report(cold, 30, 40) == OK
    assert excursion(cold, PALLET) is None
    assert report(cold, 71, 72) == OK
    found = excursion(cold, PALLET)
    assert found is not None
    assert (found.unmeasured, found.exposure_ms) == (True, 0)
    assert cold.stands(PACKS[0]).holds == HELD_EXCURSION


def test_silence_is_noticed_before_anything_leaves(cold: SupplyWorld) -> None:
    assert cold.unpack("maker", PALLET, CASE) == OK
    assert cold.stands(PACKS[0]).holds == HELD_EXCURSION
    assert excursion(cold, CASE) is not None


def test_what_comes_out_keeps_exposure_and_hold(cold: SupplyWorld) -> None:
    report(cold, 0, 61, **WARM)
    assert cold.unpack("maker", PALLET) == OK
    assert excursion(cold, PALLET) is None
    assert cold.stands(PALLET).holds == 0
    assert cold.stands(CASE).holds == HELD_EXCURSION
    assert cold.stands(PACKS[1]).exposure_ms == 61 * MINUTE
    assert cold.unpack("maker", CASE, PACKS[0]) == OK
    assert cold.stands(PACKS[0]).entry.holds == HELD_EXCURSION
    assert cold.stands(PACKS[0]).entry.exposure_ms == 61 * MINUTE
    assert cold.ship("maker", "wholesaler", PACKS[0]).code == "supply.excursion"
    assert cold.ship("maker", "wholesaler", CASE).code == "supply.excursion"


def test_a_container_has_no_temperature_of_its_own(cold: SupplyWorld) -> None:
    report(cold, 0, 50, **WARM)
    cold.pass_time(-545 * MINUTE)
    cold.unpack("maker", PALLET)
    cold.commission("maker", pack("fresh", COLD))
    assert cold.pack("maker", PALLET, pack("fresh", COLD)) == OK
    assert cold.stands(pack("fresh", COLD)).exposure_ms == 0
    cold.pass_time(40 * MINUTE)
    assert report(cold, 50, 90, **WARM) == OK
    assert cold.stands(pack("fresh", COLD)).exposure_ms == 40 * MINUTE
    assert cold.stands(PALLET).holds == 0


def test_what_a_pack_brought_along_counts_toward_its_budget(cold: SupplyWorld) -> None:
    report(cold, 0, 50, **WARM)
    cold.pass_time(-545 * MINUTE)
    cold.unpack("maker", PALLET)
    cold.pack("maker", "00/3", CASE)
    assert cold.detach("maker", PALLET) == OK
    assert cold.attach("maker", "00/3", LOGGER, event_time_ms=at(50)) == OK
    assert report(cold, 50, 60, "00/3", **WARM) == OK
    assert excursion(cold, "00/3") is None
    assert report(cold, 60, 61, "00/3", **WARM) == OK
    found = excursion(cold, "00/3")
    assert found is not None
    assert found.exposure_ms == 61 * MINUTE


def test_an_inner_device_tells_the_containers_around(cold: SupplyWorld) -> None:
    cold.commission("maker", pack("own", COLD))
    cold.attach("maker", pack("own", COLD), "rival-logger", event_time_ms=START_MS)
    cold.pack("maker", "00/3", pack("own", COLD))
    cold.pack("maker", "00/4", "00/3")
    cold.attach("maker", "00/4", "hospital-logger", event_time_ms=START_MS)
    inner = reading("rival-logger", at(0), at(50), **WARM)
    assert cold.observe("rival", "x", pack("own", COLD), readings=(inner,)) == OK
    outer = reading("hospital-logger", at(50), at(61), **WARM)
    assert cold.observe("hospital", "x", "00/4", readings=(outer,)) == OK
    assert cold.stands(pack("own", COLD)).exposure_ms == 61 * MINUTE
    assert cold.stands("00/4").holds == HELD_EXCURSION


def test_many_devices_and_repetitions_count_a_time_once(cold: SupplyWorld) -> None:
    cold.attach("maker", PALLET, "carrier-logger", event_time_ms=START_MS)
    assert report(cold, 0, 30, **WARM) == OK
    assert report(cold, 0, 30, **WARM) == OK
    second = reading("carrier-logger", at(20), at(40), **WARM)
    assert cold.observe("carrier", "transporting", PALLET, readings=(second,)) == OK
    assert cold.stands(PACKS[0]).exposure_ms == 40 * MINUTE


def test_a_single_point_stands_for_the_time_since_the_last_report(cold: SupplyWorld) -> None:
    for minute in (10, 20):
        assert report(cold, minute, minute, **WARM) == OK
    assert cold.stands(PACKS[0]).exposure_ms == 20 * MINUTE


def test_a_device_speaks_for_what_it_is_attached_to_only(cold: SupplyWorld) -> None:
    field = "actions[0].readings[0].device"
    assert report(cold, 0, 1, PACKS[0]) == OK
    cold.commission("maker", pack("else", COLD))
    assert report(cold, 0, 1, pack("else", COLD)) == Result("supply.device_not_attached", field)
    stray = reading("rival-logger", at(0), at(1))
    assert cold.observe("rival", "x", PALLET, readings=(stray,)) == Result(
        "supply.device_not_attached", field
    )
    ahead = reading(LOGGER, at(0), cold.next_block.timestamp_ms + 11 * MINUTE)
    assert cold.observe("maker", "x", PALLET, readings=(ahead,)) == Result(
        "supply.future_event", "actions[0].readings[0].to_ms"
    )


def test_only_the_device_or_its_organisations_service_reports(cold: SupplyWorld) -> None:
    event = cold.event(
        "object", "OBSERVE", "sensor_reporting", [PALLET], readings=(reading(LOGGER, at(0), at(1)),)
    )
    for who in ("maker-nurse", "carrier-service"):
        assert cold.submit(who, event) == Result(
            "supply.foreign_device", "actions[0].readings[0].device"
        )
    assert cold.submit(LOGGER, event) == OK


def test_whose_device_it_is_reports_wherever_the_goods_are(cold: SupplyWorld) -> None:
    report(cold, 0, 5)
    assert cold.ship("maker", "wholesaler", PALLET) == OK
    assert report(cold, 5, 10) == OK
    assert cold.receive("wholesaler", PALLET) == OK
    assert report(cold, 10, 20) == OK
    cold.commission("wholesaler", "urn:theirs")
    assert report(cold, 20, 21, PALLET, "urn:theirs").code == "supply.not_custodian"
    assert cold.detach("rival", PALLET, LOGGER).code == "supply.not_custodian"
    assert cold.detach("maker", PALLET, LOGGER) == OK
    assert report(cold, 21, 22).code == "supply.device_not_attached"


def test_a_dispense_hears_its_own_readings_first(cold: SupplyWorld) -> None:
    cold.commission("maker", pack("own", COLD))
    cold.attach("maker", pack("own", COLD), "hospital-logger", event_time_ms=at(600))
    cold.ship("maker", "hospital", pack("own", COLD))
    cold.receive("hospital", pack("own", COLD))
    cold.pass_time(61 * MINUTE)
    measured = reading("hospital-logger", at(600), at(661), **WARM)
    result = cold.dispense("hospital", pack("own", COLD), readings=(measured,))
    assert result == Result("supply.excursion", "actions[0].items[0].names[0]")


def test_devices_are_enrolled_at_one_place_and_few(cold: SupplyWorld) -> None:
    field = "actions[0].devices[0]"
    for stranger in ("nobody", "maker-service"):
        assert cold.attach("maker", PALLET, stranger) == Result("supply.unknown_device", field)
    cold.commission("maker", "urn:box")
    assert cold.attach("maker", "urn:box", LOGGER) == Result("supply.device_attached", field)
    assert cold.attach("rival", PALLET, "rival-logger").code == "supply.not_custodian"
    assert cold.detach("maker", "urn:box", LOGGER) == Result("supply.device_not_attached", field)
    assert cold.detach("maker", PALLET) == OK
    assert device_key(person(LOGGER)) not in cold.state.entries
    assert cold.attach("maker", "urn:box", LOGGER, event_time_ms=at(9)) == OK
    attached = ATTACHED.decode(cold.state.entries[device_key(person(LOGGER))])
    assert (attached.container, attached.since_ms) == ("urn:box", at(9))


def test_what_was_measured_before_a_device_was_attached_says_nothing(cold: SupplyWorld) -> None:
    cold.commission("maker", pack("own", COLD))
    cold.attach("maker", pack("own", COLD), "rival-logger", event_time_ms=at(100))
    early = reading("rival-logger", at(0), at(100), **WARM)
    half = reading("rival-logger", at(50), at(110), **WARM)
    for measured, minutes in ((early, 0), (half, 10)):
        assert cold.observe("rival", "x", pack("own", COLD), readings=(measured,)) == OK
        assert cold.stands(pack("own", COLD)).exposure_ms == minutes * MINUTE


def test_without_a_range_nothing_is_measured(chain: SupplyWorld) -> None:
    chain.commission("maker", pack("1"), quantities=quantities())
    chain.attach("maker", pack("1"), LOGGER, event_time_ms=START_MS)
    chain.pass_time(100 * MINUTE)
    assert report(chain, 80, 90, pack("1"), min_mc=90_000, max_mc=99_000) == OK
    assert chain.stands(pack("1")).exposure_ms == 0


def test_assets_are_attached_and_behave_as_children(chain: SupplyWorld) -> None:
    chain.commission("maker", "8004/1", "8004/2", pack("1", COLD))
    on = chain.event("association", "ADD", "x", ["8004/1", "8004/2"], parent=pack("1", COLD))
    assert chain.capture("maker", on) == OK
    assert chain.stands("8004/1").containers == (pack("1", COLD),)
    off = chain.event("association", "DELETE", "x", ["8004/1"], parent=pack("1", COLD))
    assert chain.capture("maker", off) == OK
    assert chain.detach("maker", pack("1", COLD)) == OK
    assert chain.stands("8004/2").containers == ()


def test_too_many_devices_are_refused(chain: SupplyWorld) -> None:
    names = [f"logger {number}" for number in range(17)]
    for name in names:
        enrol = PrincipalEnrol(person(name), "device", key(name).public, ENCRYPTION)
        assert chain.submit("maker-admin", enrol) == OK
    chain.commission("maker", "urn:box")
    assert chain.attach("maker", "urn:box", *names[:16]) == OK
    assert chain.attach("maker", "urn:box", names[16]) == Result(
        "supply.too_many_devices", "actions[0].devices"
    )


def test_times_outside_are_joined() -> None:
    spans: tuple[Span, ...] = ()
    total = 0
    for start, end, more in ((0, 10, 10), (20, 30, 10), (5, 25, 10), (0, 30, 0), (40, 41, 1)):
        spans, longer = added(spans, start, end)
        assert longer == more
        total += more
    assert spans == (Span(0, 30), Span(40, 41))
    for number in range(20):
        spans, _ = added(spans, 100 + 10 * number, 101 + 10 * number)
    assert len(spans) == 8
