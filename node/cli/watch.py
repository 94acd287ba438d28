"""`medlock status`, `peers` and `why-stalled`: what a running node says of itself."""

import asyncio
from typing import Any

import click

from node.cli.output import json_option, lines, print_document, table
from node.cli.reach import Asked, reach_options, resolve


@click.command()
@reach_options
@json_option
def status(asked: Asked) -> None:
    """Height, roots, view, peers and mempool of a node."""
    document = _get(asked, "/v1/status")
    print_document(document, lines({name: _short(value) for name, value in document.items()}))


@click.command()
@reach_options
@json_option
def peers(asked: Asked) -> None:
    """Whom a node is connected with, and since when."""
    document = _get(asked, "/v1/peers")
    titles = (
        "member",
        "connected",
        "since",
        "heard",
        "round trip",
        "sent",
        "received",
        "last error",
    )
    rows = [
        (
            peer["member"],
            "cut" if peer["cut"] else _yes(value=peer["connected"]),
            _seconds(peer["connected_s"]),
            _seconds(peer["last_heard_s"]),
            "-" if peer["round_trip_ms"] is None else f"{peer['round_trip_ms']} ms",
            peer["bytes_out"],
            peer["bytes_in"],
            peer["last_error"] or "-",
        )
        for peer in document["peers"]
    ]
    print_document(document, table(titles, rows))


@click.command("why-stalled")
@reach_options
@json_option
def why_stalled(asked: Asked) -> None:
    """Why nothing commits: which votes are missing, and what happens next."""
    document = _get(asked, "/v1/why-stalled")
    print_document(document, "\n".join(document["explanation"]))


def _get(asked: Asked, path: str) -> dict[str, Any]:
    async def get() -> dict[str, Any]:
        async with resolve(asked).connect() as (api, _):
            return await api.get_document(path)

    return asyncio.run(get())


def _short(value: object) -> object:
    """Lists in one line; a person reads names, not brackets."""
    return ", ".join(map(str, value)) or "-" if isinstance(value, list) else value


def _yes(*, value: bool) -> str:
    return "yes" if value else "no"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
