"""The cold chain: what devices measured, and how long a thing was out of its temperatures.

A device speaks for what it is attached to and all that lies in it. A time outside of the strictest
range of the products inside adds to the exposure of that thing, once, however many devices saw it;
what then lies in it has been exposed as well, which `ledger.supply.standing` adds up. Beyond the
budget of a product, or unmeasured for longer than it allows, a thing is held (invariant 12).
"""

from typing import NamedTuple

from msgspec.structs import replace

from chain.errors import Rejected
from ledger.entries import PRINCIPAL
from ledger.keyspace import container_key, device_key, item_key, principal_key
from ledger.state import EntryReader, Overlay
from ledger.supply.course import Course, is_empty
from ledger.supply.entries import (
    ATTACHED,
    CONTAINER,
    ITEM,
    ContainerEntry,
    ExcursionEntry,
    ItemEntry,
    Span,
)
from ledger.supply.fields import Reading
from ledger.supply.holds import place_excursion
from ledger.supply.standing import container_of, gtin_of, item_of, product_of, standing

OUTSIDE_MAX = 8
"""Separate times outside that a thing remembers, its latest, so that none counts twice."""


class Limits(NamedTuple):
    """What the products in a thing allow together; see `ProductEntry`."""

    low_mc: int
    high_mc: int
    excursion_ms_max: int
    gap_ms_max: int | None


def measure(course: Course) -> None:
    """Takes the readings of an event about the things that it names."""
    around: dict[str, None] = {}
    for index, reading in enumerate(course.action.readings):
        if not around:
            around = _around(course)
        field = f"readings[{index}]"
        if reading.to_ms > course.now_ms + course.policies.future_ms:
            raise Rejected("supply.future_event", f"{field}.to_ms")
        attached = course.state.read(device_key(reading.device), ATTACHED)
        if attached is None or attached.container not in around:
            raise Rejected("supply.device_not_attached", f"{field}.device")
        _check_sender(course, reading.device, f"{field}.device")
        if reading.to_ms > attached.since_ms:
            from_ms = max(reading.from_ms, attached.since_ms)
            take(course.state, attached.container, replace(reading, from_ms=from_ms))


def _check_sender(course: Course, device: bytes, field: str) -> None:
    """A device speaks for itself, or through a service of its organisation."""
    request = course.request
    principal = course.state.read(principal_key(device), PRINCIPAL)
    assert principal is not None, "only who is enrolled is attached"
    serves = request.principal.kind == "service"
    if request.sender != device and not (serves and principal.organization == course.organization):
        raise Rejected("supply.foreign_device", field)


def _around(course: Course) -> dict[str, None]:
    """The things that an event names, and all containers around them."""
    found: dict[str, None] = {}

    def add(item: str) -> None:
        while item not in found:
            entry = course.known(item)
            found[item] = None
            if entry.packed is None:
                return
            item = entry.packed.container

    if course.action.parent is not None:
        course.at("parent", add, course.action.parent)
    course.each(course.action.items, "items", add)
    return found


def limits_of(
    state: EntryReader, entry: ItemEntry, container: ContainerEntry | None
) -> Limits | None:
    """What a thing and all that lies in it allow; None where nothing is to be measured."""
    classes = [entry.lot] if entry.lot else []
    if container is not None:
        classes.extend(content.item_class for content in container.contents)
    found: Limits | None = None
    for gtin in dict.fromkeys(gtin_of(each) for each in classes):
        product = product_of(state, f"01/{gtin}")
        if product is not None and product.range_mc is not None:
            low_mc, high_mc = product.range_mc
            limits = Limits(low_mc, high_mc, product.excursion_ms_max, product.gap_ms_max)
            found = limits if found is None else _stricter(found, limits)
    return found


def _stricter(left: Limits, right: Limits) -> Limits:
    gaps = [each.gap_ms_max for each in (left, right) if each.gap_ms_max is not None]
    return Limits(
        max(left.low_mc, right.low_mc),
        min(left.high_mc, right.high_mc),
        min(left.excursion_ms_max, right.excursion_ms_max),
        min(gaps, default=None),
    )


def take(state: Overlay, item: str, reading: Reading) -> None:
    """What a device at `item` measured. A single point outside stands for the time since the
    report before it."""
    entry, container = item_of(state, item), container_of(state, item)
    assert entry is not None, "devices are attached to what is there"
    limits = limits_of(state, entry, container)
    reported_ms = container.reported_ms
    measured = replace(container, reported_ms=max(reported_ms or 0, reading.to_ms))
    if limits is None:
        state.write(container_key(item), CONTAINER, measured)
        return
    gap = _is_gap(limits, reported_ms, reading.from_ms)
    outside = reading.min_mc < limits.low_mc or reading.max_mc > limits.high_mc
    since_ms = reading.from_ms
    if outside:
        if reading.from_ms == reading.to_ms and reported_ms is not None:
            since_ms = min(since_ms, reported_ms)
        spans, more_ms = added(container.outside, since_ms, reading.to_ms)
        measured = replace(measured, outside=spans)
        entry = replace(entry, exposure_ms=entry.exposure_ms + more_ms)
        state.write(item_key(item), ITEM, entry)
    state.write(container_key(item), CONTAINER, measured)
    if outside:
        _raise_worst(state, entry, measured)
    _judge(state, item, reading, limits, outside=outside, gap=gap, since_ms=since_ms)


def _is_gap(limits: Limits, reported_ms: int | None, until_ms: int) -> bool:
    return (
        limits.gap_ms_max is not None
        and reported_ms is not None
        and until_ms > reported_ms + limits.gap_ms_max
    )


def _judge(
    state: Overlay,
    item: str,
    reading: Reading,
    limits: Limits,
    *,
    outside: bool,
    gap: bool,
    since_ms: int,
) -> None:
    stands, container = standing(state, item), container_of(state, item)
    assert stands is not None, "it was there a moment ago"
    around_ms = stands.exposure_ms - stands.entry.exposure_ms
    exposure_ms = around_ms + (worst_of(stands.entry, container) or 0)
    if gap or (outside and exposure_ms > limits.excursion_ms_max):
        excursion = ExcursionEntry(
            custodian=stands.custodian,
            device=reading.device,
            since_ms=since_ms,
            exposure_ms=max(exposure_ms, 0),
            unmeasured=gap,
            disposal=None,
            disposed_ms=None,
        )
        place_excursion(state, item, excursion)


def check_silence(state: Overlay, item: str, now_ms: int) -> None:
    """Holds a thing whose devices have said nothing for too long, before anything leaves it."""
    entry, container = item_of(state, item), state.read(container_key(item), CONTAINER)
    if entry is None or container is None or not container.devices:
        return
    limits = limits_of(state, entry, container)
    if limits is not None and _is_gap(limits, container.reported_ms, now_ms):
        assert container.reported_ms is not None, "devices are attached at some time"
        since_ms = container.reported_ms
        silent = Reading(container.devices[0], since_ms, now_ms, limits.low_mc, limits.high_mc)
        _judge(state, item, silent, limits, outside=False, gap=True, since_ms=since_ms)


def added(outside: tuple[Span, ...], from_ms: int, to_ms: int) -> tuple[tuple[Span, ...], int]:
    """`outside` with one more time, in order and apart, and how much longer it is by that."""
    start_ms, end_ms, known_ms = from_ms, to_ms, 0
    apart: list[Span] = []
    for span in outside:
        if span.to_ms < start_ms or span.from_ms > end_ms:
            apart.append(span)
        else:
            known_ms += span.to_ms - span.from_ms
            start_ms, end_ms = min(start_ms, span.from_ms), max(end_ms, span.to_ms)
    spans = sorted([*apart, Span(start_ms, end_ms)], key=lambda span: span.from_ms)
    return tuple(spans[-OUTSIDE_MAX:]), end_ms - start_ms - known_ms


def worst_of(entry: ItemEntry, container: ContainerEntry | None) -> int | None:
    """How long a thing, or anything in it, was outside at most, by their own entries; None where
    there is neither a pack nor anything inside."""
    own_ms = entry.exposure_ms if entry.lot else None
    if container is None or is_empty(container):
        return own_ms
    inside_ms = entry.exposure_ms + container.worst_ms
    return inside_ms if own_ms is None else max(own_ms, inside_ms)


def _raise_worst(state: Overlay, entry: ItemEntry, container: ContainerEntry) -> None:
    """Tells the containers around a packed thing how long it, or what lies in it, was outside."""
    worst_ms = worst_of(entry, container)
    if worst_ms is None:
        return
    while entry.packed is not None:
        place = entry.packed.container
        around, outer = container_of(state, place), item_of(state, place)
        assert outer is not None, "containers are commissioned"
        more_ms = worst_ms - entry.packed.exposure_ms
        if more_ms <= around.worst_ms:
            return
        state.write(container_key(place), CONTAINER, replace(around, worst_ms=more_ms))
        entry, worst_ms = outer, outer.exposure_ms + more_ms
