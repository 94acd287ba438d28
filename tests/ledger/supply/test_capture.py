"""The way of one event: who may say it, that it is new, and what of it stays."""

from msgspec.structs import replace

from chain.block import OK, Result
from ledger.policies import MINUTE_MS, SupplyPolicies
from ledger.state import DecodedState
from ledger.supply import queries
from ledger.supply.actions import EventContent
from ledger.supply.standing import standing
from tests.ledger.ledger_world import BLOCK_MS, GENERAL, digest, registration
from tests.ledger.ledger_world import key as signing_key
from tests.ledger.supply.supply_world import SupplyWorld, pack

ONE = pack("1")


def test_an_event_stands_where_it_was_said(chain: SupplyWorld) -> None:
    event = chain.event("object", "ADD", "commissioning", [ONE], disposition="active")
    prepared = chain.prepared(
        "maker-service", chain.event("object", "ADD", "commissioning", [pack("2")]), event
    )
    assert chain.commit(prepared).results == (OK,)
    assert queries.event_number(chain.state, event.event) == 2
    entry = queries.event(chain.state, 2)
    assert entry is not None
    assert (entry.transaction, entry.action_index) == (prepared.id, 1)
    assert (entry.organization, entry.recorded_ms) == ("maker", chain.timestamp_ms)
    assert (entry.kind, entry.action, entry.step, entry.disposition) == (
        "object",
        "ADD",
        "commissioning",
        "active",
    )
    assert (entry.binding, entry.error, entry.declares_error) == (True, None, False)
    assert entry.content == event.content


def test_administrators_clinicians_services_and_devices_capture(chain: SupplyWorld) -> None:
    for serial, who in enumerate(("maker-admin", "maker-nurse", "maker-service", "maker-logger")):
        event = chain.event("object", "ADD", "commissioning", [pack(str(serial))])
        assert chain.submit(who, event) == OK
    event = chain.event("object", "ADD", "commissioning", [pack("x")])
    assert chain.submit("maker-auditor", event) == Result("supply.not_capturer", "actions[0].event")
    approvals = [("anna", signing_key("anna"))]
    assert chain.submit("hospital-nurse", registration("anna"), approvals=approvals) == OK
    assert chain.submit("anna", event).code == "supply.not_capturer"


def test_an_id_names_one_event_for_ever(chain: SupplyWorld) -> None:
    event = chain.event("object", "ADD", "commissioning", [ONE])
    assert chain.capture("maker", event) == OK
    again = replace(event, items=chain.event("object", "ADD", "x", [pack("2")]).items)
    assert chain.capture("maker", again) == Result("supply.event_exists", "actions[0].event")
    assert chain.capture("rival", again).code == "supply.event_exists"


def test_an_event_is_not_of_the_future(chain: SupplyWorld) -> None:
    ahead = chain.next_block.timestamp_ms + 10 * MINUTE_MS
    assert chain.commission("maker", ONE, event_time_ms=ahead + 1) == Result(
        "supply.future_event", "actions[0].event_time_ms"
    )
    ahead += BLOCK_MS
    assert chain.commission("maker", ONE, event_time_ms=ahead) == OK


def test_policies_of_the_supply_chain_have_a_key_of_their_own(chain: SupplyWorld) -> None:
    chain.supply_obeys(SupplyPolicies(future_ms=0))
    now_ms = chain.next_block.timestamp_ms
    assert chain.commission("maker", ONE, event_time_ms=now_ms + 1).code == "supply.future_event"
    assert chain.commission("maker", ONE, event_time_ms=now_ms) == OK


def test_the_document_is_under_a_current_key_of_the_organisations_own(chain: SupplyWorld) -> None:
    content = EventContent(b"o" * 16, 0, digest("document"), digest("commitment"))
    assert chain.commission("maker", ONE, content=content) == Result(
        "category.not_open", "actions[0].content.category"
    )
    content = EventContent(GENERAL, 1, digest("document"), digest("commitment"))
    assert chain.commission("maker", ONE, content=content) == Result(
        "category.epoch_not_current", "actions[0].content.epoch"
    )


def test_what_does_not_bind_is_kept_and_moves_nothing(chain: SupplyWorld) -> None:
    event = chain.event("object", "OBSERVE", "shipping", [pack("unknown")], binding=False)
    assert chain.capture("pharmacy", event) == OK
    entry = queries.event(chain.state, 1)
    assert entry is not None
    assert not entry.binding
    assert standing(DecodedState(chain.state), pack("unknown")) is None
    assert chain.capture("maker", event).code == "supply.event_exists"


def test_a_refused_event_changes_nothing(chain: SupplyWorld) -> None:
    chain.commission("maker", ONE)
    before = dict(chain.state.entries)
    assert chain.ship("rival", "pharmacy", ONE).code == "supply.not_custodian"
    assert chain.commission("maker", pack("0"), ONE).code == "supply.already_commissioned"
    assert chain.state.entries == before
