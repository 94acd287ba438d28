"""Short words for stories about quality: who recalls, holds, doubts, asks and decides."""

from chain.types import Hash
from ledger.supply.actions import (
    ExcursionDispose,
    QuarantinePlace,
    QuarantineRelease,
    RecallAcknowledge,
    RecallClose,
    RecallOpen,
    SuspectReport,
    VerificationRequest,
    VerificationRespond,
)
from ledger.supply.fields import Disposal, LotFacts, QuarantineReason, SuspectReason, Verdict
from tests.ledger.ledger_world import person
from tests.ledger.supply.supply_world import GTIN, SupplyWorld

RECALL = person("recall")
PRODUCT = f"01/{GTIN}"
CASE, PALLET = "00/095211410000000010", "00/095211410000000027"


def recall(
    *scope: str, name: str = "recall", recall_class: str = "I", note: Hash | None = None
) -> RecallOpen:
    return RecallOpen(person(name), tuple(sorted(scope)), recall_class, note)  # type: ignore[arg-type]


def acknowledgement(
    held: int = 0, dispensed: int = 0, resolved: int = 0, notified: int = 0, name: str = "recall"
) -> RecallAcknowledge:
    return RecallAcknowledge(person(name), held, dispensed, resolved, notified)


def closing(name: str = "recall", *, lift: bool = False) -> RecallClose:
    return RecallClose(person(name), lift)


def quarantine(subject: str, reason: QuarantineReason = "damage") -> QuarantinePlace:
    return QuarantinePlace(subject, reason, None)


def releasing(subject: str, organization: str) -> QuarantineRelease:
    return QuarantineRelease(subject, organization)


def doubt(item: str, name: str = "report", reason: SuspectReason = "counterfeit") -> SuspectReport:
    return SuspectReport(person(name), item, reason, None)


def question(item: str, name: str = "question", lot: LotFacts | None = None) -> VerificationRequest:
    return VerificationRequest(person(name), item, lot)


def answer(verdict: Verdict, name: str = "question") -> VerificationRespond:
    return VerificationRespond(person(name), verdict, None)


def disposal(item: str, what: Disposal = "release") -> ExcursionDispose:
    return ExcursionDispose(item, what, None)


def sold_to(chain: SupplyWorld, buyer: str, *packs: str, maker: str = "maker") -> None:
    """The packs of the maker are in the hands of `buyer`."""
    assert chain.ship(maker, buyer, *packs).ok
    assert chain.receive(buyer, *packs).ok
