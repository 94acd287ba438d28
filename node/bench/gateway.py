"""Measurements of the FHIR gateway: what one hospital writes, and what another reads by consent."""

import asyncio
import json
import os
import time
from dataclasses import dataclass
from typing import Any, Final

from chain.keys import Suite
from client.api import Api
from client.builder import BuiltTransaction, Network, Provision, TransactionBuilder
from client.category import Recipient
from client.genesis_file import load_genesis
from client.transport import Call, Transport
from client.wallet import Wallet, card, new_wallet
from ledger.ids import organization_owner
from node.bench.load import CONTENT, VALID_MS
from node.config import NodeConfig
from node.testnet.network import operating
from node.testnet.state import Testnet

BUNDLE_RESOURCES: Final = 70
"""In each transaction bundle: a patient, and observations of him."""
AT_ONCE: Final = 4
"""Bundles that are under way at once."""
WAIT_S: Final = 120.0
BASE: Final = "/fhir/R4"
_HEADERS: Final = {"Content-Type": "application/fhir+json"}


async def resources_per_s(testnet: Testnet, member: str, bundles: int) -> float:
    """Resources a second that `member`'s gateway commits, in bundles of `BUNDLE_RESOURCES`."""
    bodies = [_bundle(number) for number in range(bundles)]
    waiting = iter(bodies)
    async with operating(testnet, member, WAIT_S) as transport:
        await _post(transport, _bundle(bundles))
        started = time.perf_counter()

        async def post() -> None:
            for body in waiting:
                await _post(transport, body)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(post())
        return bundles * BUNDLE_RESOURCES / (time.perf_counter() - started)


async def consented_read_ms(testnet: Testnet, home: str, away: str, count: int) -> list[float]:
    """How long `away` takes to read one record of `home`'s patient who permits it, each access on
    the chain before it is answered; one at a time, sorted. The key is released before."""
    read = await _permitted(testnet, home, away)
    taken: list[float] = []
    async with operating(testnet, away, WAIT_S) as transport:
        await transport.call(read)
        for _ in range(count):
            started = time.perf_counter()
            await transport.call(read)
            taken.append((time.perf_counter() - started) * 1_000)
    return sorted(taken)


async def _post(transport: Transport, body: bytes) -> None:
    await transport.call(Call("POST", BASE, {}, body, _HEADERS))


async def _permitted(testnet: Testnet, home: str, away: str) -> Call:
    """Registers a patient at `home` with one record, which he lets `away` read."""
    member = _Member.of(testnet, home)
    patient = new_wallet("patient", None, os.urandom, suite=Suite.X25519)
    builder = member.builder(member.wallet)
    ours = Recipient(member.wallet.author, member.wallet.organization_keys[0].public)
    key = builder.register_patient(card(patient), patient.signing_key, ours)
    record = builder.put(CONTENT, key)
    granting = member.builder(patient)
    async with operating(testnet, home, WAIT_S) as transport:
        api = Api(transport)
        await _submit(api, _signed(builder))
        granting.grant_consent(patient.principal, organization_owner(away), Provision())
        await _submit(api, _signed(granting))
    return Call("GET", f"{BASE}/Observation/{record.hex()}")


@dataclass(frozen=True, slots=True)
class _Member:
    network: Network
    wallet: Wallet

    @staticmethod
    def of(testnet: Testnet, name: str) -> "_Member":
        genesis = load_genesis(testnet.genesis)
        wallet = testnet.directory(name).load_wallet(NodeConfig())
        return _Member(Network(genesis.chain_id, genesis.hash), wallet)

    def builder(self, sender: Wallet) -> TransactionBuilder:
        return TransactionBuilder(self.network, sender, os.urandom)


def _signed(builder: TransactionBuilder) -> BuiltTransaction:
    return builder.sign(time.time_ns() // 1_000_000 + VALID_MS)


async def _submit(api: Api, built: BuiltTransaction) -> None:
    await api.submit(built.raw, built.attachments)


def _bundle(number: int) -> bytes:
    """A transaction bundle as a hospital's own system would send it."""
    patient: dict[str, Any] = {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:bench", "value": f"{number}-{os.urandom(8).hex()}"}],
        "name": [{"family": f"Bench {number}", "given": ["Pat"]}],
        "gender": "other",
        "birthDate": "1970-01-01",
    }
    url = "urn:uuid:00000000-0000-4000-8000-000000000000"
    resources = [patient, *(_observation(url, each) for each in range(1, BUNDLE_RESOURCES))]
    return json.dumps(
        {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [
                {
                    "fullUrl": f"urn:uuid:00000000-0000-4000-8000-{index:012}",
                    "resource": each,
                    "request": {"method": "POST", "url": each["resourceType"]},
                }
                for index, each in enumerate(resources)
            ],
        }
    ).encode()


def _observation(patient: str, number: int) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "vital-signs",
                    }
                ]
            }
        ],
        "code": {
            "coding": [{"system": "http://loinc.org", "code": "29463-7", "display": "Weight"}]
        },
        "subject": {"reference": patient},
        "effectiveDateTime": f"2020-01-01T00:{number % 60:02}:00Z",
        "valueQuantity": {
            "value": 70 + number / 10,
            "unit": "kg",
            "system": "http://unitsofmeasure.org",
            "code": "kg",
        },
    }
