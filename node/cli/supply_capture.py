"""`medlock supply capture`: events of EPCIS, sealed and put on the chain in one transaction.

As with bundles (`node.cli.putting`), what is sent is on disk before, and a capture that was left
open is finished first: the same file captured again goes on with the same transaction.
"""

import asyncio
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, get_args

import click

from chain.errors import InvalidMessage
from client.api import Api
from client.builder import Network, TransactionBuilder
from client.captured import Again, difference, find_event
from client.capturing import (
    EVENTS_MAX,
    CapturedEvent,
    CaptureSubmission,
    EventToCapture,
    Visibility,
    add_event,
    event_names,
    readers_category,
    readers_of,
    standalone,
)
from client.category import CategoryKey
from client.dispensing import tag_keys, tag_of
from client.epcis.document import DOCUMENT_BYTES_MAX, parse_document
from client.epcis.events import Event
from client.epcis.facts import NO_KEYS, capture_of, parties_named, products_named
from client.epcis.faults import InvalidDocument
from client.errors import ApiError
from client.files import read_bounded
from client.hidden import ProductKeys
from client.intent import IntentFile, capture_intent
from client.reading import Reader
from client.supply_api import SupplyApi
from client.wallet import Wallet, load_wallet
from client.writing import event_place
from ledger.entries import OrganizationEntry
from ledger.supply.actions import EventContent, SupplyCapture
from node.cli.output import json_option, print_document, table
from node.cli.putting import EPOCH_CODES, Desk, validity_end_ms
from node.cli.reach import Asked, Reach, reach_options, resolve
from node.errors import OperatorError

EXISTS: Final = "supply.event_exists"
_FAULTS_SHOWN: Final = 8
_ACTION: Final = re.compile(r"actions\[(\d+)\]")
_NOBODY: Final = frozenset({"party.unknown", "product.unknown"})


@dataclass(frozen=True, slots=True)
class How:
    """`binding` events move custody; others only say something. `patient` is the site's own name
    for him to whom the packs are dispensed."""

    binding: bool = True
    visibility: Visibility = "consortium"
    patient: str | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What has to be known of the consortium to build captures: whose GLNs are, who makes what,
    the keys of products whose serial numbers are hidden."""

    parties: dict[str, str]
    makers: dict[str, str]
    members: tuple[OrganizationEntry, ...]
    hidden: Mapping[str, bytes]


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--recording", is_flag=True, help="Keep what the events say; custody and status do not move."
)
@click.option(
    "--visibility",
    type=click.Choice(get_args(Visibility)),
    default="consortium",
    show_default=True,
    help="Who can open the documents: all members, or sender, receiver and manufacturer.",
)
@click.option(
    "--patient", help="Your own name for the patient to whom packs are dispensed; it stays here."
)
@reach_options
@json_option
def capture(
    *, asked: Asked, file: Path, recording: bool, visibility: Visibility, patient: str | None
) -> None:
    """Capture an EPCIS 2.0 document, or one event, in one transaction: all of it or nothing."""
    if asked.wallet is None:
        raise OperatorError("E070", "as whom?", fix="give --as WALLET, a file or a demo wallet")
    raw = read_bounded(file, DOCUMENT_BYTES_MAX)
    how = How(not recording, visibility, patient)
    done = asyncio.run(capture_file(resolve(asked), raw, how))
    print_document(done, _told(done))


def _told(done: dict[str, Any]) -> str:
    events = done["events"]
    rows = [
        (each["id"], "captured" if each["captured"] else "was there already") for each in events
    ]
    if done["transaction"] is None:
        head = "nothing to capture: all of it stands on the chain already"
    else:
        head = f"transaction {done['transaction']} at height {done['height']}"
    if all(each["captured"] for each in events):
        return f"{head}\n{table(('event',), [row[:1] for row in rows])}"
    return f"{head}\n{table(('event', 'outcome'), rows)}"


async def capture_file(reach: Reach, raw: bytes, how: How) -> dict[str, Any]:
    """Captures the document `raw` and waits for the commit; what `supply capture` prints.

    What stands on the chain already, and says the same, is left out; `captured` tells.
    """
    events = read_events(raw)
    async with reach.connect() as (api, _):
        desk = await Desk.open(reach, api)
        digest = _digest(events, how)
        done = await desk.finish_earlier(digest)
        for last in (False, True):
            try:
                return await _capture(desk, events, how, digest, done)
            except OperatorError as error:
                # A colleague may have opened the category meanwhile, or its next epoch.
                if last or not any(each in error.cause for each in (EPOCH_CODES, _OPENED)):
                    raise
    raise AssertionError("the second attempt returns or raises")


_OPENED: Final = "category.already_open"


def read_events(raw: bytes) -> tuple[Event, ...]:
    """The events of a document; E018 names the faults, each with its place."""
    try:
        events = parse_document(raw).events
    except InvalidDocument as refusal:
        told = [f"{each.pointer or '/'}: {each.code}: {each.cause}" for each in refusal.faults]
        more = len(told) - _FAULTS_SHOWN
        if more > 0:
            told[_FAULTS_SHOWN:] = [f"and {more} more"]
        why = _NOT_JSON if refusal.code.startswith("json.") else _NOT_EPCIS
        raise OperatorError("E018", _listed(told), why=why, fix=_MEND) from None
    if not 1 <= len(events) <= EVENTS_MAX:
        raise OperatorError(
            "E018",
            f"{len(events)} events, and 1 to {EVENTS_MAX} go into a transaction",
            why="a file is one transaction: all of it or nothing",
            fix="split the document" if events else "put an event into epcisBody.eventList",
        )
    return _each_once(events)


_NOT_JSON: Final = "a document of EPCIS 2.0 is a file in JSON (RFC 8259)"
_NOT_EPCIS: Final = "EPCIS 2.0 asks otherwise at the places that are named"
_MEND: Final = "mend the file at each place (a JSON Pointer into it), and capture it again"


def _listed(told: Sequence[str]) -> str:
    """One fault a line."""
    if len(told) == 1:
        return told[0]
    return "\n".join(["the document has faults", *(f"  {each}" for each in told)])


def _each_once(events: Sequence[Event]) -> tuple[Event, ...]:
    """What a file repeats word for word is one event; two events under one id are refused."""
    found: dict[tuple[bytes, ...], tuple[Event, bytes]] = {}
    for index, event in enumerate(events):
        document = standalone(event)[1]
        _, known = found.setdefault(event_names(event, ()), (event, document))
        if known != document:
            raise OperatorError(
                "E018",
                f"/epcisBody/eventList/{index}/eventID: epcis.repeated_event_id: another event of "
                "the document has the same id",
                why="an id names one event",
                fix="give one of the two an eventID of its own, or none",
            )
    return tuple(event for event, _ in found.values())


async def _capture(
    desk: Desk, events: Sequence[Event], how: How, digest: bytes, done: dict[str, Any] | None
) -> dict[str, Any]:
    """Captures what of `events` is not there. `done` is what an earlier command had left open of
    the same file, and is now committed."""
    wallet = load_wallet(desk.path, desk.reach.held.passphrase)
    around = await look_around(desk.api, events)
    products = ProductKeys(desk.api, wallet, desk.network.chain_id)
    hidden = {gtin: key for event in events for gtin, key in (await products.of(event)).items()}
    around = replace(around, hidden=hidden)
    keys = EventKeys(desk.api, wallet, desk.network, how.visibility, around)
    there = await _already(desk, keys, events, how)
    new = set() if done is None else {each["key"] for each in done["events"]}
    rows = {
        index: {"id": standalone(events[index])[0], "key": key, "captured": key in new}
        for index, key in there.items()
    }
    fresh = {index: event for index, event in enumerate(events) if index not in there}
    if fresh:
        done = await _write(desk, keys, fresh, how, digest)
        for index, each in zip(fresh, done["events"], strict=True):
            rows[index] = {**each, "captured": True}
    stands = {"transaction": None, "height": None} if done is None else done
    return {**stands, "events": [rows[index] for index in sorted(rows)]}


async def _already(
    desk: Desk, keys: "EventKeys", events: Sequence[Event], how: How
) -> dict[int, str]:
    """Which of `events` stand on the chain, with the keys by which they do. E033 where one stands
    there by an id of theirs that is another."""
    found = {}
    for index, event in enumerate(events):
        entry = await find_event(desk.api, event, await keys.known_for(event))
        if entry is None:
            continue
        again = Again(event, how.binding, how.patient, tag_keys(keys.wallet))
        differs = await difference(keys.reader, desk.api, desk.network.chain_id, again, entry)
        if differs:
            raise OperatorError(
                "E033",
                f"rejected: {EXISTS} at events[{index}].eventID: {differs}",
                why="an id names one event for ever, and its content never changes",
                fix="leave the event out; or, where it is another one, give it an eventID of its "
                "own or none; an error is taken back by the same event with an errorDeclaration",
            )
        found[index] = entry.event.hex()
    return found


async def _write(
    desk: Desk, keys: "EventKeys", events: Mapping[int, Event], how: How, digest: bytes
) -> dict[str, Any]:
    """Captures all of `events` (under their places in the file) in one transaction."""
    builder = TransactionBuilder(desk.network, keys.wallet, os.urandom)
    captured, places = [], {}
    for index, event in events.items():
        key = await keys.key_for(builder, event)
        places[builder.size] = index
        try:
            captured.append(add_capture(builder, event, key, how, keys.around))
        except InvalidMessage as refusal:
            field = f"events[{index}].{refusal.field}"
            cause = f"{field}: {refusal.code}: {refusal.cause}"
            raise OperatorError("E018", cause, why=_UNSAID, fix=_MEND_EVENT) from None
    built = builder.sign(await validity_end_ms(desk.api))
    submission = CaptureSubmission(built, tuple(captured), keys.wallet)
    file = IntentFile.beside(desk.path, desk.reach.held.passphrase, built.id)
    intent = capture_intent(submission, digest, keys.before)
    file.save(intent, os.urandom)
    try:
        return await desk.finish(file, intent, sent_before=False)
    except OperatorError as error:
        raise _placed(error, places) from None


_UNSAID: Final = "the ledger's rules cannot be told this of an event"
_MEND_EVENT: Final = "mend what is named in that event (counted from 0), and capture the file again"


def _placed(error: OperatorError, places: Mapping[int, int]) -> OperatorError:
    """The same refusal with places in the file instead of the transaction."""

    def place(found: re.Match[str]) -> str:
        index = places.get(int(found[1]))
        return found[0] if index is None else f"events[{index}]"

    return OperatorError(error.code, _ACTION.sub(place, error.cause), why=error.why, fix=error.fix)


def add_capture(
    builder: TransactionBuilder, event: Event, key: CategoryKey, how: How, around: Surroundings
) -> CapturedEvent:
    """Asks for one event to be captured, in the transaction of `builder`."""
    event_id, document = standalone(event)
    tag = None
    if how.patient is not None:
        secrets = tag_keys(builder.sender)
        if not secrets:
            raise OperatorError(
                "E070", "--patient needs a wallet that speaks for its organisation (a service's)"
            )
        tag = tag_of(secrets[0], how.patient, event_id)

    def facts(named: bytes, content: EventContent) -> SupplyCapture:
        return capture_of(
            event,
            named,
            content,
            around.parties,
            binding=how.binding,
            tag=tag,
            hidden=around.hidden,
        )

    return add_event(builder, EventToCapture(event_id, document, facts), key)


class EventKeys:
    """The keys under which a wallet seals events; one for each set of readers, found once."""

    def __init__(
        self,
        api: Api,
        wallet: Wallet,
        network: Network,
        visibility: Visibility,
        around: Surroundings,
    ) -> None:
        self.before = wallet
        """As it was kept."""
        self.around = around
        self.reader = Reader(api, wallet, network.chain_id)
        self._api = api
        self._visibility = visibility
        self._keys: dict[bytes, CategoryKey] = {}
        self._looked: set[bytes] = set()

    @property
    def wallet(self) -> Wallet:
        """The wallet, with every key that was found or made."""
        found = self.reader.wallet
        for key in self._keys.values():
            found = found.with_category_key(key)
        return found

    async def key_for(self, builder: TransactionBuilder, event: Event) -> CategoryKey:
        """The key for an event; opens its category in the transaction of `builder` where that is
        new, or not sealed to all who should read."""
        readers = self._readers(event, self._visibility)
        category = readers_category(self._visibility, [each.id for each in readers])
        if category not in self._keys:
            place = await event_place(self._api, self.reader, category, readers)
            self._keys[category] = place.key_in(builder)
        return self._keys[category]

    async def known_for(self, event: Event) -> tuple[CategoryKey, ...]:
        """The keys under which the event may stand on the chain for its parties alone."""
        readers = self._readers(event, "parties")
        category = readers_category("parties", [each.id for each in readers])
        if category not in self._looked:
            await event_place(self._api, self.reader, category, readers)
            self._looked.add(category)
        wallet = self.reader.wallet
        return tuple(
            each
            for each in wallet.category_keys
            if (each.name.author, each.name.category) == (wallet.author, category)
        )

    async def shared_key(self, builder: TransactionBuilder) -> tuple[CategoryKey, bool]:
        """The key of the consortium's category; True where `builder` has to open it."""
        category = readers_category("consortium", ())
        place = await event_place(self._api, self.reader, category, self.around.members)
        return place.key_in(builder), place.key is None

    def _readers(self, event: Event, visibility: Visibility) -> tuple[OrganizationEntry, ...]:
        if visibility == "consortium":
            return self.around.members
        author = self.reader.wallet.organization or ""
        wanted = readers_of(event, author, self.around.parties, self.around.makers)
        return tuple(each for each in self.around.members if each.id in wanted)


async def look_around(api: Api, events: Sequence[Event]) -> Surroundings:
    """What `events` name, as far as the ledger knows it; no keys yet."""
    supply = SupplyApi(api)
    parties: dict[str, str] = {}
    makers: dict[str, str] = {}
    for gln in sorted({each for event in events for each in parties_named(event)}):
        try:
            parties[gln] = await supply.party(gln)
        except ApiError as error:
            if error.code not in _NOBODY:
                raise
    for gtin in sorted({each for event in events for each in products_named(event)}):
        try:
            makers[gtin] = str((await supply.product(gtin))["product"]["manufacturer"])
        except ApiError as error:
            if error.code not in _NOBODY:
                raise
    return Surroundings(parties, makers, await api.members(), NO_KEYS)


def _digest(events: Sequence[Event], how: How) -> bytes:
    """Names what is captured, and how: whoever captures the same again means the same."""
    seen = sha256(f"{how.binding} {how.visibility} {how.patient}".encode())
    for event in events:
        seen.update(sha256(standalone(event)[1]).digest())
    return seen.digest()
