"""What a patient agreed to, who looked, and what the ledger would say now, over HTTP."""

from chain.document import from_document
from chain.keys import Suite
from client.builder import AccessClaim, Provision
from client.wallet import card, new_wallet
from ledger.consent_actions import ConsentRevoke
from ledger.consent_entries import AccessEntry, ConsentEntry
from ledger.ids import access_id, organization_owner
from node.api.documents import DecisionDocument
from tests.node.api.conftest import Node
from tests.node.api.test_reading import pages

HOSPITAL_B = organization_owner("hospital-b")
HOUR_MS = 3_600_000


async def with_a_record(node: Node) -> tuple[str, bytes]:
    """Registers the patient; his id in hex, and a record of his."""
    registration, (record,) = node.story.register(node.cast.patient, b"1")
    assert (await node.solo.committed_now(registration)).ok
    return node.cast.patient.principal.hex(), record


async def granted(node: Node, grantee: bytes, provision: Provision) -> bytes:
    builder = node.story.builder(node.cast.patient)
    consent = builder.grant_consent(node.cast.patient.principal, grantee, provision)
    assert (await node.solo.committed_now(node.story.finish(builder))).ok
    return consent


async def enrolled_at_b(node: Node) -> bytes:
    """A clinician of hospital B; his id."""
    chance = node.solo.consortium.random
    clinician = new_wallet("clinician", "hospital-b", chance, suite=Suite.X25519)
    builder = node.story.builder(node.cast.neighbour)
    builder.enrol(card(clinician))
    assert (await node.solo.committed_now(node.story.finish(builder))).ok
    return clinician.principal


async def decision(node: Node, path: str) -> DecisionDocument:
    reply = await node.get(path, node.cast.clinician)
    assert reply.status == 200, reply.body
    return from_document(DecisionDocument, reply.document)


async def test_a_patients_consents_page_by_page_also_those_that_have_ended(node: Node) -> None:
    owner, _ = await with_a_record(node)
    consents = [await granted(node, HOSPITAL_B, Provision(purposes=("TREAT",))) for _ in range(3)]
    builder = node.story.builder(node.cast.patient)
    builder.add(ConsentRevoke(consents[0]))
    assert (await node.solo.committed_now(node.story.finish(builder))).ok
    found = await pages(node, f"/v1/patients/{owner}/consents", "consents")
    assert [each["id"] for each in found] == sorted(each.hex() for each in consents)
    entries = [from_document(ConsentEntry, each["consent"]) for each in found]
    assert sum(entry.revoked_ms is None for entry in entries) == 2
    own = (await node.get(f"/v1/patients/{owner}/consents", node.cast.patient)).document
    assert own["consents"] == found


async def test_accesses_page_by_page_in_the_order_of_time(node: Node) -> None:
    owner, record = await with_a_record(node)
    ids = []
    for _ in range(3):
        node.clock.now_s += 1
        builder = node.story.builder(node.cast.clinician)
        claim = AccessClaim(
            node.cast.patient.principal,
            node.cast.clinician.principal,
            "TREAT",
            "author",
            records=(record,),
        )
        access = builder.log_access(claim)
        assert (await node.solo.committed_now(node.story.finish(builder))).ok
        tip = node.solo.store.tip()
        assert tip is not None
        ids.append(access_id(access, tip.header.timestamp_ms).hex())
    found = await pages(node, f"/v1/patients/{owner}/accesses", "accesses")
    assert [each["id"] for each in found] == ids
    entry = from_document(AccessEntry, found[0]["access"])
    assert (entry.actor, entry.basis) == (node.cast.clinician.principal, "author")


async def test_a_decision_explains_itself(node: Node) -> None:
    _, record = await with_a_record(node)
    clinician_b = node.cast.neighbour.principal
    path = f"/v1/records/{record.hex()}/decision"

    own = await decision(node, path)
    assert (own.permit, own.basis, own.why) == (True, "author", "author")
    assert own.explanation.endswith("wrote it.")

    nobody = await decision(node, f"{path}?actor={'0' * 32}")
    assert (nobody.permit, nobody.why) == (False, "reader.unknown")

    staff = await decision(node, f"{path}?actor={clinician_b.hex()}")
    assert (staff.permit, staff.why) == (False, "reader.not_permitted_kind")

    patient = node.cast.patient.principal.hex()
    author = organization_owner("hospital-a").hex()
    category = f"/v1/patients/{patient}/categories/{'0' * 32}/{author}/decision"
    himself = await decision(node, f"{category}?actor={patient}")
    assert (himself.permit, himself.basis) == (True, "patient")


async def test_a_decision_names_the_consents_and_lives_by_the_time_of_the_next_block(
    node: Node,
) -> None:
    """The reader is of a second hospital, whose clinician is enrolled for this."""
    _, record = await with_a_record(node)
    reader = await enrolled_at_b(node)
    query = f"/v1/records/{record.hex()}/decision?actor={reader.hex()}"
    assert (await decision(node, query)).why == "nothing_permits"
    until_ms = node.clock.now_ms + HOUR_MS
    yes = await granted(node, HOSPITAL_B, Provision(valid_until_ms=until_ms))
    node.clock.now_s += 60
    found = await decision(node, query)
    assert (found.permit, found.cited, found.at_ms) == (True, yes, node.clock.now_ms)
    no = await granted(node, reader, Provision("deny", ("TREAT",)))
    found = await decision(node, query)
    assert (found.permit, found.why) == (False, "consent.denies")
    assert [each.consent for each in found.considered] == [no, yes]
    assert (await decision(node, query + "&purpose=HRESCH")).permit
    node.clock.now_s += HOUR_MS / 1_000
    node.tokens.clear()  # they lived five minutes
    assert (await decision(node, query + "&purpose=HRESCH")).why == "nothing_permits"
