"""`medlock gateway`: what an operator does with a node's gateway."""

import asyncio
from typing import Any

import click

from node.cli.output import json_option, lines, print_document
from node.cli.reach import Asked, reach_options, resolve


@click.group()
def gateway() -> None:
    """The gateway of a running node: FHIR and EPCIS."""


@gateway.command()
@reach_options
@json_option
def reindex(asked: Asked) -> None:
    """Make the indexes anew from the chain: what the organisation wrote, organisations' own
    records, and events of EPCIS. What others wrote about patients is opened again, and that logged,
    when somebody asks for it."""

    async def ask() -> dict[str, Any]:
        async with resolve(asked).connect() as (api, _):
            return await api.ask("/v1/gateway/reindex")

    document = asyncio.run(ask())
    print_document(document, lines(document))
