"""Finishing: a thing comes to its end, with all that lies in it (invariant 13).

Dispensed, administered, destroyed, exported, decommissioned, consumed: nothing moves it any more,
but for its own organisation, which may take back what was an error (`ledger.supply.undoing`).
"""

from typing import Final

from msgspec.structs import replace

from chain.errors import Rejected
from chain.types import Role
from ledger.standing import organization_of
from ledger.supply.course import Course, is_empty
from ledger.supply.fields import Status
from ledger.supply.holdings import ended
from ledger.supply.tallies import Tally

DISPENSER_ROLES: Final[tuple[Role, ...]] = ("hospital", "clinic", "pharmacy")
TO_PATIENTS: Final[tuple[Status, ...]] = ("dispensed", "administered")


def finish(course: Course) -> None:
    """Things, and loose amounts, come to the end that the event's step says."""
    rule = course.rule
    if rule.who == "dispenser":
        role = organization_of(course.state, course.organization).role
        if role not in DISPENSER_ROLES:
            raise Rejected("supply.not_dispenser", "step")
    if rule.status in TO_PATIENTS and course.action.tag is None:
        raise Rejected("supply.no_tag", "tag")
    finish_all(course, rule.status, rule.before)


def finish_all(course: Course, status: Status, before: tuple[Status, ...]) -> None:
    """Everything that an event names ends as `status`, from one of those `before`."""
    tallies = {each: Tally() for each in before}
    found: dict[Status, None] = {}

    def end(item: str) -> None:
        entry = course.known(item)
        tally = tallies.get(entry.status)
        if tally is None:
            raise Rejected("supply.final")
        course.check_loose(entry)
        if entry.custodian != course.organization:
            raise Rejected("supply.not_custodian")
        if not course.rule.held:
            course.check_free(item, entry)
        if status == "decommissioned" and entry.contains and not is_empty(course.container(item)):
            raise Rejected("supply.not_empty")
        found[entry.status] = None
        course.tally(item, entry, tally)
        course.write(item, replace(entry, status=status))

    course.each_subject(end)
    end_place = ended(course.organization, status)
    for each, tally in tallies.items():
        course.moves.carry(tally, place_of(course.organization, each), end_place)
    course.check_lots(sum(len(tally.classes()) for tally in tallies.values()))
    loose = course.amounts(check_held=not course.rule.held)
    course.moves.pour(loose, course.organization, end_place)
    if len(found) < 2:
        course.before = next(iter(found), "active")


def restore_all(course: Course, status: Status, before: Status) -> None:
    """Everything that an event ended as `status` is again what it was `before`."""
    tally = Tally()

    def restore(item: str) -> None:
        entry = course.known(item)
        if entry.status != status or entry.custodian != course.organization:
            raise Rejected("supply.not_undoable")
        course.tally(item, entry, tally)
        course.write(item, replace(entry, status=before))

    course.each_subject(restore)
    end_place = ended(course.organization, status)
    course.moves.carry(tally, end_place, place_of(course.organization, before))
    course.moves.pour(course.amounts(check_held=False), end_place, course.organization)


def place_of(member: str, status: Status) -> str:
    """Where what has this status is counted."""
    return member if status == "active" else ended(member, status)
