"""`medlock receipt`: proofs that a transaction was committed, fetched and verified."""

import asyncio
from pathlib import Path

import click

from chain.document import to_document
from chain.receipt import RECEIPT_BYTES_MAX
from client.files import read_bounded, write_whole
from client.verifier import statement
from client.verifier import verify as verify_receipt
from node.cli.arguments import identifier, proof_file, trusted_block
from node.cli.output import json_option, print_document
from node.cli.reach import Asked, reach_options, resolve
from node.directory import read_genesis


@click.group()
def receipt() -> None:
    """Fetch receipts, and verify them without a network."""


@receipt.command()
@click.argument("transaction")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True)
@reach_options
@json_option
def get(asked: Asked, transaction: str, output: Path) -> None:
    """Fetch the receipt of a transaction into a file."""
    wanted = identifier(transaction, 32, "TRANSACTION")

    async def fetch() -> bytes:
        async with resolve(asked).connect() as (api, _):
            return await api.receipt(wanted)

    raw = asyncio.run(fetch())
    write_whole(output, raw, 0o644)
    print_document(
        {"transaction": transaction, "file": str(output), "bytes": len(raw)},
        f"{output}: {len(raw)} bytes",
    )


@receipt.command()
@proof_file
@json_option
def verify(file: Path, genesis: Path, trusted: str | None) -> None:
    """Check a receipt against the genesis file; exit 7 where it does not hold."""
    known = trusted_block(trusted)
    found = verify_receipt(read_bounded(file, RECEIPT_BYTES_MAX), read_genesis(genesis), known)
    print_document({"valid": True, **to_document(found)}, statement(found))
