"""Looks into the directory of a stopped node and says what is there and what is wrong with it.

Nothing in the directory is changed: LevelDB repairs what it opens, so a copy is opened. Its table
files never change once they are written and are linked, not copied, where the file system can.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chain.errors import InvalidMessage
from chain.genesis import Genesis
from consensus.votes import VOTE_RECORD
from node.directory import Directory
from storage.attachments import AttachmentStore
from storage.errors import StoreProblem
from storage.integrity import mark_path, open_store
from storage.votes import VoteStore

TABLE_SUFFIXES: Final = (".ldb", ".sst")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the directory. `problem` is None where it is whole."""

    name: str
    found: dict[str, Any]
    problem: str | None
    fix: str = ""


def inspect_directory(directory: Directory, progress: Callable[[int], None]) -> list[Part]:
    """The chain, the vote record and the attachments; `progress` hears how many are done."""
    genesis = directory.genesis()
    looks: tuple[Callable[[Directory, Genesis, Path], Part], ...] = (_chain, _votes, _attachments)
    parts = []
    for index, look in enumerate(looks):
        with tempfile.TemporaryDirectory(prefix="medlock-inspect-") as scratch:
            parts.append(look(directory, genesis, Path(scratch)))
        progress(index + 1)
    return parts


def _chain(directory: Directory, genesis: Genesis, scratch: Path) -> Part:
    if not directory.data_path.exists():
        return Part("chain", {}, None, "the node has not run yet")
    copy = scratch / directory.data_path.name
    _mirror(directory.data_path, copy)
    if (mark := mark_path(directory.data_path)).exists():
        shutil.copyfile(mark, mark_path(copy))
    try:
        store = open_store(copy, genesis.hash)
    except StoreProblem as problem:
        return Part("chain", {}, f"{problem.what} ({problem.code})", problem.fix)
    try:
        tip = store.tip()
        assert tip is not None, "an opened store has a chain"
        found = {
            "chain_id": tip.header.chain_id,
            "height": tip.header.height,
            "block_hash": tip.header.hash.hex(),
            "state_root": tip.header.state_root.hex(),
            "timestamp_ms": tip.header.timestamp_ms,
            "proposer": tip.header.proposer,
            "validator_changes": store.lineage(tip.header.height + 1),
        }
        return Part("chain", found, None)
    finally:
        store.close()


def _votes(directory: Directory, _: Genesis, scratch: Path) -> Part:
    copy = scratch / "votes"
    if directory.votes_path.exists():
        _mirror(directory.votes_path, copy)
    votes = VoteStore(copy)
    try:
        stored = votes.load()
    finally:
        votes.close()
    if stored.condition != "ok":
        return Part(
            "votes",
            {"condition": stored.condition},
            f"the vote record is {stored.condition}",
            "the node abstains until it is provably past what it may have said",
        )
    found: dict[str, Any] = {"condition": "ok", "blocks": len(stored.blocks)}
    if stored.record is not None:
        try:
            record = VOTE_RECORD.decode(stored.record)
        except InvalidMessage as refusal:
            return Part("votes", found, f"the vote record does not decode: {refusal.code}")
        found |= {"height": record.height, "view": record.view, "committed": record.committed}
    return Part("votes", found, None)


def _attachments(directory: Directory, _: Genesis, scratch: Path) -> Part:
    source = directory.attachments_path
    sizes = [each.stat().st_size for each in source.rglob("*") if each.is_file()]
    found = {"files": len(sizes), "bytes": sum(sizes)}
    if not sizes:
        return Part("attachments", found, None, "the node has not run yet")
    copy = scratch / "attachments"
    _mirror(source, copy)
    try:
        AttachmentStore.open(copy, lambda: 0).close()
    except StoreProblem as problem:
        return Part("attachments", found, f"{problem.what} ({problem.code})", problem.fix)
    return Part("attachments", found, None)


def _mirror(source: Path, copy: Path) -> None:
    """A copy to work on, its immutable files linked."""
    shutil.copytree(source, copy, copy_function=_link_or_copy)


def _link_or_copy(source: str, target: str) -> str:
    if source.endswith(TABLE_SUFFIXES):
        try:
            os.link(source, target)
        except OSError:
            pass
        else:
            return target
    return shutil.copy2(source, target)
