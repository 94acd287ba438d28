"""Members suspend one of theirs, over real node processes: what its clinicians, its gateway and its
node can still do, and that all of it comes back."""

import asyncio
from collections.abc import Iterator, Sequence

import pytest

from client.builder import AccessClaim, Provision, TransactionBuilder
from ledger.care_entries import ATTESTATION
from ledger.governance_actions import (
    OrganizationReinstate,
    OrganizationSuspend,
    ProposalVote,
    Subject,
)
from ledger.ids import organization_owner
from ledger.keyspace import attestation_key
from tests.network.gateways import A, B, Gateways
from tests.network.world import Testnet
from tests.node.gateway.rest.house import observation, patient, transaction
from tests.node.gateway.rest.test_ledger_types import proposed

pytestmark = pytest.mark.network
VOTERS = (A, "manufacturer", "wholesaler", "pharmacy")
"""Four of the five others: more than two thirds. The pharmacy has no node, and a vote."""


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    network = Testnet(tmp_path_factory.mktemp("suspension") / "testnet")
    network.up()
    made = Gateways(network)
    try:
        asyncio.run(made.enrol_staff())
        yield made
    finally:
        network.down()


async def suspended_members(gateways: Gateways) -> list[str]:
    async with gateways.network.api(A) as api:
        found: list[str] = (await api.get_document("/v1/members"))["suspended"]
    return found


async def decide(gateways: Gateways, subject: Subject, voters: Sequence[str]) -> bytes:
    """The first of `voters` opens; every node has the outcome at return. The proposal."""
    builder = gateways.builder(gateways.network.wallet(f"{voters[0]}-administrator"))
    proposal = builder.open_proposal(subject)
    await gateways.commit(A, builder)
    for voter in voters:
        builder = gateways.builder(gateways.network.wallet(f"{voter}-administrator"))
        builder.add(ProposalVote(proposal, "for"))
        height = await gateways.commit(A, builder)
    await gateways.network.agreement(height)
    return proposal


async def test_a_suspended_hospital_reads_and_writes_nothing_until_it_is_let_back_in(
    gateways: Gateways,
) -> None:
    network, doctor = gateways.network, gateways.staff["doctor-b"]
    places = await gateways.loaded(A, transaction(patient("Liz", "suspension"), observation()))
    owner, record = (bytes.fromhex(each.partition("/")[2]) for each in places)
    pseudonym, path = owner[:16], f"/Observation/{record.hex()}"
    consent = await gateways.grant(pseudonym, Provision())

    def log() -> TransactionBuilder:
        builder = gateways.builder(doctor)
        claim = AccessClaim(pseudonym, doctor.principal, "TREAT", "consent", consent, (record,))
        builder.log_access(claim)
        return builder

    assert (await gateways.get(B, path, "doctor-b")).status == 200
    proposal = await decide(gateways, OrganizationSuspend(B), VOTERS)
    for node in (A, B):
        async with network.api(node) as api:
            found = await api.get_document(f"/v1/proposals/{proposal.hex()}")
        assert (found["proposal"]["status"], len(found["votes"])) == ("enacted", 4)
        assert await gateways.refusal(node, log()) == "organization.suspended"
    assert await suspended_members(gateways) == [B]

    logged = len(await gateways.accesses(pseudonym))
    read = await gateways.get(B, path, "doctor-b")
    assert (read.status, read.reason) == (403, "access.denied.reader.suspended")
    for resource in (proposed(pseudonym), observation(f"Patient/{owner.hex()}")):
        refused = await gateways.post(B, f"/{resource['resourceType']}", resource, "doctor-b")
        assert (refused.status, refused.reason) == (403, "organization.suspended"), refused.body
    own = await gateways.post(B, "", transaction(patient("Bert", "of-b")))
    assert (own.status, own.reason) == (403, "organization.suspended"), own.body
    assert len(await gateways.accesses(pseudonym)) == logged

    # It still owes a deletion, and says so; and its node still takes part.
    leaving = await gateways.loaded(A, transaction(patient("Gone", "leaving"), observation()))
    erasure = await gateways.erase(bytes.fromhex(leaving[0].partition("/")[2])[:16])
    key = attestation_key(erasure, organization_owner(B))
    assert (await gateways.stands(A, key, ATTESTATION)).organization == B
    await network.agreement(await network.commit(A))

    await decide(gateways, OrganizationReinstate(B), VOTERS)
    assert await suspended_members(gateways) == []
    assert (await gateways.get(B, path, "doctor-b")).status == 200
    await gateways.commit(B, log())
    assert len(await gateways.accesses(pseudonym)) == logged + 2


async def test_its_patients_decide_on_and_what_it_wrote_waits_for_its_return(
    gateways: Gateways,
) -> None:
    places = await gateways.loaded(B, transaction(patient("Bea", "of-b"), observation()))
    owner, record = (bytes.fromhex(each.partition("/")[2]) for each in places)
    pseudonym, path = owner[:16], f"/Observation/{record.hex()}"

    async def permitted() -> bytes:
        """The patient of hospital B permits hospital A; the consent."""
        builder = gateways.builder(gateways.patient(pseudonym))
        consent = builder.grant_consent(pseudonym, organization_owner(A), Provision())
        await gateways.commit(A, builder)
        return consent

    await decide(gateways, OrganizationSuspend(B), VOTERS)
    await gateways.revoke(pseudonym, await permitted())
    denied = await gateways.get(A, path, "doctor-a")
    assert (denied.status, denied.reason) == (403, "access.denied.nothing_permits")
    await permitted()
    waiting = await gateways.get(A, path, "doctor-a")
    assert (waiting.status, waiting.reason) == (503, "key.not_released")
    assert await gateways.releases(pseudonym) == []
    await decide(gateways, OrganizationReinstate(B), VOTERS)
    assert (await gateways.get(A, path, "doctor-a")).status == 200
