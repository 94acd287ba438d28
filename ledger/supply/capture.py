"""The way of one event: who may say it, that it is new, what it does, and that it was said.

An event that binds moves custody and has to fit it, or is refused; one that does not is kept as
what somebody says. Either takes a number, and its id is taken for ever.
"""

from typing import Final, assert_never

from chain.errors import Rejected
from chain.types import PrincipalKind
from ledger.entries import CATEGORY
from ledger.keyspace import EVENTS_KEY, category_key, event_key, event_number_key
from ledger.request import Request
from ledger.supply import (
    attaching,
    commissioning,
    finishing,
    observing,
    packing,
    receiving,
    shipping,
    transforming,
    undoing,
)
from ledger.supply.actions import SupplyCapture
from ledger.supply.cold_chain import measure
from ledger.supply.course import Course
from ledger.supply.entries import EVENT, NUMBER, EventEntry, NumberEntry
from ledger.supply.facts import facts_of
from ledger.supply.steps import rule_of

CAPTURER_KINDS: Final[tuple[PrincipalKind, ...]] = (
    "administrator",
    "clinician",
    "device",
    "service",
)
_BRINGING: Final = ("commission", "pack", "attach")
"""Effects after which readings count, as they bring what is measured or what measures."""

_NOTHING: Final = NumberEntry(0)


def capture(request: Request, action: SupplyCapture) -> None:
    """Takes an event into the chain's history, with what it does."""
    organization = request.organization
    if organization is None or request.principal.kind not in CAPTURER_KINDS:
        raise Rejected("supply.not_capturer", "event")
    _check_content(request, action)
    number = (request.state.read(EVENTS_KEY, NUMBER) or _NOTHING).number + 1
    rule = rule_of(action.kind, action.action, action.step)
    course = Course(request, organization, action, rule, number)
    _check_new(course)
    if action.event_time_ms > course.now_ms + course.policies.future_ms:
        raise Rejected("supply.future_event", "event_time_ms")
    _record(course, _take(course))


def _check_content(request: Request, action: SupplyCapture) -> None:
    """The sealed document is under a category key of the organisation's own that is current."""
    content = action.content
    place = category_key(request.author, content.category, request.author)
    category = request.state.read(place, CATEGORY)
    if category is None:
        raise Rejected("category.not_open", "content.category")
    if category.epoch != content.epoch:
        raise Rejected("category.epoch_not_current", "content.epoch")


def _check_new(course: Course) -> None:
    """An id names one event for ever, or one declaration that an event was an error."""
    action = course.action
    field = "event" if action.declaration is None else "declaration"
    key = event_number_key(_own_key(action))
    if course.state.read(key, NUMBER) is not None:
        raise Rejected("supply.event_exists", field)


def _own_key(action: SupplyCapture) -> bytes:
    return action.event if action.declaration is None else action.declaration


def _take(course: Course) -> int | None:
    """Does what an event says; gives the number of the one that it takes back."""
    if course.action.declares_error:
        number = undoing.undo(course)
        course.settle()
        return number
    if course.action.binding:
        before = course.rule.effect not in _BRINGING
        if before:
            measure(course)
        _perform(course)
        course.settle()
        if not before:
            measure(course)
    return None


def _perform(course: Course) -> None:  # noqa: C901, PLR0912 - one visible match
    effect = course.rule.effect
    match effect:
        case "commission":
            commissioning.commission(course)
        case "pack":
            packing.pack(course)
        case "unpack":
            packing.unpack(course)
        case "ship":
            shipping.ship(course)
        case "receive":
            receiving.receive(course)
        case "accept":
            receiving.accept(course)
        case "void":
            receiving.void(course)
        case "finish":
            finishing.finish(course)
        case "transform":
            transforming.transform(course)
        case "attach":
            attaching.attach(course)
        case "detach":
            attaching.detach(course)
        case "observe":
            observing.observe(course)
        case _:
            assert_never(effect)


def _record(course: Course, error: int | None) -> None:
    action, request, state = course.action, course.request, course.state
    entry = EventEntry(
        transaction=request.transaction_id,
        action_index=request.action_index,
        organization=course.organization,
        recorded_ms=course.now_ms,
        event=_own_key(action),
        kind=action.kind,
        action=action.action,
        step=action.step,
        disposition=action.disposition,
        binding=action.binding,
        event_time_ms=action.event_time_ms,
        parent=action.parent,
        receiver=action.receiver,
        shipment=course.shipment,
        min_mc=min((each.min_mc for each in action.readings), default=None),
        max_mc=max((each.max_mc for each in action.readings), default=None),
        tag=action.tag,
        declares_error=action.declares_error,
        error=error,
        facts=facts_of(action),
        before=course.before,
        content=action.content,
    )
    number = NumberEntry(course.number)
    state.write(event_key(course.number), EVENT, entry)
    state.write(event_number_key(_own_key(action)), NUMBER, number)
    state.write(EVENTS_KEY, NUMBER, number)
