"""A wallet: the keys of one principal, in a file under a passphrase.

Also what only this principal's organisation may know: category keys, and which pseudonym stands for
which of the hospital's own patients. In memory a wallet is a value; a change is another value that
replaces the file whole. Nothing in it ever shows itself; `show_document` and `card` are what may be
seen.

How the file is locked is `client.vault`'s.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from chain.codec import Codec
from chain.document import to_document
from chain.errors import InvalidMessage
from chain.genesis import GenesisPrincipal
from chain.keys import SigningKey, Suite
from chain.types import MemberId, PrincipalId, PrincipalKind
from client.category import CategoryKey, CategoryName, Recipient
from client.errors import WalletError
from client.files import held, read_bounded, write_whole
from client.redacted import Redacted
from client.sealing import PrivateKey, Random, check_private_key, new_private_key
from client.vault import (
    FILE_BYTES_MAX,
    MODERATE,
    PLAIN_BYTES_MAX,
    KdfLimits,
    limits_of,
    lock,
    unlock,
)
from ledger.ids import EVENT_CATEGORY, organization_owner

PRIVATE_KEYS_MAX: Final = 64
CATEGORY_KEYS_MAX: Final = 262_144
LINKS_MAX: Final = 262_144

_KIND: Final = "medlock-wallet"


class PatientLink(Redacted, frozen=True):
    """One of the hospital's own names for a patient, and his pseudonym."""

    identifier: Annotated[str, Meta(min_length=1, max_length=4_096)]
    patient: PrincipalId


class Wallet(Redacted, frozen=True):
    """`organization` is None for a patient's own. Newest keys stand first.

    `organization_keys` open what is sealed to the organisation; a gateway's wallet holds them.
    """

    organization: MemberId | None
    principal: PrincipalId
    kind: PrincipalKind
    signing_seed: Annotated[bytes, Meta(min_length=32, max_length=32)]
    encryption_keys: Annotated[
        tuple[PrivateKey, ...], Meta(min_length=1, max_length=PRIVATE_KEYS_MAX)
    ]
    organization_keys: Annotated[tuple[PrivateKey, ...], Meta(max_length=PRIVATE_KEYS_MAX)] = ()
    category_keys: Annotated[tuple[CategoryKey, ...], Meta(max_length=CATEGORY_KEYS_MAX)] = ()
    links: Annotated[tuple[PatientLink, ...], Meta(max_length=LINKS_MAX)] = ()

    @property
    def signing_key(self) -> SigningKey:
        """The key that signs this principal's transactions."""
        return SigningKey(self.signing_seed)

    @property
    def author(self) -> bytes:
        """Under which id it writes: its organisation's, or a patient's own."""
        if self.organization is None:
            return self.principal
        return organization_owner(self.organization)

    def keyring(self) -> tuple[tuple[bytes, PrivateKey], ...]:
        """Recipient ids with the keys that open what is sealed to them."""
        own = tuple((self.principal, key) for key in self.encryption_keys)
        if self.organization is None:
            return own
        owner = organization_owner(self.organization)
        return own + tuple((owner, key) for key in self.organization_keys)

    def category_key(self, name: CategoryName) -> CategoryKey | None:
        """The category key of that name, where this wallet keeps it."""
        return next((key for key in self.category_keys if key.name == name), None)

    def current_key(self, owner: bytes, category: bytes | None = None) -> CategoryKey | None:
        """The newest kept key under which this author writes for `owner`.

        In `category`; where that is None, in the one that was kept first (the general one), those
        of events aside.
        """
        ours = [
            key
            for key in self.category_keys
            if (key.name.owner, key.name.author) == (owner, self.author)
            and (
                key.name.category == category
                if category is not None
                else not key.name.category.startswith(EVENT_CATEGORY)
            )
        ]
        same = [key for key in ours if key.name.category == ours[0].name.category]
        return max(same, key=lambda key: key.name.epoch, default=None)

    def patient(self, *identifiers: str) -> bytes | None:
        """The pseudonym that any of the hospital's names stands for; None where all are new.

        Raises `WalletError` where they stand for different patients.
        """
        wanted = set(identifiers)
        found = {link.patient for link in self.links if link.identifier in wanted}
        if len(found) > 1:
            raise WalletError(
                "wallet.ambiguous_patient",
                "the file's names for the patient belong to different pseudonyms",
                "correct the file's identifiers, or the links in the wallet",
            )
        return next(iter(found), None)

    def with_category_key(self, key: CategoryKey) -> "Wallet":
        """This wallet, keeping `key` too."""
        if self.category_key(key.name) == key:
            return self
        others = tuple(each for each in self.category_keys if each.name != key.name)
        return msgspec.structs.replace(self, category_keys=(*others, key))

    def with_links(self, patient: bytes, *identifiers: str) -> "Wallet":
        """This wallet, in which `identifiers` stand for the pseudonym `patient`."""
        kept = tuple(link for link in self.links if link.identifier not in identifiers)
        added = tuple(PatientLink(each, patient) for each in dict.fromkeys(identifiers))
        return msgspec.structs.replace(self, links=kept + added)

    def without_patient(self, patient: bytes) -> "Wallet":
        """This wallet without any link or key of the pseudonym (erasure)."""
        return msgspec.structs.replace(
            self,
            category_keys=tuple(k for k in self.category_keys if k.name.owner != patient),
            links=tuple(link for link in self.links if link.patient != patient),
        )


_WALLET: Final = Codec[Wallet](Wallet, name="wallet", bytes_max=PLAIN_BYTES_MAX)


def new_wallet(
    kind: PrincipalKind,
    organization: str | None,
    random: Random,
    *,
    suite: Suite = Suite.ML_KEM_768_X25519,
    organization_keys: tuple[PrivateKey, ...] = (),
) -> Wallet:
    """A new principal with fresh keys and a random pseudonym."""
    return Wallet(
        organization,
        random(16),
        kind,
        random(32),
        (new_private_key(suite, random),),
        organization_keys,
    )


def card(wallet: Wallet) -> GenesisPrincipal:
    """What a principal hands over: its pseudonym and public keys."""
    return GenesisPrincipal(
        wallet.principal,
        wallet.kind,
        wallet.signing_key.public,
        wallet.encryption_keys[0].public,
    )


def recipient(wallet: Wallet) -> Recipient:
    """The wallet's principal, as somebody to whom keys are sealed."""
    return Recipient(wallet.principal, wallet.encryption_keys[0].public)


def show_document(wallet: Wallet) -> dict[str, Any]:
    """What `wallet show` prints: no secret, no identifier of a patient."""
    return {
        "organization": wallet.organization,
        "card": to_document(card(wallet)),
        "encryption_suites": [key.suite for key in wallet.encryption_keys],
        "organization_keys": [to_document(key.public) for key in wallet.organization_keys],
        "category_keys": [
            {
                "owner": key.name.owner.hex(),
                "category": key.name.category.hex(),
                "author": key.name.author.hex(),
                "epoch": key.name.epoch,
            }
            for key in wallet.category_keys
        ],
        "patients": len({link.patient for link in wallet.links}),
    }


def encrypt_wallet(wallet: Wallet, passphrase: bytes, limits: KdfLimits, random: Random) -> bytes:
    """The bytes of a wallet file."""
    return lock(_KIND, _WALLET.encode(wallet), passphrase, limits, random)


def decrypt_wallet(raw: bytes, passphrase: bytes) -> Wallet:
    """The wallet in a file's bytes.

    Raises `WalletError`: `wallet.does_not_open` (a wrong passphrase and a changed file look the
    same) or `wallet.malformed` (no wallet file at all).
    """
    return _decode(unlock(_KIND, raw, passphrase))


def save_wallet(
    path: Path,
    wallet: Wallet,
    passphrase: bytes,
    random: Random,
    limits: KdfLimits = MODERATE,
) -> None:
    """Writes a new wallet file (0600, whole or not at all); refuses to replace an existing one."""
    with held(path):
        if path.exists():
            raise WalletError(
                "wallet.exists", "there is a file of that name", "choose another name", str(path)
            )
        write_whole(path, encrypt_wallet(wallet, passphrase, limits, random))


def load_wallet(path: Path, passphrase: bytes) -> Wallet:
    """The wallet in the file `path`; `WalletError` where there is none or it does not open."""
    return decrypt_wallet(_read(path), passphrase)


def update_wallet(
    path: Path, passphrase: bytes, random: Random, change: Callable[[Wallet], Wallet]
) -> Wallet:
    """Replaces the wallet by `change(wallet)`, alone among processes; the result.

    Fresh salt and nonce, the same limits.
    """
    with held(path):
        raw = _read(path)
        wallet = decrypt_wallet(raw, passphrase)
        changed = change(wallet)
        if changed != wallet:
            write_whole(path, encrypt_wallet(changed, passphrase, limits_of(raw), random))
        return changed


def _read(path: Path) -> bytes:
    try:
        return read_bounded(path, FILE_BYTES_MAX)
    except OSError as error:
        raise WalletError(
            "wallet.unreadable", f"{error.strerror}", "name a wallet file", str(path)
        ) from None


def _decode(plain: bytes) -> Wallet:
    try:
        wallet = _WALLET.decode(plain)
        for index, key in enumerate((*wallet.encryption_keys, *wallet.organization_keys)):
            check_private_key(key, f"wallet.keys[{index}]")
        return wallet  # noqa: TRY300 - the checks belong to it
    except InvalidMessage as error:
        raise WalletError(
            "wallet.malformed", error.cause, "use the release that wrote it", error.field
        ) from None
