"""`medlock wallet`: keys of one principal, in a file under a passphrase."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

import click
import msgspec

from chain.document import to_document
from chain.keys import Suite
from chain.types import PrincipalKind
from client.files import write_whole
from client.passphrase import read_passphrase
from client.vault import MODERATE
from client.wallet import (
    Wallet,
    card,
    encrypt_wallet,
    new_wallet,
    save_wallet,
    show_document,
    update_wallet,
)
from ledger.ids import device_of
from ledger.proxies import PROXY_KINDS
from node.cli.arguments import identifier
from node.cli.output import json_option, print_document, say
from node.cli.reach import Asked, find_testnet, hold
from node.cli.supply_words import as_item
from node.directory import unusable
from node.errors import OperatorError
from node.keys import RANDOM_PASSPHRASE
from node.testnet.state import DEFAULT_DIRECTORY, PASSPHRASE, Testnet, load_testnet

R = TypeVar("R")


def _wallet(command: Callable[..., R]) -> Callable[..., R]:
    """The wallet, as an argument or, as everywhere else, with --as."""

    @click.argument("named", metavar="[WALLET]", required=False)
    @click.option("--as", "named_as", help="The same, as other commands have it.")
    @functools.wraps(command)
    def wrapped(*, named: str | None, named_as: str | None, **given: Any) -> R:
        if (named is None) == (named_as is None):
            raise OperatorError("E070", "name one wallet, as an argument or with --as")
        return command(named=named or named_as, **given)

    return wrapped


_PASSPHRASE_FD = click.option(
    "--passphrase-fd", type=int, envvar="MEDLOCK_PASSPHRASE_FD", help="Read it from there."
)
_DIR = click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path),
    envvar="MEDLOCK_DIR",
    help=f"The test network whose demo wallet is named (default {DEFAULT_DIRECTORY}).",
)


@click.group()
def wallet() -> None:
    """Make and show wallets."""


@wallet.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--kind", type=click.Choice(get_args(PrincipalKind)), default="patient")
@click.option("--org", help="The organisation; none for a patient or a proxy.")
@click.option(
    "--demo",
    is_flag=True,
    help="FILE is the name of a new demo wallet of the test network, under its passphrase.",
)
@click.option(
    "--suite",
    type=click.Choice(["1", "2"]),
    default="2",
    show_default=True,
    help="2 is ML-KEM-768 + X25519; 1 is X25519 alone, for browsers.",
)
@click.option(
    "--asset", help="The asset identifier (GIAI, GRAI) on a measuring device, which is its name."
)
@_DIR
@_PASSPHRASE_FD
@json_option
def new(  # noqa: PLR0913 - one a flag, called by click
    *,
    file: Path,
    kind: str,
    org: str | None,
    demo: bool,
    suite: str,
    asset: str | None,
    directory: Path | None,
    passphrase_fd: int | None,
) -> None:
    """Make a wallet with fresh keys; print its card.

    Staff is then enrolled by its administrator (principal enrol), a patient is registered by his
    hospital (record put), a proxy is appointed by a patient (proxy appoint).
    """
    if (kind in PROXY_KINDS) != (org is None):
        raise OperatorError("E070", "patients and proxies have no --org, everyone else has one")
    if asset is not None and kind != "device":
        raise OperatorError("E070", "--asset is on a measuring device", fix="give --kind device")
    named = None if asset is None else device_of(as_item(asset).name)
    network = _testnet(directory) if demo else None
    if network is not None:
        file = network.wallets / f"{file.name}.wallet"
    if file.exists():
        raise OperatorError("E070", f"{file} exists", fix="choose another name")
    if network is not None:
        passphrase = (network.wallets / PASSPHRASE).read_bytes().strip()
    else:
        passphrase = read_passphrase(
            "New passphrase", os.environ, descriptor=passphrase_fd, confirm=True
        )
    made = new_wallet(cast("PrincipalKind", kind), org, os.urandom, suite=Suite(int(suite)))
    if named is not None:
        made = msgspec.structs.replace(made, principal=named)
    limits = MODERATE if network is None else RANDOM_PASSPHRASE
    save_wallet(file, made, passphrase, os.urandom, limits)
    print_document({"file": str(file), "card": to_document(card(made))})


@wallet.command()
@_wallet
@click.option("--card", "only_card", is_flag=True, help="Only what is meant to be handed over.")
@_DIR
@_PASSPHRASE_FD
@json_option
def show(*, named: str, only_card: bool, directory: Path | None, passphrase_fd: int | None) -> None:
    """Show what is public of a wallet: its pseudonym and keys, never a secret."""
    held = _hold(named, directory, passphrase_fd)
    print_document(to_document(card(held)) if only_card else show_document(held))


@wallet.command("export")
@_wallet
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True)
@click.option(
    "--new-passphrase-fd", type=int, help="Read the copy's passphrase from there (else asked)."
)
@_DIR
@_PASSPHRASE_FD
@json_option
def export_command(
    *,
    named: str,
    output: Path,
    new_passphrase_fd: int | None,
    directory: Path | None,
    passphrase_fd: int | None,
) -> None:
    """Copy a wallet under a passphrase of its own, to hand it over or to keep it elsewhere."""
    if output.exists():
        raise OperatorError("E070", f"{output} exists", fix="choose another --output")
    held = _hold(named, directory, passphrase_fd)
    passphrase = read_passphrase(
        "Passphrase of the copy", {}, descriptor=new_passphrase_fd, confirm=True
    )
    try:
        write_whole(output, encrypt_wallet(held, passphrase, MODERATE, os.urandom))
    except OSError as error:
        raise unusable(output, error) from None
    say("The copy opens with its own passphrase.")
    print_document({"file": str(output)}, str(output))


@wallet.command()
@click.argument("patient", metavar="PSEUDONYM")
@click.option("--as", "named", required=True, help="Whose wallet forgets.")
@_DIR
@_PASSPHRASE_FD
@json_option
def forget(*, patient: str, named: str, directory: Path | None, passphrase_fd: int | None) -> None:
    """Delete a patient's keys, and his pseudonym's link to him, from an organisation's wallet.

    What an erasure asks of whoever keeps a wallet beside its node. Copies made before stay.
    """
    forgotten = identifier(patient, 16, "PSEUDONYM")
    asked = Asked(None, None, directory, named, passphrase_fd, 0.0)
    held = hold(asked, find_testnet(asked))
    assert held.path is not None, "it was opened from a file"
    if held.wallet.principal == forgotten:
        raise OperatorError("E070", "this is the patient's own wallet", fix="delete the file")
    update_wallet(
        held.path, held.passphrase, os.urandom, lambda kept: kept.without_patient(forgotten)
    )
    print_document({"patient": patient, "file": str(held.path)}, f"{held.path} has forgotten him")


def _testnet(directory: Path | None) -> Testnet:
    return load_testnet(directory or DEFAULT_DIRECTORY)


def _hold(named: str, directory: Path | None, passphrase_fd: int | None) -> Wallet:
    asked = Asked(None, None, directory, named, passphrase_fd, 0.0)
    return hold(asked, find_testnet(asked)).wallet
