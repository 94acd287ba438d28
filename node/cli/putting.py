"""Putting a bundle on the chain: what `record put` and a test network's samples have in common.

What is sent is on disk before (`client.intent`), and every put first finishes what earlier ones of
the same wallet left open: it asks for their transactions by id, sends them again under the same id,
or, where they have expired, once more with a later expiry.
"""

import os
import time
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from chain.transaction import BODY
from client.api import Api, Submitted
from client.builder import Network
from client.bundle import Bundle, read_bundle
from client.errors import ApiError
from client.intent import Intent, IntentFile, intent_of
from client.reading import Reader
from client.submission import BundleSubmission, prepare_at, prepare_bundle
from client.vault import MODERATE
from client.wallet import Wallet, load_wallet, save_wallet, update_wallet
from client.writing import WritingPlace, writing_place
from ledger.codes import REJECTIONS
from node.cli.blame import explain, refused
from node.cli.category import GENERAL, find_category
from node.cli.output import say
from node.cli.reach import Reach
from node.errors import Exit, OperatorError
from node.keys import RANDOM_PASSPHRASE

EPOCH_CODES: Final = "category.epoch_"
"""How the codes begin that say: another has opened the next epoch, or a revocation asks for it."""
VALIDITY_MS: Final = 30 * 60 * 1_000
"""Half of what the default parameters allow, so that clocks may differ."""
VALIDITY_MS_MAX: Final = 2 * VALIDITY_MS
"""All that the default parameters allow: what has more left was signed for a time that another node
was ahead by, or lied, and is sent with an earlier expiry."""
RENEWAL_MS: Final = 60 * 1_000
"""What has less than this left is sent with a later expiry."""
REFUSALS: Final = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
"""Statuses after which the node holds nothing of the transaction."""


def now_ms() -> int:
    """UTC milliseconds."""
    return time.time_ns() // 1_000_000


async def ledger_ms(api: Api) -> int:
    """The time by which the ledger judges now: the clock's, or the chain's where that is ahead."""
    return await api.signing_ms(now_ms())


async def validity_end_ms(api: Api) -> int:
    """Until when what is signed now for this node is valid."""
    return await ledger_ms(api) + VALIDITY_MS


@dataclass(frozen=True, slots=True)
class Where:
    """Whose records are put, and in which category. `patient` is the pseudonym where it is given,
    else the wallet knows it; `wallet` is the file for a new patient's wallet."""

    patient: bytes | None = None
    category: str = GENERAL
    wallet: Path | None = None


async def put_bundle(reach: Reach, raw: bytes, where: Where | None = None) -> dict[str, Any]:
    """Submits the bundle in one transaction and waits for the commit; what `record put` prints.

    A new patient's wallet goes to `where.wallet` (on a test network, beside the other demo
    wallets), before anything is sent, because his keys exist nowhere else; it goes again where the
    ledger says no. The author's wallet is written once the ledger has said ok. Where a put of the
    same bundle was left open, this finishes that one instead of putting it twice.
    """
    bundle, where = read_bundle(raw), where or Where()
    async with reach.connect() as (api, _):
        desk = await Desk.open(reach, api)
        done = await desk.finish_earlier(bundle.digest)
        if done is not None:
            return done
        for last in (False, True):
            try:
                return await desk.put(bundle, where)
            except OperatorError as error:
                # The author's node opens an epoch after a revocation, too: whoever is second
                # writes under the other's.
                if last or EPOCH_CODES not in error.cause:
                    raise
    raise AssertionError("the second attempt returns or raises")


@dataclass(frozen=True, slots=True)
class _Fates:
    """What a node knows of an intent's attempts. `taken` took effect; `undecided` are those that
    may still commit, because the chain's own time has not passed them."""

    taken: Submitted | None
    undecided: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Desk:
    """One wallet's puts through one node: what else puts something, finishes it here too."""

    reach: Reach
    api: Api
    path: Path
    network: Network

    @staticmethod
    async def open(reach: Reach, api: Api) -> "Desk":
        assert reach.held.path is not None, "records are put as somebody, with a wallet's file"
        status = await api.get_document("/v1/status")
        network = Network(status["chain_id"], bytes.fromhex(status["genesis_hash"]))
        return Desk(reach, api, reach.held.path, network)

    async def put(self, bundle: Bundle, where: Where) -> dict[str, Any]:
        """Submits `bundle` as a new transaction."""
        wallet = load_wallet(self.path, self.reach.held.passphrase)
        valid_until_ms = await validity_end_ms(self.api)
        names = bundle.identifiers()
        owner = wallet.patient(*names) if where.patient is None else where.patient
        if owner is not None:
            place = await self._place(wallet, owner, where.category)
            submission = prepare_at(place, bundle, wallet, self.network, valid_until_ms, os.urandom)
        elif where.category != GENERAL:
            raise OperatorError(
                "E070",
                "the wallet does not know whom this is about",
                fix="put his Patient resource first, or give --patient PSEUDONYM",
            )
        else:
            submission = prepare_bundle(
                bundle,
                wallet,
                self.network,
                await self.api.members(),
                valid_until_ms,
                os.urandom,
            )
        new_wallet_place = _destination(self.reach, submission, where.wallet)
        file = IntentFile.beside(self.path, self.reach.held.passphrase, submission.transaction.id)
        intent = intent_of(submission, bundle.digest, wallet, new_wallet_place)
        file.save(intent, os.urandom)
        _save_patient(self.reach, intent)
        return await self.finish(file, intent, sent_before=False)

    async def _place(self, wallet: Wallet, owner: bytes, category: str) -> WritingPlace:
        """Under which key records about a known patient go."""
        reader = Reader(self.api, wallet, self.network.chain_id)
        chosen = await find_category(self.api, wallet, owner, category)
        return await writing_place(self.api, reader, owner, chosen)

    async def finish_earlier(self, digest: bytes) -> dict[str, Any] | None:
        """Finishes what is open; what came of what has this `digest`, if that was."""
        done: dict[str, Any] | None = None
        for file in IntentFile.all_of(self.path, self.reach.held.passphrase):
            intent = file.load()
            if intent is None:
                continue
            say("finishing first what an earlier command left open")
            try:
                finished = await self.finish(file, intent, sent_before=True)
            except OperatorError as error:
                if file.is_open:
                    raise
                say(f"it came to nothing ({error.cause})")
            else:
                done = finished if intent.digest == digest else done
        return done

    async def finish(
        self, file: IntentFile, intent: Intent, *, sent_before: bool
    ) -> dict[str, Any]:
        """Has the intent committed, and its author's wallet learn of it; what `record put` prints.

        Raises with the intent kept where its fate stays unknown, and with nothing of it left where
        it can take no effect any more.
        """
        taken = (await self._fates(intent)).taken if sent_before else None
        if taken is None:
            intent = await self._in_time(file, intent)
            taken = await self._submit(file, intent, sent_before=sent_before)
        _save_patient(self.reach, intent)
        update_wallet(self.path, self.reach.held.passphrase, os.urandom, intent.taught)
        file.forget()
        return _printed(intent, taken)

    async def _in_time(self, file: IntentFile, intent: Intent) -> Intent:
        at_ms = await ledger_ms(self.api)

        def is_in_time(kept: Intent) -> bool:
            return at_ms + RENEWAL_MS < kept.valid_until_ms <= at_ms + VALIDITY_MS_MAX

        def renewed(kept: Intent) -> Intent:
            key = self.reach.held.wallet.signing_key
            return kept.renewed(key, self.network.genesis_hash, at_ms + VALIDITY_MS)

        return intent if is_in_time(intent) else file.renew(os.urandom, is_in_time, renewed)

    async def _submit(self, file: IntentFile, intent: Intent, *, sent_before: bool) -> Submitted:
        """The attempt that took effect."""
        newest = intent.transactions[0].id
        try:
            submitted = await self.api.submit(intent.attempts[-1], intent.attachments)
        except ApiError as error:
            if error.status not in REFUSALS:
                if explain(error).exit_code != Exit.NO_QUORUM:
                    raise
                return await self._overtaken(intent, newest, sent_before=sent_before)
            known = error.code in REJECTIONS
            refusal = refused(error.code, error.field) if known else explain(error)
            # What was never sent before, and is refused at once, is nowhere.
            nowhere = newest if not sent_before and error.attempts == 1 else None
        else:
            if submitted.height is None or submitted.result is None:
                return await self._overtaken(intent, newest, sent_before=sent_before)
            if submitted.result.ok:
                return submitted
            refusal = refused(submitted.result.code, submitted.result.field)
            nowhere = newest
        fates = _Fates(None, ()) if nowhere and not sent_before else await self._fates(intent)
        if fates.taken is not None:
            return fates.taken
        if all(each == nowhere for each in fates.undecided):
            _give_up(file, intent)
        raise refusal

    async def _overtaken(self, intent: Intent, newest: bytes, *, sent_before: bool) -> Submitted:
        """An earlier attempt that took effect meanwhile: the newest, which names the same
        attachments, is in no block then, and nobody refuses it who has taken it."""
        taken = (await self._fates(intent)).taken if sent_before else None
        if taken is None:
            raise _not_yet(newest)
        return taken

    async def _fates(self, intent: Intent) -> _Fates:
        """Asks for the time of the chain first: what is not committed by then, and has expired by
        it, never will be."""
        chain_ms = await self.api.time_ms()
        undecided = []
        for signed in intent.transactions:
            found = await self.api.transaction(signed.id)
            if found.result is not None and found.result.ok:
                return _Fates(found, ())
            is_over = BODY.decode(signed.body).valid_until_ms <= chain_ms
            if found.result is None and not is_over:
                undecided.append(signed.id)
        return _Fates(None, tuple(undecided))


def _printed(intent: Intent, taken: Submitted) -> dict[str, Any]:
    done = {"transaction": taken.id.hex(), "height": taken.height}
    if intent.events:
        events = [{"id": each.id, "key": each.key.hex()} for each in intent.events]
        return {**done, "events": events}
    return {
        **done,
        "records": [
            {
                "id": each.id.hex(),
                "patient": each.patient.hex() if each.patient else None,
                "type": each.type,
            }
            for each in intent.records
        ],
    }


def _not_yet(transaction_id: bytes) -> OperatorError:
    return OperatorError(
        "E040",
        f"transaction {transaction_id.hex()} is not committed in time; it may still be",
        fix="medlock why-stalled says what is missing; then give the same command again, "
        "which goes on with this transaction",
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


def _give_up(file: IntentFile, intent: Intent) -> None:
    """Nothing can come of it any more: a patient's wallet that was made for it goes too."""
    if intent.place is not None:
        Path(intent.place).unlink(missing_ok=True)
    file.forget()


def _save_patient(reach: Reach, intent: Intent) -> None:
    """Writes a new patient's wallet, unless an earlier attempt has."""
    patient: Wallet | None = intent.patient
    if patient is None or intent.place is None or Path(intent.place).exists():
        return
    limits = RANDOM_PASSPHRASE if reach.held.demo else MODERATE
    save_wallet(Path(intent.place), patient, reach.held.passphrase, os.urandom, limits)
