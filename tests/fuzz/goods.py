"""Goods on a running network, so that every operation about them has something to find."""

import asyncio
import json
import os
import time
from typing import Any

import requests

from client.builder import TransactionBuilder
from ledger.governance_actions import OrganizationSuspend
from ledger.supply.actions import PartyRegister, RecallOpen
from node.bench.supply import MAKER, Goods
from node.supply_demo import events, names
from node.testnet.state import load_testnet
from tests.network.world import WAIT_S, Testnet, in_half_an_hour_ms

LOT, EXPIRY = "FUZZED", "2031-12-31"
PLACE = names.link("414/9521141000038")
SOON_S = 0.05


def with_goods(network: Testnet) -> dict[str, list[str]]:
    """A pack and its lot, product, party and recall, and a proposal; what a path names them by."""
    return asyncio.run(_with_goods(network))


async def _with_goods(network: Testnet) -> dict[str, list[str]]:
    goods = await Goods.open(load_testnet(network.path))
    pack = names.pack(goods.product, "1")
    event = events.commissioning(MAKER, [pack], LOT, EXPIRY, time.time_ns() // 1_000_000)
    await goods.commit(MAKER, goods.told(MAKER, event).sign(in_half_an_hour_ms()))
    officer = network.wallet(f"{MAKER}-administrator")
    builder = TransactionBuilder(network.network, officer, os.urandom)
    recall, lot = os.urandom(16), names.lot(goods.product, LOT)
    builder.add(PartyRegister(names.gln(MAKER)))
    builder.add(RecallOpen(recall, (lot,), "II", None))
    proposal = builder.open_proposal(OrganizationSuspend("pharmacy"))
    await goods.commit(MAKER, builder.sign(in_half_an_hour_ms()))
    return {
        "class": [lot.replace("/", "%2F")],
        "gtin": [goods.product],
        "gln": [names.gln(MAKER)],
        "goods_id": [recall.hex(), proposal.hex()],
    }


def with_events(
    base: str, headers: dict[str, str], number: int, query_name: str
) -> dict[str, list[str]]:
    """The logistic unit `number`, which the gateway at `base` captured, a query and a subscription:
    what a path names them by."""
    document = json.dumps(container(names.sscc(number))).encode()
    job = _post(f"{base}/epcis/capture", headers, document).headers["Location"].rpartition("/")[2]
    query = {"name": query_name, "query": {"EQ_bizStep": ["commissioning"]}}
    _post(f"{base}/epcis/queries", headers, json.dumps(query).encode())
    where = f"{base}/epcis/queries/{query_name}/subscriptions"
    made = _post(where, headers, json.dumps(subscription()).encode())
    until = time.monotonic() + WAIT_S
    while not (found := _found(base, headers)):
        assert time.monotonic() < until, "the captured event is not found"
        time.sleep(SOON_S)
    return {
        "epc": [names.sscc(number).replace("/", "%2F")],
        "captureID": [job],
        "eventID": [found[0]["eventID"].replace("/", "%2F").replace("?", "%3F")],
        "eventType": ["ObjectEvent"],
        "bizStep": ["commissioning"],
        "disposition": ["active"],
        "readPoint": [PLACE.replace("/", "%2F")],
        "bizLocation": [PLACE.replace("/", "%2F")],
        "queryName": [query_name],
        "subscriptionID": [made.json()["subscriptionID"]],
        "token": ["AAAA"],
    }


def container(unit: str) -> dict[str, Any]:
    """A document in which a logistic unit gets its label, at a place."""
    labelled = {
        "type": "ObjectEvent",
        "action": "ADD",
        "bizStep": "commissioning",
        "disposition": "active",
        "eventTime": "2026-01-02T03:04:05Z",
        "eventTimeZoneOffset": "+00:00",
        "epcList": [names.link(unit)],
        "readPoint": {"id": PLACE},
        "bizLocation": {"id": PLACE},
    }
    return events.document([labelled], time.time_ns() // 1_000_000)


def subscription() -> dict[str, Any]:
    """To an address that nobody has (RFC 5737)."""
    return {"dest": "https://hook.example.com/epcis", "signatureToken": "t" * 32, "stream": True}


def _found(base: str, headers: dict[str, str]) -> list[dict[str, Any]]:
    answer = requests.get(
        f"{base}/epcis/events?EQ_bizLocation={PLACE}", headers=headers, timeout=30
    )
    answer.raise_for_status()
    listed: list[dict[str, Any]] = answer.json()["epcisBody"]["queryResults"]["resultsBody"][
        "eventList"
    ]
    return listed


def _post(url: str, headers: dict[str, str], body: bytes) -> requests.Response:
    answer = requests.post(
        url, data=body, headers={**headers, "Content-Type": "application/json"}, timeout=30
    )
    assert answer.ok, (url, answer.status_code, answer.text)
    return answer
