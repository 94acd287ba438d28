"""Gateways that lie, that are cut off or that have lost the other's node, over real processes: what
nobody logged nobody opens, and what has to wait says why."""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from client.builder import AccessClaim, Provision, ProxyScope, TransactionBuilder
from client.category import CategoryName
from client.wallet import card, new_wallet
from ledger.ids import organization_owner
from tests.network.gateways import DAY_MS, A, B, Gateways, Stolen
from tests.network.world import Testnet, until
from tests.node.gateway.rest.house import observation, patient, transaction

pytestmark = pytest.mark.network
SOON_MS = 5_000
"""Time for a busy machine to commit a consent before it ends."""
LOCAL_LOG = Path("gateway") / "local.log"


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    network = Testnet(tmp_path_factory.mktemp("faults") / "testnet")
    network.up()
    made = Gateways(network)
    try:
        asyncio.run(made.enrol_staff())
        yield made
    finally:
        network.down()


class Case:
    """A patient of hospital A's with one observation."""

    def __init__(self, pseudonym: bytes, record: bytes, general: CategoryName) -> None:
        self.pseudonym = pseudonym
        self.record = record
        self.general = general
        self.path = f"/Observation/{record.hex()}"


async def registered(gateways: Gateways, number: str) -> Case:
    places = await gateways.loaded(A, transaction(patient("Liz", number), observation()))
    owner, record = (bytes.fromhex(each.partition("/")[2]) for each in places)
    return Case(owner[:16], record, await gateways.general(owner[:16]))


async def test_a_gateway_that_never_logged_opens_nothing(
    gateways: Gateways, tmp_path: Path
) -> None:
    case = await registered(gateways, "never-logged")
    # It may read by a consent, and still has no key before it says on the chain that it does.
    await gateways.grant(case.pseudonym, Provision())
    await gateways.network.agreement()
    stolen = Stolen(gateways.network, B, tmp_path)
    assert stolen.keys_of([case.general]) == set()
    own = Stolen(gateways.network, A, tmp_path)
    keys = own.keys_of([case.general])
    async with gateways.network.api(B) as api:
        entry = (await api.record(case.record)).entry
    assert own.opens(case.record, entry, keys), "else this test would find nothing anywhere"
    assert stolen.opens(case.record, entry, keys), "it has the ciphertext, and only lacks the key"
    assert await gateways.releases(case.pseudonym) == []


async def test_a_right_that_ended_or_fits_not_is_refused_by_every_node(gateways: Gateways) -> None:
    case = await registered(gateways, "expired")
    other = await gateways.grant(case.pseudonym, Provision(purposes=("HRESCH",)))
    elsewhere = await gateways.grant(case.pseudonym, Provision(categories=(os.urandom(16),)))
    gone = await gateways.grant(case.pseudonym, Provision())
    await gateways.revoke(case.pseudonym, gone)
    soon_ms = time.time_ns() // 1_000_000 + SOON_MS
    short = await gateways.grant(case.pseudonym, Provision(valid_until_ms=soon_ms))
    service = gateways.network.wallet(B)
    async with gateways.network.api(B) as api:

        async def is_over() -> bool:
            found = await api.record_decision(case.record, service.principal, "TREAT")
            return found.at_ms >= soon_ms

        await until(is_over)
    for consent in (short, other, elsewhere, gone):
        claim = AccessClaim(
            case.pseudonym, service.principal, "TREAT", "consent", consent, (case.record,)
        )
        for node in (B, A, "wholesaler"):
            builder = gateways.builder(service)
            builder.log_access(claim)
            code = await gateways.refusal(node, builder, B)
            assert code.startswith("access."), code
    assert await gateways.releases(case.pseudonym) == []
    assert [each for each in await gateways.accesses(case.pseudonym) if each.entry.cited] == []
    assert (await gateways.get(B, case.path, "doctor-b")).status == 403
    allowed = await gateways.get(B, case.path, "doctor-b", purpose="HRESCH")
    assert allowed.status == 200


async def test_the_more_specific_consent_decides_and_where_none_is_it_is_a_denial(
    gateways: Gateways,
) -> None:
    case = await registered(gateways, "contradicted")
    path = f"/Patient/{case.pseudonym.hex()}/$everything"
    await gateways.grant(case.pseudonym, Provision())
    assert (await gateways.get(B, path, "doctor-b")).status == 200
    await gateways.grant(case.pseudonym, Provision("deny"))
    denied = await gateways.get(B, path, "doctor-b")
    assert (denied.status, denied.reason) == (403, "access.denied.consent.contradicted")
    named = [each["expression"][0] for each in denied.document["issue"][1:]]
    assert len(named) == 2
    effects = [(await gateways.get(B, f"/{each}")).document["provision"]["type"] for each in named]
    assert sorted(effects) == ["deny", "permit"]
    await gateways.grant(case.pseudonym, Provision(categories=(case.general.category,)))
    assert (await gateways.get(B, path, "doctor-b")).status == 200

    yesterday_ms = time.time_ns() // 1_000_000 - DAY_MS
    patient_wallet = gateways.patient(case.pseudonym)
    owner = organization_owner(B)
    builder = gateways.builder(patient_wallet)
    builder.grant_consent(case.pseudonym, owner, Provision(valid_from_ms=yesterday_ms))
    assert await gateways.refusal(A, builder) == "validity.retroactive"
    for stranger in (gateways.network.wallet(A), gateways.staff["doctor-b"]):
        builder = gateways.builder(stranger)
        builder.grant_consent(case.pseudonym, owner, Provision())
        assert await gateways.refusal(B, builder) == "patient.not_sender"
    builder = gateways.builder(patient_wallet)
    scope = ProxyScope(("consent",))
    builder.appoint_proxy(card(patient_wallet), patient_wallet.signing_key, scope, new=False)
    assert await gateways.refusal(A, builder) == "proxy.self_appointed"


async def test_a_proxy_rules_within_his_powers_and_categories_only(gateways: Gateways) -> None:
    case = await registered(gateways, "represented")
    patient_wallet = gateways.patient(case.pseudonym)
    daughter = new_wallet("proxy", None, os.urandom)
    builder = gateways.builder(patient_wallet)
    scope = ProxyScope(("consent",), (case.general.category,))
    builder.appoint_proxy(card(daughter), daughter.signing_key, scope, new=True)
    await gateways.commit(A, builder)
    owner = organization_owner(B)

    def granting(provision: Provision) -> TransactionBuilder:
        made = gateways.builder(daughter)
        made.grant_consent(case.pseudonym, owner, provision)
        return made

    everything = granting(Provision())
    assert await gateways.refusal(A, everything) == "proxy.beyond_scope"
    asking = gateways.builder(daughter)
    asking.request_erasure(case.pseudonym, None, None)
    assert await gateways.refusal(B, asking) == "proxy.beyond_scope"
    assert (await gateways.get(B, case.path, "doctor-b")).status == 403
    await gateways.commit(A, granting(Provision(categories=(case.general.category,))))
    assert (await gateways.get(B, case.path, "doctor-b")).status == 200


async def test_an_index_made_anew_finds_what_the_old_one_found(gateways: Gateways) -> None:
    case = await registered(gateways, "indexed")
    question = f"/Observation?patient={case.pseudonym.hex()}"

    async def found() -> int:
        return int((await gateways.get(A, question)).document["total"])

    assert await found() == 1
    gateways.network.member("gateway", "reindex", "--node", A, "--as", A)

    async def again() -> bool:
        return await found() == 1

    await until(again)


async def test_without_the_authors_node_a_standing_consent_serves_and_another_says_why_not(
    gateways: Gateways, tmp_path: Path
) -> None:
    standing, ordinary = [await registered(gateways, number) for number in ("standing", "ordinary")]
    keys = Stolen(gateways.network, A, tmp_path).keys_of([standing.general])
    await gateways.grant(standing.pseudonym, Provision(), tuple(keys))
    await gateways.grant(ordinary.pseudonym, Provision())
    await gateways.network.agreement()
    gateways.network.kill_and_wait(A)
    try:
        served = await gateways.get(B, standing.path, "doctor-b")
        assert served.status == 200, served.body
        assert served.document["code"] == observation()["code"]
        last = (await gateways.accesses(standing.pseudonym, B))[-1]
        assert last.entry.records == (standing.record,)
        refused = await gateways.get(B, ordinary.path, "doctor-b")
        assert (refused.status, refused.reason) == (503, "key.not_released")
        assert refused.issue["details"]["text"] == "waits for hospital-a's node to release the key"
        assert refused.headers["Retry-After"]
    finally:
        gateways.network.up()
    await gateways.network.agreement()

    # Its node answers the entry that was committed meanwhile, as soon as it is back.
    async def is_served() -> bool:
        return (await gateways.get(B, ordinary.path, "doctor-b")).status == 200

    await until(is_served)


async def test_without_a_quorum_own_records_are_read_and_the_accesses_come_later(
    gateways: Gateways,
) -> None:
    case = await registered(gateways, "alone")
    before = len(await gateways.accesses(case.pseudonym))
    await gateways.network.agreement()
    await isolated(gateways)
    try:
        for _ in range(2):
            read = await gateways.get(A, case.path, "doctor-a")
            assert read.status == 200, read.body
        written = observation(f"Patient/{case.pseudonym.hex()}")
        refused = await gateways.post(A, "/Observation", written, "doctor-a")
        assert refused.status == 503
        assert refused.issue["expression"]
        assert (await gateways.network.ask(A))["gateway"]["deferred"]["problem"] is None
    finally:
        gateways.network.testnet("heal")

    async with gateways.network.api(B) as api:

        async def deferred() -> list[bool]:
            found = [each async for each in api.accesses_of(case.pseudonym)]
            marks = [each.entry.deferred is not None for each in found]
            return marks if len(marks) == before + 2 else []

        assert (await until(deferred))[before:] == [True, True]
    await gateways.network.agreement()
    found = await gateways.get(A, f"/AuditEvent?patient={case.pseudonym.hex()}&_sort=date")
    urls = [{one["url"] for one in each.get("extension", ())} for each in found.resources]
    assert sum("urn:medlock:extension:deferred" in each for each in urls) == 2


async def test_a_local_log_that_was_changed_is_found_and_nothing_is_skipped(
    gateways: Gateways,
) -> None:
    case = await registered(gateways, "changed")
    before = len(await gateways.accesses(case.pseudonym))
    await gateways.network.agreement()
    await isolated(gateways)
    path = gateways.network.path / A / LOCAL_LOG
    try:
        for _ in range(3):
            assert (await gateways.get(A, case.path, "doctor-a")).status == 200
        raw = path.read_bytes()
        size = (len(raw) - 48) // 3
        path.write_bytes(raw[: 48 + size] + raw[48 + 2 * size :])
    finally:
        gateways.network.testnet("heal")

    async def problem() -> str:
        return str((await gateways.network.ask(A))["gateway"]["local_log"] or "")

    said = await until(problem)
    assert "line" in said
    status = (await gateways.network.ask(A))["gateway"]["deferred"]
    assert "changed" in status["problem"]
    log = b"".join(each.read_bytes() for each in (gateways.network.path / A / "log").iterdir())
    assert b"local log" in log
    await gateways.network.commit(A)
    assert len(await gateways.accesses(case.pseudonym)) == before, "nor is what stands before it"


async def isolated(gateways: Gateways) -> None:
    """Hospital A is alone, and knows it."""
    network = gateways.network
    network.testnet("partition", f"{A}/{B},manufacturer,wholesaler")

    async with aiohttp.ClientSession() as session:

        async def is_alone() -> bool:
            async with session.get(f"{network.base(A)}/readyz") as response:
                return response.status == 503

        await until(is_alone)
