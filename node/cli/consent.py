"""`medlock consent`: what a patient permits and denies, and what follows from it."""

from typing import Any, Final, cast, get_args

import click

from client.api import ExplainedDecision, Listed
from client.builder import Provision, TransactionBuilder
from client.category import CategoryKey, CategoryName, Recipient
from client.submission import organization_recipient
from client.wallet import Wallet
from ledger.consent_actions import ConsentRevoke
from ledger.consent_entries import ConsentEntry
from ledger.decision import Considered
from ledger.fields import STANDING_KEYS_MAX, Period, Purpose
from ledger.ids import grantee_of, organization_owner, owner_of
from node.cli.arguments import identifier
from node.cli.category import GENERAL
from node.cli.errand import Errand, Visit, member_command
from node.cli.output import print_document, table
from node.cli.putting import ledger_ms
from node.cli.words import (
    as_purposes,
    category_option,
    category_words,
    end_ms,
    moment,
    named_categories,
    named_category,
    patient_option,
    purpose_option,
    purpose_words,
    time_ms,
    until_options,
)
from node.errors import OperatorError

UNREAD: Final = "What was read before cannot be un-read; from this block on nothing more is opened."


@click.group()
def consent() -> None:
    """Permit and deny, see what is in force, and ask why."""


@consent.command()
@click.argument("grantee")
@patient_option
@purpose_option
@category_option
@until_options
@click.option("--from", "start", help="From this day or time on (default: at once).")
@click.option("--recorded-from", help="Only for what was recorded from this day or time on,")
@click.option("--recorded-until", help="and up to the end of this day, or this time.")
@click.option("--deny", is_flag=True, help="Deny instead of permitting.")
@click.option(
    "--standing", is_flag=True, help="Hand over the keys now, to read while our node is down."
)
@member_command
def grant(  # noqa: PLR0913 - one a flag, called by click
    *,
    errand: Errand,
    grantee: str,
    patient: str | None,
    purposes: tuple[str, ...],
    categories: tuple[str, ...],
    until: str | None,
    days: int | None,
    start: str | None,
    recorded_from: str | None,
    recorded_until: str | None,
    deny: bool,
    standing: bool,
) -> None:
    """Permit (or deny) an organisation, by its name, or a clinician, by his id, to read.

    No --purpose means any, no --category every one. Signed by the patient, or by a proxy whose
    appointment covers it.
    """
    until_ms = end_ms(until, days)
    from_ms = None if start is None else time_ms(start, "--from")
    data_period = _period(recorded_from, recorded_until)

    async def act(visit: Visit) -> dict[str, Any]:
        owner = visit.patient(patient)
        provision = Provision(
            "deny" if deny else "permit",
            as_purposes(purposes),
            await named_categories(visit, owner, categories),
            data_period,
            from_ms,
            until_ms,
        )
        builder = visit.builder()
        granted = await add_grant(
            visit, builder, owner, await visit.grantee(grantee), provision, standing=standing
        )
        return await visit.enact(
            builder,
            {
                "consent": granted.hex(),
                "patient": owner.hex(),
                "grantee": grantee,
                "effect": provision.effect,
                "purposes": list(provision.purposes),
                "categories": [each.hex() for each in provision.categories],
                "valid_until_ms": until_ms,
                "standing": standing,
            },
        )

    made = errand.run(act)
    verb = "permits" if made["effect"] == "permit" else "denies"
    print_document(
        made,
        f"consent {made['consent']}\nfrom height {made['height']} on, the patient {verb} {grantee} "
        f"to read for {purpose_words(made['purposes'])}, {_until(until_ms)}",
    )


@consent.command()
@click.argument("consent_id", metavar="CONSENT")
@member_command
def revoke(errand: Errand, consent_id: str) -> None:
    """End a consent with the next block. Nobody can un-read what was read before."""
    wanted = identifier(consent_id, 48, "CONSENT")
    made = errand.enact(ConsentRevoke(wanted), {"consent": consent_id})
    print_document(made, f"revoked at height {made['height']}. {UNREAD}")


@consent.command("list")
@patient_option
@click.option("--all", "everything", is_flag=True, help="Also those that have ended.")
@member_command
def list_command(errand: Errand, patient: str | None, everything: bool) -> None:  # noqa: FBT001 - click's
    """The consents of a patient."""

    async def act(
        visit: Visit,
    ) -> tuple[list[Listed[ConsentEntry]], dict[bytes, str], Wallet, int]:
        owner = visit.patient(patient)
        found = [each async for each in visit.api.consents_of(owner)]
        return found, await visit.names(), visit.wallet, await ledger_ms(visit.api)

    found, names, wallet, at_ms = errand.run(act)
    shown = [each for each in found if everything or _status(each.entry, at_ms) != "ended"]
    document = {"consents": [_document(each, names, at_ms) for each in shown]}
    rows = [_row(each, names, at_ms, wallet) for each in shown]
    titles = ("consent", "grantee", "effect", "purposes", "categories", "until", "status")
    print_document(document, table(titles, rows, none="no consents"))


@consent.command()
@click.argument("record_id", metavar="[RECORD]", required=False)
@patient_option
@click.option("--category", "category_name", default=GENERAL, show_default=True)
@click.option("--author", help="Whose records, by the organisation's name (default: the home's).")
@click.option("--actor", help="Who would read, by his id (default: the wallet's own).")
@click.option("--purpose", type=click.Choice(get_args(Purpose)), default="TREAT", show_default=True)
@member_command
def explain(
    *,
    errand: Errand,
    record_id: str | None,
    patient: str | None,
    category_name: str,
    author: str | None,
    actor: str | None,
    purpose: str,
) -> None:
    """May somebody read a record, or everything of a category, now; and why."""
    record = None if record_id is None else identifier(record_id, 32, "RECORD")
    reader = None if actor is None else identifier(actor, 16, "--actor")
    wanted = cast("Purpose", purpose)

    async def act(visit: Visit) -> tuple[bytes, ExplainedDecision, dict[bytes, str]]:
        who = reader or visit.wallet.principal
        names = await visit.names()
        if record is not None:
            return who, await visit.api.record_decision(record, who, wanted), names
        owner = visit.patient(patient)
        category = await named_category(visit, owner, category_name)
        writer = author or (await visit.api.principal(owner)).organization
        place = (owner, category, organization_owner(writer))
        return who, await visit.api.category_decision(*place, who, wanted), names

    who, found, names = errand.run(act)
    decision = found.decision
    document = {
        "at_ms": found.at_ms,
        "actor": who.hex(),
        "purpose": wanted,
        "permit": decision.permit,
        "basis": decision.basis,
        "cited": None if decision.cited is None else decision.cited.hex(),
        "why": decision.why,
        "explanation": found.explanation,
        "considered": [
            {
                "consent": each.consent.hex(),
                "effect": each.effect,
                "grantee": _grantee(each.consent, names),
                "names": _named_parts(each),
            }
            for each in decision.considered
        ],
    }
    print_document(document, sentences(who, wanted, found, names))


def sentences(
    who: bytes, purpose: Purpose, found: ExplainedDecision, names: dict[bytes, str]
) -> str:
    """A decision for people: who, whether, why, and each consent that was considered."""
    decision = found.decision
    may = "may" if decision.permit else "may not"
    lines = [
        f"{who.hex()} {may} read this for {purpose_words([purpose])}, as of {moment(found.at_ms)}.",
        found.explanation,
    ]
    if decision.cited is not None:
        lines.append(f"It would rest on {decision.basis} {decision.cited.hex()}.")
    if decision.considered:
        lines.append("Consents in force that fit, the most specific first:")
    for each in decision.considered:
        verb = "permits" if each.effect == "permit" else "denies"
        parts = ", ".join(_named_parts(each)) or "neither category, purpose nor data period"
        lines.append(
            f"  {each.consent.hex()} {verb} {_grantee(each.consent, names)}; it names {parts}"
        )
    return "\n".join(lines)


async def add_grant(
    visit: Visit,
    builder: TransactionBuilder,
    patient: bytes,
    grantee: bytes,
    provision: Provision,
    *,
    standing: bool,
) -> bytes:
    """Adds a grant to `builder`, with the keys of its categories where it is `standing`."""
    if not standing:
        return builder.grant_consent(patient, grantee, provision)
    if provision.effect == "deny":
        raise OperatorError("E070", "--standing hands over keys, and a denial hands over nothing")
    reader = await _organization(visit, grantee)
    keys = await _standing_keys(visit, patient, provision, reader.id)
    return builder.grant_consent(patient, grantee, provision, keys, reader)


async def _organization(visit: Visit, grantee: bytes) -> Recipient:
    for member in await visit.api.members():
        if organization_owner(member.id) == grantee:
            return organization_recipient(member)
    raise OperatorError(
        "E070", "--standing keys go to an organisation", fix="name the clinician's organisation"
    )


async def _standing_keys(
    visit: Visit, patient: bytes, provision: Provision, reader: bytes
) -> tuple[CategoryKey, ...]:
    """The current keys of what is permitted, but for those that the reader was given before."""
    given = {
        (each.category, each.author, each.epoch)
        async for each in visit.api.releases_of(patient)
        if each.reader == reader
    }
    opener, keys = visit.reader(), []
    async for each in visit.api.categories_of(patient):
        place = (each.category, each.author, each.entry.epoch)
        wanted = not provision.categories or each.category in provision.categories
        if wanted and each.author != reader and place not in given:
            keys.append(await opener.category_key(CategoryName(patient, *place)))
    if len(keys) > STANDING_KEYS_MAX:
        raise OperatorError(
            "E070",
            f"{len(keys)} keys are too many for one grant: {STANDING_KEYS_MAX} at most",
            fix="name the categories",
        )
    return tuple(keys)


def _period(start: str | None, end: str | None) -> Period | None:
    if start is None and end is None:
        return None
    if start is None or end is None:
        raise OperatorError("E070", "--recorded-from and --recorded-until go together")
    return Period(
        time_ms(start, "--recorded-from"), time_ms(end, "--recorded-until", end_of_day=True)
    )


def _until(valid_until_ms: int | None) -> str:
    return "until it is revoked" if valid_until_ms is None else f"until {moment(valid_until_ms)}"


def _status(entry: ConsentEntry, at_ms: int) -> str:
    if entry.revoked_ms is not None or (entry.valid_until_ms or at_ms + 1) <= at_ms:
        return "ended"
    return "in force" if entry.in_force(at_ms) else "not yet"


def _grantee(consent_id: bytes, names: dict[bytes, str]) -> str:
    grantee = grantee_of(consent_id)
    return names.get(grantee, grantee.hex())


def _document(each: Listed[ConsentEntry], names: dict[bytes, str], at_ms: int) -> dict[str, Any]:
    entry = each.entry
    return {
        "id": each.id.hex(),
        "grantee": _grantee(each.id, names),
        "effect": entry.effect,
        "purposes": list(entry.purposes),
        "categories": [category.hex() for category in entry.categories],
        "data_period": None
        if entry.data_period is None
        else [entry.data_period.start_ms, entry.data_period.end_ms],
        "valid_from_ms": entry.valid_from_ms,
        "valid_until_ms": entry.valid_until_ms,
        "granted_by": entry.granted_by.hex(),
        "granted_ms": entry.granted_ms,
        "revoked_ms": entry.revoked_ms,
        "status": _status(entry, at_ms),
    }


def _row(
    each: Listed[ConsentEntry], names: dict[bytes, str], at_ms: int, wallet: Wallet
) -> tuple[str, ...]:
    entry = each.entry
    return (
        each.id.hex(),
        _grantee(each.id, names),
        entry.effect,
        ", ".join(entry.purposes) or "any",
        category_words(entry.categories, owner_of(each.id), wallet),
        moment(entry.revoked_ms or entry.valid_until_ms),
        "revoked" if entry.revoked_ms is not None else _status(entry, at_ms),
    )


def _named_parts(considered: Considered) -> list[str]:
    """What makes a consent specific, the weightiest part first."""
    specific = considered.specificity
    parts = {
        "the clinician": specific.clinician,
        "the category": specific.category,
        "the purpose": specific.purpose,
        "a data period": specific.data_period,
    }
    return [part for part, named in parts.items() if named]
