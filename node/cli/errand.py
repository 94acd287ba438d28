"""One wallet's errand at one node: what the commands of a member have in common.

Connects, signs, waits for the commit, and says a refusal of the ledger in the rule's own words.
"""

import asyncio
import functools
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from client.api import Api, Submitted
from client.builder import Network, TransactionBuilder
from client.category import Recipient
from client.errors import ApiError
from client.hidden import ProductKeys
from client.reading import Reader
from client.submission import organization_recipient
from client.supply_api import SupplyApi
from client.wallet import Wallet, recipient
from ledger.actions import Action
from ledger.codes import REJECTIONS
from ledger.ids import organization_owner
from node.cli.arguments import EXISTING_FILE, identifier
from node.cli.blame import refused
from node.cli.output import json_option
from node.cli.putting import validity_end_ms
from node.cli.reach import Asked, Reach, reach_options, resolve
from node.directory import read_genesis
from node.errors import OperatorError

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Errand:
    """What was asked for on the command line."""

    asked: Asked
    genesis: Path | None

    def run(self, work: Callable[["Visit"], Awaitable[R]]) -> R:
        """Does `work` at the node, as the wallet of `--as`: there is no default."""
        if self.asked.wallet is None:
            raise OperatorError("E070", "as whom?", fix="give --as WALLET, a file or a demo wallet")
        reach = resolve(self.asked)

        async def connected() -> R:
            async with reach.connect() as (api, _):
                return await work(Visit(reach, api, await _network(reach, api, self.genesis)))

        return asyncio.run(connected())

    def enact(self, action: Action, made: dict[str, Any]) -> dict[str, Any]:
        """`Visit.enact` for an action that needs nothing from the node first."""

        async def act(visit: Visit) -> dict[str, Any]:
            builder = visit.builder()
            builder.add(action)
            return await visit.enact(builder, made)

        return self.run(act)


def member_command(command: Callable[..., R]) -> Callable[..., R]:
    """`--api`, `--node`, `--dir`, `--as`, `--genesis`, `--json`; the command gets one `errand`."""

    @functools.wraps(command)
    def wrapped(*, asked: Asked, genesis: Path | None, **given: Any) -> R:
        return command(errand=Errand(asked, genesis), **given)

    genesis = click.option(
        "--genesis",
        type=EXISTING_FILE,
        help="The network's genesis file, for patients, whom nodes do not tell their status.",
    )
    return json_option(genesis(reach_options(wrapped)))


@dataclass(frozen=True, slots=True)
class Visit:
    """A wallet at a node."""

    reach: Reach
    api: Api
    network: Network

    @property
    def wallet(self) -> Wallet:
        """Who acts."""
        return self.reach.held.wallet

    @property
    def supply(self) -> SupplyApi:
        """What the node says about goods."""
        return SupplyApi(self.api)

    def builder(self) -> TransactionBuilder:
        """An empty transaction of the wallet."""
        return TransactionBuilder(self.network, self.wallet, os.urandom)

    def reader(self) -> Reader:
        """Opens what the wallet can open."""
        return Reader(self.api, self.wallet, self.network.chain_id)

    def products(self) -> ProductKeys:
        """The keys for hidden serial numbers that the wallet can open."""
        return ProductKeys(self.api, self.wallet, self.network.chain_id)

    async def commit(self, builder: TransactionBuilder) -> Submitted:
        """Signs, submits and waits; E033 with the rule's words where the ledger refuses."""
        built = builder.sign(await validity_end_ms(self.api))
        try:
            submitted = await self.api.submit(built.raw, built.attachments)
        except ApiError as error:
            if error.code in REJECTIONS:
                raise refused(error.code, error.field) from None
            raise
        if submitted.result is None:
            raise OperatorError(
                "E040", f"transaction {built.id.hex()} is not committed in time; it may still be"
            )
        if not submitted.result.ok:
            raise refused(submitted.result.code, submitted.result.field)
        return submitted

    async def enact(self, builder: TransactionBuilder, made: dict[str, Any]) -> dict[str, Any]:
        """`commit`; the document of a command that has made `made`: that, and where it stands."""
        done = await self.commit(builder)
        return {**made, "transaction": done.id.hex(), "height": done.height}

    def patient(self, given: str | None) -> bytes:
        """The pseudonym that is named, or that of a patient's own wallet."""
        if given is not None:
            return identifier(given, 16, "--patient")
        if self.wallet.kind == "patient":
            return self.wallet.principal
        raise OperatorError("E070", "about whom?", fix="give --patient PSEUDONYM (32 hex digits)")

    async def organization(self, member: str) -> bytes:
        """The owner id of a member of the consortium; E070 names those that there are."""
        names = [each.id for each in await self.api.members()]
        if member not in names:
            known = ", ".join(names)
            raise OperatorError("E070", f"no organisation is named {member!r}; there are {known}")
        return organization_owner(member)

    async def grantee(self, text: str) -> bytes:
        """A clinician by his id, or an organisation by its name."""
        if len(text) == 32 and set(text) <= set("0123456789abcdef"):
            return bytes.fromhex(text)
        return await self.organization(text)

    async def names(self) -> dict[bytes, str]:
        """The organisations by their owner ids."""
        return {organization_owner(each.id): each.id for each in await self.api.members()}

    async def note(
        self,
        builder: TransactionBuilder,
        words: str | None,
        patient: bytes,
        *organizations: str,
        regulators: bool = False,
    ) -> bytes | None:
        """Seals `words` for those that are `concerned`, in the transaction of `builder`; None where
        nothing was said."""
        if words is None:
            return None
        readers = await self.concerned(patient, *organizations, regulators=regulators)
        return builder.note(words, patient, readers)

    async def concerned(
        self, patient: bytes, *organizations: str, regulators: bool = False
    ) -> tuple[Recipient, ...]:
        """Who reads a note about `patient`: he, who writes it, and these organisations."""
        readers = [recipient(self.wallet)]
        if patient != self.wallet.principal:
            key = (await self.api.principal(patient)).encryption_key
            readers.append(Recipient(patient, key))
        wanted = {*organizations, self.wallet.organization}
        readers += [
            organization_recipient(member)
            for member in await self.api.members()
            if member.id in wanted or (regulators and member.role == "regulator")
        ]
        return tuple({each.id: each for each in readers}.values())


async def _network(reach: Reach, api: Api, genesis: Path | None) -> Network:
    """What signatures and contents are bound to: from the genesis file, the test network, or the
    node."""
    if genesis is not None:
        known = read_genesis(genesis)
        return Network(known.chain_id, known.hash)
    if reach.testnet is not None:
        return Network(reach.testnet.chain_id, bytes.fromhex(reach.testnet.genesis_hash))
    try:
        status = await api.get_document("/v1/status")
    except ApiError as error:
        if error.code != "auth.scope":
            raise
        raise OperatorError(
            "E070",
            "which network? this wallet is not told by the node",
            fix="give --genesis FILE, the consortium's genesis file",
        ) from None
    return Network(str(status["chain_id"]), bytes.fromhex(status["genesis_hash"]))
