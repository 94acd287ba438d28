"""The gateway: a member's own software in its node, acting with the organisation's keys.

Puts the parts together and runs what runs by itself. Must not know HTTP.
"""

import asyncio
import contextlib
from pathlib import Path
from typing import Any, Final

from client.sealing import Random
from client.wallet import Wallet
from node.backend import Backend
from node.clock import Clock
from node.gateway.attendants.deferred import DeferredAccesses
from node.gateway.attendants.erasure import Erasures
from node.gateway.attendants.follow import Attendant, CursorStore, Follower
from node.gateway.attendants.release import Releases
from node.gateway.attendants.rotation import Rotations
from node.gateway.catalogue import Catalogue
from node.gateway.cataloguing import LAG_S, Cataloguing
from node.gateway.cursors import Cursors
from node.gateway.keyring import Keyring
from node.gateway.local_log import LocalLog, LocalLogBroken
from node.gateway.office import Office
from node.gateway.reading import Reading
from node.gateway.sealed_file import FileKeys
from node.gateway.supply.supply import DEFAULTS, EpcisSettings, Supply
from node.gateway.supply.supply import FOLDER as EPCIS_FOLDER
from node.gateway.vault import GATEWAY_FOLDER, Vault, open_vault
from node.gateway.writing import WALLETS_FOLDER, PatientWallets, Writing
from node.keys import SERVICE_WALLET, load_service_wallet
from storage.disk import RealDisk

ERASING_FOLDER: Final = "erasing"
LOCAL_LOG_KEY: Final = b"local log"


class Gateway:
    """Lives in the event loop of the node. Use `open`."""

    def __init__(
        self,
        office: Office,
        vault: Vault,
        local_log: LocalLog,
        wallets: PatientWallets,
        epcis_folder: Path,
        epcis: EpcisSettings = DEFAULTS,
    ) -> None:
        self.office = office
        self.vault = vault
        self.local_log = local_log
        self.wallets = wallets
        self.keyring = Keyring(office, vault)
        self.reading = Reading(office, self.keyring, local_log)
        self.rotations = Rotations(office, vault, self.keyring)
        self.writing = Writing(office, vault, self.keyring, self.rotations, wallets)
        self.deferred = DeferredAccesses(office, local_log, LocalLogBroken)
        self.catalogue = Catalogue(office, vault, self.keyring)
        self.erasures = Erasures(office.backend, office, [self.catalogue.forget])
        self.attendants: list[Attendant] = [
            Releases(office, self.keyring),
            self.rotations,
            self.erasures,
        ]
        """Who follows the chain; others may be added before `run`."""
        self.cataloguing = Cataloguing(self.catalogue)
        """Follows it by itself, so that nobody waits for the index."""
        self.supply = Supply(
            office,
            vault,
            self.keyring,
            self.writing,
            folder=epcis_folder,
            disk=RealDisk(),
            settings=epcis,
        )
        self._followers: list[Follower] = []

    @staticmethod
    def open(
        directory: Path,
        passphrase: bytes,
        backend: Backend,
        clock: Clock,
        random: Random,
        patient_wallets: Path | None = None,
        epcis: EpcisSettings = DEFAULTS,
    ) -> "Gateway | None":
        """The gateway of the node in `directory`; None where it holds no service wallet.

        `passphrase` opens DIR/keys; `patient_wallets` is where wallets of new patients are left
        (DIR/patients where None). Blocks. Raises `OperatorError` and `StoreProblem`.
        """
        wallet = service_wallet(directory, passphrase)
        if wallet is None:
            return None
        office = Office(backend, wallet, random, clock)
        with contextlib.ExitStack() as opened:
            vault = open_vault(directory, passphrase, office.owner, random)
            opened.callback(vault.close)
            local_log = LocalLog(directory / GATEWAY_FOLDER, vault.derive(LOCAL_LOG_KEY))
            opened.callback(local_log.close)
            vault.keep_wallet(wallet)
            folder = patient_wallets or directory / WALLETS_FOLDER
            gateway = Gateway(
                office,
                vault,
                local_log,
                PatientWallets(folder, passphrase, office),
                directory / GATEWAY_FOLDER / EPCIS_FOLDER,
                epcis,
            )
            if gateway.catalogue.load():
                vault.rewind(Cataloguing.name)
            opened.pop_all()
        return gateway

    async def run(self) -> None:
        """What the gateway does by itself, until cancelled; a failure of any part ends all."""
        backend = self.office.backend
        self._followers = [
            Follower(backend, self.vault, self.attendants),
            Follower(backend, self.vault, [self.cataloguing, self.supply.indexing], LAG_S),
        ]
        async with asyncio.TaskGroup() as tasks:
            for follower in self._followers:
                tasks.create_task(follower.run())
            tasks.create_task(self.rotations.begin())
            tasks.create_task(self.deferred.run())
            tasks.create_task(self.supply.run())

    def document(self) -> dict[str, Any]:
        """For `status`: how far the attendants are, and what is the matter."""
        problem = self.local_log.problem
        return {
            "attendants": {
                name: height
                for follower in self._followers
                for name, height in follower.heights().items()
            },
            "deferred": self.deferred.document(),
            "epcis": self.supply.document(),
            "local_log": None if problem is None else str(problem),
        }

    def close(self) -> None:
        """Releases the files; nothing runs any more."""
        self.local_log.close()
        self.vault.close()


def service_wallet(directory: Path, passphrase: bytes) -> Wallet | None:
    """The wallet of the organisation's service, where the node's keys hold one."""
    keys_path = directory / "keys"
    if not (keys_path / SERVICE_WALLET).exists():
        return None
    return load_service_wallet(keys_path, passphrase)


class ErasingOnly:
    """What a node without a gateway does by itself: it deletes what the chain has erased. That it
    has, it cannot attest."""

    def __init__(self, directory: Path, backend: Backend) -> None:
        """Keeps how far it is in DIR/erasing."""
        folder = directory / ERASING_FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        self._cursors = Cursors(RealDisk(), folder, FileKeys(bytes(32)))
        store: CursorStore = _Heights(self._cursors)
        self._follower = Follower(backend, store, [Erasures(backend)])

    async def run(self) -> None:
        """Until cancelled."""
        await self._follower.run()

    def close(self) -> None:
        """Releases the files; nothing runs any more."""
        self._cursors.close()


class _Heights:
    """Cursors as the follower asks for them."""

    def __init__(self, cursors: Cursors) -> None:
        self._cursors = cursors

    def cursor(self, name: str) -> int:
        return self._cursors.height(name)

    def advance(self, name: str, height: int) -> None:
        self._cursors.advance(name, height)
