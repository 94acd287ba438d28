"""`medlock init`, `run` and `stop`: a node's directory, its process, its end."""

import asyncio
import logging
import os
from pathlib import Path
from typing import Final, cast, get_args

import click
from msgspec.structs import replace

from chain.genesis import Genesis
from chain.types import MemberId, Role
from client.files import write_whole
from client.genesis_file import save_genesis, save_member
from client.passphrase import forbid_core_dumps
from node import logs
from node.cli.arguments import EXISTING_FILE, check_address, node_directory
from node.cli.blame import explain
from node.cli.output import json_option, print_document, say
from node.cli.reach import base_url
from node.config import split_address
from node.directory import Directory, read_genesis
from node.errors import OperatorError
from node.keys import (
    add_node,
    find_passphrase,
    new_node_keys,
    new_organization,
    node_entry,
    save_organization,
)
from node.testnet.processes import stop as stop_process
from node.tomlfile import node_toml
from storage.votes import VoteStore

_LOG: Final = logging.getLogger("medlock.run")


@click.command()
@click.option("--org", required=True, help="The organisation's id: a-z, 0-9 and -.")
@click.option("--role", type=click.Choice(get_args(Role)), help="Needed without --genesis.")
@node_directory
@click.option("--name", help="The organisation's name for people (default: the id).")
@click.option("--address", help="Where peers reach this node: HOST:PORT (default: --p2p-listen's).")
@click.option("--api-listen", default="127.0.0.1:7070", show_default=True)
@click.option("--p2p-listen", default="127.0.0.1:7071", show_default=True)
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Puts the keys under this passphrase; the node reads the file when it starts.",
)
@click.option("--no-node", is_flag=True, help="A member without a node: keys and card only.")
@click.option(
    "--genesis",
    "genesis_path",
    type=EXISTING_FILE,
    help="A node for a member that the consortium has already: its genesis file.",
)
@json_option
def init(  # noqa: PLR0913 - one option each
    *,
    org: str,
    role: str | None,
    path: Path,
    name: str | None,
    address: str | None,
    api_listen: str,
    p2p_listen: str,
    passphrase_file: Path | None,
    no_node: bool,
    genesis_path: Path | None,
) -> None:
    """Make a node's directory: configuration, keys, an empty vote record, and the member card.

    With --genesis only the node is new: its member has wallets. --dir may be the directory that
    `init --no-node` made.
    """
    _check_slug(org)
    address = address or p2p_listen
    given = {"--api-listen": api_listen, "--p2p-listen": p2p_listen, "--address": address}
    for option, text in given.items():
        check_address(option, text)
    if genesis_path is not None and (role or name or no_node):
        raise OperatorError("E070", "--genesis says role and name, and asks for a node")
    if genesis_path is None and role is None:
        raise OperatorError("E070", "Missing option '--role'.")
    if split_address(address)[0] in {"0.0.0.0", "::"}:  # noqa: S104 - refused here
        raise OperatorError("E070", "peers cannot reach that", fix="give --address HOST:PORT")
    passphrase = find_passphrase(path, passphrase_file) if passphrase_file else None
    forbid_core_dumps()
    directory = Directory(path)
    settings: dict[str, object] = {"api.listen": api_listen, "p2p.listen": p2p_listen}
    if passphrase_file:
        settings["keys.passphrase_file"] = str(passphrase_file.resolve())
    if genesis_path is not None:
        _join(directory, org, read_genesis(genesis_path), address, passphrase, settings)
        return
    directory.create()
    organization = new_organization(
        org, name or org, cast("Role", role), os.urandom, with_node=not no_node
    )
    save_organization(directory.keys_path, organization, passphrase, os.urandom)
    write_whole(directory.config_path, node_toml(settings).encode(), 0o644)
    if not no_node:
        VoteStore(directory.votes_path).create()
    save_member(directory.card_path, organization.card((address,)))
    say("Hand card.json to whoever makes the genesis file; then put genesis.json here and run.")
    print_document(
        {"org": org, "role": role, "dir": str(path), "card": str(directory.card_path)},
        str(directory.card_path),
    )


def _join(
    directory: Directory,
    org: str,
    genesis: Genesis,
    address: str,
    passphrase: bytes | None,
    settings: dict[str, object],
) -> None:
    """A node for a member of `genesis`: everything that it needs but a place on the chain."""
    member = next((each for each in genesis.members if each.id == org), None)
    if member is None:
        raise OperatorError("E007", f"genesis names no member {org}")
    if directory.holds_member(org):
        if passphrase is None:
            passphrase = find_passphrase(directory.keys_path)
        directory.complete()
    else:
        directory.create()
    keys = new_node_keys(org, os.urandom)
    add_node(directory.keys_path, keys, passphrase, os.urandom)
    save_genesis(directory.genesis_path, genesis)
    VoteStore(directory.votes_path).create()
    save_member(directory.card_path, replace(member, node=node_entry(keys, (address,))))
    write_whole(directory.config_path, node_toml(settings).encode(), 0o644)
    say(
        f"Run it, and have it announced: medlock run --dir {directory.path}, and "
        f"medlock node announce --dir {directory.path} --api URL of another member's node."
    )
    document = {"org": org, "role": member.role, "dir": str(directory.path)}
    print_document({**document, "card": str(directory.card_path)}, str(directory.card_path))


@click.command()
@node_directory
@click.option("--api-listen", help="HOST:PORT of the HTTP API.")
@click.option("--p2p-listen", help="HOST:PORT for peers.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]))
@click.option("--log-format", type=click.Choice(["json", "text"]))
@click.option("--log-target", type=click.Choice(["stderr", "file"]))
@json_option
def run(path: Path, **flags: str | None) -> None:
    """Run a node until SIGTERM or Ctrl-C."""
    directory = Directory(path)
    config = directory.load_config(flags, os.environ).config
    with directory.lock(base_url(config)):
        logs.configure(config, directory.log_path)
        forbid_core_dumps()
        from node.daemon import run_node  # noqa: PLC0415 - every room, needed by this command only

        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(run_node(directory, config))
        except Exception as error:
            explained = explain(error)
            _LOG.exception("the node ends: %s", explained.cause, extra={"code": explained.code})
            raise


@click.command()
@node_directory
@json_option
def stop(path: Path) -> None:
    """Ask the node of a directory to stop, and wait until it has."""
    directory = Directory(path)
    running = directory.running()
    if running is None or not stop_process(directory):
        raise OperatorError("E021", f"no node runs in {path}")
    print_document({"stopped": True, "pid": running.pid}, f"stopped process {running.pid}")


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """uvloop where it installs."""
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        return None
    return uvloop.Loop


def _check_slug(org: str) -> None:
    from msgspec import ValidationError, convert  # noqa: PLC0415 - for this check only

    try:
        convert(org, MemberId)
    except ValidationError:
        raise OperatorError(
            "E070", "--org takes 1 to 32 of a-z, 0-9 and -, a letter first"
        ) from None
