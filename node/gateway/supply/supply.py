"""The part of the gateway that is about goods: put together, and run."""

import asyncio
from pathlib import Path
from typing import Any, Final

from chain.errors import InvalidMessage
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
from node.gateway.vault import Vault
from node.gateway.writing import Writing
from storage.protocols import Disk

FOLDER: Final = "epcis"
"""Below DIR/gateway."""
_FILES_KEY: Final = b"epcis files"
_TOKENS_KEY: Final = b"epcis tokens"


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
        binding: bool,
    ) -> None:
        """Reads what is below `folder`. Blocks."""
        keys = FileKeys(vault.derive(_FILES_KEY))
        self._office = office
        self.token_key = vault.derive(_TOKENS_KEY)
        self.events = Events(office, keyring, disk, folder, keys, self._differs)
        self.indexing = EventIndexing(self.events)
        if not self.events.load():
            vault.rewind(EventIndexing.name)
        composer = Composer(office, binding=binding)
        jobs = Shelf(disk, folder / "jobs.shelf", keys, office.random)
        self.captures = Captures(office, writing, self.events, composer, jobs)

    async def run(self) -> None:
        """What happens by itself, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.captures.run(), name="capture jobs")

    def document(self) -> dict[str, Any]:
        """For `status`."""
        return {"events": len(self.events)}

    def _differs(self, document: bytes, entry: EventEntry, key: CategoryKey) -> bool:
        """What is no event at all says something else than the ledger, too."""
        try:
            (event,) = parse_document(document).events
            parties = parties_of(self._office.backend.store.state, event)
            return bool(compare(document, entry, key, parties).differs)
        except (InvalidMessage, ValueError):
            return True
