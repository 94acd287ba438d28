"""Events of EPCIS 2.0 as JSON, made from names of the ledger: what a warehouse's system would send.

Field names are the standard's (section 9.2). `at_ms` is UTC milliseconds.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

from node.supply_demo.names import link, party, place

CONTEXT: Final = ("https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",)
Event = dict[str, Any]


def document(events: Sequence[Event], at_ms: int) -> dict[str, Any]:
    """An EPCISDocument with `events`."""
    return {
        "@context": list(CONTEXT),
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": _time(at_ms),
        "epcisBody": {"eventList": list(events)},
    }


def commissioning(
    member: str, packs: Sequence[str], lot_number: str, expiry: str, at_ms: int
) -> Event:
    """`packs` of one lot come into being; `expiry` is their last good day (2027-06-30)."""
    return {
        **_event("ObjectEvent", member, "commissioning", "active", at_ms),
        "action": "ADD",
        "epcList": [link(each) for each in packs],
        "ilmd": {"cbvmda:lotNumber": lot_number, "cbvmda:itemExpirationDate": expiry},
    }


def making(member: str, item_class: str, quantity: str, uom: str, expiry: str, at_ms: int) -> Event:
    """So much of a lot comes into being that is not counted in pieces."""
    return {
        **_event("ObjectEvent", member, "commissioning", "active", at_ms),
        "action": "ADD",
        "quantityList": [_quantity(item_class, quantity, uom)],
        "ilmd": {
            "cbvmda:lotNumber": item_class.rpartition("/")[2],
            "cbvmda:itemExpirationDate": expiry,
        },
    }


def packing(member: str, parent: str, children: Sequence[str], at_ms: int) -> Event:
    """`children` go into `parent`."""
    return {
        **_event("AggregationEvent", member, "packing", "in_progress", at_ms),
        "action": "ADD",
        "parentID": link(parent),
        "childEPCs": [link(each) for each in children],
    }


def unpacking(member: str, parent: str, at_ms: int) -> Event:
    """All that lies in `parent` comes out."""
    return {
        **_event("AggregationEvent", member, "unpacking", "in_progress", at_ms),
        "action": "DELETE",
        "parentID": link(parent),
        "childEPCs": [],
    }


def shipping(member: str, things: Sequence[str], receiver: str, at_ms: int) -> Event:
    """`things` leave for `receiver`."""
    return {
        **_event("ObjectEvent", member, "shipping", "in_transit", at_ms),
        "action": "OBSERVE",
        "epcList": [link(each) for each in things],
        "sourceList": [{"type": "possessing_party", "source": party(member)}],
        "destinationList": [{"type": "possessing_party", "destination": party(receiver)}],
    }


def shipping_of_amount(
    member: str, item_class: str, quantity: str, uom: str, receiver: str, at_ms: int
) -> Event:
    """So much of a lot leaves for `receiver`."""
    return {
        **shipping(member, (), receiver, at_ms),
        "quantityList": [_quantity(item_class, quantity, uom)],
    }


def receiving(member: str, things: Sequence[str], at_ms: int) -> Event:
    """`things` have arrived."""
    return {
        **_event("ObjectEvent", member, "receiving", "in_progress", at_ms),
        "action": "OBSERVE",
        "epcList": [link(each) for each in things],
    }


def dispensing(member: str, packs: Sequence[str], at_ms: int) -> Event:
    """`packs` are given to a patient."""
    return {
        **_event("ObjectEvent", member, "dispensing", "dispensed", at_ms),
        "action": "OBSERVE",
        "epcList": [link(each) for each in packs],
    }


def attaching(member: str, container: str, device: str, at_ms: int) -> Event:
    """A measuring device is put on a container."""
    return {
        **_event("AssociationEvent", member, "assembling", "", at_ms),
        "action": "ADD",
        "parentID": link(container),
        "childEPCs": [link(device)],
    }


def measuring(
    member: str, container: str, device: str, celsius: tuple[str, str], span_ms: tuple[int, int]
) -> Event:
    """What a device on a container has measured, least and most, from when until when."""
    start_ms, end_ms = span_ms
    return {
        **_event("ObjectEvent", member, "sensor_reporting", "", end_ms),
        "action": "OBSERVE",
        "epcList": [link(container)],
        "sensorElementList": [
            {
                "sensorMetadata": {
                    "deviceID": link(device),
                    "startTime": _time(start_ms),
                    "endTime": _time(end_ms),
                },
                "sensorReport": [
                    {
                        "type": "Temperature",
                        "minValue": _number(celsius[0]),
                        "maxValue": _number(celsius[1]),
                        "uom": "CEL",
                    }
                ],
            }
        ],
    }


def _event(kind: str, member: str, step: str, disposition: str, at_ms: int) -> Event:
    made = {
        "type": kind,
        "eventTime": _time(at_ms),
        "eventTimeZoneOffset": "+00:00",
        "bizStep": step,
        "readPoint": {"id": place(member)},
    }
    return {**made, "disposition": disposition} if disposition else made


def _quantity(item_class: str, quantity: str, uom: str) -> dict[str, Any]:
    found: dict[str, Any] = {"epcClass": link(item_class), "quantity": _number(quantity)}
    return {**found, "uom": uom} if uom else found


def _number(text: str) -> float | int:
    return float(text) if "." in text else int(text)


def _time(at_ms: int) -> str:
    moment = dt.datetime.fromtimestamp(at_ms / 1_000, dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
