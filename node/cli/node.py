"""`medlock node`: what the consortium is to know of a node, and the key with which it votes."""

import asyncio
import contextlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from chain.genesis import NodeEntry
from chain.readiness import Readiness, SignedReadiness, sign_readiness
from client.builder import Network
from client.governance_api import Consortium, GovernanceApi
from ledger.entries import OrganizationEntry
from ledger.governance_actions import NodeAnnounce
from ledger.queries import organization, validators
from node.cli.arguments import Duration, check_address, node_directory
from node.cli.errand import Visit
from node.cli.output import json_option, print_document
from node.cli.putting import ledger_ms
from node.cli.reach import (
    TIMEOUT_S_DEFAULT,
    Asked,
    HeldWallet,
    Reach,
    base_url,
    hold,
    trust,
)
from node.config import NodeConfig
from node.directory import Directory
from node.errors import OperatorError
from node.keys import NodeKeys, add_consensus_key, node_entry
from storage.integrity import open_store


@click.group()
def node() -> None:
    """Tell the consortium of a node; give it another key to vote with."""


@node.command("rotate-key")
@node_directory
@json_option
def rotate_key(path: Path) -> None:
    """Make the key that a stopped node is to vote with next, beside the one that it votes with.

    Start the node, then announce it. A key that the chain names is never dropped: the one before it
    is, by the next rotation.
    """
    directory = Directory(path)
    config = directory.load_config({}, os.environ).config
    with directory.lock(base_url(config)):
        keys = directory.load_keys(config)
        passphrase = directory.passphrase(config)
        in_use = _key_on_chain(directory, keys.member)
        rotated = add_consensus_key(directory.keys_path, passphrase, in_use, os.urandom)
    made = rotated.consensus[-1].public != keys.consensus[-1].public
    key = rotated.consensus[-1].public.hex()
    what = f"made the key {key}" if made else f"the key {key} is there and waits for its turn"
    print_document(
        {"org": keys.member, "consensus_key": key, "made": made},
        f"{what}\nnow: medlock run --dir {path}, then medlock node announce --dir {path}",
    )


def _key_on_chain(directory: Directory, member: str) -> bytes | None:
    """The consensus key that this node's own store knows of it: its seat's, else its node's."""
    if not directory.data_path.exists():
        return None
    with contextlib.closing(open_store(directory.data_path, directory.genesis().hash)) as store:
        entry = organization(store.state, member)
        named = entry.node.consensus_key if entry is not None and entry.node is not None else None
        return validators(store.state).key(member) or named


@node.command()
@node_directory
@click.option(
    "--address",
    "addresses",
    multiple=True,
    metavar="HOST:PORT",
    help="Where peers reach the node; may be repeated (default: as now, or as in card.json).",
)
@click.option(
    "--api",
    envvar="MEDLOCK_API",
    help="The node that takes the announcement: a newcomer's own is no part of the network yet.",
)
@click.option(
    "--as",
    "wallet",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    envvar="MEDLOCK_AS",
    help="The wallet of an administrator of the organisation (default: the directory's).",
)
@click.option("--passphrase-fd", type=int, envvar="MEDLOCK_PASSPHRASE_FD", help="The wallet's.")
@click.option("--timeout", "timeout_s", type=Duration(), default=TIMEOUT_S_DEFAULT)
@json_option
def announce(
    *,
    path: Path,
    addresses: tuple[str, ...],
    api: str | None,
    wallet: Path | None,
    passphrase_fd: int | None,
    timeout_s: float,
) -> None:
    """Put the node's newest key, its certificate and its addresses on the chain.

    A validator votes with that key from the next block on; its node has to run, and to hold it. Any
    other member's node is from then on connected, and follows.
    """
    for address in addresses:
        check_address("--address", address)
    directory = Directory(path)
    config = directory.load_config({}, os.environ).config
    asked = Asked(
        api, None, path, None if wallet is None else str(wallet), passphrase_fd, timeout_s
    )
    held = hold(asked, None) if wallet is not None else HeldWallet(directory.administrator(config))
    running = directory.running()
    own = Reach(
        running.api if running is not None else base_url(config),
        held,
        None,
        trust(config),
        timeout_s,
    )
    announcer = _Announcer(directory, config, own, addresses)
    made = asyncio.run(announcer.announce(own if api is None else replace(own, base=api, tls=None)))
    print_document(made, _sentence(made))


@dataclass(frozen=True, slots=True)
class _Announcer:
    """What is announced: the node of a directory, whose own API is at `own`."""

    directory: Directory
    config: NodeConfig
    own: Reach
    addresses: tuple[str, ...]

    async def announce(self, via: Reach) -> dict[str, Any]:
        """Commits the announcement through `via`; the document of what was done."""
        genesis, keys = self.directory.genesis(), self.directory.load_keys(self.config)
        network = Network(genesis.chain_id, genesis.hash)
        async with via.connect() as (api, _):
            visit = Visit(via, api, network)
            await visit.organization(keys.member)
            consortium = await GovernanceApi(api).consortium()
            member = next(each for each in consortium.members if each.id == keys.member)
            if member.node is None and via == self.own:
                raise OperatorError(
                    "E070",
                    "this node is no part of the network yet, and takes no announcement",
                    fix="give --api URL, the API of another member's node",
                )
            entry = self._entry(keys, member)
            made: dict[str, Any] = {
                "org": keys.member,
                "consensus_key": entry.consensus_key.hex(),
                "addresses": list(entry.addresses),
                "validator": keys.member in consortium.validators,
            }
            if member.node == entry:
                return {**made, "announced": False}
            builder = visit.builder()
            builder.add(NodeAnnounce(entry, await self._word(visit, consortium, keys)))
            return await visit.enact(builder, {**made, "announced": True})

    def _entry(self, keys: NodeKeys, member: OrganizationEntry) -> NodeEntry:
        known = member.node or self.directory.card().node
        addresses = self.addresses or (known.addresses if known is not None else ())
        if not addresses:
            raise OperatorError("E070", "where do peers reach it?", fix="give --address HOST:PORT")
        return node_entry(keys, addresses)

    async def _word(self, visit: Visit, consortium: Consortium, keys: NodeKeys) -> SignedReadiness:
        """A validator's seat turns to a key only where a node that runs and is in step has it. For
        any other, the key itself is enough: it cannot be in step before it is connected."""
        key = keys.consensus[-1]
        if keys.member not in consortium.validators:
            at_ms = await ledger_ms(visit.api)
            word = Readiness(keys.member, key.public, 0, at_ms)
            return sign_readiness(word, key, visit.network.genesis_hash)
        async with self.own.connect() as (api, _):
            shown = await GovernanceApi(api).readiness()
        for each in shown:
            if each.readiness.consensus_key == key.public:
                return each
        raise OperatorError("E026", f"the running node does not hold {key.public.hex()}")


def _sentence(made: dict[str, Any]) -> str:
    if not made["announced"]:
        return "the chain says this already; nothing was sent"
    then = "it votes with this key from the next block on" if made["validator"] else "it follows"
    return f"announced at height {made['height']}; {then}"
