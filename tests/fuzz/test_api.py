"""The HTTP API of a running node, as its own description says it is, for everyone who may come.

Requests are made from `/openapi.json`: right ones, wrong ones, ones that name what is there. No
answer is a 5xx, none is another than described, strangers get what is public and nothing else, and
every operation succeeds for somebody.
"""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import msgspec
import pytest
import requests
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from chain.keys import Suite
from client.assertion import make_assertion
from client.builder import TransactionBuilder
from client.category import Recipient
from client.wallet import Wallet, card, new_wallet
from client.wire import ASSERTION_TYPE, SUBMISSION, TOKEN_PATH, Submission
from ledger.keyspace import principal_key
from node.supply_demo import names
from tests import campaign
from tests.fuzz.goods import container, subscription, with_events, with_goods
from tests.network.world import Testnet, in_half_an_hour_ms

pytestmark = pytest.mark.network
AT: Final = "hospital-a"
STAFF: Final = ("clinician", "auditor", "device")
ROLES: Final = ("nobody", "administrator", "service", "patient", "foreign-administrator", *STAFF)
CHECKS: Final = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
ENDLESS: Final = "streamEvents"
EXAMPLES: Final = 2
"""Requests of one role to one operation, in the suite."""


@schemathesis.serializer("application/msgpack")
def as_it_is(_: Any, value: Any) -> bytes:
    """The description knows these bodies as bytes only."""
    return value.encode() if isinstance(value, str) else msgspec.msgpack.encode(value)


@dataclass
class Visit:
    """A node with something on its chain, and those who may come."""

    network: Testnet
    wallets: dict[str, Wallet | None]
    known: dict[str, list[str]]
    schema: Any
    _tokens: dict[str, tuple[str, float]] = field(default_factory=dict)

    @property
    def base(self) -> str:
        return self.network.base(AT)

    def assertion(self, wallet: Wallet) -> dict[str, str]:
        signed = make_assertion(
            wallet.principal,
            wallet.signing_key,
            self.base + TOKEN_PATH,
            time.time(),
            os.urandom(8).hex(),
        )
        return {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": signed,
        }

    def headers(self, role: str) -> dict[str, str]:
        """The caller's credentials, renewed in time."""
        wallet = self.wallets[role]
        if wallet is None:
            return {}
        token, until = self._tokens.get(role, ("", 0.0))
        if time.monotonic() >= until:
            form = self.assertion(wallet)
            answer = requests.post(self.base + TOKEN_PATH, data=form, timeout=10)
            answer.raise_for_status()
            token = answer.json()["access_token"]
            self._tokens[role] = (token, time.monotonic() + 200)
        return {"Authorization": f"Bearer {token}"}


def founded(network: Testnet) -> tuple[dict[str, Wallet | None], dict[str, list[str]]]:
    """Enrols one of each kind, registers a patient, puts a record; who there is, and what."""
    administrator, service = network.wallet(f"{AT}-administrator"), network.wallet(AT)
    wallets: dict[str, Wallet | None] = {
        "nobody": None,
        "administrator": administrator,
        "service": service,
        "foreign-administrator": network.wallet("hospital-b-administrator"),
    }
    enrolling = TransactionBuilder(network.network, administrator, os.urandom)
    for kind in STAFF:
        wallets[kind] = new_wallet(kind, AT, os.urandom, suite=Suite.X25519)
        enrolling.enrol(card(wallets[kind]))
    patient = new_wallet("patient", None, os.urandom, suite=Suite.X25519)
    wallets["patient"] = patient
    builder = TransactionBuilder(network.network, service, os.urandom)
    ours = Recipient(service.author, service.organization_keys[0].public)
    key = builder.register_patient(card(patient), patient.signing_key, ours)
    record = builder.put(b'{"resourceType":"Patient"}', key)
    binary = builder.put(b'{"contentType":"x/y","data":"AAAA","resourceType":"Binary"}', key)
    put = builder.sign(in_half_an_hour_ms())
    clinician = wallets["clinician"]
    assert clinician is not None
    proposing = TransactionBuilder(network.network, clinician, os.urandom)
    plan = proposing.propose_plan(patient.principal, builder.reference(record))

    async def submit() -> None:
        async with network.api(AT) as api:
            await api.submit(enrolling.sign(in_half_an_hour_ms()).raw)
            await api.submit(put.raw, put.attachments)
            await api.submit(proposing.sign(in_half_an_hour_ms()).raw)

    asyncio.run(submit())
    known = {
        "id": [put.id.hex(), record.hex(), patient.principal.hex(), plan.hex(), binary.hex()],
        "type": ["Patient"],
        "version": ["1"],
        "owner": [patient.principal.hex()],
        "category": [key.name.category.hex()],
        "author": [service.author.hex()],
        "block": ["latest", "0", "1"],
        "key": [principal_key(patient.principal).hex()],
        "hash": [sha256(put.attachments[0]).hexdigest()],
    }
    return wallets, known


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    network = Testnet(tmp_path_factory.mktemp("api") / "testnet")
    network.up()
    try:
        wallets, known = founded(network)
        schema = schemathesis.openapi.from_url(network.base(AT) + "/openapi.json")
        visit = Visit(network, wallets, known, schema)
        goods = with_goods(network)
        known["id"] += goods.pop("goods_id")
        known |= goods | with_events(visit.base, visit.headers("service"), 1, "stored")
        visit.known = known
        yield visit
    finally:
        network.down()


def call(visit: Visit, role: str, case: Any) -> None:
    """Sends one request and judges the answer."""
    operation = case.operation
    definition = operation.definition.raw
    answer = case.call(base_url=visit.base, headers=visit.headers(role), timeout=30)
    case.validate_response(answer, checks=CHECKS)
    if 200 <= answer.status_code < 300:
        assert definition["security"] == [] or role != "nobody", definition["operationId"]


@pytest.mark.parametrize("role", ROLES)
def test_every_answer_is_one_that_the_description_knows(visit: Visit, role: str) -> None:
    for result in visit.schema.get_all_operations():
        operation = result.ok()
        if operation.definition.raw["operationId"] == ENDLESS:
            continue

        @campaign.budget(EXAMPLES)
        @given(case=operation.as_strategy(), data=st.data())
        def try_it(case: Any, data: st.DataObject) -> None:
            for name in case.path_parameters or {}:
                if data.draw(st.booleans()):
                    case.path_parameters[name] = data.draw(st.sampled_from(visit.known[name]))
            call(visit, role, case)

        try_it()


def test_every_operation_succeeds_for_somebody(visit: Visit) -> None:
    """With requests that mean something, where chance would need too long."""
    service = visit.wallets["service"]
    assert service is not None
    work = SUBMISSION.encode(Submission(visit.network.work().raw, ()))
    upload = os.urandom(100)
    bodies: dict[str, dict[str, Any]] = {
        "submitTransaction": {"data": work, "type": "application/msgpack"},
        "submitBatch": {
            "data": len(work).to_bytes(4, "big") + work,
            "type": "application/msgpack",
        },
        "putAttachment": {"data": upload, "type": "application/octet-stream"},
        "getToken": {"data": visit.assertion(service), "type": "application/x-www-form-urlencoded"},
        "cutLinks": {"data": b'{"cut":[]}', "type": "application/json"},
        **fhir_bodies(visit),
        **epcis_bodies(),
    }
    known = visit.known | {"hash": [sha256(upload).hexdigest(), *visit.known["hash"]]}
    # Of their own: chance may have deleted the others.
    known |= with_events(visit.base, visit.headers("service"), 3, "kept")
    missing = []
    operations = [result.ok() for result in visit.schema.get_all_operations()]
    # What is deleted is there for the others first, and what hangs on it before itself.
    operations.sort(key=lambda each: (each.method.upper() == "DELETE", -each.path.count("/")))
    for operation in operations:
        name = operation.definition.raw["operationId"]
        body = bodies.get(name, {"data": None, "type": None})
        statuses = []
        names = placeholders(operation.path)
        for attempt in range(max(map(len, known.values()))):
            path = operation.path
            for each in names:
                path = path.replace(f"{{{each}}}", known[each][attempt % len(known[each])])
            statuses.append(status(visit, operation.method, path, body))
        if not any(200 <= each < 300 for each in statuses):
            missing.append((name, statuses))
    assert missing == [], missing


def fhir_bodies(visit: Visit) -> dict[str, dict[str, Any]]:
    """Of the FHIR operations; the record that is updated is the one to be deleted after."""
    record = visit.known["id"][1]
    patient: dict[str, Any] = {"resourceType": "Patient"}
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"resource": patient, "request": {"method": "POST", "url": "Patient"}}],
    }
    bodies: dict[str, Any] = {
        "postBundle": bundle,
        "postBundleToRoot": bundle,
        "createBinary": {
            "resourceType": "Binary",
            "contentType": "x/y",
            "data": "AAAA",
            "securityContext": {"reference": f"Patient/{visit.known['owner'][0]}"},
        },
        "validateResource": patient,
        "createResource": patient,
        "updateResource": {**patient, "id": record},
    }
    form = {"data": b"_count=1", "type": "application/x-www-form-urlencoded"}
    return {
        name: {"data": json.dumps(body).encode(), "type": "application/fhir+json"}
        for name, body in bodies.items()
    } | {"searchByForm": form}


def epcis_bodies() -> dict[str, dict[str, Any]]:
    """Of the operations that capture and subscribe."""
    (labelled,) = (document := container(names.sscc(2)))["epcisBody"]["eventList"]
    bodies = {
        "captureEvents": document,
        "captureEvent": {**labelled, "@context": document["@context"]},
        "createQuery": {"name": "another", "query": {"EQ_action": ["ADD"]}},
        "subscribe": subscription(),
    }
    return {
        name: {"data": json.dumps(body).encode(), "type": "application/json"}
        for name, body in bodies.items()
    }


def status(visit: Visit, method: str, path: str, body: dict[str, Any]) -> int:
    headers = visit.headers("service")
    if body["type"]:
        headers |= {"Content-Type": body["type"]}
    with requests.request(
        method, visit.base + path, data=body["data"], headers=headers, stream=True, timeout=30
    ) as answer:
        return answer.status_code


def placeholders(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]
