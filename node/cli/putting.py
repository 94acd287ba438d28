"""Putting a bundle on the chain: what `record put` and a test network's samples have in common."""

import os
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from client.api import Api
from client.builder import Network
from client.bundle import read_bundle
from client.errors import ApiError
from client.submission import BundleSubmission, prepare_bundle
from client.wallet import MODERATE, Wallet, save_wallet, update_wallet
from node.cli.blame import explain
from node.cli.reach import Reach
from node.errors import Exit, OperatorError
from node.keys import RANDOM_PASSPHRASE

VALIDITY_MS: Final = 30 * 60 * 1_000
"""Half of what the default parameters allow, so that clocks may differ."""
REFUSALS: Final = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
"""Statuses after which the node holds nothing of the transaction."""


async def put_bundle(
    reach: Reach, raw: bytes, patient_wallet: Path | None = None
) -> dict[str, Any]:
    """Submits the bundle in one transaction and waits for the commit; what `record put` prints.

    A new patient's wallet goes to `patient_wallet` (on a test network, beside the other demo
    wallets), before anything is sent, because his keys exist nowhere else; it goes again where the
    ledger says no. The author's wallet is written once the ledger has said ok.
    """
    async with reach.connect() as (api, _):
        status = await api.get_document("/v1/status")
        network = Network(status["chain_id"], bytes.fromhex(status["genesis_hash"]))
        submission = prepare_bundle(
            read_bundle(raw),
            reach.held.wallet,
            network,
            await api.members(),
            time.time_ns() // 1_000_000 + VALIDITY_MS,
            os.urandom,
        )
        destination = _destination(reach, submission, patient_wallet)
        _save_patient(reach, submission, destination)
        height, refusal = await _commit(api, submission)
        if refusal is not None:
            if destination is not None:
                destination.unlink()
            raise refusal
    _keep(reach, submission)
    return {
        "transaction": submission.transaction.id.hex(),
        "height": height,
        "records": [
            {
                "id": each.id.hex(),
                "patient": each.patient.hex() if each.patient else None,
                "type": each.type,
            }
            for each in submission.records
        ],
    }


async def _commit(api: Api, submission: BundleSubmission) -> tuple[int, OperatorError | None]:
    """The height, and why the transaction took no effect, where it did not.

    Raises where its fate is unknown: it may still commit.
    """
    transaction = submission.transaction
    try:
        submitted = await api.submit(transaction.raw, transaction.attachments)
    except ApiError as error:
        if error.status in REFUSALS:
            return 0, explain(error)
        if explain(error).exit_code == Exit.NO_QUORUM:
            raise _not_yet(transaction.id) from error
        raise
    if submitted.height is None or submitted.result is None:
        raise _not_yet(transaction.id)
    if submitted.result.ok:
        return submitted.height, None
    where = f" at {submitted.result.field}" if submitted.result.field else ""
    refusal = OperatorError("E033", f"rejected: {submitted.result.code}{where}")
    return submitted.height, refusal


def _not_yet(transaction_id: bytes) -> OperatorError:
    name = transaction_id.hex()
    return OperatorError(
        "E040",
        f"transaction {name} is not committed in time; it may still be",
        fix=f"medlock why-stalled says what is missing; then medlock receipt get {name}",
    )


def _destination(
    reach: Reach, submission: BundleSubmission, patient_wallet: Path | None
) -> Path | None:
    """Where a new patient's wallet goes; decided, and found free, before anything is submitted."""
    if submission.patient_wallet is None:
        return None
    if patient_wallet is not None:
        path = patient_wallet
    elif reach.testnet is not None:
        patient = submission.patient_wallet.principal.hex()
        path = reach.testnet.wallets / f"patient-{patient}.wallet"
    else:
        raise OperatorError(
            "E070",
            "the bundle's patient is new and his wallet has no place",
            fix="give --patient-wallet FILE; it is made under the passphrase of --as",
        )
    if path.exists():
        raise OperatorError("E070", f"{path} exists", fix="choose another --patient-wallet")
    return path


def _save_patient(reach: Reach, submission: BundleSubmission, destination: Path | None) -> None:
    if submission.patient_wallet is None or destination is None:
        return
    limits = RANDOM_PASSPHRASE if reach.held.demo else MODERATE
    save_wallet(destination, submission.patient_wallet, reach.held.passphrase, os.urandom, limits)


def _keep(reach: Reach, submission: BundleSubmission) -> None:
    held = reach.held
    if held.path is not None:
        update_wallet(
            held.path, held.passphrase, os.urandom, lambda kept: _merge(kept, submission.wallet)
        )


def _merge(kept: Wallet, learnt: Wallet) -> Wallet:
    """What was learnt goes into the file as it is now: another command may have written it."""
    for key in learnt.category_keys:
        kept = kept.with_category_key(key)
    for link in learnt.links:
        kept = kept.with_links(link.patient, link.identifier)
    return kept
