"""Which refusals are evidence: who tried what the supply chain forbids is kept on the chain.

A transaction that is refused for one of these goes into a block all the same, with its refusal as
its result, and every member hears of it (invariant 7). Others are slips of the pen, and are refused
at the door.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

AttemptKind = Literal["counterfeit", "custody", "held", "quantity"]

ATTEMPTS: Final[Mapping[str, AttemptKind]] = MappingProxyType(
    {
        "supply.already_commissioned": "counterfeit",
        "supply.not_manufacturer": "counterfeit",
        "supply.unknown_item": "counterfeit",
        "supply.final": "custody",
        "supply.in_transit": "custody",
        "supply.not_custodian": "custody",
        "supply.not_receiver": "custody",
        "supply.not_sender": "custody",
        "supply.packed": "custody",
        "supply.device_not_attached": "custody",
        "supply.excursion": "held",
        "supply.expired": "held",
        "supply.held_inside": "held",
        "supply.quarantined": "held",
        "supply.recalled": "held",
        "supply.suspect": "held",
        "supply.not_enough": "quantity",
    }
)
"""By code, what was tried: goods that nobody made, goods of others, goods that are held, more than
there is."""
