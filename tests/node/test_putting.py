"""Putting a bundle whose outcome stays unknown: put again, it is finished, never put twice."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from chain.block import Result
from client.intent import Intent, IntentFile
from client.wallet import Wallet, load_wallet, save_wallet
from client.wire import SUBMISSION
from ledger.keyspace import principal_key
from ledger.prepare import prepare
from node.cli import putting
from node.cli.reach import HeldWallet, Reach
from node.errors import OperatorError
from tests.client.client_world import (
    FAST,
    Consortium,
    Interruption,
    Ledger,
    Node,
    found_consortium,
    problem,
)

PASSPHRASE = b"correct horse"


class Clinic:
    """A hospital's wallet file and the node that it speaks to."""

    def __init__(self, path: Path, node: Node, consortium: Consortium) -> None:
        self.node = node
        self.path = path
        self.file = path / "author.wallet"
        save_wallet(
            self.file,
            consortium.wallets["hospital-a"],
            PASSPHRASE,
            random.Random(1).randbytes,
            FAST,
        )
        self.timeout_s = 5.0

    @property
    def wallet(self) -> Wallet:
        return load_wallet(self.file, PASSPHRASE)

    @property
    def left_open(self) -> list[Intent]:
        loaded = [each.load() for each in IntentFile.all_of(self.file, PASSPHRASE)]
        return [each for each in loaded if each is not None]

    def wallets(self) -> list[Path]:
        return sorted(self.path.glob("patient-*"))

    async def put(self, patient: str = "ana", to: str = "patient-1") -> dict[str, Any]:
        held = HeldWallet(self.wallet, self.file, PASSPHRASE)
        reach = Reach(self.node.base, held, None, None, self.timeout_s)
        where = putting.Where(wallet=self.path / to)
        return await putting.put_bundle(reach, bundle(patient), where)

    async def refused(self, **how: str) -> OperatorError:
        with pytest.raises(OperatorError) as caught:
            await self.put(**how)
        return caught.value


def bundle(patient: str) -> bytes:
    resources = [
        {"resourceType": "Patient", "id": patient},
        {"resourceType": "Observation", "subject": {"reference": f"Patient/{patient}"}},
    ]
    return json.dumps(
        {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [{"resource": each} for each in resources],
        }
    ).encode()


@pytest.fixture
async def clinic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Clinic]:
    consortium = found_consortium(random.Random(7).randbytes)
    node = Node(Ledger(consortium.genesis))
    monkeypatch.setattr(putting, "now_ms", lambda: node.ledger.now_ms)
    monkeypatch.setattr(putting, "MODERATE", FAST)
    async with node.serving():
        yield Clinic(tmp_path, node, consortium)


def on_submission(status: int, code: str) -> list[Interruption]:
    """The node refuses what is submitted, and answers everything else."""

    def refuse(request: web.Request) -> web.StreamResponse | None:
        is_submission = request.method == "POST"
        return problem(status, code, **{"Retry-After": "9"}) if is_submission else None

    return [refuse] * 20


async def refusal(clinic: Clinic, status: int, code: str, **how: str) -> OperatorError:
    """A put that the node refuses."""
    clinic.node.interruptions += on_submission(status, code)
    error = await clinic.refused(**how)
    clinic.node.interruptions.clear()
    return error


async def stall(clinic: Clinic, **how: str) -> bytes:
    """A put that times out; what was sent."""
    error = await refusal(clinic, 504, "transaction.not_committed_in_time", **how)
    assert (error.code, error.exit_code) == ("E040", 6)
    sent = [_submission(each) for each in clinic.node.bodies]
    return bytes([each for each in sent if each is not None][-1].transaction)


def commit(clinic: Clinic, raw: bytes) -> Result:
    """What the network does once it has its quorum back."""
    submission = next(
        each
        for each in map(_submission, clinic.node.bodies)
        if each is not None and each.transaction == raw
    )
    return clinic.node.ledger.commit(raw, submission.attachments)


def _submission(body: bytes) -> Any:
    try:
        return SUBMISSION.decode(body)
    except Exception:  # noqa: BLE001 - other requests have other bodies
        return None


def transaction_id(clinic: Clinic, raw: bytes) -> str:
    return prepare(raw, clinic.node.ledger.genesis.parameters).id.hex()


async def test_a_put_leaves_nothing_open(clinic: Clinic) -> None:
    printed = await clinic.put()
    assert [each["type"] for each in printed["records"]] == ["Patient", "Observation"]
    assert clinic.left_open == []
    assert clinic.wallet.patient("Patient/ana") is not None
    assert len(clinic.wallets()) == 1


async def test_what_committed_after_the_timeout_is_found_by_its_id(clinic: Clinic) -> None:
    raw = await stall(clinic)
    (intent,) = clinic.left_open
    assert clinic.wallet.patient("Patient/ana") is None, "not before the ledger has said ok"
    assert commit(clinic, raw).ok
    clinic.node.requests.clear()
    printed = await clinic.put(to="patient-2")
    assert printed["transaction"] == transaction_id(clinic, raw)
    assert not any("POST /v1" in each for each in clinic.node.requests)
    patient = clinic.wallet.patient("Patient/ana")
    assert [each["patient"] for each in printed["records"]] == [
        patient.hex() if patient else ""
    ] * 2
    assert intent.patient is not None
    assert load_wallet(clinic.path / "patient-1", PASSPHRASE) == intent.patient
    assert clinic.wallets() == [clinic.path / "patient-1"]
    assert clinic.left_open == []
    assert len(clinic.node.ledger.committed) == 1


async def test_what_is_still_waiting_is_sent_again_under_its_id(clinic: Clinic) -> None:
    raw = await stall(clinic)
    assert await stall(clinic) == raw
    printed = await clinic.put()
    assert printed["transaction"] == transaction_id(clinic, raw)
    assert len(clinic.node.ledger.committed) == 1
    assert len(clinic.wallets()) == 1


async def test_what_expired_is_sent_again_with_a_later_expiry(clinic: Clinic) -> None:
    raw = await stall(clinic)
    clinic.node.ledger.now_ms += putting.VALIDITY_MS
    printed = await clinic.put()
    renewed = SUBMISSION.decode(
        [each for each in clinic.node.bodies if _submission(each) is not None][-1]
    ).transaction
    assert printed["transaction"] == transaction_id(clinic, renewed) != transaction_id(clinic, raw)
    old, new = (prepare(each, clinic.node.ledger.genesis.parameters) for each in (raw, renewed))
    assert new.transaction.actions == old.transaction.actions
    assert len(clinic.wallets()) == 1
    assert clinic.left_open == []


async def test_where_the_chain_is_ahead_a_put_is_valid_by_its_time(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = clinic.node.ledger
    ledger.tip_ms = ledger.now_ms
    monkeypatch.setattr(putting, "now_ms", lambda: ledger.now_ms - 2 * putting.VALIDITY_MS)
    await clinic.put()
    (sent,) = [each for each in map(_submission, clinic.node.bodies) if each is not None]
    signed = prepare(sent.transaction, ledger.genesis.parameters)
    assert signed.transaction.valid_until_ms == ledger.tip_ms + putting.VALIDITY_MS


async def test_what_was_signed_for_a_time_that_nobody_else_has_is_sent_with_an_earlier_expiry(
    clinic: Clinic,
) -> None:
    ledger = clinic.node.ledger
    before_ms, ledger.tip_ms = ledger.tip_ms, ledger.now_ms + 6_000_000
    raw = await stall(clinic)
    ledger.tip_ms = before_ms
    printed = await clinic.put()
    assert printed["transaction"] != transaction_id(clinic, raw)
    assert len(ledger.committed) == 1
    assert clinic.left_open == []


async def test_of_two_attempts_only_one_takes_effect(clinic: Clinic) -> None:
    """A block that was prepared long ago is decided late, with the old transaction in it."""
    raw = await stall(clinic)
    clinic.node.ledger.now_ms += putting.VALIDITY_MS
    renewed = await stall(clinic)
    assert renewed != raw
    (intent,) = clinic.left_open
    assert intent.attempts == (raw, renewed)
    clinic.node.ledger.now_ms -= putting.VALIDITY_MS
    assert commit(clinic, raw).ok
    clinic.node.ledger.now_ms += putting.VALIDITY_MS
    assert not commit(clinic, renewed).ok
    printed = await clinic.put()
    assert printed["transaction"] == transaction_id(clinic, raw)
    assert clinic.left_open == []
    patients = {key.name.owner for key in clinic.wallet.category_keys}
    assert len(patients) == 1


async def overtaken(clinic: Clinic) -> bytes:
    """A first attempt that commits just before its renewed one is sent; its bytes."""
    raw = await stall(clinic)
    clinic.node.ledger.now_ms += putting.VALIDITY_MS
    return raw


@pytest.mark.parametrize(
    ("status", "code"),
    [(409, "attachment.committed_already"), (504, "transaction.not_committed_in_time")],
)
async def test_a_renewed_attempt_finds_the_one_that_overtook_it(
    clinic: Clinic, status: int, code: str
) -> None:
    """A node refuses what names committed attachments; one that had taken it never answers."""
    raw = await overtaken(clinic)

    def overtake(request: web.Request) -> web.StreamResponse | None:
        if request.method != "POST":
            return None
        if not clinic.node.ledger.committed:
            clinic.node.ledger.now_ms -= putting.VALIDITY_MS
            assert commit(clinic, raw).ok
            clinic.node.ledger.now_ms += putting.VALIDITY_MS
        return problem(status, code, **{"Retry-After": "9"})

    clinic.node.interruptions += [overtake] * 20
    printed = await clinic.put()
    assert printed["transaction"] == transaction_id(clinic, raw)
    assert clinic.left_open == []
    assert len(clinic.node.ledger.committed) == 1


async def test_another_bundle_of_the_same_patient_waits_for_the_first(clinic: Clinic) -> None:
    raw = await stall(clinic)
    other = bundle("ana").replace(b'"Observation"', b'"Condition"')
    held = HeldWallet(clinic.wallet, clinic.file, PASSPHRASE)
    reach = Reach(clinic.node.base, held, None, None, clinic.timeout_s)
    printed = await putting.put_bundle(reach, other, None)
    assert transaction_id(clinic, raw) in {each.hex() for each in clinic.node.ledger.committed}
    patient = clinic.wallet.patient("Patient/ana")
    assert patient is not None
    assert {each["patient"] for each in printed["records"]} == {patient.hex()}
    assert len(clinic.wallets()) == 1


async def test_a_refusal_leaves_nothing_behind(clinic: Clinic) -> None:
    assert (await refusal(clinic, 422, "record.exists")).code == "E033"
    assert (clinic.left_open, clinic.wallets()) == ([], [])
    await clinic.put()


async def test_a_refusal_after_a_timeout_keeps_what_may_still_commit(clinic: Clinic) -> None:
    raw = await stall(clinic)
    assert (await refusal(clinic, 403, "auth.denied")).code == "E030"
    assert len(clinic.left_open) == 1
    assert commit(clinic, raw).ok
    printed = await clinic.put()
    assert printed["transaction"] == transaction_id(clinic, raw)


async def test_what_the_chain_rejects_is_given_up_and_put_afresh(clinic: Clinic) -> None:
    """The ledger knows the pseudonym by other means: nothing of this intent can take effect."""
    raw = await stall(clinic)
    ledger = clinic.node.ledger
    ledger.committed[bytes.fromhex(transaction_id(clinic, raw))] = (
        1,
        Result("patient.exists", "actions[0]"),
    )
    ledger.now_ms += putting.VALIDITY_MS
    ledger.tip_ms = ledger.now_ms
    (intent,) = clinic.left_open
    assert intent.patient is not None
    someone = ledger.entries[principal_key(clinic.wallet.principal)]
    ledger.entries[principal_key(intent.patient.principal)] = someone
    printed = await clinic.put(to="patient-2")
    assert len(printed["records"]) == 2
    assert clinic.wallets() == [clinic.path / "patient-2"], "the first one's patient never was"
    assert clinic.left_open == []


async def test_a_crash_before_the_patients_wallet_was_written_loses_no_key(clinic: Clinic) -> None:
    raw = await stall(clinic)
    (clinic.path / "patient-1").unlink()
    assert commit(clinic, raw).ok
    await clinic.put()
    (intent_wallet,) = clinic.wallets()
    assert load_wallet(intent_wallet, PASSPHRASE).kind == "patient"


async def test_what_is_kept_shows_nothing(clinic: Clinic) -> None:
    await stall(clinic, patient="marisol-vasquez")
    (path,) = [each for each in clinic.path.iterdir() if ".intent-" in each.name]
    assert path.stat().st_mode & 0o777 == 0o600
    raw = path.read_bytes()
    assert b"marisol" not in raw
    (intent,) = clinic.left_open
    assert repr(intent) == "Intent(…)"
    for key in intent.keys:
        assert key.secret not in raw
    assert intent.digest not in raw
    assert intent.digest.hex() not in path.name


async def test_two_commands_at_once_put_once(clinic: Clinic) -> None:
    raw = await stall(clinic)
    first, second = await asyncio.gather(clinic.put(), clinic.put())
    assert first == second
    assert first["transaction"] == transaction_id(clinic, raw)
    assert len(clinic.node.ledger.committed) == 1
