"""Nodes whose seat comes, goes or gets another key; and what a node says of itself before."""

from dataclasses import replace
from pathlib import Path

import pytest
from cluster import NAMES, Cluster, cluster

from chain.genesis import NodeEntry
from chain.keys import SigningKey
from chain.readiness import SignedReadiness, check_readiness
from consensus.messages import DOMAINS, MESSAGE, PACKET, Packet, Prepare, Signed
from ledger.governance_actions import NodeAnnounce
from ledger.queries import validators
from node.backend import NotReady
from node.engine import PacketReceived
from node.seat import look
from p2p.certificates import create_identity
from p2p.wire import AttachmentHave

NEXT = SigningKey(b"n" * 32)


async def commit(four: Cluster, via: str, raw: bytes) -> int:
    """Commits everywhere; returns the height."""
    desk = four.nodes[via].desk
    place = await desk.committed(await desk.submit(raw, ()), 10)
    assert place is not None
    assert place.result.ok, place.result
    await four.height(place.height, list(four.nodes))
    return place.height


async def readiness(four: Cluster, name: str) -> tuple[SignedReadiness, ...]:
    """What the node says of itself, once it is ready."""
    replica = four.nodes[name].node.engine.replica
    await four.until(lambda: replica.in_step >= replica.tip.validators.quorum)
    return four.nodes[name].desk.readiness()


async def rotate(four: Cluster, name: str) -> int:
    """Hospital A's node announces its next key."""
    (*_, word) = await readiness(four, name)
    entry = NodeEntry(NEXT.public, create_identity(name).certificate_der, ("127.0.0.1:1",))
    return await commit(four, name, four.transaction(name, NodeAnnounce(entry, word)))


class TestReadiness:
    async def test_a_node_vouches_for_each_key_that_it_holds(self, tmp_path: Path) -> None:
        async with cluster(tmp_path, next_keys={"hospital-a": (NEXT,)}) as four:
            height = await commit(four, "hospital-b", four.transaction())
            said = await readiness(four, "hospital-a")
            keys = [each.readiness.consensus_key for each in said]
            assert keys == [four.keys["hospital-a"].public, NEXT.public]
            for each in said:
                check_readiness(each, four.genesis.hash)
                assert (each.readiness.member, each.readiness.height) == ("hospital-a", height)

    async def test_without_a_quorum_it_is_not_ready(self, tmp_path: Path) -> None:
        async with cluster(tmp_path) as four:
            await commit(four, "hospital-b", four.transaction())
            desk = four.nodes["hospital-a"].desk
            await four.stop("wholesaler")
            assert len(await readiness(four, "hospital-a")) == 1
            await four.stop("manufacturer")
            await four.until(lambda: not desk.ready())
            with pytest.raises(NotReady, match="3 are needed"):
                desk.readiness()

    async def test_who_lost_its_votes_is_not_ready(self, tmp_path: Path) -> None:
        async with cluster(tmp_path) as four:
            await four.stop("wholesaler")
            for name in ("slot-0", "slot-1"):
                (tmp_path / "wholesaler" / "votes" / name).write_bytes(b"rot")
            with pytest.raises(NotReady, match="abstains"):
                four.start("wholesaler").desk.readiness()


class TestRotation:
    async def test_the_next_key_votes_from_the_next_height_on(self, tmp_path: Path) -> None:
        async with cluster(tmp_path, next_keys={"hospital-a": (NEXT,)}) as four:
            height = await rotate(four, "hospital-a")
            await four.stop("wholesaler")
            await commit(four, "hospital-b", four.transaction())
            store = four.nodes["hospital-b"].node.parts.store
            assert validators(store.state).key("hospital-a") == NEXT.public
            certificate = store.certificate(height + 1)
            assert certificate is not None
            assert "hospital-a" in [seal.validator for seal in certificate.seals]
            assert four.board.punished == []

    async def test_without_it_the_node_observes_and_says_so(self, tmp_path: Path) -> None:
        async with cluster(tmp_path, next_keys={"hospital-a": (NEXT,)}) as four:
            await rotate(four, "hospital-a")
            await four.stop("hospital-a")
            four.next_keys.clear()
            running = four.start("hospital-a")
            height = await commit(four, "hospital-b", four.transaction())
            assert running.desk.status()["phase"] == "observing"
            certificate = running.node.parts.store.certificate(height)
            assert certificate is not None
            assert "hospital-a" not in [seal.validator for seal in certificate.seals]
            state = running.node.parts.store.state
            (finding,) = look(state, "hospital-a", [b"k" * 32], b"")
            assert "key that is not held here" in finding.sentence
            assert look(state, "hospital-b", [four.keys["hospital-b"].public], b"certificate") == []
            (finding,) = look(state, "hospital-b", [four.keys["hospital-b"].public], b"other")
            assert "another certificate" in finding.sentence
            await four.until(running.desk.ready)
            await four.stop("wholesaler")
            await four.until(lambda: not running.desk.ready())

    async def test_votes_of_heights_with_other_keys_are_nobodys_fault(self, tmp_path: Path) -> None:
        """A member who is a height behind, and one who is a height ahead, sign with the key of that
        height; only at this height it is known to be the wrong one."""
        async with cluster(tmp_path, next_keys={"hospital-a": (NEXT,)}) as four:
            height = await rotate(four, "hospital-a")
            engine = four.nodes["hospital-b"].node.engine
            old = four.keys["hospital-a"]

            def say(at: int) -> None:
                message = Prepare(at, 7, bytes(32))
                signature = old.sign(four.genesis.hash, DOMAINS[Prepare], MESSAGE.encode(message))
                packet = Packet(Signed("hospital-a", message, signature), None)
                engine.offer(PacketReceived("hospital-a", PACKET.encode(packet), packet))

            for at in (height, height + 2, height + 1):
                say(at)
            await four.until(lambda: four.board.punished != [])
            assert [reason for *_, reason in four.board.punished] == ["consensus.wrong_signature"]
            assert len(engine.evidence) == 0

    async def test_what_cannot_be_vouched_for_is_not_passed_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of a height to come, nobody knows the validators: whoever gets it would blame us."""
        async with cluster(tmp_path) as four:
            node = four.nodes["hospital-a"].node
            sent: list[bytes] = []
            monkeypatch.setattr(node, "send", lambda member, raw: sent.append(raw))
            node.engine._relay.connected("wholesaler")
            node.engine._relay.heard("wholesaler", ())
            told = []
            for at in (1, 2):
                message = Prepare(at, 0, bytes(32))
                signature = four.keys["hospital-b"].sign(
                    four.genesis.hash, DOMAINS[Prepare], MESSAGE.encode(message)
                )
                packet = Packet(Signed("hospital-b", message, signature), None)
                told.append(PACKET.encode(packet))
                node.engine.offer(PacketReceived("hospital-b", told[-1], packet))
            await four.until(lambda: told[0] in sent)
            await four.until(lambda: node.engine.waiting_inputs == 0)
            assert told[1] not in sent

    async def test_what_the_old_key_said_early_convicts_nobody(self, tmp_path: Path) -> None:
        async with cluster(tmp_path, next_keys={"hospital-a": (NEXT,)}) as four:
            engine = four.nodes["hospital-b"].node.engine
            heights = range(2, 6)
            for at in heights:
                message = Prepare(at, 0, bytes(32))
                signature = four.keys["hospital-a"].sign(
                    four.genesis.hash, DOMAINS[Prepare], MESSAGE.encode(message)
                )
                packet = Packet(Signed("hospital-a", message, signature), None)
                engine.offer(PacketReceived("wholesaler", PACKET.encode(packet), packet))
            await four.until(lambda: engine.waiting_inputs == 0)
            assert await rotate(four, "hospital-a") == 1
            for _ in heights:
                await commit(four, "hospital-b", four.transaction())
            assert [len(four.nodes[name].node.engine.evidence) for name in NAMES] == [0] * 4


async def test_only_validators_count_as_holders_of_an_attachment(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        replication = four.nodes["hospital-a"].node.replication
        for member in ("wholesaler", "hospital-b", "stranger"):
            replication.announced(member, AttachmentHave((bytes(32),)))
        seats = four.genesis.validators.members
        assert replication.holders(bytes(32), seats) == 2


async def test_the_peers_are_those_that_the_state_names_from_the_next_block_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cluster(tmp_path, next_keys={"hospital-a": (NEXT,)}) as four:
        node = four.nodes["hospital-b"].node
        told: list[dict[str, tuple[str, ...]]] = []
        monkeypatch.setattr(
            node.parts.mesh,
            "set_members",
            lambda peers: told.append({peer.member: peer.addresses for peer in peers}),
        )
        node.parts = replace(node.parts, addresses={"wholesaler": "10.0.0.7:9"})
        await commit(four, "hospital-b", four.transaction())
        assert told == []
        await rotate(four, "hospital-a")
        assert told == [
            {
                "hospital-a": ("127.0.0.1:1",),
                "manufacturer": ("127.0.0.1:1",),
                "wholesaler": ("10.0.0.7:9",),
            }
        ]
