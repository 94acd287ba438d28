"""A node's reads about goods, as typed calls: this node's word, as in `client.api`."""

from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import quote

from client.api import Api
from client.transport import unusable

BLOCKS_BACK: Final = 1_000
"""How far back attempts are looked for where nobody says from which height on."""


class SupplyApi:
    """What one node says about goods. Things may be named as scanners and people do (`epc`)."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def item(self, epc: str) -> dict[str, Any]:
        """Where an item is, who holds it, whether it may go on and why not."""
        return await self._api.get_document(f"/v1/items/{_named(epc)}")

    async def trace(self, epc: str, after: int = 0) -> dict[str, Any]:
        """The way of an item or a lot, from the event after number `after` on."""
        query = {"after": str(after)} if after else None
        return await self._api.get_document(f"/v1/items/{_named(epc)}/trace", query)

    async def lot(self, epc: str) -> dict[str, Any]:
        """A lot, or a product without lots, with all who hold some of it."""
        path = f"/v1/lots/{_named(epc)}/holders"
        found = page = await self._api.get_document(path)
        while page["next"] is not None:
            page = await self._api.get_document(path, {"after": page["next"]})
            if not page["holders"]:
                raise unusable("a page that leads nowhere")
            found["holders"] += page["holders"]
        return {**found, "next": None}

    async def product(self, gtin: str) -> dict[str, Any]:
        """Who registered a GTIN, and its limits."""
        return await self._api.get_document(f"/v1/products/{_named(gtin)}")

    async def party(self, gln: str) -> str:
        """Which member goes by a Global Location Number."""
        return str((await self._api.get_document(f"/v1/parties/{_named(gln)}"))["organization"])

    def shipments(self, which: str) -> AsyncIterator[Any]:
        """The shipments that are `open`, or `overdue`."""
        return self._api.pages("/v1/shipments", "shipments", {"state": which})

    def recalls(self) -> AsyncIterator[Any]:
        """All recalls."""
        return self._api.pages("/v1/recalls", "recalls")

    async def recall(self, recall: bytes) -> dict[str, Any]:
        """A recall and how far it is."""
        return await self._api.get_document(f"/v1/recalls/{recall.hex()}")

    def dispensed(self, recall: bytes, organization: str) -> AsyncIterator[Any]:
        """What an organisation gave to patients of what is recalled, pack by pack."""
        path = f"/v1/recalls/{recall.hex()}/dispensed"
        return self._api.pages(path, "packs", {"organization": organization})

    def verifications(self) -> AsyncIterator[Any]:
        """What manufacturers were asked, and what they answered."""
        return self._api.pages("/v1/verifications", "verifications")

    async def alerts(
        self, from_height: int | None = None, organization: str | None = None
    ) -> dict[str, Any]:
        """What was tried since block `from_height`, and what an organisation (the caller's where
        that is None) should see to."""
        if from_height is None:
            status = await self._api.get_document("/v1/status")
            from_height = max(1, int(status["height"]) - BLOCKS_BACK + 1)
        query = {} if organization is None else {"organization": organization}
        attempts: list[Any] = []
        following: int | None = from_height
        found: dict[str, Any] = {}
        while following is not None:
            asked = {**query, "from": str(following)}
            found = await self._api.get_document("/v1/supply/alerts", asked)
            attempts += found["attempts"]
            if found["next"] is not None and found["next"] <= following:
                raise unusable("a page that leads nowhere")
            following = found["next"]
        return {**found, "attempts": attempts, "from_height": from_height}


def _named(epc: str) -> str:
    return quote(epc, safe="")
