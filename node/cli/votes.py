"""`medlock votes`: what only an operator can decide about a node's vote record."""

import contextlib
import os
import time
from pathlib import Path

import click

from node.cli.arguments import node_directory
from node.cli.output import json_option, print_document, say, wants_json
from node.cli.reach import base_url
from node.directory import Directory
from node.errors import OperatorError
from node.overrides import WORDS_CHARACTERS_MAX, VoteOverride, accept_loss
from storage.integrity import open_store
from storage.votes import VoteStore


@click.group()
def votes() -> None:
    """Decide about a node's lost vote record."""


@votes.command("accept-loss")
@node_directory
@click.option("--operator", required=True, help="Who decides; it is kept and shown.")
@click.option("--reason", required=True, help="Why; it is kept and shown. No clinical content.")
@click.option("--yes", is_flag=True, help="Do not ask: the risk is known.")
@json_option
def accept_loss_command(
    path: Path,
    operator: str,
    reason: str,
    yes: bool,  # noqa: FBT001 - click's
) -> None:
    """Let a node vote again at once although its vote record is lost."""
    for option, words in (("--operator", operator), ("--reason", reason)):
        if not words.strip() or len(words) > WORDS_CHARACTERS_MAX:
            raise OperatorError("E070", f"{option} takes 1 to {WORDS_CHARACTERS_MAX} characters")
    directory = Directory(path)
    config = directory.load_config({}, os.environ).config
    if directory.card().node is None:
        raise OperatorError("E070", "this member has no node: nothing votes here")
    with (
        directory.lock(base_url(config)),
        contextlib.closing(VoteStore(directory.votes_path)) as store,
    ):
        condition = store.load().condition
        if condition == "ok":
            raise OperatorError("E054")
        override = VoteOverride(
            time.time_ns() // 1_000_000, operator, reason, condition, _tip_height(directory)
        )
        _confirm(override, known=yes)
        accept_loss(store, override)
    print_document(override.document(), f"{override.sentence()} Start it with medlock run.")


def _tip_height(directory: Directory) -> int | None:
    """What the node's own store holds; a damaged one is to be mended first (E051)."""
    if not directory.data_path.exists():
        return None
    with contextlib.closing(open_store(directory.data_path, directory.genesis().hash)) as store:
        tip = store.tip()
        assert tip is not None, "an opened store has a chain"
        return tip.header.height


def _confirm(override: VoteOverride, *, known: bool) -> None:
    """Says what is risked, and goes on only with a yes."""
    upto = (
        "any height: its blocks are gone too"
        if override.risky_to is None
        else (
            f"heights up to {override.risky_to} (above that too, if data/ was restored from a copy)"
        )
    )
    say(
        f"The vote record is {override.condition}. This node may have voted already at {upto}.\n"
        "If it votes there again, and otherwise, two different blocks can be certified at one\n"
        "height, and the ledger splits. Without this override the node keeps silent and votes\n"
        "again by itself once the others are two heights further. Override only where they cannot\n"
        "get there without it, and on as few nodes as a quorum needs."
    )
    if known:
        return
    if wants_json():
        raise OperatorError("E070", "--json does not ask", fix="add --yes")
    click.confirm("Let this node vote again?", abort=True, err=True)
