"""Reading where goods are, whence they came, what is wrong with them.

All of it is what every member's node holds, so staff of all members may ask (`node.api.access`);
documents of events stay sealed.
"""

from functools import lru_cache
from itertools import islice
from typing import Final

from aiohttp import web

from chain.errors import InvalidMessage
from chain.transaction import BODY, SIGNED
from ledger.actions import decode_action
from ledger.ids import organization_owner
from ledger.queries import members
from ledger.state import StateReader, decoded
from ledger.supply import quality_queries, queries, reading
from ledger.supply.actions import SupplyCapture
from ledger.supply.alerts import alerts as open_alerts
from ledger.supply.dispensings import dispensed_packs
from ledger.supply.standing import holds_of_class
from ledger.supply.trace import ActionAt, trace
from ledger.supply.whereabouts import whereabouts
from node.api.asking import ask, known, page
from node.api.calls import Call
from node.api.supply_alerts import attempts_in
from node.api.supply_documents import (
    AlertsDocument,
    DispensedPackDocument,
    DispensedPage,
    EventDocument,
    HolderDocument,
    HoldersDocument,
    ItemDocument,
    PartyDocument,
    ProductDocument,
    ProductShareDocument,
    ReasonDocument,
    RecallDocument,
    RecallPage,
    RecallProgress,
    RecallProgressDocument,
    ShipmentDocument,
    ShipmentPage,
    SupplyAlertDocument,
    TraceDocument,
    VerificationDocument,
    VerificationPage,
)
from storage.protocols import StateSnapshot, Store

ALERTS_LISTED_MAX: Final = 200
ALERT_PAGES_MAX: Final = 16
"""Pages of entries that are looked at for one answer (`ledger.supply.alerts`)."""
BLOCKS_MAX: Final = 1_000
"""Blocks in which one answer looks for attempts."""
ATTEMPTS_MAX: Final = 200
"""Attempts of one answer, but for those of the block in which they become so many."""
_BLOCKS_REMEMBERED: Final = 64
_FOREVER_MS: Final = (1 << 63) - 1


async def item(call: Call) -> web.Response:
    """Where an item is, who has it, and why it may not go on."""
    name: str = call.arguments["epc"]

    def read(state: StateSnapshot) -> ItemDocument | None:
        now_ms = call.api.next_block_ms(state.header)
        found = reading.where_is(state, name, now_ms)
        return None if found is None else _item(name, found, state)

    return call.reply(known(await ask(call, read), "item", "path.epc"))


async def item_trace(call: Call) -> web.Response:
    """The way of an item or a lot through handovers, packing and transformation."""
    name: str = call.arguments["epc"]
    after: int = call.arguments["after"]

    def read(state: StateSnapshot) -> TraceDocument | None:
        found = trace(state, name, actions_of(call.backend.store), after)
        return None if found is None else TraceDocument(name, found, state.header.height)

    return call.reply(known(await ask(call, read), "item", "path.epc"))


async def holders(call: Call) -> web.Response:
    """Who holds what of a lot."""
    name: str = call.arguments["class"]
    limit: int = call.arguments["limit"]
    after: str = call.arguments["after"]

    def read(state: StateSnapshot) -> HoldersDocument | None:
        entry = queries.lot(state, name)
        if entry is None:
            return None
        found = list(islice(whereabouts(state, name, after), limit + 1))
        return HoldersDocument(
            name,
            entry,
            holds_of_class(decoded(state), name, call.api.next_block_ms(state.header)),
            tuple(
                HolderDocument(each.member, each.receiver, each.state, each.pieces, each.amount)
                for each in found[:limit]
            ),
            found[limit - 1].place if len(found) > limit else None,
            state.header.height,
        )

    return call.reply(known(await ask(call, read), "lot", "path.class"))


async def product(call: Call) -> web.Response:
    """A product: its manufacturer, limits and recalls, and who has the key for its hidden serial
    numbers."""
    gtin: str = call.arguments["gtin"]

    def read(state: StateReader) -> ProductDocument | None:
        entry = queries.product(state, gtin)
        if entry is None:
            return None
        names = {organization_owner(each.id): each.id for each in members(state)}
        shares = tuple(
            ProductShareDocument(names[owner], share.sealed, share.shared_ms)
            for owner, share in queries.product_shares(state, gtin)
            if owner in names
        )
        return ProductDocument(gtin, entry, shares)

    return call.reply(known(await ask(call, read), "product", "path.gtin"))


async def party(call: Call) -> web.Response:
    """Whose a Global Location Number is."""
    gln: str = call.arguments["gln"]
    found = await ask(call, lambda state: queries.organization_at(state, gln))
    return call.reply(PartyDocument(gln, known(found, "party", "path.gln")))


async def shipments(call: Call) -> web.Response:
    """Shipments that are not received, or are overdue."""
    limit: int = call.arguments["limit"]
    after: bytes = call.arguments["after"]
    overdue = call.arguments["state"] == "overdue"

    last = (int.from_bytes(after[:8], "big"), int.from_bytes(after[8:], "big")) if after else None

    def read(state: StateSnapshot) -> ShipmentPage:
        before_ms = call.api.next_block_ms(state.header) if overdue else _FOREVER_MS
        found = queries.overdue(state, before_ms, limit + 1, last)
        shown = tuple(ShipmentDocument(*each) for each in found[:limit])
        if len(found) <= limit:
            return ShipmentPage(shown, None)
        due_ms, number = shown[-1].shipment.due_ms, shown[-1].number
        return ShipmentPage(shown, f"{due_ms:016x}{number:016x}")

    return call.reply(await ask(call, read))


async def recalls(call: Call) -> web.Response:
    """All recalls, by id."""
    return call.reply(RecallPage(*await page(call, quality_queries.recalls, RecallDocument)))


async def recall(call: Call) -> web.Response:
    """A recall, and how far it is."""
    wanted: bytes = call.arguments["id"]

    def read(state: StateSnapshot) -> RecallProgressDocument | None:
        entry = quality_queries.recall(state, wanted)
        if entry is None:
            return None
        progress, cut = reading.progress_of(state, wanted)
        told = tuple(RecallProgress(*each) for each in progress)
        return RecallProgressDocument(wanted, entry, told, cut)

    return call.reply(known(await ask(call, read), "recall", "path.id"))


async def dispensed(call: Call) -> web.Response:
    """The packs of a recall that an organisation gave to patients."""
    wanted: bytes = call.arguments["id"]
    limit: int = call.arguments["limit"]
    after: str = call.arguments["after"]
    member: str = call.arguments["organization"] or call.authenticated.member
    told = await ask(call, lambda state: dispensed_packs(state, wanted, member, limit, after))
    found = known(told, "recall", "path.id")
    packs = tuple(
        DispensedPackDocument(
            each.item, each.lot, each.status, tuple(EventDocument(*event) for event in each.events)
        )
        for each in found.packs
    )
    return call.reply(DispensedPage(member, packs, found.next))


async def verifications(call: Call) -> web.Response:
    """What manufacturers were asked, and what they answered."""
    return call.reply(
        VerificationPage(*await page(call, reading.verifications, VerificationDocument))
    )


async def alerts(call: Call) -> web.Response:
    """What an organisation should see to: the caller's own, or the one that is named."""
    first: int = call.arguments["from"]
    member: str = call.arguments["organization"] or call.authenticated.member
    store = call.backend.store

    def read(state: StateSnapshot) -> AlertsDocument:
        told, cut = _open_alerts(state, member, call.api.next_block_ms(state.header))
        end = min(first + BLOCKS_MAX, state.header.height + 1)
        attempts, following = attempts_in(store, state, first, end, ATTEMPTS_MAX)
        return AlertsDocument(member, attempts, told, first, following, cut)

    return call.reply(await ask(call, read))


def _open_alerts(
    state: StateSnapshot, member: str, now_ms: int
) -> tuple[tuple[SupplyAlertDocument, ...], bool]:
    """What there is for `member` now; True where there is more."""
    found: list[SupplyAlertDocument] = []
    after = b""
    for _ in range(ALERT_PAGES_MAX):
        some = open_alerts(state, member, now_ms, ALERTS_LISTED_MAX, after)
        found += [SupplyAlertDocument(*each) for each in some.alerts]
        if some.next is None:
            return tuple(found), False
        if len(found) >= ALERTS_LISTED_MAX:
            break
        after = some.next
    return tuple(found), True


def actions_of(store: Store) -> ActionAt:
    """Captures by their place on the chain; remembers the blocks that it has read last, as one
    answer asks for many of one block."""

    @lru_cache(maxsize=_BLOCKS_REMEMBERED)
    def transactions_at(height: int) -> tuple[bytes, ...]:
        block = store.block(height)
        return () if block is None else tuple(block.transactions)

    def action_at(transaction: bytes, index: int) -> SupplyCapture | None:
        place = store.find_transaction(transaction)
        if place is None:
            return None
        raw = transactions_at(place[0])[place[1]]
        actions = BODY.decode(SIGNED.decode(raw).body).actions
        try:
            action = decode_action(actions[index], f"actions[{index}]")
        except InvalidMessage:
            return None
        return action if isinstance(action, SupplyCapture) else None

    return action_at


def _item(name: str, found: reading.Where, state: StateSnapshot) -> ItemDocument:
    stands, container = found.stands, found.container
    return ItemDocument(
        name,
        found.product,
        stands.entry.lot or None,
        None if found.lot is None else found.lot.expires_ms,
        stands.status,
        found.holds,
        tuple(ReasonDocument(*each) for each in found.reasons),
        None if found.shipment is not None else stands.custodian,
        None if found.shipment is None else ShipmentDocument(*found.shipment),
        stands.containers,
        () if container is None else container.contents,
        () if container is None else container.devices,
        stands.exposure_ms,
        tuple(EventDocument(*each) for each in found.events),
        state.header.height,
        state.header.timestamp_ms,
    )
