"""`medlock` itself: finds the command, and turns every failure into a code, a cause and a fix.

Modules of commands are imported when their command runs, so that help and usage errors are instant.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Final, NamedTuple, NoReturn

import click

from node.cli.output import forget, print_error
from node.errors import DEBUG_VARIABLE, ERRORS, Exit, OperatorError


class Place(NamedTuple):
    """Where a command is defined, and its line in the help."""

    module: str
    attribute: str
    says: str


OPERATOR: Final = {
    "init": Place("operator", "init", "Make a node's directory, its keys and its member card."),
    "genesis": Place("genesis", "genesis", "Make the file that a network starts from."),
    "run": Place("operator", "run", "Run a node until it is asked to stop."),
    "stop": Place("operator", "stop", "Ask the node of a directory to stop, and wait for it."),
    "status": Place("watch", "status", "Height, roots, view, peers and mempool of a node."),
    "peers": Place("watch", "peers", "Whom a node is connected with, and since when."),
    "why-stalled": Place("watch", "why_stalled", "Why nothing commits: which votes are missing."),
    "gateway": Place("gateway", "gateway", "Make the index of a node's FHIR gateway anew."),
    "config": Place("configuration", "config", "Show or check a node's configuration."),
    "node": Place("node", "node", "Announce a node to the consortium, and rotate its key."),
    "votes": Place("votes", "votes", "Decide about a node's lost vote record."),
    "inspect": Place("inspect", "inspect", "Look into the store of a stopped node, read-only."),
}
DEVELOPER: Final = {
    "testnet": Place("testnet", "testnet", "A network of real processes on this machine."),
    "simulate": Place(
        "simulate", "simulate", "Networks that fail, by the thousand, in one thread."
    ),
    "bench": Place("bench", "bench", "Measure a fresh network on this machine."),
}
MEMBER: Final = {
    "wallet": Place("wallet", "wallet", "Make and show wallets."),
    "record": Place("record", "record", "Put sealed health records on the chain, and read them."),
    "consent": Place("consent", "consent", "Permit and deny, see what is in force, and ask why."),
    "access": Place("access", "access", "Ask for access, decide, see who looked, doubt it."),
    "emergency": Place("emergency", "emergency", "Break the glass, end it, review it."),
    "careplan": Place("careplan", "careplan", "Propose care, and answer."),
    "erasure": Place("erasure", "erasure", "Have records deleted everywhere, and see who did."),
    "hold": Place("hold", "hold", "Forbid to erase, for as long as the law asks."),
    "proxy": Place("proxy", "proxy", "Let somebody act for a patient."),
    "principal": Place("principal", "principal", "Enrol people, devices and services."),
    "organization": Place(
        "organization", "organization", "Who the members are; have one suspended, or let back in."
    ),
    "validator": Place(
        "validator", "validator", "Have a member admitted to consensus, or removed."
    ),
    "proposal": Place("proposal", "proposal", "See what the members decide, and vote."),
    "supply": Place("supply", "supply", "Capture, find, trace, verify and recall goods."),
    "receipt": Place("receipt", "receipt", "Fetch receipts, and verify them without a network."),
    "chain": Place("chain", "chain", "Export the chain, and verify an export."),
}
SECTIONS: Final = {"Operator": OPERATOR, "Developer": DEVELOPER, "Member": MEMBER}
PLACES: Final = OPERATOR | DEVELOPER | MEMBER


class Commands(click.Group):
    """A group that imports a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All names, in the order of the help."""
        return list(PLACES)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        """Imports the command."""
        place = PLACES.get(cmd_name)
        if place is None:
            return None
        module = importlib.import_module(f"node.cli.{place.module}")
        command: click.Command = getattr(module, place.attribute)
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """The help's lists, without importing anything."""
        for title, places in SECTIONS.items():
            with formatter.section(f"{title} commands"):
                formatter.write_dl([(name, place.says) for name, place in places.items()])


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's
    if wanted:
        click.echo(f"medlock {metadata.version('medlock')}")
        ctx.exit()


@click.command(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Print it.",
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Medlock: a consortium ledger for healthcare.

    Data goes to stdout, progress to stderr; every command takes --json. Exit: 0 ok, 1 a check
    failed, 2 usage, 3 configuration, 4 unreachable, 5 denied, 6 no quorum or time-out, 7 integrity
    failure, 130 interrupted.
    """
    if not __debug__ and ctx.invoked_subcommand != "simulate":  # that one has its own exit code
        raise OperatorError("E015")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The entry point of the installed command. Ends with `SystemExit`."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    as_json = "--json" in arguments
    try:
        outcome = cli.main(list(arguments), prog_name="medlock", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as shown:
        click.echo(shown.format_message(), err=True)
        sys.exit(Exit.USAGE)
    except click.UsageError as refusal:
        sys.exit(print_error(_usage(refusal), as_json=as_json))
    except (click.Abort, KeyboardInterrupt):
        sys.exit(Exit.INTERRUPTED)
    except click.ClickException as refusal:
        sys.exit(print_error(OperatorError("E070", refusal.format_message()), as_json=as_json))
    except OperatorError as error:
        sys.exit(print_error(_with_command(error, arguments), as_json=as_json))
    except BrokenPipeError:
        forget(sys.stdout)
        sys.exit(Exit.OK)
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE):
            raise
        sys.exit(print_error(_explained(error), as_json=as_json))
    sys.exit(outcome if isinstance(outcome, int) else Exit.OK)


def _usage(refusal: click.UsageError) -> OperatorError:
    path = refusal.ctx.command_path if refusal.ctx else "medlock"
    return OperatorError("E070", refusal.format_message(), fix=f"{path} --help")


def _with_command(error: OperatorError, arguments: Sequence[str]) -> OperatorError:
    """Names the command in the hint to its help."""
    if error.fix == ERRORS["E070"].fix:
        command: click.Command = cli
        words = ["medlock"]
        for word in arguments:
            context = click.Context(command)
            found = command.get_command(context, word) if isinstance(command, click.Group) else None
            if found is None:
                break
            command, words = found, [*words, word]
        error.fix = f"{' '.join(words)} --help"
    return error


def _explained(error: Exception) -> OperatorError:
    from node.cli.blame import explain  # noqa: PLC0415 - imports the rooms

    explained: OperatorError = explain(error)
    return explained
