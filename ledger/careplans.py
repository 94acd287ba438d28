"""Rules for care plans: proposed by a clinician, answered by the patient, reported on by both.

What the chain names of a plan's content is a keyed reference: which record it is, and so which
category holds care plans, is for readers only.
"""

from typing import Final

from chain.errors import Rejected
from ledger.care_actions import CarePlanPropose, CarePlanRespond, CarePlanRevise, GoalReport
from ledger.care_entries import CARE_PLAN, GOAL_REPORT, CarePlanEntry, GoalReportEntry
from ledger.ids import owner_of
from ledger.keyspace import careplan_key, careplan_version_key, goal_report_key
from ledger.notes import keep_note
from ledger.proxies import check_registered, require_patient
from ledger.request import Request
from ledger.scopes import check_open

FIRST_VERSION: Final = 1


def propose(request: Request, action: CarePlanPropose) -> None:
    """Version 1, by a clinician."""
    _check_clinician(request)
    patient = owner_of(action.plan)
    check_registered(request.state, patient, "plan")
    check_open(request.state, patient, (), "plan")
    if request.state.read(careplan_key(action.plan), CARE_PLAN) is not None:
        raise Rejected("careplan.exists", "plan")
    entry = _version(request, FIRST_VERSION, action.document)
    request.state.write(careplan_key(action.plan), CARE_PLAN, entry)


def revise(request: Request, action: CarePlanRevise) -> None:
    """The next version; the answer to the one before does not count for it."""
    _check_clinician(request)
    entry = _current(request, action.plan)
    if request.organization != entry.organization:
        raise Rejected("careplan.not_author", "plan")
    if action.version != entry.version + 1:
        raise Rejected("careplan.version_out_of_order", "version")
    earlier = careplan_version_key(action.plan, entry.version)
    request.state.write(earlier, CARE_PLAN, entry)
    following = _version(request, action.version, action.document)
    request.state.write(careplan_key(action.plan), CARE_PLAN, following)


def _check_clinician(request: Request) -> None:
    if request.organization is None or request.principal.kind != "clinician":
        raise Rejected("careplan.not_clinician", "plan")


def _version(request: Request, version: int, document: bytes) -> CarePlanEntry:
    assert request.organization is not None, "a clinician acts for an organisation"
    now_ms = request.block.timestamp_ms
    return CarePlanEntry(
        version, request.organization, request.sender, now_ms, document, None, None, None, None
    )


def _current(request: Request, plan: bytes) -> CarePlanEntry:
    entry = request.state.read(careplan_key(plan), CARE_PLAN)
    if entry is None:
        raise Rejected("careplan.unknown", "plan")
    check_open(request.state, owner_of(plan), (), "plan")
    return entry


def respond(request: Request, action: CarePlanRespond) -> None:
    """The patient, or his proxy, answers the current version; he may change his mind."""
    entry = _current(request, action.plan)
    patient = owner_of(action.plan)
    require_patient(request, patient, "care", None, "plan")
    if action.version != entry.version:
        raise Rejected("careplan.version_out_of_order", "version")
    answered = CarePlanEntry(
        entry.version,
        entry.organization,
        entry.proposed_by,
        entry.proposed_ms,
        entry.document,
        action.answer,
        request.sender,
        request.block.timestamp_ms,
        action.note,
    )
    request.state.write(careplan_key(action.plan), CARE_PLAN, answered)
    keep_note(request, patient, action.note)


def report_goal(request: Request, action: GoalReport) -> None:
    """A report on a goal of a plan that the patient has accepted."""
    entry = _current(request, action.plan)
    if request.organization != entry.organization or request.principal.kind != "clinician":
        require_patient(request, owner_of(action.plan), "care", None, "plan")
    if entry.answer != "accept":
        raise Rejected("careplan.not_accepted", "plan")
    key = goal_report_key(action.plan, action.report)
    if request.state.read(key, GOAL_REPORT) is not None:
        raise Rejected("goal.exists", "report")
    now_ms = request.block.timestamp_ms
    report = GoalReportEntry(action.document, entry.version, request.sender, now_ms)
    request.state.write(key, GOAL_REPORT, report)
