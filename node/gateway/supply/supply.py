"""The part of the gateway that is about goods: put together, and run."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chain.errors import InvalidMessage
from client.capturing import Visibility
from client.category import CategoryKey
from client.epcis.document import parse_document
from client.epcis_reading import compare
from ledger.supply.entries import EventEntry
from node.gateway.keyring import Keyring
from node.gateway.office import Office
from node.gateway.sealed_file import FileKeys
from node.gateway.shelf import Shelf
from node.gateway.supply.captures import Captures
from node.gateway.supply.composing import Composer, parties_of
from node.gateway.supply.events import Events
from node.gateway.supply.indexing import EventIndexing
from node.gateway.supply.product_keys import ProductKeys
from node.gateway.supply.queries import Queries
from node.gateway.supply.subscriptions import Subscriptions
from node.gateway.vault import Vault
from node.gateway.writing import Writing
from storage.protocols import Disk

FOLDER: Final = "epcis"
"""Below DIR/gateway."""
_FILES_KEY: Final = b"epcis files"
_TOKENS_KEY: Final = b"epcis tokens"


@dataclass(frozen=True, slots=True)
class EpcisSettings:
    """What the operator decides. `binding`: captured events move custody, or only say something;
    `private_targets`: subscriptions may lead to addresses of the inside, and without TLS;
    `visibility`: who can open what is captured, where a client does not say."""

    binding: bool = True
    private_targets: bool = False
    visibility: Visibility = "consortium"


DEFAULTS: Final = EpcisSettings()


class Supply:
    """One for each gateway."""

    def __init__(
        self,
        office: Office,
        vault: Vault,
        keyring: Keyring,
        writing: Writing,
        *,
        folder: Path,
        disk: Disk,
        settings: EpcisSettings,
    ) -> None:
        """Reads what is below `folder`. Blocks."""
        keys = FileKeys(vault.derive(_FILES_KEY))
        self._office = office
        self._products = ProductKeys(office)
        self.visibility = settings.visibility
        self.token_key = vault.derive(_TOKENS_KEY)
        self.events = Events(office, keyring, disk, folder, keys, self._differs)
        self.indexing = EventIndexing(self.events)
        if self.events.load():
            header = office.backend.store.header(vault.cursor(EventIndexing.name))
            # A node that lost its chain learns it again; until then nobody is told anything.
            if header is not None:
                self.events.settle_until(header.timestamp_ms)
        else:
            vault.rewind(EventIndexing.name)
        composer = Composer(office, self._products, binding=settings.binding)
        jobs = Shelf(disk, folder / "jobs.shelf", keys, office.random)
        self.captures = Captures(office, writing, self.events, composer, jobs)
        self.queries = Queries(office, Shelf(disk, folder / "queries.shelf", keys, office.random))
        self.subscriptions = Subscriptions(
            office,
            self.events,
            self.queries,
            Shelf(disk, folder / "subscriptions.shelf", keys, office.random),
            private_targets=settings.private_targets,
        )

    async def run(self) -> None:
        """What happens by itself, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.captures.run(), name="capture jobs")
            tasks.create_task(self.subscriptions.run(), name="subscriptions")

    def document(self) -> dict[str, Any]:
        """For `status`."""
        return {
            "events": len(self.events),
            "subscriptions": len(self.subscriptions),
            "failing_subscriptions": self.subscriptions.failing(),
        }

    def _differs(self, document: bytes, entry: EventEntry, key: CategoryKey) -> bool:
        """What is no event at all says something else than the ledger, too."""
        try:
            (event,) = parse_document(document).events
            parties = parties_of(self._office.backend.store.state, event)
            hidden = self._products.readable(event)
            return bool(compare(document, entry, key, parties, hidden).differs)
        except (InvalidMessage, ValueError):
            return True
