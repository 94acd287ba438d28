"""Every code that the rules about quality refuse with; see `ledger.codes`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ledger.explanation import Explanation

QUALITY_REJECTIONS: Final[Mapping[str, Explanation]] = MappingProxyType(
    {
        "excursion.decided_already": Explanation(
            "The manufacturer has decided about this excursion.",
            "Read the decision; another excursion needs another one.",
        ),
        "excursion.not_permitted": Explanation(
            "An excursion is judged by an administrator or auditor of the manufacturer of the "
            "item and of all that is inside of it.",
            "Let its quality unit sign; unpack what is of several manufacturers first.",
        ),
        "excursion.unknown": Explanation(
            "The item is not held for an excursion.",
            "Check the id of the item.",
        ),
        "quarantine.in_force": Explanation(
            "The organisation holds this in quarantine already.",
            "Release that one first, if the reason has changed.",
        ),
        "quarantine.not_permitted": Explanation(
            "An item is held by staff of its custodian, its manufacturer or a regulator, a lot "
            "or product by the latter two; a person of the organisation that placed it, or of a "
            "regulator, releases it.",
            "Let one of these sign.",
        ),
        "quarantine.unknown": Explanation(
            "The organisation has placed no quarantine on this.",
            "Check the subject, and who placed the quarantine.",
        ),
        "recall.closed": Explanation(
            "The recall is closed.",
            "Read it; one that was a mistake can be closed once more, to lift it.",
        ),
        "recall.exists": Explanation(
            "The id belongs to a recall already.",
            "Draw a new random id.",
        ),
        "recall.not_permitted": Explanation(
            "Recalls are opened by an administrator or auditor of the manufacturer of all that "
            "they name, or of a regulator, closed by the same organisation or a regulator, and "
            "acknowledged by staff.",
            "Let one of these sign.",
        ),
        "recall.too_many": Explanation(
            "The lot or product is under as many recalls as there can be.",
            "Lift one that was a mistake.",
        ),
        "recall.unknown": Explanation(
            "No recall has this id.",
            "Check the id.",
        ),
        "suspect.exists": Explanation(
            "The id belongs to a report already.",
            "Draw a new random id.",
        ),
        "suspect.not_permitted": Explanation(
            "Suspect items are reported by staff of an organisation.",
            "Let a clinician, administrator, auditor or service sign.",
        ),
        "verification.answered": Explanation(
            "The manufacturer has answered.",
            "Read the answer, or ask again.",
        ),
        "verification.exists": Explanation(
            "The id belongs to a verification already.",
            "Draw a new random id.",
        ),
        "verification.no_manufacturer": Explanation(
            "Nobody has registered the GTIN of the item, or what is inside is of several makes.",
            "Check the item's id; ask about what is inside one by one.",
        ),
        "verification.not_permitted": Explanation(
            "Staff of an organisation ask, and staff of the manufacturer answer.",
            "Let one of these sign.",
        ),
        "verification.not_quality_unit": Explanation(
            "What is held as suspect is cleared by an administrator or auditor of its maker.",
            "Let its quality unit sign.",
        ),
        "verification.unknown": Explanation(
            "No verification has this id.",
            "Check the id.",
        ),
    }
)
