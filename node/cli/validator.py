"""`medlock validator`: who votes in consensus, which the members decide."""

import click

from ledger.governance_actions import ValidatorAdmit, ValidatorRemove
from node.cli.errand import Errand, member_command
from node.cli.proposal import propose


@click.group()
def validator() -> None:
    """Have a member's node admitted to consensus, or removed from it.

    `medlock organization list` shows who votes.
    """


@validator.command()
@click.argument("name", metavar="ORG")
@member_command
def admit(errand: Errand, name: str) -> None:
    """Ask the members to admit ORG's node, as an administrator of any of them.

    ORG has announced its node. Whoever votes shows that the node has caught up.
    """
    propose(errand, ValidatorAdmit(name))


@validator.command()
@click.argument("name", metavar="ORG")
@click.option(
    "--forced",
    is_flag=True,
    help="Also where the validators that remain do not show that they are ready.",
)
@member_command
def remove(errand: Errand, name: str, *, forced: bool) -> None:
    """Ask the members to remove ORG's node, as an administrator of any of them.

    ORG stays a member, and its node follows.
    """
    propose(errand, ValidatorRemove(name, forced))
