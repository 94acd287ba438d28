"""Every code that the rules of the supply chain refuse with; see `ledger.codes`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ledger.explanation import Explanation

SUPPLY_REJECTIONS: Final[Mapping[str, Explanation]] = MappingProxyType(
    {
        "party.exists": Explanation(
            "The Global Location Number belongs to an organisation already.",
            "Check the number; GS1 gives each to one company.",
        ),
        "party.not_registrar": Explanation(
            "An organisation's locations and products are registered by its administrators and "
            "services.",
            "Let one of these sign.",
        ),
        "product.exists": Explanation(
            "The GTIN is registered already.",
            "Check the GTIN; GS1 gives each to one company.",
        ),
        "product.no_key": Explanation(
            "The product was registered without a key for hidden serial numbers.",
            "Register a GTIN with such a key, or name its serial numbers openly.",
        ),
        "product.not_manufacturer": Explanation(
            "Products are registered by manufacturers.",
            "Let the manufacturer register its GTIN.",
        ),
        "product.unknown_organization": Explanation(
            "No organisation of the consortium has this id.",
            "Ask GET /v1/members for the ids.",
        ),
        "supply.already_commissioned": Explanation(
            "The thing was commissioned before; a serial number is given once.",
            "If your label is genuine, somebody has copied it: report the item as suspect.",
        ),
        "supply.amount_too_large": Explanation(
            "More than 10^9 units of one lot would be commissioned.",
            "Count the lot in a larger unit.",
        ),
        "supply.beyond_shelf_life": Explanation(
            "A lot expires no later than its product's shelf life after it is commissioned.",
            "Correct the expiry date of the lot.",
        ),
        "supply.declaration_differs": Explanation(
            "An error declaration says the same as the event that it takes back.",
            "Send a copy of the event, with nothing but the errorDeclaration added.",
        ),
        "supply.declared_already": Explanation(
            "The event was declared an error before, or is such a declaration itself.",
            "Nothing; capture what is right as a new event.",
        ),
        "supply.device_attached": Explanation(
            "The device is attached to something already.",
            "Detach it there first; its own organisation may.",
        ),
        "supply.device_not_attached": Explanation(
            "A device speaks for what it is attached to, and what lies in that.",
            "Attach it by an association event, or name what it is attached to.",
        ),
        "supply.event_exists": Explanation(
            "The id names another event already.",
            "Draw a new event id, or leave it out and let the gateway draw one.",
        ),
        "supply.excursion": Explanation(
            "The thing was out of its temperatures, or unmeasured, for too long; only its "
            "manufacturer disposes of it.",
            "Ask the manufacturer's quality unit; ship it back as returned.",
        ),
        "supply.expired": Explanation(
            "The lot has expired.",
            "Ship it back as returned, or destroy it.",
        ),
        "supply.final": Explanation(
            "The thing came to its end: dispensed, administered, destroyed, exported, "
            "decommissioned or used up.",
            "If that was an error, its organisation declares it within the policy's days.",
        ),
        "supply.foreign_device": Explanation(
            "A device speaks for itself, or through a service of its own organisation.",
            "Let the device's organisation capture its readings.",
        ),
        "supply.foreign_event": Explanation(
            "An event is taken back by the organisation that captured it.",
            "Ask that organisation to declare the error.",
        ),
        "supply.future_event": Explanation(
            "An event, or a reading, is dated further ahead of block time than the policy allows.",
            "Correct the time, or the clock that gave it.",
        ),
        "supply.held_inside": Explanation(
            "Something in the container is held, so the container does not go on.",
            "Unpack what is held, or ship the container as returned.",
        ),
        "supply.in_transit": Explanation(
            "The thing is under way from one member to another.",
            "Wait until the receiver has it, or let the sender void the shipment.",
        ),
        "supply.lot_expiry_differs": Explanation(
            "The lot expires at another time, as it was commissioned before.",
            "Correct the expiry date, or the lot.",
        ),
        "supply.no_receiver": Explanation(
            "A shipment names the member that receives it, unless it leaves the consortium as "
            "exported.",
            "Name the destination's possessing or owning party by a registered GLN.",
        ),
        "supply.no_tag": Explanation(
            "A dispense carries a keyed tag by which a recall reaches the patient.",
            "Say to whom: --patient, or the header Medlock-Patient of a gateway.",
        ),
        "supply.not_capturer": Explanation(
            "Events are captured by an organisation's administrators, clinicians, services and "
            "devices.",
            "Let one of these sign.",
        ),
        "supply.not_custodian": Explanation(
            "Another member has the thing in hand.",
            "Ask GET /v1/items/{epc} who; let that member capture the event, or ship first.",
        ),
        "supply.not_dispenser": Explanation(
            "Hospitals, clinics and pharmacies dispense and administer.",
            "Ship to one of these.",
        ),
        "supply.not_empty": Explanation(
            "Something lies in the container.",
            "Unpack it first.",
        ),
        "supply.not_enough": Explanation(
            "There is less of the lot than the event moves, or it lies in a container.",
            "Correct the amount, or unpack what is there.",
        ),
        "supply.not_in_container": Explanation(
            "The thing does not lie in the container that the event names.",
            "Ask GET /v1/items/{epc} in which it lies.",
        ),
        "supply.not_in_transit": Explanation(
            "The thing is not under way: not shipped, received before, or an event names both what "
            "is under way and what is not.",
            "Ask GET /v1/items/{epc} where it is.",
        ),
        "supply.not_manufacturer": Explanation(
            "Only the manufacturer that registered a GTIN commissions its packs and shares its "
            "key.",
            "Let the manufacturer sign.",
        ),
        "supply.not_receiver": Explanation(
            "The shipment names another receiver.",
            "Let that member receive it; the sender may void the shipment and ship to you.",
        ),
        "supply.not_sender": Explanation(
            "Another member shipped the thing.",
            "Let the sender void its shipment.",
        ),
        "supply.not_undoable": Explanation(
            "Something came after the event that still stands, or an event like this cannot be "
            "taken back.",
            "Take back the later events first, or capture what puts things right.",
        ),
        "supply.packed": Explanation(
            "The thing lies in a container, and goes where that goes.",
            "Unpack it first, or name the outermost container.",
        ),
        "supply.packed_in_itself": Explanation(
            "A container does not lie in itself.",
            "Correct the parent.",
        ),
        "supply.quarantined": Explanation(
            "The thing is in quarantine.",
            "Wait until whoever placed it releases it, or ship it back as returned.",
        ),
        "supply.recalled": Explanation(
            "The lot or its product is recalled.",
            "Ship it back as returned or recalled, or destroy it.",
        ),
        "supply.suspect": Explanation(
            "The thing is suspected not to be what it claims to be.",
            "Wait for the manufacturer's answer, or ship it back as returned.",
        ),
        "supply.too_deep": Explanation(
            "Around one thing there are at most 8 containers.",
            "Pack it less deep.",
        ),
        "supply.too_many_devices": Explanation(
            "At most 16 devices are attached to one thing.",
            "Detach some.",
        ),
        "supply.too_many_lots": Explanation(
            "One container holds at most 64 lots, one event moves at most 256.",
            "Use more containers, or more events.",
        ),
        "supply.undo_too_late": Explanation(
            "The policy's time for taking back an event has passed.",
            "Capture what puts things right as a new event.",
        ),
        "supply.unit_differs": Explanation(
            "The lot is counted in another unit.",
            "Give the amount in the lot's unit.",
        ),
        "supply.unknown_device": Explanation(
            "The device is not enrolled as a device of any member.",
            "Enrol it under the id that follows from its asset identifier.",
        ),
        "supply.unknown_event": Explanation(
            "No event has this id.",
            "Name the id of the event that was an error.",
        ),
        "supply.unknown_item": Explanation(
            "Nobody commissioned the thing, or nothing of the lot without serial numbers.",
            "Let its manufacturer commission it; check how it is named.",
        ),
        "supply.unknown_product": Explanation(
            "No manufacturer has registered the GTIN.",
            "Let its manufacturer register it.",
        ),
        "supply.unknown_receiver": Explanation(
            "No member has the id that the shipment names.",
            "Ask GET /v1/members for the ids.",
        ),
    }
)
