"""Words that the commands of a member take and print: dates, purposes, categories, notes.

A reason in words is never an argument, which other processes see and histories keep: it comes from
a file, or from a prompt, and goes into a sealed note.
"""

import datetime as dt
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar, cast, get_args

import click

from client.errors import ApiError, NotForUs, Tampered
from client.files import read_bounded
from client.note import NOTE_BYTES_MAX, open_note
from client.wallet import Wallet
from ledger.fields import Outcome, Purpose
from node.cli.category import category_word, find_category
from node.cli.errand import Visit
from node.cli.putting import now_ms
from node.errors import OperatorError

Command = TypeVar("Command", bound=Callable[..., Any])
DAY_MS: Final = 86_400_000
DAYS_MAX: Final = 36_500
PURPOSES: Final[dict[Purpose, str]] = {
    "TREAT": "treatment",
    "ETREAT": "emergency treatment",
    "HPAYMT": "payment",
    "HOPERAT": "operations",
    "HRESCH": "research",
    "PUBHLTH": "public health",
    "PATRQT": "the patient's own request",
}


def patient_option(command: Command) -> Command:
    """`--patient`."""
    return click.option(
        "--patient", help="The patient's pseudonym (default: the patient whose wallet it is)."
    )(command)


def note_option(command: Command) -> Command:
    """`--note-file`."""
    return click.option(
        "--note-file",
        type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
        help="Words to seal for those whom it concerns, in a file; - reads them from stdin.",
    )(command)


def purpose_option(command: Command) -> Command:
    """`--purpose`, any number of times, as `purposes`."""
    return click.option(
        "--purpose",
        "purposes",
        multiple=True,
        type=click.Choice(get_args(Purpose)),
        help="HL7 v3 PurposeOfUse; may be repeated.",
    )(command)


def category_option(command: Command) -> Command:
    """`--category`, any number of times, as `categories`."""
    return click.option(
        "--category",
        "categories",
        multiple=True,
        help="general, emergency-summary, or a category's id; may be repeated.",
    )(command)


def until_options(command: Command) -> Command:
    """`--until` and `--days`."""
    days = click.option("--days", type=click.IntRange(1, DAYS_MAX), help="For so many days.")
    until = click.option("--until", help="Up to the end of this day (2026-12-31, UTC), or a time.")
    return until(days(command))


def outcome_option(command: Command) -> Command:
    """`--outcome` of a review or a dispute."""
    choice = click.Choice(get_args(Outcome))
    return click.option("--outcome", type=choice, required=True)(command)


def as_purposes(given: Sequence[str]) -> tuple[Purpose, ...]:
    """Click has checked them."""
    return cast("tuple[Purpose, ...]", tuple(given))


def end_ms(until: str | None, days: int | None) -> int | None:
    """UTC milliseconds of `--until` or `--days`; None where neither is given."""
    if until is not None and days is not None:
        raise OperatorError("E070", "--until and --days say the same: give one of them")
    if days is not None:
        return now_ms() + days * DAY_MS
    return None if until is None else time_ms(until, "--until", end_of_day=True)


def time_ms(text: str, option: str, *, end_of_day: bool = False) -> int:
    """UTC milliseconds of an ISO date or time; a time without a zone is UTC."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise OperatorError(
            "E070", f"{option} is refused: a date such as 2026-12-31, or an ISO 8601 time"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    milliseconds = int(moment.timestamp() * 1_000)
    if not 0 <= milliseconds < 1 << 53:
        raise OperatorError("E070", f"{option} is refused: between 1970 and the year 9999")
    return milliseconds + DAY_MS if end_of_day and len(text) == len("2026-12-31") else milliseconds


def moment(timestamp_ms: int | None) -> str:
    """UTC, to the second; "-" for none."""
    if timestamp_ms is None:
        return "-"
    return dt.datetime.fromtimestamp(timestamp_ms / 1_000, dt.UTC).isoformat(timespec="seconds")


def purpose_words(purposes: Iterable[Purpose]) -> str:
    """For people; no purpose means any."""
    return ", ".join(f"{PURPOSES[each]} ({each})" for each in purposes) or "any purpose"


async def named_categories(visit: Visit, patient: bytes, given: Sequence[str]) -> tuple[bytes, ...]:
    """The ids of the categories that are named by a word or an id."""
    return tuple([await named_category(visit, patient, each) for each in given])


async def named_category(visit: Visit, patient: bytes, text: str) -> bytes:
    """The id of one category."""
    return await find_category(visit.api, visit.wallet, patient, text)


def category_words(categories: Sequence[bytes], patient: bytes, wallet: Wallet) -> str:
    """For people; none named means all."""
    return ", ".join(category_word(each, patient, wallet) for each in categories) or (
        "every category"
    )


def read_note(path: Path | None, question: str | None = None) -> str | None:
    """The words in `path`; without it, asked for at the terminal where there is a `question`."""
    if path is None:
        if question is None:
            return None
        if not sys.stdin.isatty():
            raise OperatorError("E070", "a reason in words is needed", fix="give --note-file FILE")
        return str(click.prompt(question, err=True))
    if str(path) == "-":
        raw = sys.stdin.buffer.read(NOTE_BYTES_MAX + 1)
    else:
        raw = read_bounded(path, NOTE_BYTES_MAX)
    try:
        words = raw.decode().strip()
    except UnicodeDecodeError:
        raise OperatorError("E070", "--note-file is refused: it is no UTF-8 text") from None
    if not words or len(raw) > NOTE_BYTES_MAX:
        raise OperatorError("E070", f"--note-file is refused: 1 to {NOTE_BYTES_MAX} bytes")
    return words


def one_line(words: str | None) -> str:
    """Somebody else's words on one line of a terminal: what would steer it is left out."""
    if words is None:
        return "-"
    return "".join(each if each.isprintable() else " " for each in words)


async def opened_note(visit: Visit, patient: bytes, note: bytes | None) -> str | None:
    """The words of a note that is sealed to this wallet; None for others, and for an erased one."""
    if note is None:
        return None
    try:
        raw = await visit.api.attachment(note)
        return open_note(raw, visit.network.chain_id, patient, visit.wallet.keyring())
    except (NotForUs, Tampered):
        return None
    except ApiError as error:
        if error.status in {404, 410}:
            return None
        raise
