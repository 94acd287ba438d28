"""`medlock simulate`: whole networks in virtual time, thousands of them, for people and for CI."""

import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from node.cli.output import Bar, json_option, print_document, print_error, say, wants_json
from node.errors import DEBUG_VARIABLE, OperatorError

if TYPE_CHECKING:
    from node.simulator.report import Report

HARNESS: Final = 4
SAY_EVERY_S: Final = 10.0
_FILE: Final = click.Path(path_type=Path)


class _Simulate(click.Command):
    """Its exit codes are its own: a usage error must not look like an unreached goal, nor a failure
    of the simulator like a broken promise."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Ends with 4 for a command line that cannot be read."""
        given = list(args)
        try:
            return super().parse_args(ctx, _with_report(args))
        except click.UsageError as refusal:
            told = OperatorError("E080", refusal.format_message(), fix="medlock simulate --help")
            print_error(told, as_json="--json" in given)
            ctx.exit(HARNESS)

    def invoke(self, ctx: click.Context) -> Any:
        """Ends with 4, too, where the command itself fails: 1 says that a promise was broken."""
        try:
            if not __debug__:
                raise OperatorError("E015")  # noqa: TRY301 - told like the others
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except OperatorError as refusal:
            told = refusal
        except Exception as error:
            if os.environ.get(DEBUG_VARIABLE):
                raise
            cause = f"the simulator failed: unexpected {type(error).__name__}"
            told = OperatorError("E080", cause, fix=f"{DEBUG_VARIABLE}=1 shows where; report it")
        print_error(told, as_json=wants_json())
        return HARNESS


def _with_report(arguments: Sequence[str]) -> list[str]:
    """`--json F` is `--json` for a file: `--report F`. Scenarios, and the reports to `--merge`, are
    FILES and no F."""
    words = list(arguments)
    if "--merge" in words:
        return words
    for at, word in enumerate(words):
        follower = words[at + 1] if at + 1 < len(words) else "-"
        if word.startswith("--json="):
            words[at] = word.replace("--json", "--report", 1)
        elif word == "--json" and not follower.startswith("-") and not follower.endswith(".toml"):
            words[at] = "--report"
    return words


@click.command(cls=_Simulate)
@click.argument("files", nargs=-1, type=_FILE)
@click.option("--seeds", help="How many (N: 1..N), or which (A..B,C..D).  [default: 100]")
@click.option("--jobs", type=click.IntRange(1, 256), default=2, show_default=True)
@click.option("--junit", type=_FILE, help="Write a JUnit report.")
@click.option("--report", type=_FILE, help="Write the JSON report to a file; so does --json F.")
@click.option("--repro", type=click.IntRange(0), metavar="SEED", help="One seed, run twice.")
@click.option("--trace", type=_FILE, help="Write its events: as a page (F.html), or JSON lines.")
@click.option("--shrink", type=click.IntRange(0), metavar="SEED", help="Look for a smaller case.")
@click.option("-o", "--output", type=_FILE, help="Where --shrink writes the scenario.")
@click.option(
    "--within",
    type=click.IntRange(1),
    default=300,
    show_default=True,
    help="Seconds for --shrink.",
)
@click.option("--merge", is_flag=True, help="Add up FILES, reports of several ranges of seeds.")
@click.option("--table", is_flag=True, help="Print the figures as a Markdown table.")
@click.option("--real-signatures", is_flag=True, help="Ed25519 instead of keyed hashes.")
@json_option
def simulate(  # noqa: PLR0913 - one parameter an option
    *,
    files: tuple[Path, ...],
    seeds: str | None,
    jobs: int,
    junit: Path | None,
    report: Path | None,
    repro: int | None,
    trace: Path | None,
    shrink: int | None,
    output: Path | None,
    within: int,
    merge: bool,
    table: bool,
    real_signatures: bool,
) -> int:
    """Run networks that fail, in virtual time, and check every promise.

    With scenario FILES (TOML): those stories, each under its own seed or under --seeds. Without: a
    swarm of random ones.
    Exit: 0 all held, 1 a promise was broken, 2 a goal was never reached, 3 one seed gave two
    traces, 4 the simulator itself or its input is at fault, 130 interrupted.
    """
    from node.simulator import command  # noqa: PLC0415 - help must be instant

    silenced = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        if merge:
            finished = command.merge(files)
        elif shrink is not None:
            smaller = command.shrink(files, shrink, output, within_s=within, say=say)
            print_document(smaller.document, smaller.text)
            return int(smaller.ending)
        else:
            chosen = command.seeds_in(seeds) if seeds is not None else None
            runs = command.runs_of(files, [repro] if repro is not None else chosen)
            if repro is not None or trace is not None:
                finished = command.reproduce(runs, trace, real_signatures=real_signatures)
            else:
                with Bar("seeds", len(runs)) as bar:
                    finished = command.run(
                        runs,
                        jobs=jobs,
                        real_signatures=real_signatures,
                        progress=_progress(bar, len(runs)),
                    )
        for path, text in ((junit, finished.junit), (report, _text_of(finished.document))):
            command.write(path, text)
    except command.InputFault as fault:
        raise OperatorError("E080", str(fault)) from None
    finally:
        logging.disable(silenced)
    print_document(finished.document, finished.table if table else finished.text)
    return int(finished.ending)


def _text_of(document: object) -> str:
    return json.dumps(document, indent=1)


def _progress(bar: Bar, total: int) -> "Callable[[Report], None]":
    """A bar on a terminal, now and then a line elsewhere."""
    told_s = 0.0

    def tell(report: "Report") -> None:
        nonlocal told_s
        rate = report.seeds / max(report.wall_s, 0.001)
        failures = f", {len(report.failures)} failed" if report.failures else ""
        bar.to(report.seeds, f"{report.seeds:,} of {total:,}, {rate:.1f} a second{failures}")
        if report.wall_s - told_s >= SAY_EVERY_S and not sys.stderr.isatty():
            told_s = report.wall_s
            say(f"{report.seeds:,} of {total:,} seeds, {rate:.1f} a second{failures}")

    return tell
