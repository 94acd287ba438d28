"""What the members decide, command by command, against a node of one validator."""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from node_command import Terminal

from chain.block import OK
from chain.document import to_document
from chain.genesis import NodeEntry
from chain.keys import SigningKey
from chain.readiness import Readiness, SignedReadiness, sign_readiness
from client.api import connect
from client.builder import TransactionBuilder
from ledger.governance_actions import NodeAnnounce
from node.cli.putting import VALIDITY_MS, now_ms
from tests.node.member_world import Members, Town, save_wallets, served, settings

B_KEY = SigningKey(b"b" * 32)
OTHER_KEY = SigningKey(b"o" * 32)
NO_NODE = "http://192.0.2.1:1"
"""Where no token is sent: it would travel readable. So nothing is waited for."""


@dataclass
class House(Members):
    """Three members, of whom hospital A's node alone votes; administrators type commands."""

    town: Town
    address: str

    def proposed(self, *arguments: object, by: str = "regulator") -> str:
        document = self.ok(*arguments, "--as", f"{by}-administrator")
        assert document["height"]
        return str(document["proposal"])

    def vote(self, proposal: str, by: str, *options: object, side: str = "for") -> Any:
        return self.ok("proposal", "vote", proposal, side, *options, "--as", f"{by}-administrator")

    def refused_vote(self, proposal: str, by: str, *options: object) -> str:
        said = self.refused(
            *("proposal", "vote", proposal, "for", *options, "--as", f"{by}-administrator")
        )
        return str(said["cause"])

    def organizations(self) -> dict[str, Any]:
        listed = self.ok("organization", "list", "--as", "hospital-b")["organizations"]
        return {each["id"]: each for each in listed}

    def announce(self) -> None:
        """Hospital B names its node, as the command of its operator does."""
        node = NodeEntry(B_KEY.public, b"certificate of b", ("127.0.0.1:2",))
        wallet = self.town.wallets["hospital-b-administrator"]
        builder = TransactionBuilder(self.town.network, wallet, os.urandom)
        builder.add(NodeAnnounce(node, self.readiness()))
        built = builder.sign(now_ms() + VALIDITY_MS)

        async def submit() -> None:
            async with connect(self.address, (wallet.principal, wallet.signing_key)) as api:
                assert (await api.submit(built.raw)).result == OK

        asyncio.run(submit())

    def readiness(self, key: SigningKey = B_KEY, *, late_ms: int = 0) -> SignedReadiness:
        stored = self.ward.store.tip()
        assert stored is not None
        said = Readiness("hospital-b", key.public, stored.header.height, now_ms() + late_ms)
        return sign_readiness(said, key, self.town.genesis.hash)

    def shown(self, *readiness: SignedReadiness) -> Path:
        """A file with what a node answers."""
        return self.file("readiness.json", json.dumps(answer(*readiness)))


def answer(*readiness: SignedReadiness) -> dict[str, Any]:
    return {"readiness": [to_document(each) for each in readiness]}


@contextmanager
def saying(document: dict[str, Any]) -> Iterator[str]:
    """The address of a node that signs everybody in, and shows this of itself."""

    async def respond(request: web.Request) -> web.Response:
        if request.path == "/auth/token":
            return web.json_response(
                {"access_token": "t", "token_type": "bearer", "scope": "", "expires_in": 300}
            )
        assert request.path == "/v1/readiness"
        assert request.headers["Authorization"] == "Bearer t"
        return web.json_response(document)

    loop, started, ports = asyncio.new_event_loop(), threading.Event(), []
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", respond)
    server = TestServer(app, skip_url_asserts=True)

    def run() -> None:
        loop.run_until_complete(server.start_server())
        ports.append(server.port)
        started.set()
        loop.run_forever()
        loop.run_until_complete(server.close())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(10), "the node does not start"
    try:
        yield f"http://127.0.0.1:{ports[0]}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


@pytest.fixture
def house(
    town: Town,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Iterator[House]:
    save_wallets(tmp_path, town)
    with served(town, tmp_path) as (ward, address), settings(tmp_path, address):
        yield House(Terminal(capsys), tmp_path, ward, town, address)


def test_members_suspend_one_of_theirs_and_let_it_back_in(house: House) -> None:
    assert house.says("proposal", "list", "--as", "hospital-b") == "no proposals\n"
    out = house.proposed("organization", "suspend", "hospital-b")
    assert house.vote(out, "regulator")["status"] == "open"
    (listed,) = house.ok("proposal", "list", "--as", "hospital-b")["proposals"]
    assert (listed["id"], listed["status"], listed["organization"]) == (out, "open", "regulator")
    assert listed["subject"] == {"type": "organization.suspend", "organization": "hospital-b"}
    assert house.vote(out, "hospital-a")["status"] == "enacted"
    shown = house.ok("proposal", "show", out, "--as", "hospital-a")
    assert (shown["voters"], shown["needed"], len(shown["votes"])) == (2, 2, 2)
    said = house.says("proposal", "show", out, "--as", "hospital-a").split("\n\n")[1].splitlines()
    assert {tuple(line.split()[:2]) for line in said[1:]} == {
        ("hospital-a", "for"),
        ("regulator", "for"),
    }
    listing = house.says("organization", "list", "--as", "hospital-b")
    (line,) = [line for line in listing.splitlines() if line.startswith("hospital-b")]
    assert line.endswith("suspended")
    back = house.proposed("organization", "reinstate", "hospital-b", by="hospital-a")
    house.vote(back, "regulator")
    assert house.vote(back, "hospital-a", side="for")["ready"] == []
    assert not house.organizations()["hospital-b"]["suspended"]


def test_a_vote_against_ends_what_needs_all(house: House) -> None:
    out = house.proposed("organization", "suspend", "hospital-b")
    assert house.vote(out, "hospital-a", side="against")["status"] == "declined"
    assert house.refused_vote(out, "regulator") == "rejected: proposal.ended at actions[0].proposal"


def test_a_validator_is_admitted_with_readiness_from_a_file(house: House) -> None:
    house.announce()
    before = house.organizations()["hospital-b"]
    assert before["node"] == {"consensus_key": B_KEY.public.hex(), "addresses": ["127.0.0.1:2"]}
    assert not before["validator"]
    opened = house.proposed("validator", "admit", "hospital-b")
    assert house.vote(opened, "regulator", "--ask", NO_NODE)["ready"] == []
    unready = house.refused_vote(opened, "hospital-a", "--ask", NO_NODE)
    assert unready == "rejected: validator.not_ready at actions[0].readiness"
    # Of two keys that a node holds, the one that is asked for is shown; the latest word of it.
    files = house.shown(
        house.readiness(OTHER_KEY), house.readiness(late_ms=-700_000), house.readiness()
    )
    done = house.vote(opened, "hospital-a", "--readiness", files)
    assert (done["ready"], done["status"]) == (["hospital-b"], "enacted")
    assert house.organizations()["hospital-b"]["validator"]
    listing = house.says("organization", "list", "--as", "hospital-b")
    assert [line.split()[3] for line in listing.splitlines()[1:]] == ["votes", "votes", "-"]


def test_nodes_are_asked_and_those_that_do_not_answer_are_named(house: House) -> None:
    house.announce()
    opened = house.proposed("validator", "admit", "hospital-b")
    house.vote(opened, "regulator", "--ask", NO_NODE)
    with saying(answer(house.readiness())) as node:
        voted = house.run(
            *("proposal", "vote", opened, "for", "--ask", NO_NODE, "--ask", node),
            *("--as", "hospital-a-administrator"),
        )
    assert voted.code == 0, voted.err
    assert voted.out.endswith("the proposal is enacted\n")
    first, second = voted.err.splitlines()
    assert first.startswith(f"{NO_NODE} shows no readiness: ")
    assert second.startswith("hospital-b holds the chain up to height ")


def test_a_forged_word_and_a_nonsensical_answer_are_left_out(house: House) -> None:
    house.announce()
    opened = house.proposed("validator", "admit", "hospital-b")
    true = house.readiness()
    forged = SignedReadiness(replace_height(true.readiness), true.signature)
    voted = house.run(
        *("proposal", "vote", opened, "for", "--readiness", house.shown(forged)),
        *("--as", "regulator-administrator"),
    )
    assert voted.code == 0, voted.err
    assert "hospital-b is not signed with its key" in voted.err
    with saying({"readiness": "soon"}) as node:
        cause = house.refused_vote(opened, "hospital-a", "--ask", node)
    assert cause == "rejected: validator.not_ready at actions[0].readiness"


def replace_height(readiness: Readiness) -> Readiness:
    return Readiness(readiness.member, readiness.consensus_key, 9_999, readiness.at_ms)


def test_a_validator_is_removed(house: House) -> None:
    house.announce()
    admitted = house.proposed("validator", "admit", "hospital-b")
    for voter in ("regulator", "hospital-a"):
        house.vote(admitted, voter, "--readiness", house.shown(house.readiness()))
    gone = house.proposed("validator", "remove", "hospital-a", by="hospital-b")
    house.vote(gone, "regulator", "--ask", NO_NODE)
    unready = house.refused_vote(gone, "hospital-b", "--ask", NO_NODE)
    assert unready == "rejected: validator.not_ready at actions[0].readiness"
    forced = house.proposed("validator", "remove", "hospital-b", "--forced", by="hospital-a")
    assert house.ok("proposal", "show", forced, "--as", "regulator")["subject"] == {
        "type": "validator.remove",
        "organization": "hospital-b",
        "forced": True,
    }
    house.vote(forced, "regulator", "--ask", NO_NODE)
    assert house.vote(forced, "hospital-a", "--ask", NO_NODE)["status"] == "enacted"
    assert not house.organizations()["hospital-b"]["validator"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"readiness": [{}]}', "[" * 99_999])
def test_a_file_that_shows_no_readiness_is_refused(house: House, text: str) -> None:
    house.announce()
    opened = house.proposed("validator", "admit", "hospital-b")
    said = house.refused(
        *("proposal", "vote", opened, "for", "--readiness", house.file("wrong.json", text)),
        *("--as", "regulator-administrator"),
    )
    assert said["code"] == "E018"


def test_what_is_mistyped_is_a_usage_error(house: House) -> None:
    for arguments in (
        ("validator", "admit", "hospital-c"),
        ("organization", "suspend", "nobody"),
        ("proposal", "vote", "12", "for"),
        ("proposal", "vote", "0" * 32, "perhaps"),
        ("proposal", "show", "xyz"),
    ):
        said = house.refused(*arguments, "--as", "regulator-administrator")
        assert (said["code"], said["exit_code"]) == ("E070", 2)
    unknown = house.refused("proposal", "vote", "0" * 32, "for", "--as", "regulator-administrator")
    assert unknown["code"] == "E034"
    by_doctor = house.refused("validator", "admit", "hospital-b", "--as", "hospital-b-doctor")
    assert by_doctor["cause"].startswith("rejected: proposal.not_administrator")
