"""Actions about emergencies, care plans, erasure and legal holds.

Shapes only, as in `ledger.actions`. Free text has no field: a reason is the hash of a sealed note.
"""

from chain.codec import Record
from chain.types import CategoryId, Hash, RecordId
from ledger.fields import Answer, CaseId, Categories, ItemId, Outcome, Reference, Version


class EmergencyOpen(Record, frozen=True, tag="emergency.open"):
    """A clinician breaks the glass, for the policy's time. `note` is the sealed reason.

    No categories: the emergency summary. Others only where the policy allows it.
    """

    emergency: CaseId
    categories: Categories
    note: Hash


class EmergencyClose(Record, frozen=True, tag="emergency.close"):
    """A clinician of the organisation ends its emergency early."""

    emergency: CaseId


class EmergencyReview(Record, frozen=True, tag="emergency.review"):
    """A privacy officer of the organisation judges an emergency that has ended."""

    emergency: CaseId
    outcome: Outcome
    note: Hash | None


class CarePlanPropose(Record, frozen=True, tag="careplan.propose"):
    """Version 1 of a care plan. `document` names the record that holds it, to its readers only."""

    plan: CaseId
    document: Reference


class CarePlanRevise(Record, frozen=True, tag="careplan.revise"):
    """The next version, by the organisation that proposed the plan; it has no answer yet."""

    plan: CaseId
    version: Version
    document: Reference


class CarePlanRespond(Record, frozen=True, tag="careplan.respond"):
    """The patient's answer to the current version; a later one replaces it."""

    plan: CaseId
    version: Version
    answer: Answer
    note: Hash | None


class GoalReport(Record, frozen=True, tag="goal.report"):
    """How the patient, or a clinician of the organisation, sees a goal of an accepted plan."""

    plan: CaseId
    report: ItemId
    document: Reference


class ErasureRequest(Record, frozen=True, tag="erasure.request"):
    """The patient asks to erase one record, one category, or, with neither, all that is his."""

    erasure: CaseId
    category: CategoryId | None
    record: RecordId | None


class ErasureApprove(Record, frozen=True, tag="erasure.approve"):
    """The patient's hospital or a regulator grants an erasure, or takes it a step further.

    A step buries a bounded number of hashes; large scopes take several.
    """

    erasure: CaseId


class ErasureAttest(Record, frozen=True, tag="erasure.attest"):
    """A member that stores data has deleted what the erasure covers."""

    erasure: CaseId


class HoldPlace(Record, frozen=True, tag="hold.place"):
    """A legal hold: nothing of the category, or of the patient, is erased while it stands."""

    hold: CaseId
    category: CategoryId | None
    note: Hash | None


class HoldRelease(Record, frozen=True, tag="hold.release"):
    """Lifts a hold, by the organisation that placed it or by a regulator."""

    hold: CaseId
