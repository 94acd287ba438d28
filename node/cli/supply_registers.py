"""`medlock supply product|party`: whose product a GTIN is, and whose place a GLN is."""

from typing import Any, Final

import click

from chain.errors import InvalidMessage
from client.scanned import scan
from ledger.supply.actions import PartyRegister, ProductRegister
from node.cli.errand import Errand, Visit, member_command
from node.cli.output import print_document
from node.cli.supply_words import scanned
from node.errors import OperatorError

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
MILLI: Final = 1_000
GLN_DIGITS: Final = 13


@click.group()
def product() -> None:
    """Register products, and see what is known of one."""


@product.command()
@click.argument("gtin")
@click.option(
    "--temperature",
    nargs=2,
    type=float,
    metavar="MIN MAX",
    help="Where its temperature may be, in degrees Celsius.",
)
@click.option(
    "--excursion-hours",
    type=click.FloatRange(0, 8_760),
    default=0.0,
    show_default=True,
    help="How long an item may be outside of it, added up.",
)
@click.option(
    "--gap-hours", type=click.FloatRange(0, 8_760), help="How long a device may report nothing."
)
@click.option(
    "--shelf-life-days", type=click.IntRange(1, 36_500), help="How far ahead a lot may expire."
)
@member_command
def register(
    *,
    errand: Errand,
    gtin: str,
    temperature: tuple[float, float] | None,
    excursion_hours: float,
    gap_hours: float | None,
    shelf_life_days: int | None,
) -> None:
    """Register a GTIN as your own, as a manufacturer; once, for good."""
    wanted = _gtin(gtin)
    action = ProductRegister(
        wanted,
        None if temperature is None else _range(temperature),
        round(excursion_hours * HOUR_MS),
        None if gap_hours is None else round(gap_hours * HOUR_MS),
        None if shelf_life_days is None else shelf_life_days * DAY_MS,
        None,
    )

    async def act(visit: Visit) -> dict[str, Any]:
        builder = visit.builder()
        builder.add(action)
        made = {"product": wanted, "manufacturer": visit.wallet.organization}
        return await visit.enact(builder, made)

    made = errand.run(act)
    print_document(
        made, f"{made['product']} is {made['manufacturer']}'s from height {made['height']} on"
    )


@product.command("show")
@click.argument("gtin")
@member_command
def show_product(errand: Errand, gtin: str) -> None:
    """Who registered a product, its limits, its recalls."""
    wanted = _gtin(gtin)

    async def act(visit: Visit) -> dict[str, Any]:
        return await visit.supply.product(wanted)

    print_document(errand.run(act))


@click.group()
def party() -> None:
    """Register Global Location Numbers, and see whose one is."""


@party.command("register")
@click.argument("gln")
@member_command
def register_party(errand: Errand, gln: str) -> None:
    """Say that your organisation goes by this Global Location Number, as its administrator."""
    wanted = _gln(gln)

    async def act(visit: Visit) -> dict[str, Any]:
        builder = visit.builder()
        builder.add(PartyRegister(wanted))
        return await visit.enact(
            builder, {"party": wanted, "organization": visit.wallet.organization}
        )

    made = errand.run(act)
    print_document(
        made, f"{made['party']} is {made['organization']} from height {made['height']} on"
    )


@party.command("show")
@click.argument("gln")
@member_command
def show_party(errand: Errand, gln: str) -> None:
    """Which organisation goes by a Global Location Number."""
    wanted = _gln(gln)

    async def act(visit: Visit) -> dict[str, Any]:
        return {"party": wanted, "organization": await visit.supply.party(wanted)}

    print_document(errand.run(act))


def _gtin(text: str) -> str:
    """14 digits, out of 8 to 14 of them or anything that can be scanned."""
    bare = text.isascii() and text.isdigit() and len(text) <= 14
    found = scanned(f"01/{text}" if bare else text, "GTIN").identifier.gtin
    if not found:
        raise OperatorError("E070", "GTIN is refused: it names no product")
    return found


def _gln(text: str) -> str:
    """13 digits, out of them or anything that can be scanned."""
    bare = text.isascii() and text.isdigit() and len(text) == GLN_DIGITS
    try:
        found = scan(f"417/{text}" if bare else text, 2000).identifier.gln
    except InvalidMessage as refusal:
        raise OperatorError("E070", f"GLN is refused: {refusal.code}: {refusal.cause}") from None
    if not found:
        raise OperatorError("E070", "GLN is refused: it names no party and no place")
    return found


def _range(temperature: tuple[float, float]) -> tuple[int, int]:
    low, high = (round(each * MILLI) for each in temperature)
    if not -273_150 <= low < high <= 1_000_000:
        raise OperatorError(
            "E070", "--temperature is refused: two degrees Celsius, the lower one first"
        )
    return low, high
