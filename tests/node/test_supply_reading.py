"""Goods over HTTP: one item in every spelling, listings page by page, a time of its own."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from node_command import Terminal

from client.api import Api, connect
from client.errors import ApiError
from client.supply_api import SupplyApi
from client.wallet import load_wallet
from node.supply_demo import events, names
from tests.node.member_world import settings
from tests.node.supply_market import PRODUCT, Shop, open_market

AT_MS = 1_700_000_000_000


@pytest.fixture
def shop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[tuple[Shop, str]]:
    with open_market(tmp_path) as (ward, address), settings(tmp_path, address):
        made = Shop(Terminal(capsys), tmp_path, ward)
        made.register()
        yield made, address


def ask(shop: tuple[Shop, str], name: str, look: Callable[[Api], Awaitable[None]]) -> None:
    """Has `look` ask the node as the wallet `name`."""
    market, address = shop
    wallet = load_wallet(market.path / "wallets" / f"{name}.wallet", b"secret")

    async def connected() -> None:
        async with connect(address, (wallet.principal, wallet.signing_key)) as api:
            await look(api)

    asyncio.run(connected())


def test_one_pack_is_found_by_every_name_that_it_has(shop: tuple[Shop, str]) -> None:
    market, _ = shop
    (pack,) = market.commission()
    serial = pack.rpartition("/")[2]

    async def look(api: Api) -> None:
        for name in (
            pack,
            names.link(pack),
            f"(01){PRODUCT}(21){serial}",
            f"01{PRODUCT}21{serial}",
            f"urn:epc:id:sgtin:{PRODUCT[1:8]}.{PRODUCT[0]}{PRODUCT[8:13]}.{serial}",
        ):
            found = await api.get_document(f"/v1/items/{quote(name, safe='')}")
            assert found["id"] == pack
            traced = await api.get_document(f"/v1/items/{quote(name, safe='')}/trace")
            assert traced["trace"]["legs"][0]["thing"] == pack

    ask(shop, "regulator", look)


def test_holders_shipments_and_recalls_come_page_by_page(shop: tuple[Shop, str]) -> None:
    market, _ = shop
    lot = f"01/{PRODUCT}/10/PAGES"
    packs = market.commission(4, "PAGES")
    for pack, receiver in zip(packs, ("wholesaler", "hospital-a", "hospital-b"), strict=False):
        market.capture("manufacturer", events.shipping("manufacturer", [pack], receiver, AT_MS))
    for _ in range(3):
        opened = market.ok(
            *("supply", "recall", "open", lot, "--class", "III"),
            *("--as", "manufacturer-administrator"),
        )
        assert opened["scope"] == [lot]

    async def look(api: Api) -> None:
        places = [
            (each["organization"], each["receiver"], each["pieces"])
            async for each in pages(api, f"/v1/lots/{quote(lot, safe='')}/holders", "holders")
        ]
        assert sorted(places, key=str) == [
            ("manufacturer", "hospital-a", 1),
            ("manufacturer", "hospital-b", 1),
            ("manufacturer", "wholesaler", 1),
            ("manufacturer", None, 1),
        ]
        sent = [each async for each in pages(api, "/v1/shipments", "shipments")]
        assert [each["shipment"]["receiver"] for each in sent] == [
            "wholesaler",
            "hospital-a",
            "hospital-b",
        ]
        recalls = [each["id"] async for each in pages(api, "/v1/recalls", "recalls")]
        assert len(recalls) == 3
        assert recalls == sorted(recalls)
        page = await api.get_document("/v1/shipments", {"state": "overdue"})
        assert page == {"shipments": [], "next": None}

    ask(shop, "regulator", look)


async def pages(api: Api, path: str, name: str) -> Any:
    async for each in api.pages(path, name, {"limit": "1"}):
        yield each


def test_what_a_device_asks_is_denied(shop: tuple[Shop, str]) -> None:
    market, _ = shop
    market.ok(
        *("wallet", "new", "logger", "--demo", "--kind", "device", "--org", "hospital-a"),
        *("--asset", names.asset(1)),
    )
    card = market.ok("wallet", "show", "logger", "--card")
    file = market.file("card.json", json.dumps(card))
    market.ok("principal", "enrol", file, "--as", "hospital-a-administrator")

    async def look(api: Api) -> None:
        with pytest.raises(ApiError) as refusal:
            await anext(SupplyApi(api).recalls())
        assert refusal.value.code == "auth.scope"

    ask(shop, "logger", look)
