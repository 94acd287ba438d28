"""Writing: what everybody who puts records needs, whatever they are about.

A record is written under the current epoch of our category key, and no epoch is written under that
somebody could open who has lost the right to: it is rotated first, and where the chain moves on in
between, everything is sealed anew, once. Must not know FHIR.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Generic, NamedTuple, TypeVar

from chain.errors import Rejected
from client.builder import TransactionBuilder
from client.category import SEALS, CategoryKey, CategoryName, Recipient
from client.files import write_whole
from client.wallet import Wallet, card, encrypt_wallet, new_wallet
from ledger import patient_queries, queries
from ledger.decision import target_of
from ledger.ids import EVENT_CATEGORY, emergency_summary, organization_owner, owner_of
from ledger.state import DecodedState, decoded
from node.backend import Committed
from node.gateway.attendants.rights import current_name, current_names
from node.gateway.attendants.rotation import Rotations
from node.gateway.keyring import Keyring
from node.gateway.office import COMMIT_S, NoQuorum, Office
from node.gateway.vault import Vault
from node.keys import PASSPHRASE, RANDOM_PASSPHRASE, find_passphrase
from storage.errors import AttachmentDamaged, AttachmentErased, AttachmentMissing

_LOG: Final = logging.getLogger("medlock.gateway")
STALE_KEYS: Final = frozenset({"category.epoch_not_current", "category.already_open"})
"""What the ledger says where the chain has moved on since the keys were chosen."""
WALLETS_FOLDER: Final = "patients"

T = TypeVar("T")


class Place(NamedTuple):
    """Where a record goes: whose it is, and which category; without one, the general. `readers` are
    the members to whom the key of a category of our own is sealed; None for all of them."""

    owner: bytes
    category: bytes | None = None
    readers: tuple[str, ...] | None = None


class Written(NamedTuple, Generic[T]):
    """`outcome` is what composing the transaction returned."""

    committed: Committed
    transaction: bytes
    outcome: T


class Draft:
    """A transaction in the making. Sealing takes time: compose it in a thread."""

    def __init__(self, builder: TransactionBuilder, keys: dict[Place, CategoryKey]) -> None:
        self.builder = builder
        self._keys = keys
        self.fresh: list[CategoryKey] = []

    def register(self, patient: Wallet, author: Recipient) -> None:
        """Registers a new patient, whose general category is open from then on."""
        key = self.builder.register_patient(card(patient), patient.signing_key, author)
        self.fresh.append(key)
        self._keys[Place(patient.principal)] = key

    def key(self, place: Place) -> CategoryKey:
        """The key under which is written there; it was named before, or is a new patient's."""
        return self._keys[place]

    def put(self, place: Place, content: bytes, record: bytes | None = None) -> bytes:
        """A new record; its id, which is `record` where it had to be known before."""
        return self.builder.put(content, self.key(place), record)

    def amend(self, place: Place, record: bytes, version: int, content: bytes) -> None:
        """Version `version` of `record`, whose place this is: its current one plus one."""
        self.builder.amend(record, version, content, self.key(place))

    def retract(self, record: bytes, version: int) -> None:
        """Marks `record` as entered in error, by its last version."""
        self.builder.retract(record, version)


class Writing:
    """Any number of writers in the event loop."""

    def __init__(
        self,
        office: Office,
        vault: Vault,
        keyring: Keyring,
        rotations: Rotations,
        wallets: "PatientWallets",
    ) -> None:
        self._office = office
        self._vault = vault
        self._keyring = keyring
        self._rotations = rotations
        self._wallets = wallets
        self._opening = asyncio.Lock()
        self._renewed: dict[Place, frozenset[str]] = {}

    async def key_for(self, owner: bytes, category: bytes | None = None) -> CategoryKey:
        """The key under which our organisation may write for `owner` now: the current epoch of the
        general category, or of `category`. Opened for us where we have not written there before,
        rotated where somebody holds it who must not.

        Raises `Rejected` (`owner.unknown`, `scope.erased` …), `NoQuorum`, `Busy`.
        """
        return (await self._keys([Place(owner, category)]))[Place(owner, category)]

    async def held(self, place: Place) -> CategoryKey | None:
        """The key under which was written there last; None where nothing was, or it is not here."""
        found = await self._office.backend.in_thread(lambda: self._look(place))
        return await self._keyring.find(found) if isinstance(found, CategoryName) else None

    async def renew(self, place: Place) -> None:
        """Opens the next epoch of a category of the organisation's own where somebody who reads
        what is written there has joined since. Raises `Rejected`, `NoQuorum`, `Busy`."""
        members = frozenset(each.id for each in queries.members(self._office.backend.store.state))
        if self._renewed.get(place) == members:
            return
        lacking = await self._office.backend.in_thread(lambda: self._lacking(place))
        if lacking is not None:
            builder = self._office.builder()
            key = await self._office.backend.in_thread(lambda: builder.open_next_epoch(*lacking))
            await self._office.commit(builder)
            await self._office.backend.in_thread(lambda: self._vault.keep_found(key))
        self._renewed[place] = members

    def _lacking(self, place: Place) -> tuple[CategoryName, tuple[Recipient, ...]] | None:
        """The current epoch and who should read, where it is not sealed to all of them."""
        office = self._office
        state = decoded(office.backend.store.state)
        assert place.category is not None, "a category of its own"
        name = current_name(state, place.owner, place.category, office.owner)
        if name is None:
            return None
        epoch = patient_queries.epoch(state, name.owner, name.category, name.author, name.epoch)
        if epoch is None:
            return None
        try:
            seals = SEALS.decode(office.backend.attachments.read(epoch.seals))
        except (AttachmentMissing, AttachmentErased, AttachmentDamaged):
            return None
        recipients = _recipients(state, place, office)
        sealed = {each.recipient for each in seals.seals}
        return None if {each.id for each in recipients} <= sealed else (name, recipients)

    async def place_of(self, record: bytes) -> Place | None:
        """Where a record stands; None for an unknown one."""

        def look() -> Place | None:
            target = target_of(decoded(self._office.backend.store.state), record)
            return None if target is None else Place(owner_of(record), target.category)

        return await self._office.backend.in_thread(look)

    def new_patient(self) -> Wallet:
        """The wallet of a patient who is to be registered. Its keys exist nowhere else: it is kept
        by `write`, before anything is sent."""
        return new_wallet("patient", None, self._office.random)

    async def register_patient(self) -> Wallet:
        """Registers a new patient, without any record; his wallet."""
        patient = self.new_patient()
        await self.write([], lambda draft: None, patients=[patient])  # noqa: ARG005 - nothing more
        return patient

    async def put(self, owner: bytes, content: bytes) -> Written[bytes]:
        """A new record in the general category of `owner`; its id is the outcome."""
        place = Place(owner)
        return await self.write([place], lambda draft: draft.put(place, content))

    async def amend(self, record: bytes, version: int, content: bytes) -> Written[None]:
        """Version `version` of `record`, in the category where it stands."""
        place = await self._known_place(record)
        return await self.write([place], lambda draft: draft.amend(place, record, version, content))

    async def retract(self, record: bytes, version: int) -> Written[None]:
        """Marks `record` as entered in error."""
        return await self.write([], lambda draft: draft.retract(record, version))

    async def _known_place(self, record: bytes) -> Place:
        place = await self.place_of(record)
        if place is None:
            raise Rejected("record.unknown", "record")
        return place

    async def write(
        self,
        places: Sequence[Place],
        compose: Callable[[Draft], T],
        *,
        patients: Sequence[Wallet] = (),
        timeout_s: float = COMMIT_S,
    ) -> Written[T]:
        """One transaction: registers `patients`, then what `compose` asks for in a thread, with the
        keys of `places` and of the new patients' general categories.

        `compose` is called again where an epoch has ended in between. Raises `Rejected`,
        `InvalidMessage`, `Busy` and `NoQuorum`; after a `NoQuorum` that was submitted, what was
        written may still come.
        """
        backend = self._office.backend
        await backend.in_thread(lambda: self._wallets.keep(patients))
        try:
            return await self._write(places, compose, patients, timeout_s)
        except NoQuorum as nobody:
            if not nobody.submitted:
                await backend.in_thread(lambda: self._wallets.discard(patients))
            raise
        except Exception:
            await backend.in_thread(lambda: self._wallets.discard(patients))
            raise

    async def _write(
        self,
        places: Sequence[Place],
        compose: Callable[[Draft], T],
        patients: Sequence[Wallet],
        timeout_s: float,
    ) -> Written[T]:
        try:
            return await self._attempt(places, compose, patients, timeout_s)
        except Rejected as refusal:
            if refusal.code not in STALE_KEYS:
                raise
            _LOG.info("sealing anew: %s", refusal.code)
            return await self._attempt(places, compose, patients, timeout_s)

    async def _attempt(
        self,
        places: Sequence[Place],
        compose: Callable[[Draft], T],
        patients: Sequence[Wallet],
        timeout_s: float,
    ) -> Written[T]:
        office, backend = self._office, self._office.backend
        draft = Draft(office.builder(), await self._keys(places))

        def work() -> T:
            for patient in patients:
                draft.register(patient, office.recipient)
            return compose(draft)

        outcome = await backend.in_thread(work)
        built = await backend.in_thread(lambda: office.sign(draft.builder))
        committed = await office.send(built, timeout_s)
        if draft.fresh:
            await backend.in_thread(lambda: self._vault.keep_keys(*draft.fresh))
        return Written(committed, built.id, outcome)

    async def _keys(self, places: Sequence[Place]) -> dict[Place, CategoryKey]:
        places = list(dict.fromkeys(places))
        if not places:
            return {}
        names = [await self._name_of(place) for place in places]
        distinct = list(dict.fromkeys(names))
        keys = await self._rotations.ready(distinct)
        found = {(key.name.owner, key.name.category): key for key in keys}
        return {
            place: found[name.owner, name.category]
            for place, name in zip(places, names, strict=True)
        }

    async def _name_of(self, place: Place) -> CategoryName:
        """The category as it is open for us, whatever its epoch; opened where it is not."""
        found = await self._office.backend.in_thread(lambda: self._look(place))
        if isinstance(found, CategoryName):
            return found
        async with self._opening:
            found = await self._office.backend.in_thread(lambda: self._look(place))
            if isinstance(found, CategoryName):
                return found
            builder = self._office.builder()
            key = await self._office.backend.in_thread(
                lambda: builder.open_category(place.owner, found.recipients, found.category)
            )
            await self._office.commit(builder)
            keep = self._vault.keep_keys if place.category is None else self._vault.keep_found
            await self._office.backend.in_thread(lambda: keep(key))
            return key.name

    def _look(self, place: Place) -> "CategoryName | _ToOpen":
        office = self._office
        state = decoded(office.backend.store.state)
        category = place.category or self._general(state, place.owner)
        if category is not None:
            name = current_name(state, place.owner, category, office.owner)
            if name is not None:
                return name
        return _ToOpen(category, _recipients(state, place, office))

    def _general(self, state: DecodedState, owner: bytes) -> bytes | None:
        """The category of most of what is written about `owner`: ours, else that of his hospital,
        so that a consent to it covers what we write; None where that cannot be told."""
        kept = self._vault.current_key(owner)
        if kept is not None:
            return kept.name.category
        patient = queries.principal(state, owner)
        authors = [self._office.owner]
        if patient is not None:
            authors.append(organization_owner(patient.organization))
        for author in authors:
            names = current_names(state, owner, author)
            usual = {
                each.category for each in names if not each.category.startswith(EVENT_CATEGORY)
            } - {emergency_summary(owner)}
            if len(usual) == 1:
                return usual.pop()
        return None


class _ToOpen(NamedTuple):
    """A category in which we have not written yet; a new one where `category` is None."""

    category: bytes | None
    recipients: tuple[Recipient, ...]


def _recipients(state: DecodedState, place: Place, office: Office) -> tuple[Recipient, ...]:
    """The patient and us; of what is our organisation's own, its readers."""
    owner = place.owner
    if owner == office.owner:
        return tuple(
            Recipient(organization_owner(member.id), member.encryption_key)
            for member in queries.members(state)
            if place.readers is None or member.id in place.readers
        )
    patient = queries.principal(state, owner)
    if patient is None or patient.kind != "patient":
        raise Rejected("owner.unknown", "record")
    return (Recipient(owner, patient.encryption_key), office.recipient)


class PatientWallets:
    """Where the wallets of patients are left who were registered here, until they are handed over.
    Blocks."""

    def __init__(self, folder: Path, keys_passphrase: bytes, office: Office) -> None:
        """A file `passphrase` in `folder` opens them; where there is none, the node's own does."""
        self._folder = folder
        self._keys_passphrase = keys_passphrase
        self._random = office.random

    def path(self, patient: bytes) -> Path:
        """Where the wallet of `patient` is."""
        return self._folder / f"patient-{patient.hex()}.wallet"

    def keep(self, patients: Sequence[Wallet]) -> None:
        """On disk at return. Raises `OperatorError` and `OSError`."""
        if not patients:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        passphrase = self._keys_passphrase
        if (self._folder / PASSPHRASE).exists():
            passphrase = find_passphrase(self._folder)
        for patient in patients:
            raw = encrypt_wallet(patient, passphrase, RANDOM_PASSPHRASE, self._random)
            write_whole(self.path(patient.principal), raw)

    def discard(self, patients: Sequence[Wallet]) -> None:
        """The ledger does not know them, and never will."""
        for patient in patients:
            self.path(patient.principal).unlink(missing_ok=True)
