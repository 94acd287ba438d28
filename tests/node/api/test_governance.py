"""What the members decide, over HTTP: proposals, their votes, who is suspended, what is refused."""

import msgspec

from chain.document import from_document
from chain.readiness import Readiness, sign_readiness
from client.builder import TransactionBuilder
from client.wallet import Wallet
from ledger.governance_actions import (
    OrganizationReinstate,
    OrganizationSuspend,
    ProposalVote,
    Subject,
)
from ledger.governance_entries import ProposalEntry
from node.api.documents import CountedProposal
from tests.node.api.conftest import Node
from tests.node.api.test_reading import pages

OUT = OrganizationSuspend("wholesaler")


async def committed(node: Node, builder: TransactionBuilder) -> None:
    result = await node.solo.committed_now(node.story.finish(builder))
    assert result.ok, result


async def opened(node: Node, subject: Subject = OUT) -> bytes:
    builder = node.story.builder(node.cast.administrator)
    proposal = builder.open_proposal(subject)
    await committed(node, builder)
    return proposal


async def voted(node: Node, wallet: Wallet, proposal: bytes) -> None:
    builder = node.story.builder(wallet)
    builder.add(ProposalVote(proposal, "for"))
    await committed(node, builder)


async def counted(node: Node, proposal: bytes) -> CountedProposal:
    reply = await node.get(f"/v1/proposals/{proposal.hex()}", node.cast.neighbour)
    assert reply.status == 200, reply.body
    return from_document(CountedProposal, reply.document)


async def test_proposals_page_by_page(node: Node) -> None:
    ids = [await opened(node) for _ in range(3)]
    found = await pages(node, "/v1/proposals", "proposals")
    assert [each["id"] for each in found] == sorted(each.hex() for each in ids)
    entry = from_document(ProposalEntry, found[0]["proposal"])
    assert (entry.subject, entry.organization, entry.status) == (OUT, "hospital-a", "open")
    assert found[0]["proposal"]["subject"] == {
        "type": "organization.suspend",
        "organization": "wholesaler",
    }


async def test_a_proposal_with_its_votes_until_it_is_enacted(node: Node) -> None:
    proposal = await opened(node)
    before = await counted(node, proposal)
    assert (before.votes, before.voters, before.needed) == ((), 2, 2)
    members = (await node.get("/v1/members", node.cast.device)).document
    assert (members["suspended"], members["validators"]) == ([], ["hospital-a"])
    await voted(node, node.cast.neighbour, proposal)
    await voted(node, node.cast.administrator, proposal)
    after = await counted(node, proposal)
    assert [(each.organization, each.side) for each in after.votes] in (
        [("hospital-a", "for"), ("hospital-b", "for")],
        [("hospital-b", "for"), ("hospital-a", "for")],
    )
    assert after.proposal.status == "enacted"
    members = (await node.get("/v1/members", node.cast.device)).document
    assert members["suspended"] == ["wholesaler"]
    await opened(node, OrganizationReinstate("wholesaler"))


async def test_what_is_unknown_or_not_an_id(node: Node) -> None:
    unknown = await node.get(f"/v1/proposals/{'0' * 32}", node.cast.auditor)
    assert (unknown.status, unknown.code) == (404, "proposal.unknown")
    for wrong in ("/v1/proposals/0", f"/v1/proposals/{'0' * 64}", "/v1/proposals?after=xy"):
        refused = await node.get(wrong, node.cast.auditor)
        assert (refused.status, refused.code) == (400, "http.wrong_parameter")


async def test_readiness_that_nobody_signed_is_refused_with_a_way_out(node: Node) -> None:
    proposal = await opened(node)
    key = node.solo.consortium.validator
    said = Readiness("hospital-a", key.public, 1, node.clock.now_ms)
    for network, status, code in (
        (bytes(32), 400, "readiness.wrong_signature"),
        (node.solo.genesis.hash, 422, "readiness.other_member"),
    ):
        builder = node.story.builder(node.cast.neighbour)
        builder.vote(proposal, "for", (sign_readiness(said, key, network),))
        reply = await node.submit(node.story.finish(builder).raw)
        assert (reply.status, reply.code) == (status, code)
        assert reply.document["field"].startswith("actions[0].readiness[0].")
        assert reply.document["fix"]


async def test_a_refusal_names_the_rule_and_the_way_out(node: Node) -> None:
    proposal = await opened(node)
    builder = node.story.builder(node.cast.clinician)
    builder.add(ProposalVote(proposal, "for"))
    reply = await node.submit(node.story.finish(builder).raw)
    assert (reply.status, reply.code) == (422, "proposal.not_administrator")
    assert reply.document["field"] == "actions[0].proposal"
    assert msgspec.json.decode(reply.body)["fix"] == "Let an administrator sign."
