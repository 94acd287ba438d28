"""`medlock simulate`: whole networks in virtual time, thousands of them, for people and for CI."""

import json
import logging
from pathlib import Path
from typing import Final

import click

from node.cli.output import json_option, print_document, print_error, say, wants_json
from node.errors import OperatorError

HARNESS: Final = 4


class _Simulate(click.Command):
    """Its exit codes are its own: a usage error must not look like an unreached goal."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Ends with 4 for a command line that cannot be read."""
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as refusal:
            told = OperatorError("E070", refusal.format_message(), fix="medlock simulate --help")
            print_error(told, as_json="--json" in given)
            ctx.exit(HARNESS)


@click.command(cls=_Simulate)
@click.argument("scenario", required=False, type=click.Path(path_type=Path))
@click.option("--seeds", help="How many (N: 1..N), or which (A..B).  [default: 100]")
@click.option("--jobs", type=click.IntRange(1, 256), default=2, show_default=True)
@click.option("--junit", type=click.Path(path_type=Path), help="Write a JUnit report.")
@click.option("--report", type=click.Path(path_type=Path), help="Write the JSON report to a file.")
@click.option("--repro", type=int, metavar="SEED", help="One seed, told in full, run twice.")
@click.option("--trace", type=click.Path(path_type=Path), help="Write its events as JSON lines.")
@click.option("--real-signatures", is_flag=True, help="Ed25519 instead of keyed hashes.")
@json_option
def simulate(  # noqa: PLR0913 - one parameter an option
    *,
    scenario: Path | None,
    seeds: str | None,
    jobs: int,
    junit: Path | None,
    report: Path | None,
    repro: int | None,
    trace: Path | None,
    real_signatures: bool,
) -> int:
    """Run networks that fail, in virtual time, and check every promise.

    With a SCENARIO file: that story, under one seed or several. Without: a swarm of random ones.
    Exit: 0 all held, 1 a promise was broken, 2 a goal was never reached, 3 one seed gave two
    traces, 4 the simulator itself or its input is at fault.
    """
    from node.simulator import command  # noqa: PLC0415 - help must be instant

    logging.disable(logging.CRITICAL)
    try:
        first, last = (1, 1 if scenario else 100) if seeds is None else command.seeds_in(seeds)
        if scenario is not None:
            finished = command.run_scenario(scenario, first, last, repro, trace)
        elif repro is not None or trace is not None:
            finished = command.reproduce(
                repro if repro is not None else first, trace, real_signatures=real_signatures
            )
        else:
            finished = command.run_swarm(
                first, last, jobs=jobs, real_signatures=real_signatures, say=say
            )
    except command.InputFault as fault:
        told = OperatorError("E070", str(fault), fix="docs/simulator.md explains scenario files")
        print_error(told, as_json=wants_json())
        return HARNESS
    if junit is not None:
        junit.write_text(finished.junit, encoding="utf-8")
    if report is not None:
        report.write_text(json.dumps(finished.document, indent=1), encoding="utf-8")
    print_document(finished.document, finished.text)
    return int(finished.ending)
