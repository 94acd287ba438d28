"""`medlock chain`: the whole chain as a file, and its check without a network."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

import click

from chain.block import Block
from chain.document import from_document
from chain.transaction import SIGNED
from client.transport import Call, Transport
from node.api.documents import BlockDocument
from node.chain_file import CHECKED, ChainEntry, ChainWriter, verify_chain
from node.cli.arguments import proof_file, trusted_block
from node.cli.output import Bar, json_option, print_document
from node.cli.reach import Asked, reach_options, resolve
from node.directory import read_genesis
from node.errors import OperatorError

FETCHES_MAX: Final = 8
"""Blocks asked for at once."""


@click.group()
def chain() -> None:
    """Export the chain, and verify an export."""


@chain.command()
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True)
@reach_options
@json_option
def export(asked: Asked, output: Path) -> None:
    """Write every block with its certificate to a file."""
    unfinished = output.with_name(f"{output.name}.part")
    reach = resolve(asked)

    async def fetch(file: BinaryIO) -> int:
        async with reach.connect() as (api, transport):
            status = await api.get_document("/v1/status")
            height = int(status["height"])
            writer = ChainWriter(file, status["chain_id"], bytes.fromhex(status["genesis_hash"]))
            with Bar("Exporting blocks", height) as bar:
                await _export(transport, writer, height, bar.to)
            return height

    with unfinished.open("wb") as file:
        height = asyncio.run(fetch(file))
    unfinished.replace(output)
    print_document(
        {"file": str(output), "height": height, "bytes": output.stat().st_size},
        f"{height} blocks in {output}",
    )


@chain.command()
@proof_file
@json_option
def verify(file: Path, genesis: Path, trusted: str | None) -> None:
    """Check a file against the genesis file, without a network; exit 7 where it does not hold."""
    known = trusted_block(trusted)
    with file.open("rb") as stream, Bar("Verifying", file.stat().st_size) as bar:
        found = verify_chain(stream, read_genesis(genesis), bar.to, known)
    document = {
        "valid": True,
        "height": found.height,
        "block_hash": found.block_hash.hex(),
        "state_root": found.state_root.hex(),
        "transactions": found.transactions,
        "rejected": found.rejected,
        "checked": list(CHECKED),
    }
    checked = "\n".join(f"  checked {each}" for each in CHECKED)
    text = (
        f"VALID height {found.height}, {found.transactions} transactions"
        f" ({found.rejected} rejected)\n{checked}"
    )
    print_document(document, text)


async def _export(
    transport: Transport, writer: ChainWriter, height: int, progress: Callable[[int], None]
) -> None:
    for first in range(1, height + 1, FETCHES_MAX):
        wanted = range(first, min(first + FETCHES_MAX, height + 1))
        entries = await asyncio.gather(*(_fetch(transport, each) for each in wanted))
        for entry in entries:
            writer.add(entry)
        progress(wanted[-1])


async def _fetch(transport: Transport, height: int) -> ChainEntry:
    answer = await transport.call(Call("GET", f"/v1/blocks/{height}"))
    found = from_document(BlockDocument, answer.document())
    if found.certificate is None:
        raise OperatorError("E022", f"the node has no certificate for block {height}")
    return ChainEntry(
        Block(found.header, tuple(SIGNED.encode(each.transaction) for each in found.transactions)),
        found.certificate,
        tuple(each.result for each in found.transactions),
    )
