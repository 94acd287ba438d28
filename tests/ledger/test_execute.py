"""Execution: all or nothing, the same everywhere, and nothing that no block may hold."""

import os
import subprocess
import sys
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest

from chain.block import OK, Result
from chain.errors import InvalidMessage, Rejected
from chain.genesis import Parameters
from ledger.actions import Action, KeyRotate, PrincipalEnrol, RecordAmend, RecordRetract
from ledger.care_actions import (
    CarePlanRespond,
    CarePlanRevise,
    EmergencyClose,
    EmergencyReview,
    ErasureApprove,
    ErasureAttest,
    GoalReport,
    HoldRelease,
)
from ledger.consent_actions import AccessDecide, AccessDispute, AccessResolve, ProxyRevoke
from ledger.execute import BlockContext, admissible, check, execute
from ledger.fields import StandingKey
from ledger.ids import access_id
from ledger.prepare import Prepared, prepare
from ledger.state import DecodedState
from ledger.supply.actions import SupplyAction
from tests.ledger.consent_world import (
    HOSPITAL_A,
    access,
    appointment,
    case_of,
    consent_of,
    emergency,
    erasure,
    grant,
    hold,
    plan,
    release,
    request,
    revoke,
    rotation,
)
from tests.ledger.governance_world import admission, announcement, ready, suspension, vote
from tests.ledger.ledger_world import (
    BLOCK_MS,
    ENCRYPTION,
    GENERAL,
    START_MS,
    DictState,
    World,
    digest,
    encoded,
    key,
    opening,
    person,
    put,
    record_by,
    record_of,
    registration,
)

ANNA_SIGNS = [("anna", key("anna"))]
CAROL_SIGNS = [("carol", key("carol"))]
FOR_B = consent_of("anna", "hospital-b")
FIRST_STATE = "c4b9c04f4ba297c23df80bcd2750b665d4e8ae86945a0db811d3a37f6f71f9a7"
RECORD = record_of("anna", "x-ray")


def a_year_of_care(world: World) -> list[list[Prepared]]:
    """Blocks that use every kind of action, refused ones among them.

    An access has its id from the time of its block, so `world` is one that commits nothing.
    """
    amend = RecordAmend(RECORD, 2, GENERAL, 0, digest("new"), digest("k"))
    enrol = PrincipalEnrol(person("doctor-new"), "clinician", key("x").public, ENCRYPTION)
    rotate = KeyRotate(person("nurse-a"), key("new").public, None, 5_000)
    return [
        [
            world.prepared("doctor-a", registration("anna"), put(RECORD), approvals=ANNA_SIGNS),
            world.prepared("admin-a", enrol),
            world.prepared("doctor-b", put(RECORD)),
        ],
        [
            world.prepared("nurse-a", amend),
            world.prepared("nurse-a", rotate, approvals=[("nurse-a", key("new"))]),
            world.prepared("doctor-b", opening(person("anna"))),
            world.prepared("doctor-b", put(record_of("anna", "b"), "b"), amend),
            world.prepared("doctor-b", put(record_of("anna", "b"), "b")),
        ],
        [world.prepared("doctor-a", RecordRetract(RECORD, 3))],
        *_consents_and_accesses(world),
        *_care_and_erasure(world),
    ]


def _consents_and_accesses(world: World) -> list[list[Prepared]]:
    by_carol = consent_of("anna", "doctor-b")
    standing = StandingKey(GENERAL, HOSPITAL_A, 0, digest("standing"))
    claim = access("read", RECORD, actor="doctor-b", cited=FOR_B)
    read_at = access_id(claim.access, START_MS + 6 * BLOCK_MS)
    return [
        [
            world.prepared("anna", appointment("carol", new=True), approvals=CAROL_SIGNS),
        ],
        [
            world.prepared("carol", grant(by_carol, purposes=("HRESCH",), standing=(standing,))),
            world.prepared("doctor-b", request("please")),
            world.prepared(
                "anna", grant(FOR_B), AccessDecide(case_of("anna", "please"), "permit", FOR_B)
            ),
            world.prepared("anna", ProxyRevoke(person("anna"), person("carol"))),
            world.prepared("carol", revoke(FOR_B)),
        ],
        [world.prepared("doctor-b", claim)],
        [
            world.prepared("gateway-a", rotation(1), release(read_at, epoch=1)),
            world.prepared("anna", revoke(FOR_B), AccessDispute(read_at, None)),
            world.prepared("auditor-a", AccessResolve(read_at, "justified", digest("fine"))),
        ],
    ]


def _care_and_erasure(world: World) -> list[list[Prepared]]:
    crash, knee = case_of("anna", "crash"), case_of("anna", "knee")
    gone = case_of("anna", "erasure")
    return [
        [
            world.prepared("doctor-b", emergency("crash")),
            world.prepared("nurse-b", EmergencyClose(crash)),
            world.prepared("auditor-b", EmergencyReview(crash, "justified", None)),
            world.prepared("doctor-a", plan("knee"), CarePlanRevise(knee, 2, digest("better"))),
            world.prepared(
                "anna",
                CarePlanRespond(knee, 2, "accept", digest("gladly")),
                GoalReport(knee, person("report"), digest("it bends")),
            ),
        ],
        [
            world.prepared("admin-r", hold()),
            world.prepared("anna", erasure()),
            world.prepared("admin-r", HoldRelease(case_of("anna", "hold"))),
            world.prepared("anna", erasure()),
            world.prepared("admin-a", ErasureApprove(gone)),
            world.prepared("gateway-b", ErasureAttest(gone)),
        ],
        [
            world.prepared("admin-a", suspension("out", "wholesaler"), vote("out")),
            world.prepared("admin-w", vote("out")),
            world.prepared("admin-b", vote("out")),
            world.prepared("admin-r", vote("out")),
            world.prepared("gateway-w", put(record_by("wholesaler", "late"))),
        ],
        [
            world.prepared("admin-r", announcement(world, "regulator")),
            world.prepared("admin-a", admission("in", "regulator"), vote("in")),
            world.prepared("admin-b", vote("in")),
            world.prepared("admin-b", vote("in", "for", ready(world, "regulator"))),
            world.prepared("admin-w", announcement(world, "wholesaler", 1)),
        ],
    ]


def story_digest() -> str:
    """A digest over every result and every write, in order."""
    world = World()
    digest_of_all = sha256()
    for block in a_year_of_care(World()):
        execution = world.commit(*block)
        digest_of_all.update(repr(execution.results).encode())
        for name, value in execution.writes.items():
            digest_of_all.update(repr((name, value)).encode())
    return digest_of_all.hexdigest()


def test_the_story_has_all_kinds_but_the_supply_chains_and_both_ends() -> None:
    world = World()
    blocks = a_year_of_care(world)
    results = [world.commit(*block).results for block in blocks]
    assert [[result.code for result in block] for block in results] == [
        ["ok", "ok", "record.exists"],
        ["ok", "ok", "ok", "record.not_author", "ok"],
        ["ok"],
        ["ok"],
        ["ok", "ok", "ok", "ok", "proxy.not_appointed"],
        ["ok"],
        ["ok", "ok", "ok"],
        ["ok", "ok", "ok", "ok", "ok"],
        ["ok", "erasure.on_hold", "ok", "ok", "ok", "ok"],
        ["ok", "proposal.concerned", "ok", "ok", "organization.suspended"],
        ["ok", "ok", "validator.not_ready", "ok", "organization.suspended"],
    ]
    kinds = {type(action) for block in blocks for each in block for action in each.actions}
    assert kinds == set(get_args(Action)) - set(get_args(SupplyAction))


def test_the_first_blocks_of_the_story_lead_to_the_state_they_always_led_to() -> None:
    """Blocks from before consents were there replay to the same bytes under the rules of today."""
    world = World()
    for block in a_year_of_care(World())[:3]:
        world.commit(*block)
    names = (b"record/", b"record-version/", b"category/", b"principal/" + person("anna"))
    entries = {name: value for name, value in world.state.entries.items() if name.startswith(names)}
    digest_of_all = sha256()
    for name in sorted(entries):
        digest_of_all.update(repr((name, entries[name])).encode())
    assert digest_of_all.hexdigest() == FIRST_STATE


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_same_blocks_same_writes_under_any_hash_seed(hash_seed: str) -> None:
    root = Path(__file__).parents[2]
    program = "from tests.ledger.test_execute import story_digest; print(story_digest())"
    there = subprocess.run(
        [sys.executable, "-c", program],
        cwd=root,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.strip() == story_digest()


def test_a_block_equals_its_transactions_one_by_one(world: World) -> None:
    """Later transactions see what earlier ones of the block did, and nothing else differs."""
    together, apart = DictState(world.state.entries), DictState(world.state.entries)
    block = world.next_block
    transactions = [
        world.prepared("doctor-a", registration("anna"), approvals=ANNA_SIGNS),
        world.prepared("doctor-a", put(RECORD, "one")),
        world.prepared("doctor-a", put(RECORD, "two")),
        world.prepared("nurse-a", RecordAmend(RECORD, 2, GENERAL, 0, digest("c"), digest("k"))),
        world.prepared("nurse-a", RecordRetract(RECORD, 3)),
    ]
    execution = execute(together, block, transactions)
    together.apply(execution.writes)
    results = []
    for each in transactions:
        alone = execute(apart, block, [each])
        apart.apply(alone.writes)
        results += alone.results
    assert execution.results == tuple(results)
    assert [result.code for result in results] == ["ok", "ok", "record.exists", "ok", "ok"]
    assert together.entries == apart.entries


@pytest.mark.parametrize("position", range(5))
def test_one_action_that_fails_undoes_all_of_its_transaction(world: World, position: int) -> None:
    world.register("anna")
    world.submit("doctor-a", put(RECORD))
    actions: list[Action] = [
        RecordAmend(RECORD, 2, GENERAL, 0, digest("c"), digest("k")),
        put(record_of("anna", "second")),
        opening(person("anna"), b"imaging".ljust(16, b".")),
        RecordRetract(RECORD, 3),
    ]
    actions.insert(position, put(record_of("nobody", "x")))
    before = dict(world.state.entries)
    execution = world.commit(world.prepared("doctor-a", *actions))
    assert execution.results == (Result("owner.unknown", f"actions[{position}].record"),)
    assert execution.writes == {}
    assert world.state.entries == before
    actions.pop(position)
    assert world.submit("doctor-a", *actions) == OK


def test_a_refused_transaction_leaves_its_neighbours_alone(world: World) -> None:
    world.register("anna")
    execution = world.commit(
        world.prepared("doctor-a", put(RECORD, "one")),
        world.prepared("doctor-a", put(record_of("anna", "b")), put(RECORD, "two")),
        world.prepared("doctor-a", put(record_of("anna", "b"), "b")),
    )
    assert [result.code for result in execution.results] == ["ok", "record.exists", "ok"]
    assert len(execution.writes) == 2


def test_a_bad_approval_undoes_everything(world: World) -> None:
    world.register("anna")
    before = dict(world.state.entries)
    assert not world.submit("doctor-a", put(RECORD), approvals=[("ben", key("ben"))]).ok
    assert world.state.entries == before


def test_a_key_is_written_once_a_block_however_often_it_changes(world: World) -> None:
    world.register("anna")
    execution = world.commit(
        world.prepared("doctor-a", put(RECORD)),
        world.prepared("doctor-a", RecordAmend(RECORD, 2, GENERAL, 0, digest("c"), digest("k"))),
        world.prepared("doctor-a", RecordRetract(RECORD, 3)),
    )
    assert len(execution.writes) == 3


def test_no_transaction_writes_more_than_its_weight(world: World) -> None:
    for block in a_year_of_care(world):
        at = world.next_block
        for each in block:
            assert len(execute(world.state, at, [each]).writes) <= each.weight
        world.commit(*block)


def test_executing_changes_nothing_but_what_it_returns(world: World) -> None:
    before = dict(world.state.entries)
    shared = DecodedState(world.state)
    transaction = world.prepared("doctor-a", registration("anna"), approvals=ANNA_SIGNS)
    first = execute(shared, world.next_block, [transaction])
    assert world.state.entries == before
    assert execute(shared, world.next_block, [transaction]) == first


def test_an_empty_block_changes_nothing(world: World) -> None:
    execution = execute(world.state, world.next_block, [])
    assert (execution.results, execution.writes) == ((), {})


def inadmissible(world: World, prepared: Prepared, block: BlockContext) -> str:
    """The code, which all three ways to the ledger agree on."""
    codes = []
    for ask in (
        lambda: admissible(world.state, block, prepared),
        lambda: check(world.state, block, prepared),
        lambda: execute(world.state, block, [prepared]),
    ):
        with pytest.raises(InvalidMessage) as caught:
            ask()
        codes.append(caught.value.code)
    assert all(one == other for one, other in pairwise(codes))
    return codes[0]


def test_a_transaction_has_its_time(world: World) -> None:
    block = world.next_block
    longest_ms = world.parameters.validity_ms_max
    for valid_for_ms, code in (
        (-1, "transaction.expired"),
        (0, "transaction.expired"),
        (longest_ms + 1, "transaction.valid_too_long"),
    ):
        prepared = world.prepared("doctor-a", put(RECORD), valid_for_ms=valid_for_ms)
        assert inadmissible(world, prepared, block) == code
    for valid_for_ms in (1, longest_ms):
        prepared = world.prepared("doctor-a", put(RECORD), valid_for_ms=valid_for_ms)
        assert admissible(world.state, block, prepared) == (key("doctor-a").public,)


def test_a_stranger_sends_nothing(world: World) -> None:
    prepared = world.prepared("nobody", put(RECORD))
    assert inadmissible(world, prepared, world.next_block) == "transaction.unknown_sender"


def test_an_organisations_owner_id_is_no_sender(world: World) -> None:
    transaction = world.transaction("doctor-a", put(RECORD))
    forged = type(transaction)(
        record_of("hospital-a", "x")[:16],
        transaction.nonce,
        transaction.valid_until_ms,
        transaction.actions,
        transaction.attachments,
        (),
    )
    prepared = prepare(encoded(forged), world.parameters)
    assert inadmissible(world, prepared, world.next_block) == "transaction.unknown_sender"


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (Parameters(actions_max=1), "transaction.too_many_actions"),
        (Parameters(attachments_max=1), "transaction.too_many_attachments"),
        (Parameters(transaction_weight_max=1), "transaction.too_heavy"),
        (Parameters(transaction_bytes_max=512), "transaction.too_large"),
        (Parameters(attachment_bytes_max=99), "transaction.attachment_too_large"),
    ],
)
def test_limits_are_judged_again_at_the_block(limits: Parameters, code: str) -> None:
    """A transaction waits in the pool while a vote may lower the limits."""
    earlier, now = World(), World(limits)
    actions = [put(record_of("anna", name), name) for name in ("one", "two", "three")]
    prepared = earlier.prepared("doctor-a", *actions)
    assert inadmissible(now, prepared, now.next_block) == code


def test_a_block_holds_a_transaction_once(world: World) -> None:
    world.register("anna")
    prepared = world.prepared("doctor-a", put(RECORD))
    with pytest.raises(InvalidMessage) as caught:
        world.commit(prepared, prepared)
    assert (caught.value.code, caught.value.field) == ("transaction.repeated", "transactions[1]")


def test_the_early_answer_is_the_final_one(world: World) -> None:
    world.register("anna")
    fine = world.prepared("doctor-a", put(RECORD))
    check(world.state, world.next_block, fine)
    world.commit(fine)
    second = world.prepared("doctor-a", put(RECORD, "other"))
    before = dict(world.state.entries)
    with pytest.raises(Rejected) as caught:
        check(world.state, world.next_block, second)
    assert world.state.entries == before
    (result,) = world.commit(second).results
    assert (caught.value.code, caught.value.field) == (result.code, result.field)
