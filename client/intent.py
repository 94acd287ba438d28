"""What a member is about to put on the chain, kept until its fate is known.

A put that times out may still commit. Its author must then hold the keys and the link to the
patient that it made, or the next put of the same bundle would register a second patient. So an
intent is on disk, under the wallet's passphrase, before anything is sent, and goes when its
transaction is decided and the wallet has learnt what it brought. One file for each, beside the
wallet; no name or byte of it shows what is in it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from chain.codec import Codec
from chain.errors import InvalidMessage
from chain.keys import SigningKey
from chain.transaction import BODY, SIGNED, SignedTransaction, sign_transaction
from chain.types import Hash
from client.capturing import CapturedEvent, CaptureSubmission
from client.category import CategoryKey
from client.errors import WalletError
from client.files import held, read_bounded, write_whole
from client.redacted import Redacted
from client.sealing import Random
from client.submission import BundleSubmission, PutRecord
from client.vault import FILE_BYTES_MAX, PLAIN_BYTES_MAX, limits_of, lock, unlock
from client.wallet import PatientLink, Wallet

ATTEMPTS_MAX: Final = 64
_KIND: Final = "medlock-intent"


class Intent(Redacted, frozen=True):
    """`attempts` are encoded `SignedTransaction`s that differ in their expiry only, the newest
    last: at most one of them can take effect, because all put the same new things.

    `digest` is that of what is put: of the canonical resources of a bundle, which become `records`,
    or of a document of events, which become `events`; `keys` and `links` are what the author's
    wallet learns; `patient` is a new patient's wallet and `place` the file that it belongs in.
    """

    digest: Hash
    attempts: Annotated[tuple[bytes, ...], Meta(min_length=1, max_length=ATTEMPTS_MAX)]
    attachments: tuple[bytes, ...]
    records: tuple[PutRecord, ...]
    events: tuple[CapturedEvent, ...]
    keys: tuple[CategoryKey, ...]
    links: tuple[PatientLink, ...]
    patient: Wallet | None
    place: str | None

    @property
    def transactions(self) -> tuple[SignedTransaction, ...]:
        """The attempts, the newest first."""
        return tuple(SIGNED.decode(raw) for raw in reversed(self.attempts))

    @property
    def valid_until_ms(self) -> int:
        """Until when (UTC) the newest attempt can commit."""
        return BODY.decode(self.transactions[0].body).valid_until_ms

    def renewed(self, key: SigningKey, genesis_hash: bytes, valid_until_ms: int) -> "Intent":
        """With one more attempt: the same actions, nonce and co-signatures, a later expiry."""
        last = BODY.decode(self.transactions[0].body)
        body = msgspec.structs.replace(last, valid_until_ms=valid_until_ms)
        fresh = SIGNED.encode(sign_transaction(body, key, genesis_hash))
        return msgspec.structs.replace(self, attempts=(*self.attempts, fresh)[-ATTEMPTS_MAX:])

    def taught(self, wallet: Wallet) -> Wallet:
        """`wallet` with what this brings, once it is committed."""
        for key in self.keys:
            wallet = wallet.with_category_key(key)
        for link in self.links:
            wallet = wallet.with_links(link.patient, link.identifier)
        return wallet


_INTENT: Final = Codec[Intent](Intent, name="intent", bytes_max=PLAIN_BYTES_MAX)


def intent_of(
    submission: BundleSubmission, bundle: bytes, wallet: Wallet, place: Path | None
) -> Intent:
    """What to keep of `submission`, which was prepared from `wallet`."""
    learnt = submission.wallet
    return Intent(
        bundle,
        (submission.transaction.raw,),
        submission.transaction.attachments,
        submission.records,
        (),
        tuple(each for each in learnt.category_keys if each not in wallet.category_keys),
        tuple(each for each in learnt.links if each not in wallet.links),
        submission.patient_wallet,
        None if place is None else str(place.absolute()),
    )


def capture_intent(submission: CaptureSubmission, document: bytes, wallet: Wallet) -> Intent:
    """What to keep of `submission`, which was prepared from `wallet`; `document` is its digest."""
    return Intent(
        document,
        (submission.transaction.raw,),
        submission.transaction.attachments,
        (),
        submission.events,
        tuple(k for k in submission.wallet.category_keys if k not in wallet.category_keys),
        (),
        None,
        None,
    )


class IntentFile:
    """One intent on disk, beside its author's wallet."""

    def __init__(self, path: Path, wallet: Path, passphrase: bytes) -> None:
        self.path = path
        self._wallet = wallet
        self._passphrase = passphrase

    @staticmethod
    def beside(wallet: Path, passphrase: bytes, first: bytes) -> "IntentFile":
        """The file for the intent whose first attempt has the id `first`."""
        path = wallet.with_name(f".{wallet.name}.intent-{first.hex()}")
        return IntentFile(path, wallet, passphrase)

    @staticmethod
    def all_of(wallet: Path, passphrase: bytes) -> Iterator["IntentFile"]:
        """What earlier puts of this wallet left open."""
        start = f".{wallet.name}.intent-"
        for path in sorted(wallet.parent.iterdir()):
            if path.name.startswith(start):
                yield IntentFile(path, wallet, passphrase)

    @property
    def is_open(self) -> bool:
        """True until it is forgotten."""
        return self.path.exists()

    def save(self, intent: Intent, random: Random) -> None:
        """Durable at return; as dear to open as the wallet itself."""
        limits = limits_of(read_bounded(self._wallet, FILE_BYTES_MAX))
        write_whole(
            self.path, lock(_KIND, _INTENT.encode(intent), self._passphrase, limits, random)
        )

    def renew(
        self,
        random: Random,
        is_in_time: Callable[[Intent], bool],
        change: Callable[[Intent], Intent],
    ) -> Intent:
        """Saves `change(intent)` unless another process was quicker; the intent to go on with."""
        with held(self._wallet):
            kept = self.load()
            if kept is None:
                raise WalletError(
                    "wallet.intent_gone",
                    "another command has finished what this one wanted to go on with",
                    "do it again",
                    str(self.path),
                )
            if not is_in_time(kept):
                kept = change(kept)
                self.save(kept, random)
            return kept

    def load(self) -> Intent | None:
        """None where another process has finished with it; `WalletError` where it does not open."""
        try:
            raw = read_bounded(self.path, FILE_BYTES_MAX)
        except FileNotFoundError:
            return None
        try:
            return _INTENT.decode(unlock(_KIND, raw, self._passphrase))
        except InvalidMessage as error:
            raise WalletError(
                "wallet.malformed", error.cause, "use the release that wrote it", str(self.path)
            ) from None

    def forget(self) -> None:
        """Its fate is known, and the wallets hold what came of it."""
        self.path.unlink(missing_ok=True)
