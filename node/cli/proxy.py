"""`medlock proxy`: who acts for a patient, in what, and until when."""

import dataclasses
from typing import Any, cast, get_args

import click

from client.api import Listed
from client.builder import ProxyScope
from client.wallet import Wallet, card
from ledger.consent_actions import ProxyRevoke
from ledger.consent_entries import AppointmentEntry
from ledger.fields import Power
from node.cli.arguments import identifier
from node.cli.errand import Errand, Visit, member_command
from node.cli.output import print_document, table
from node.cli.putting import ledger_ms
from node.cli.reach import find_testnet, hold
from node.cli.words import (
    category_option,
    category_words,
    end_ms,
    moment,
    named_categories,
    patient_option,
    until_options,
)
from node.errors import OperatorError


@click.group()
def proxy() -> None:
    """Let somebody act for a patient."""


@proxy.command()
@click.argument("proxy_wallet", metavar="WALLET")
@click.option(
    "--power",
    "powers",
    multiple=True,
    required=True,
    type=click.Choice(get_args(Power)),
    help="What he may do; may be repeated.",
)
@category_option
@until_options
@click.option("--guardian", is_flag=True, help="He can help to recover a lost key.")
@click.option("--proxy-passphrase-fd", type=int, help="Read the passphrase of WALLET from there.")
@member_command
def appoint(  # noqa: PLR0913 - one a flag, called by click
    *,
    errand: Errand,
    proxy_wallet: str,
    powers: tuple[str, ...],
    categories: tuple[str, ...],
    until: str | None,
    days: int | None,
    guardian: bool,
    proxy_passphrase_fd: int | None,
) -> None:
    """Appoint whose WALLET it is (a file, or a demo wallet's name); he co-signs.

    `medlock wallet new FILE --kind proxy` makes one. An appointment of the same proxy is replaced.
    """
    until_ms = end_ms(until, days)
    theirs = dataclasses.replace(
        errand.asked, wallet=proxy_wallet, passphrase_fd=proxy_passphrase_fd
    )
    person = hold(theirs, find_testnet(theirs)).wallet

    async def act(visit: Visit) -> dict[str, Any]:
        scope = ProxyScope(
            cast("tuple[Power, ...]", powers),
            await named_categories(visit, visit.wallet.principal, categories),
            valid_until_ms=until_ms,
            guardian=guardian,
        )
        made = {
            "proxy": person.principal.hex(),
            "patient": visit.wallet.principal.hex(),
            "powers": sorted(set(powers)),
        }
        return await _appointed(visit, person, scope, made)

    made = errand.run(act)
    print_document(
        made, f"{made['proxy']} may {', '.join(made['powers'])} from height {made['height']} on"
    )


async def _appointed(
    visit: Visit, person: Wallet, scope: ProxyScope, made: dict[str, Any]
) -> dict[str, Any]:
    """A proxy's wallet is new to the ledger, or appointed by another patient before."""
    for is_new in (person.kind == "proxy", False):
        builder = visit.builder()
        builder.appoint_proxy(card(person), person.signing_key, scope, new=is_new)
        try:
            return await visit.enact(builder, made)
        except OperatorError as error:
            if not (is_new and "principal.exists" in error.cause):
                raise
    raise AssertionError("the second attempt returns or raises")


@proxy.command()
@click.argument("proxy_id", metavar="PROXY")
@patient_option
@member_command
def revoke(errand: Errand, proxy_id: str, patient: str | None) -> None:
    """End an appointment at once, as the patient or as the proxy himself."""
    wanted = identifier(proxy_id, 16, "PROXY")

    async def act(visit: Visit) -> dict[str, Any]:
        builder = visit.builder()
        builder.add(ProxyRevoke(visit.patient(patient), wanted))
        return await visit.enact(builder, {"proxy": proxy_id})

    made = errand.run(act)
    print_document(made, f"revoked at height {made['height']}")


@proxy.command("list")
@patient_option
@member_command
def list_command(errand: Errand, patient: str | None) -> None:
    """Whom a patient has appointed."""

    async def act(visit: Visit) -> tuple[bytes, Wallet, list[Listed[AppointmentEntry]], int]:
        owner = visit.patient(patient)
        found = [each async for each in visit.api.proxies_of(owner)]
        return owner, visit.wallet, found, await ledger_ms(visit.api)

    owner, wallet, found, at_ms = errand.run(act)
    document = {
        "proxies": [
            {
                "id": each.id.hex(),
                "powers": list(each.entry.powers),
                "categories": [category.hex() for category in each.entry.categories],
                "valid_from_ms": each.entry.valid_from_ms,
                "valid_until_ms": each.entry.valid_until_ms,
                "guardian": each.entry.guardian,
                "revoked_ms": each.entry.revoked_ms,
                "status": _status(each.entry, at_ms),
            }
            for each in found
        ]
    }
    rows = [
        (
            each.id.hex(),
            ", ".join(each.entry.powers),
            category_words(each.entry.categories, owner, wallet),
            moment(each.entry.revoked_ms or each.entry.valid_until_ms),
            _status(each.entry, at_ms),
        )
        for each in found
    ]
    titles = ("proxy", "powers", "categories", "until", "status")
    print_document(document, table(titles, rows, none="no proxies"))


def _status(entry: AppointmentEntry, at_ms: int) -> str:
    if entry.revoked_ms is not None:
        return "revoked"
    if entry.valid_until_ms is not None and entry.valid_until_ms <= at_ms:
        return "ended"
    return "in force" if entry.valid_from_ms <= at_ms else "not yet"
