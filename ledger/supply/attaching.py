"""Attaching: measuring devices at things, and assets in or on them (EPCIS 2.0, association events).

An asset that is associated behaves as what is packed. A device is the principal that signs its
readings; it is at one thing at a time, and may be taken off by its own organisation, which finds it
again when the thing has long been received.
"""

from msgspec.structs import replace

from chain.errors import Rejected
from chain.types import PrincipalId
from ledger.entries import PRINCIPAL
from ledger.keyspace import container_key, device_key, principal_key
from ledger.supply.cold_chain import check_silence
from ledger.supply.course import Course
from ledger.supply.entries import ATTACHED, CONTAINER, AttachedEntry
from ledger.supply.fields import DEVICES_MAX
from ledger.supply.packing import pack, parent_of, take_out, unpack


def attach(course: Course) -> None:
    """Devices, and assets, are from now on at the parent."""
    pack(course)
    parent, state = parent_of(course), course.state
    container = course.container(parent)
    devices = list(container.devices)
    for index, device in enumerate(course.action.devices):
        field = f"devices[{index}]"
        principal = state.read(principal_key(device), PRINCIPAL)
        if principal is None or principal.kind != "device":
            raise Rejected("supply.unknown_device", field)
        if state.read(device_key(device), ATTACHED) is not None:
            raise Rejected("supply.device_attached", field)
        since_ms = course.action.event_time_ms
        state.write(device_key(device), ATTACHED, AttachedEntry(parent, since_ms))
        devices.append(device)
    if len(devices) > DEVICES_MAX:
        raise Rejected("supply.too_many_devices", "devices")
    if course.action.devices and container.reported_ms is None:
        container = replace(container, reported_ms=course.action.event_time_ms)
    container = replace(container, devices=tuple(sorted(devices)))
    state.write(container_key(parent), CONTAINER, container)


def detach(course: Course) -> None:
    """Devices, and assets, are no longer at the parent: those named, or all."""
    action, parent = course.action, parent_of(course)
    if action.items or action.quantities or not _owns(course):
        unpack_named(course)
    else:
        course.at("parent", lambda item: _release(course, item), parent)
    devices = action.devices
    if not (action.items or action.quantities or devices):
        devices = course.container(parent).devices
    take_off(course, parent, devices)


def unpack_named(course: Course) -> None:
    """The assets come out that the event names; all of them, where it names no device either."""
    if course.action.devices:
        take_out(course)
    else:
        unpack(course)


def take_off(course: Course, parent: str, devices: tuple[PrincipalId, ...]) -> None:
    """Takes devices off the parent, and with the last of them what they had measured until now."""
    state, container = course.state, course.container(parent)
    for index, device in enumerate(devices):
        if device not in container.devices:
            raise Rejected("supply.device_not_attached", f"devices[{index}]")
        state.write(device_key(device), ATTACHED, None)
    left = tuple(each for each in container.devices if each not in devices)
    container = replace(container, devices=left)
    if not left:
        container = replace(container, reported_ms=None, outside=())
    state.write(container_key(parent), CONTAINER, container)


def _release(course: Course, parent: str) -> None:
    """Whose device it is, takes it off whoever has the thing, and wherever."""
    check_silence(course.state, parent, course.now_ms)
    course.write(parent, course.known(parent))


def _owns(course: Course) -> bool:
    """True where the event names devices, and all are the organisation's own."""
    found = [
        course.state.read(principal_key(device), PRINCIPAL) for device in course.action.devices
    ]
    return bool(found) and all(
        each is not None and each.organization == course.organization for each in found
    )
