"""`medlock supply simulate`: realistic volumes through a running test network, with their rates."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from client.api import Api
from client.builder import Network, TransactionBuilder
from client.category import CategoryKey
from client.epcis.document import parse_document
from client.errors import ApiError
from client.supply_api import SupplyApi
from client.wallet import Wallet, update_wallet
from ledger.supply.actions import PartyRegister, ProductRegister
from node.cli.blame import refused
from node.cli.output import Bar, json_option, print_document
from node.cli.putting import now_ms, validity_end_ms
from node.cli.reach import Asked, Reach, resolve
from node.cli.supply_capture import EventKeys, How, Surroundings, add_capture, look_around
from node.errors import OperatorError
from node.supply_demo import events, names
from node.supply_demo.volumes import Act, Round, Route, Volumes, rounds
from node.testnet.making import ADMINISTRATOR
from node.testnet.state import DEFAULT_DIRECTORY, Testnet, load_testnet

PRODUCT_NUMBER: Final = 20_000
"""Which made-up product is simulated."""
TIMEOUT_S: Final = 120.0
TOGETHER_MAX: Final = 256


@dataclass(slots=True)
class Tally:
    """What the rounds of one step did, and how long they took."""

    events: int = 0
    packs: int = 0
    seconds: float = 0.0

    def document(self, step: str) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "step": step,
            "events": self.events,
            "packs": self.packs,
            "seconds": self.seconds,
            "events_per_s": self.events / self.seconds,
            "packs_per_s": self.packs / self.seconds,
        }


@dataclass(frozen=True, slots=True)
class Member:
    """An organisation that captures: its wallet, at its node."""

    reach: Reach
    api: Api
    network: Network
    key: CategoryKey

    @property
    def wallet(self) -> Wallet:
        """Who signs."""
        return self.reach.held.wallet

    def builder(self) -> TransactionBuilder:
        """An empty transaction."""
        return TransactionBuilder(self.network, self.wallet, os.urandom)


@click.command()
@click.option(
    "--dir",
    "path",
    type=click.Path(path_type=Path),
    envvar="MEDLOCK_TESTNET",
    default=DEFAULT_DIRECTORY,
    show_default=True,
    help="The running test network.",
)
@click.option("--lots", type=click.IntRange(1, 10_000), default=1, show_default=True)
@click.option(
    "--pallets", type=click.IntRange(1, 1_000), default=2, show_default=True, help="Of each lot."
)
@click.option(
    "--cases", type=click.IntRange(1, 500), default=10, show_default=True, help="On a pallet."
)
@click.option(
    "--packs", type=click.IntRange(1, 500), default=20, show_default=True, help="In a case."
)
@click.option(
    "--dispense",
    type=click.IntRange(0, 250_000),
    default=5,
    show_default=True,
    help="Packs of each pallet that reach a patient.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Makes the same goods again.")
@click.option(
    "--together",
    type=click.IntRange(1, TOGETHER_MAX),
    default=16,
    show_default=True,
    help="Transactions on their way at once.",
)
@json_option
def simulate(  # noqa: PLR0913 - one a flag, called by click
    *,
    path: Path,
    lots: int,
    pallets: int,
    cases: int,
    packs: int,
    dispense: int,
    seed: int | None,
    together: int,
) -> None:
    """Make goods, pack, ship, receive, unpack and dispense them on a running test network."""
    chosen = int.from_bytes(os.urandom(4), "big") if seed is None else seed
    volumes = Volumes(lots, pallets, cases, packs, min(dispense, cases * packs))
    done = asyncio.run(run_simulation(load_testnet(path), volumes, chosen, together))
    head = (
        f"{done['packs']} packs, seed {chosen}: {done['events']} events in "
        f"{done['transactions']} transactions, {done['seconds']:.1f} s"
    )
    lines = [head]
    lines += [
        f"  {each['step']:<18} {each['events']:>7} events  {each['events_per_s']:>9.1f}/s  "
        f"{each['packs_per_s']:>11.1f} packs/s"
        for each in done["steps"]
    ]
    print_document(done, "\n".join(lines))


async def run_simulation(
    testnet: Testnet, volumes: Volumes, seed: int, together: int
) -> dict[str, Any]:
    """Runs all rounds; what they took."""
    product = names.gtin(PRODUCT_NUMBER)
    route = Route()
    tallies: dict[str, Tally] = {}
    transactions = 0
    async with AsyncExitStack() as stack:
        around = await _registered(testnet, product, route, stack)
        members = {
            each: await stack.enter_async_context(_member(testnet, each, around))
            for each in (route.maker, route.wholesaler, route.hospital)
        }
        started_s = time.monotonic()
        with Bar("Simulating", volumes.all_packs) as bar:
            for each in rounds(volumes, product, seed, now_ms, route):
                begun_s = time.monotonic()
                await _run_round(each, members, around, together)
                tally = tallies.setdefault(each.says, Tally())
                tally.events += sum(len(act.events) for act in each.acts)
                tally.packs += sum(act.packs for act in each.acts)
                tally.seconds += time.monotonic() - begun_s
                transactions += len(each.acts)
                bar.to(tallies["commissioning"].packs, each.says)
    return {
        "seed": seed,
        "product": product,
        "packs": volumes.all_packs,
        "events": sum(each.events for each in tallies.values()),
        "transactions": transactions,
        "seconds": time.monotonic() - started_s,
        "steps": [each.document(step) for step, each in tallies.items()],
    }


async def _run_round(
    each: Round, members: dict[str, Member], around: Surroundings, together: int
) -> None:
    room = asyncio.Semaphore(together)

    async def perform(act: Act) -> None:
        async with room:
            await _perform(members[act.member], act, around)

    async with asyncio.TaskGroup() as group:
        for act in each.acts:
            group.create_task(perform(act))


async def _perform(member: Member, act: Act, around: Surroundings) -> None:
    builder = member.builder()
    how = How(patient="simulated" if act.events[0]["bizStep"] == "dispensing" else None)
    raw = msgspec.json.encode(events.document(act.events, now_ms()))
    for event in parse_document(raw).events:
        add_capture(builder, event, member.key, how, around)
    await _commit(member.api, builder)


async def _commit(api: Api, builder: TransactionBuilder) -> None:
    built = builder.sign(await validity_end_ms(api))
    submitted = await api.submit(built.raw, built.attachments)
    if submitted.result is None:
        raise OperatorError("E040", f"transaction {built.id.hex()} is not committed in time")
    if not submitted.result.ok:
        raise refused(submitted.result.code, submitted.result.field)


async def _registered(
    testnet: Testnet, product: str, route: Route, stack: AsyncExitStack
) -> Surroundings:
    """Registers the parties and the product, where they are not."""
    members = (route.maker, route.wholesaler, route.hospital)
    for member in members:
        reach = _reach(testnet, member + ADMINISTRATOR)
        api, _ = await stack.enter_async_context(reach.connect())
        supply = SupplyApi(api)
        builder = TransactionBuilder(_network(testnet), reach.held.wallet, os.urandom)
        if not await _is_known(supply.party(names.gln(member))):
            builder.add(PartyRegister(names.gln(member)))
            await _commit(api, builder)
        if member == route.maker and not await _is_known(supply.product(product)):
            builder = TransactionBuilder(_network(testnet), reach.held.wallet, os.urandom)
            builder.add(ProductRegister(product, None, 0, None, None, None))
            await _commit(api, builder)
    async with _reach(testnet, route.maker).connect() as (api, _):
        around = await look_around(api, ())
    return replace(around, parties={names.gln(each): each for each in members})


async def _is_known(asked: Any) -> bool:
    try:
        await asked
    except ApiError as error:
        if error.code not in {"party.unknown", "product.unknown"}:
            raise
        return False
    return True


@asynccontextmanager
async def _member(testnet: Testnet, member: str, around: Surroundings) -> AsyncIterator[Member]:
    """A member at its own node, with the key that it seals events under."""
    reach = _reach(testnet, member)
    network = _network(testnet)
    async with reach.connect() as (api, _):
        builder = TransactionBuilder(network, reach.held.wallet, os.urandom)
        keys = EventKeys(api, reach.held.wallet, network, "consortium", around)
        key, opened = await keys.shared_key(builder)
        if opened:
            await _commit(api, builder)
        assert reach.held.path is not None, "a demo wallet is a file"
        await asyncio.to_thread(
            update_wallet,
            reach.held.path,
            reach.held.passphrase,
            os.urandom,
            lambda kept: kept.with_category_key(key),
        )
        yield Member(reach, api, network, key)


def _reach(testnet: Testnet, wallet: str) -> Reach:
    return resolve(Asked(None, None, testnet.path, wallet, None, TIMEOUT_S))


def _network(testnet: Testnet) -> Network:
    return Network(testnet.chain_id, bytes.fromhex(testnet.genesis_hash))
