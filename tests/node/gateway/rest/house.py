"""A hospital's port, as an engineer who speaks FHIR sees it; blocks come at once."""

import asyncio
import copy
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry

from client.assertion import make_assertion
from client.builder import Provision, TransactionBuilder
from client.wallet import Wallet, load_wallet
from client.wire import ASSERTION_TYPE, TOKEN_PATH
from ledger import patient_queries
from ledger.actions import Action
from ledger.consent_actions import ConsentRevoke
from ledger.consent_entries import AccessEntry
from node.api.app import Runner, make_app
from node.gateway.gateway import Gateway
from node.gateway.local_log import LocalLog
from node.gateway.office import Office
from node.gateway.rest.extension import extension_of
from node.gateway.supply.supply import DEFAULTS, EpcisSettings
from node.gateway.vault import Vault
from node.gateway.writing import PatientWallets
from tests.network.world import FHIR
from tests.node.api.conftest import open_port
from tests.node.api.solo import Clock, Solo
from tests.node.gateway.gateway_world import HOUR_MS, Hospitals, WallClock

BASE = "/fhir/R4"
SECRET = b"the wallets of patients"
JSON = {"Content-Type": "application/fhir+json"}


@dataclass
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def issue(self) -> Any:
        """The first issue of an OperationOutcome, which every refusal is."""
        assert self.headers["Content-Type"].startswith("application/fhir+json"), self.body
        document = self.document
        assert document["resourceType"] == "OperationOutcome", document
        assert all(each["expression"] for each in document["issue"]), document
        return document["issue"][0]

    @property
    def reason(self) -> str:
        """The stable code of a refusal."""
        return str(self.issue["details"]["coding"][0]["code"])

    @property
    def resources(self) -> list[Any]:
        """What a Bundle found."""
        return [
            each["resource"]
            for each in self.document.get("entry", ())
            if each.get("search", {}).get("mode") != "outcome"
        ]

    def link(self, relation: str) -> str | None:
        found = [each["url"] for each in self.document["link"] if each["relation"] == relation]
        return found[0] if found else None


@dataclass
class House:
    """One hospital's gateway behind its port."""

    member: str
    solo: Solo
    gateway: Gateway
    runner: Runner
    session: aiohttp.ClientSession
    staff: Mapping[str, Wallet]
    tokens: dict[tuple[bytes, str | None], str] = field(default_factory=dict)
    attending: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        """The gateway's part of the node ends; its files are free."""
        if self.attending is None:
            return
        self.attending.cancel()
        outcome = (await asyncio.gather(self.attending, return_exceptions=True))[0]
        self.attending = None
        self.gateway.close()
        assert isinstance(outcome, asyncio.CancelledError), outcome

    @property
    def base(self) -> str:
        return self.runner.url + BASE

    async def ask(
        self,
        method: str,
        path: str,
        *,
        who: str | None = "clinician",
        scope: str | None = None,
        **request: Any,
    ) -> Reply:
        headers = dict(request.pop("headers", {}))
        if who is not None:
            headers.setdefault("Authorization", f"Bearer {await self.token(who, scope)}")
        if "resource" in request:
            request["data"] = json.dumps(request.pop("resource")).encode()
            headers.setdefault("Content-Type", "application/fhir+json")
        url = path if path.startswith("http") else self.base + path
        async with self.session.request(method, url, headers=headers, **request) as response:
            return Reply(response.status, response.headers, await response.read())

    async def get(self, path: str, **request: Any) -> Reply:
        return await self.ask("GET", path, **request)

    async def post(self, path: str, resource: Any, **request: Any) -> Reply:
        return await self.ask("POST", path, resource=resource, **request)

    async def put(self, path: str, resource: Any, **request: Any) -> Reply:
        return await self.ask("PUT", path, resource=resource, **request)

    async def delete(self, path: str, **request: Any) -> Reply:
        return await self.ask("DELETE", path, **request)

    async def token(self, who: str, scope: str | None = None) -> str:
        wallet = self.staff[who]
        name = (wallet.principal, scope)
        if name not in self.tokens:
            audience = self.runner.url + TOKEN_PATH
            assertion = make_assertion(
                wallet.principal,
                wallet.signing_key,
                audience,
                self.solo.clock(),
                secrets.token_hex(16),
            )
            form = {
                "grant_type": "client_credentials",
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": assertion,
            } | ({} if scope is None else {"scope": scope})
            async with self.session.post(audience, data=form) as response:
                document = await response.json()
                assert response.status == 200, document
            self.tokens[name] = document["access_token"]
        return self.tokens[name]


@dataclass
class World:
    hospitals: Hospitals
    solo: Solo
    a: House
    b: House

    @property
    def clock(self) -> Clock:
        return self.solo.clock

    async def liz(self) -> tuple[bytes, Wallet]:
        """Liz comes to hospital A with one observation; her pseudonym and her wallet."""
        reply = await self.a.post("", transaction(patient("Liz"), observation()))
        assert reply.status == 200, reply.body
        located = reply.document["entry"][0]["response"]["location"]
        pseudonym = bytes.fromhex(located.split("/")[1])[:16]
        return pseudonym, self.wallet(pseudonym)

    def wallet(self, pseudonym: bytes) -> Wallet:
        return load_wallet(self.a.gateway.wallets.path(pseudonym), SECRET)

    async def grant(self, patient: Wallet, **provision: Any) -> bytes:
        """The patient permits hospital B something; the consent."""
        builder = self.builder(patient)
        consent = builder.grant_consent(
            patient.principal, self.b.gateway.office.owner, Provision(**provision)
        )
        await self.finish(builder)
        return consent

    async def revoke(self, patient: Wallet, consent: bytes) -> None:
        builder = self.builder(patient)
        builder.add(ConsentRevoke(consent))
        await self.finish(builder)

    async def submit(self, sender: Wallet, *actions: Action) -> None:
        builder = self.builder(sender)
        for action in actions:
            builder.add(action)
        await self.finish(builder)

    async def settled(self) -> None:
        """Until the attendants of both houses are done with the tip."""
        tip = self.solo.store.tip()
        assert tip is not None
        async with asyncio.timeout(20):
            for house in (self.a, self.b):
                while set(house.gateway.document()["attendants"].values()) != {tip.header.height}:
                    await asyncio.sleep(0.005)
                    tip = self.solo.store.tip()
                    assert tip is not None

    def accesses(self, pseudonym: bytes) -> list[AccessEntry]:
        found = patient_queries.accesses_of(self.solo.store.state, pseudonym, 1_000)
        return [entry for _, entry in found]

    def builder(self, sender: Wallet) -> TransactionBuilder:
        return TransactionBuilder(self.hospitals.network, sender, self.hospitals.random)

    async def finish(self, builder: TransactionBuilder) -> None:
        built = builder.sign(self.clock.now_ms + HOUR_MS // 2)
        await self.solo.submit(built.raw, built.attachments)
        committed = await self.solo.committed(built.id, 0)
        assert committed is not None
        assert committed.result.ok, committed.result


@asynccontextmanager
async def served(
    hospitals: Hospitals, path: Path, *, epcis: EpcisSettings = DEFAULTS
) -> AsyncIterator[World]:
    solo = Solo(hospitals, path, Clock())  # type: ignore[arg-type]
    solo.autocommit = True
    async with AsyncExitStack() as opened:
        opened.callback(solo.close)
        patience = aiohttp.ClientTimeout(total=20)
        session = await opened.enter_async_context(aiohttp.ClientSession(timeout=patience))
        houses = [
            await opened.enter_async_context(house(hospitals, path, solo, member, session, epcis))
            for member in ("hospital-a", "hospital-b")
        ]
        yield World(hospitals, solo, *houses)


@asynccontextmanager
async def house(
    hospitals: Hospitals,
    path: Path,
    solo: Solo,
    member: str,
    session: aiohttp.ClientSession,
    epcis: EpcisSettings,
) -> AsyncIterator[House]:
    """As if each had a node of its own that had caught up with every block."""
    backend = copy.copy(solo)
    backend.me, backend.registry = member, CollectorRegistry()
    staff = hospitals.staff[member]
    gateway = open_gateway(hospitals, path, backend, member, epcis=epcis)
    app = make_app(backend, development=False, clock=solo.clock, extension=extension_of(gateway))
    async with open_port(app) as runner:
        there = House(member, backend, gateway, runner, session, staff)
        there.attending = asyncio.create_task(gateway.run())
        try:
            yield there
        finally:
            await there.stop()


def open_gateway(
    hospitals: Hospitals, path: Path, backend: Solo, member: str, *, epcis: EpcisSettings = DEFAULTS
) -> Gateway:
    """The gateway on what the one before it left on its disk."""
    wallet = hospitals.staff[member]["service"]
    office = Office(backend, wallet, hospitals.random, WallClock(backend.clock))
    folder = path / member / "gateway"
    vault = Vault(folder, b"vault key of".ljust(32, b"."), office.owner, office.random)
    log = LocalLog(folder, vault.derive(b"local log"))
    wallets = PatientWallets(path / member / "patients", SECRET, office)
    gateway = Gateway(office, vault, log, wallets, folder / "epcis", epcis=epcis)
    gateway.catalogue.load()
    return gateway


# What is written.


def patient(family: str, number: str = "1", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "identifier": [
            {
                "type": {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/v2-0203",
                            "code": "MR",
                        }
                    ]
                },
                "system": "urn:hospital-a",
                "value": f"{family}-{number}",
            }
        ],
        "name": [{"family": family, "given": ["Anna"]}],
        "gender": "female",
        "birthDate": "1970-05-17",
        **more,
    }


def observation(subject: str = "urn:uuid:00000000-0000-4000-8000-000000000000", **more: Any) -> Any:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8302-2"}]},
        "subject": {"reference": subject},
        "effectiveDateTime": "2020-02-03T10:00:00+01:00",
        "valueQuantity": {"value": 170.10, "unit": "cm"},
        **more,
    }


def transaction(*resources: Any, kind: str = "transaction") -> dict[str, Any]:
    """A bundle that creates `resources`, whose fullUrls are numbered from 0."""
    return {
        "resourceType": "Bundle",
        "type": kind,
        "entry": [
            {
                "fullUrl": f"urn:uuid:00000000-0000-4000-8000-{index:012}",
                "resource": each,
                "request": {"method": "POST", "url": each["resourceType"]},
            }
            for index, each in enumerate(resources)
        ],
    }


def synthea(name: str) -> Any:
    return json.loads((FHIR / name).read_bytes())
