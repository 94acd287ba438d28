"""`medlock proposal`: what the members are asked to decide, and their votes."""

import asyncio
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, get_args

import click

from chain.document import to_document
from chain.errors import InvalidMessage
from chain.readiness import SignedReadiness, check_readiness
from client.api import Listed
from client.errors import ClientError
from client.files import read_bounded
from client.governance_api import Counted, GovernanceApi, readiness_in
from ledger.fields import Side
from ledger.governance_actions import Subject
from ledger.governance_entries import ProposalEntry
from node.cli.arguments import EXISTING_FILE, identifier
from node.cli.blame import explain
from node.cli.errand import Errand, Visit, member_command
from node.cli.output import lines, print_document, say, table
from node.cli.words import moment
from node.errors import OperatorError

READINESS_BYTES_MAX: Final = 65_536
ASK_S_MAX: Final = 5.0
"""How long a node is asked for its readiness. One that is removed is often dead."""
_ID_BYTES: Final = 16


@click.group()
def proposal() -> None:
    """See what the members decide, and vote.

    `medlock organization` and `medlock validator` open proposals.
    """


@proposal.command("list")
@member_command
def list_command(errand: Errand) -> None:
    """What the members were asked to decide, decided and expired proposals too."""

    async def act(visit: Visit) -> list[dict[str, Any]]:
        return [_document(each) async for each in GovernanceApi(visit.api).proposals()]

    found = sorted(errand.run(act), key=lambda each: (each["opened_ms"], each["id"]))
    rows = [
        (
            each["id"],
            each["subject"]["type"],
            each["subject"]["organization"],
            each["organization"],
            each["status"],
            moment(each["expires_ms"]),
        )
        for each in found
    ]
    titles = ("proposal", "asks for", "about", "opened by", "status", "until")
    print_document({"proposals": found}, table(titles, rows, none="no proposals"))


@proposal.command()
@click.argument("proposal_id", metavar="PROPOSAL")
@member_command
def show(errand: Errand, proposal_id: str) -> None:
    """A proposal, its votes, and how many it needs."""
    wanted = identifier(proposal_id, _ID_BYTES, "PROPOSAL")

    async def act(visit: Visit) -> dict[str, Any]:
        return _counted(await GovernanceApi(visit.api).proposal(wanted))

    found = errand.run(act)
    head = {name: value for name, value in found.items() if name != "votes"}
    rows = [
        (each["organization"], each["side"], moment(each["voted_ms"])) for each in found["votes"]
    ]
    votes = table(("organisation", "vote", "at"), rows, none="nobody has voted")
    print_document(found, f"{lines(head)}\n\n{votes}")


@proposal.command()
@click.argument("proposal_id", metavar="PROPOSAL")
@click.argument("side", type=click.Choice(get_args(Side)))
@click.option(
    "--readiness",
    "files",
    type=EXISTING_FILE,
    multiple=True,
    help="A file with what a node answers to GET /v1/readiness; may be repeated.",
)
@click.option(
    "--ask",
    "nodes",
    metavar="URL",
    multiple=True,
    help="A node that is asked for its readiness; may be repeated. Without this and --readiness, "
    "all nodes of the test network, or the node that is voted through.",
)
@member_command
def vote(
    errand: Errand, proposal_id: str, side: Side, files: tuple[Path, ...], nodes: tuple[str, ...]
) -> None:
    """Vote for or against, as an administrator; that is final.

    Where the proposal changes the validators, the vote that decides shows that those who have to be
    ready are: the candidate, or a quorum of the validators that remain. Their nodes say so.
    """
    wanted = identifier(proposal_id, _ID_BYTES, "PROPOSAL")
    given = [each for path in files for each in _read_readiness(path)]

    async def act(visit: Visit) -> dict[str, Any]:
        governance = GovernanceApi(visit.api)
        subject = (await governance.proposal(wanted)).entry.subject
        asked = (await governance.consortium()).asked(subject)
        shown = _fitting(visit, asked, [*given, *await _gathered(visit, asked, nodes, files)])
        builder = visit.builder()
        builder.vote(wanted, side, shown)
        ready = [each.readiness.member for each in shown]
        made = await visit.enact(builder, {"proposal": proposal_id, "side": side, "ready": ready})
        return {**made, "status": (await governance.proposal(wanted)).entry.status}

    made = errand.run(act)
    print_document(
        made, f"voted {side} at height {made['height']}; the proposal is {made['status']}"
    )


def propose(errand: Errand, subject: Subject) -> None:
    """Opens a proposal and prints its id."""

    async def act(visit: Visit) -> dict[str, Any]:
        await visit.organization(subject.organization)
        builder = visit.builder()
        opened = builder.open_proposal(subject)
        return await visit.enact(
            builder, {"proposal": opened.hex(), "subject": to_document(subject)}
        )

    made = errand.run(act)
    print_document(
        made,
        f"proposal {made['proposal']}\nopened at height {made['height']}, which is no vote yet: "
        "medlock proposal vote",
    )


async def _gathered(
    visit: Visit, asked: Mapping[str, bytes], nodes: Sequence[str], files: Sequence[Path]
) -> list[SignedReadiness]:
    """What nodes say of themselves. Who does not answer, or is not ready, is named and left out:
    whether the others are enough, the ledger knows."""
    if not asked:
        return []
    if not nodes and not files:
        network = visit.reach.testnet
        known = network.nodes if network is not None else ()
        nodes = [each.api for each in known if each.org in asked] or [visit.reach.base]
    answers = await asyncio.gather(*(_shown_by(visit, base) for base in nodes))
    return [each for answer in answers for each in answer]


async def _shown_by(visit: Visit, base: str) -> tuple[SignedReadiness, ...]:
    reach = visit.reach
    tls, timeout_s = (reach.tls if base == reach.base else None), min(reach.timeout_s, ASK_S_MAX)
    there = dataclasses.replace(reach, base=base, tls=tls, timeout_s=timeout_s)
    try:
        async with there.connect() as (api, _):
            return await GovernanceApi(api).readiness()
    except ClientError as error:
        say(f"{base} shows no readiness: {explain(error).cause}")
        return ()


def _fitting(
    visit: Visit, asked: Mapping[str, bytes], found: Sequence[SignedReadiness]
) -> tuple[SignedReadiness, ...]:
    """The latest word of each member that is asked, under the key that is asked for."""
    latest: dict[str, SignedReadiness] = {}
    for signed in found:
        said = signed.readiness
        if asked.get(said.member) != said.consensus_key:
            continue
        try:
            check_readiness(signed, visit.network.genesis_hash)
        except InvalidMessage:
            say(f"what is shown of {said.member} is not signed with its key, and is left out")
            continue
        if said.member not in latest or latest[said.member].readiness.at_ms < said.at_ms:
            latest[said.member] = signed
    for member, signed in sorted(latest.items()):
        say(f"{member} holds the chain up to height {signed.readiness.height}")
    return tuple(signed for _, signed in sorted(latest.items()))


def _read_readiness(path: Path) -> tuple[SignedReadiness, ...]:
    raw = read_bounded(path, READINESS_BYTES_MAX)
    try:
        return readiness_in(json.loads(raw[:READINESS_BYTES_MAX]))
    except ClientError as refusal:
        raise OperatorError("E018", f"{path}: {refusal.cause}") from None
    except (ValueError, RecursionError):
        raise OperatorError("E018", f"{path} is not JSON") from None


def _document(each: Listed[ProposalEntry]) -> dict[str, Any]:
    return {"id": each.id.hex(), **to_document(each.entry)}


def _counted(found: Counted) -> dict[str, Any]:
    return {
        **_document(Listed(found.id, found.entry)),
        "voters": found.voters,
        "needed": found.needed,
        "votes": [to_document(each) for each in found.votes],
    }
