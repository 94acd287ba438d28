"""`medlock bench`: measures a network of its own, and prints each figure beside its aim."""

import asyncio

import click

from node.cli.output import json_option, print_document, say, table


@click.command()
@click.option(
    "--scale",
    type=click.FloatRange(0.01, 100),
    default=1.0,
    show_default=True,
    help="Size of loads.",
)
@click.option(
    "--grow-to",
    type=click.IntRange(20_000),
    help="Also measure on a chain of that many transactions; 1,000,000 take ten minutes.",
)
@click.option(
    "--items-to",
    type=click.IntRange(20_000),
    help="Also measure with that many items on the chain; 1,000,000 take some minutes.",
)
@json_option
def bench(*, scale: float, grow_to: int | None, items_to: int | None) -> None:
    """Measure a fresh network of four nodes on this machine."""
    from node.bench.main import measure  # noqa: PLC0415 - help must be instant

    report = asyncio.run(measure(scale, grow_to, items_to, say))
    rows = [
        (
            each["name"],
            f"{each['value']:,.1f} {each['unit']}",
            "" if each["aim"] is None else f"{'≤' if each['at_most'] else '≥'} {each['aim']:,.1f}",
            {True: "met", False: "missed", None: ""}[each["met"]],
        )
        for each in report["figures"]
    ]
    print_document(report, table(("figure", "measured", "aim", ""), rows))
