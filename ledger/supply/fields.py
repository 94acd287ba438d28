"""Field types of the supply chain: how things are named, counted and measured.

A thing is named by its GS1 Digital Link path, without a domain: `01/09521141012345/21/2017` is a
pack, `01/09521141012345/10/L7` a lot, `01/09521141012345` a product, `00/…` a logistic unit. What
has no such path keeps its URI. Whoever hides a serial number puts a keyed tag in its place, which
opens with `~` (no character of GS1's set 82); the rules treat it as any other.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta

from chain.codec import Record
from chain.types import HEX, Hash, Milliseconds, PrincipalId

NAMES_MAX: Final = 2_048
"""Things that one event names one by one."""
GROUPS_MAX: Final = 256
QUANTITIES_MAX: Final = 64
READINGS_MAX: Final = 64
DEVICES_MAX: Final = 16
RECALLED_MAX: Final = 64
MIXED_LOTS_MAX: Final = 64
"""Lots that one container holds at once."""
EVENT_LOTS_MAX: Final = 256
"""Lots of all things that one event moves."""
NESTED_LEVELS_MAX: Final = 8
"""Containers around one item."""
LOT_AMOUNT_MAX: Final = 10**9
"""Units of one lot that are commissioned together, so that every part has its spelling."""
EXPONENT_MIN: Final = -6
"""The finest amount is a millionth of its unit. What is finer is rounded before it comes here."""

_PRINTABLE: Final = r"^[!-~]+\Z"

Item = Annotated[str, Meta(min_length=1, max_length=160, pattern=_PRINTABLE)]
"""One thing."""

ItemClass = Annotated[str, Meta(min_length=1, max_length=160, pattern=_PRINTABLE)]
"""A lot, or a product where no lot is known."""

Gtin = Annotated[str, Meta(pattern=r"^[0-9]{14}\Z")]
Gln = Annotated[str, Meta(pattern=r"^[0-9]{13}\Z")]

EventKey = Hash
"""Names an event: SHA-256 of its eventID, keyed where only its parties may know it."""

SupplyId = Annotated[bytes, Meta(min_length=16, max_length=16, extra=HEX)]
"""A recall, a report or a verification: 16 random bytes."""

DispenseTag = Annotated[bytes, Meta(min_length=16, max_length=16, extra=HEX)]
"""A keyed tag by which the dispensing site alone finds the patient again."""

EventKind = Literal["object", "aggregation", "transaction", "transformation", "association"]
EventAction = Literal["ADD", "OBSERVE", "DELETE"]

MilliCelsius = Annotated[int, Meta(ge=-273_150, le=10_000_000)]
MilliCelsiusRange = tuple[MilliCelsius, MilliCelsius]


class Amount(Record, frozen=True):
    """`mantissa` × 10^`exponent` of a unit of UN/CEFACT Recommendation 20; "" counts pieces.

    The mantissa has no trailing zero unless the exponent is 0: one value, one spelling.
    """

    mantissa: Annotated[int, Meta(ge=1, le=10**15)]
    exponent: Annotated[int, Meta(ge=EXPONENT_MIN, le=0)]
    unit: Annotated[str, Meta(max_length=3, pattern=r"^[A-Z0-9]*\Z")]


class ItemGroup(Record, frozen=True):
    """Things that share the beginning of their name: `stem` "/" each of `names`; where the stem is
    empty, the names alone. Names are distinct and in order."""

    stem: Annotated[str, Meta(max_length=64, pattern=r"^[!-~]*\Z")]
    names: Annotated[tuple[Item, ...], Meta(min_length=1, max_length=NAMES_MAX)]


class ClassQuantity(Record, frozen=True):
    """So much of a lot, or of a product."""

    item_class: ItemClass
    amount: Amount


class LotFacts(Record, frozen=True):
    """Of which lot the items are that an event commissions; `expires_ms` is the first moment at
    which they are expired (UTC milliseconds)."""

    lot: Annotated[str, Meta(min_length=1, max_length=20, pattern=_PRINTABLE)]
    expires_ms: Milliseconds | None


class Reading(Record, frozen=True):
    """What a device measured from `from_ms` to `to_ms`; milli-degrees Celsius."""

    device: PrincipalId
    from_ms: Milliseconds
    to_ms: Milliseconds
    min_mc: MilliCelsius
    max_mc: MilliCelsius


ItemGroups = Annotated[tuple[ItemGroup, ...], Meta(max_length=GROUPS_MAX)]
"""In order of stems, each stem once; `NAMES_MAX` names together."""
ClassQuantities = Annotated[tuple[ClassQuantity, ...], Meta(max_length=QUANTITIES_MAX)]
"""In order of classes, each once."""

Status = Literal[
    "active",
    "dispensed",
    "administered",
    "destroyed",
    "exported",
    "decommissioned",
    "consumed",
    "undone",
]
"""What became of an item. All but the first are final; `consumed` went into a transformation, the
commissioning of what is `undone` was an error, so that it is not there."""

Hold = Literal["quarantined", "excursion", "suspect", "expired", "recalled"]
"""Why an item may not go on, from the least to the worst."""

Right = Literal["custodian", "manufacturer", "regulator"]
"""As what an organisation holds something."""
QuarantineReason = Literal["damage", "documents", "quality", "temperature", "other"]
SuspectReason = Literal["counterfeit", "diverted", "stolen", "tampered", "other"]
RecallClass = Literal["I", "II", "III"]
"""21 CFR 7.3(m): I where use may kill or harm seriously, III where harm is unlikely."""
Verdict = Literal["genuine", "unknown", "suspect", "counterfeit"]
Disposal = Literal["release", "destroy"]
