"""What the ledger knows of a care plan, on the CarePlan resource; what of a goal, on the Goal.

The resource is sealed as its author wrote it. That the patient accepted, declined or asks, and
when, stands on the chain, and is added as an extension where the resource leaves; what reaches us
with such an extension (a client that writes back what it read) loses it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from client.fhir_json import Number, Value
from ledger.care_entries import CarePlanEntry, GoalReportEntry
from node.gateway.fhir.identity import case_id, instant
from node.gateway.fhir.names import (
    EXTENSION,
    Party,
    Resource,
    extensions,
    part,
    reference_to,
)

PLAN: Final = "care-plan"
REPORT: Final = "goal-report"
_OURS: Final = frozenset({EXTENSION + PLAN, EXTENSION + REPORT})


@dataclass(frozen=True, slots=True)
class Report:
    """A report on a goal: `document` is the FHIR reference to the resource that says how it goes,
    where the reader has it."""

    entry: GoalReportEntry
    reported_by: Party
    document: str | None


def with_answer(
    resource: Resource, plan: bytes, entry: CarePlanEntry, answered_by: Party | None
) -> Resource:
    """A CarePlan with what the chain says: the plan's id and version, the patient's answer to it,
    by whom and when. Without an answer the extension says so by having none."""
    parts = [
        part("plan", valueId=case_id(plan)),
        part("version", valuePositiveInt=Number(str(entry.version))),
        part("proposed", valueInstant=instant(entry.proposed_ms)),
    ]
    if entry.answer is not None:
        parts.append(part("answer", valueCode=entry.answer))
    if entry.answered_ms is not None:
        parts.append(part("answered", valueInstant=instant(entry.answered_ms)))
    if answered_by is not None:
        parts.append(part("answeredBy", valueReference=reference_to(answered_by)))
    return _extended(resource, extensions(PLAN, *parts))


def with_reports(resource: Resource, reports: Sequence[Report]) -> Resource:
    """A Goal with an extension for each report on it, in their order."""
    return _extended(resource, *(_report(each) for each in reports))


def without_ledger_extensions(resource: Resource) -> Resource:
    """`resource` without what the functions above add."""
    found = resource.get("extension")
    if not isinstance(found, list):
        return resource
    kept = [each for each in found if not (isinstance(each, dict) and each.get("url") in _OURS)]
    if len(kept) == len(found):
        return resource
    bare = {name: value for name, value in resource.items() if name != "extension"}
    return {**bare, "extension": kept} if kept else bare


def _report(report: Report) -> Resource:
    parts = [
        part("planVersion", valuePositiveInt=Number(str(report.entry.plan_version))),
        part("reported", valueInstant=instant(report.entry.reported_ms)),
        part("reportedBy", valueReference=reference_to(report.reported_by)),
    ]
    if report.document is not None:
        parts.append(part("document", valueReference={"reference": report.document}))
    return extensions(REPORT, *parts)


def _extended(resource: Resource, *added: Resource) -> Resource:
    bare = without_ledger_extensions(resource)
    if not added:
        return bare
    there = bare.get("extension")
    theirs: list[Value] = list(there) if isinstance(there, list) else []
    return {**bare, "extension": [*theirs, *added]}
