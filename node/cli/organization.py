"""`medlock organization`: the members of the consortium, and their standing."""

from typing import Any

import click

from client.governance_api import Consortium, GovernanceApi
from ledger.entries import OrganizationEntry
from ledger.governance_actions import OrganizationReinstate, OrganizationSuspend
from node.cli.errand import Errand, Visit, member_command
from node.cli.output import print_document, table
from node.cli.proposal import propose


@click.group()
def organization() -> None:
    """Who the members are; have one suspended, or let back in."""


@organization.command("list")
@member_command
def list_command(errand: Errand) -> None:
    """The members: their roles, their nodes, who votes in consensus, who is suspended."""

    async def act(visit: Visit) -> list[dict[str, Any]]:
        found = await GovernanceApi(visit.api).consortium()
        return [_document(found, each) for each in found.members]

    found = errand.run(act)
    rows = [
        (
            each["id"],
            each["role"],
            "-" if each["node"] is None else each["node"]["addresses"][0],
            "votes" if each["validator"] else "follows" if each["node"] else "-",
            "suspended" if each["suspended"] else "-",
        )
        for each in found
    ]
    titles = ("organisation", "role", "node", "consensus", "standing")
    print_document({"organizations": found}, table(titles, rows))


@organization.command()
@click.argument("name", metavar="ORG")
@member_command
def suspend(errand: Errand, name: str) -> None:
    """Ask the members to suspend ORG, as an administrator of any of them."""
    propose(errand, OrganizationSuspend(name))


@organization.command()
@click.argument("name", metavar="ORG")
@member_command
def reinstate(errand: Errand, name: str) -> None:
    """Ask the members to lift ORG's suspension, as an administrator of any of them."""
    propose(errand, OrganizationReinstate(name))


def _document(consortium: Consortium, member: OrganizationEntry) -> dict[str, Any]:
    node = member.node
    return {
        "id": member.id,
        "name": member.name,
        "role": member.role,
        "node": None
        if node is None
        else {"consensus_key": node.consensus_key.hex(), "addresses": list(node.addresses)},
        "validator": member.id in consortium.validators,
        "suspended": member.id in consortium.suspended,
    }
