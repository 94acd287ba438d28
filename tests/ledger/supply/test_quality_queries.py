"""What the state answers about recalls: where everything is, who has given it to whom, who owes."""

from ledger.supply import quality_queries as queries
from ledger.supply.quality_queries import Dispensed, Owing
from ledger.supply.whereabouts import lots_of, whereabouts
from tests.ledger.ledger_world import person
from tests.ledger.supply.quality_world import (
    CASE,
    PRODUCT,
    RECALL,
    acknowledgement,
    closing,
    doubt,
    quarantine,
    recall,
    sold_to,
)
from tests.ledger.supply.supply_world import GTIN, RIVALS, TAG, SupplyWorld, lot, pack, quantities

PACKS = tuple(pack(str(number)) for number in range(9))


def spread(chain: SupplyWorld) -> None:
    """Lot L1: two packs in the pharmacy, three dispensed, one administered, one on its way, two
    (in a case) with the maker. Lot L2: one with the wholesaler."""
    chain.commission("maker", *PACKS)
    sold_to(chain, "pharmacy", *PACKS[:5])
    sold_to(chain, "hospital", PACKS[5])
    assert chain.dispense("pharmacy", *PACKS[2:5]).ok
    assert chain.observe("hospital", "administering", PACKS[5], tag=TAG).ok
    assert chain.ship("maker", "wholesaler", PACKS[6]).ok
    chain.pack("maker", CASE, *PACKS[7:])
    chain.commission("maker", pack("b"), lot="L2")
    sold_to(chain, "wholesaler", pack("b"))


def test_a_recall_finds_every_place_of_every_lot(chain: SupplyWorld) -> None:
    spread(chain)
    chain.submit("maker-admin", recall(PRODUCT))
    found = queries.caught(chain.state, RECALL, 100)
    assert [(each.item_class, each.place, each.pieces) for each in found] == [
        (lot("L1"), "hospital!administered", 1),
        (lot("L1"), "maker", 2),
        (lot("L1"), "maker>wholesaler", 1),
        (lot("L1"), "pharmacy", 2),
        (lot("L1"), "pharmacy!dispensed", 3),
        (lot("L2"), "wholesaler", 1),
    ]
    assert [each.state for each in found[:4]] == [
        "administered",
        "in hand",
        "in transit",
        "in hand",
    ]
    paged, after = [], ("", "")
    while page := queries.caught(chain.state, RECALL, 1, after):
        paged.extend(page)
        after = (page[-1].item_class, page[-1].place)
    assert tuple(paged) == found


def test_a_recall_of_one_lot_leaves_the_others_out(chain: SupplyWorld) -> None:
    spread(chain)
    chain.submit("maker-admin", recall(lot("L2")))
    (found,) = queries.caught(chain.state, RECALL, 100)
    assert (found.item_class, found.member) == (lot("L2"), "wholesaler")
    assert queries.caught(chain.state, bytes(16), 100) == ()


def test_sites_are_told_how_many_patients_there_may_be(chain: SupplyWorld) -> None:
    spread(chain)
    chain.submit("maker-admin", recall(PRODUCT))
    expected = (Dispensed(lot("L1"), "hospital", 0, 1), Dispensed(lot("L1"), "pharmacy", 3, 0))
    assert queries.dispensed(chain.state, RECALL, 10) == expected
    assert queries.dispensed(chain.state, RECALL, 10, (lot("L1"), "hospital")) == expected[1:]
    assert queries.dispensed(chain.state, RECALL, 10, (lot("L1"), "pharmacy")) == ()
    assert queries.dispensed(chain.state, bytes(16), 10) == ()


def test_whoever_has_or_had_something_owes_an_acknowledgement(chain: SupplyWorld) -> None:
    spread(chain)
    chain.submit("maker-admin", recall(PRODUCT))
    holders = ("hospital", "maker", "pharmacy", "wholesaler")
    assert queries.owing(chain.state, RECALL) == Owing(holders, complete=True)
    for name in ("pharmacy", "rival"):
        chain.submit(f"{name}-nurse", acknowledgement())
    assert queries.owing(chain.state, RECALL).members == ("hospital", "maker", "wholesaler")
    assert queries.owing(chain.state, bytes(16)).members == ()


def test_recalls_concern_those_who_have_send_await_or_gave_something(
    chain: SupplyWorld,
) -> None:
    spread(chain)
    chain.submit("maker-admin", recall(lot("L1")))
    chain.submit("maker-admin", recall(lot("L2"), name="second"))
    chain.submit("maker-admin", recall(lot("L1"), name="mistake"))
    chain.submit("maker-admin", closing("mistake", lift=True))

    def concerning(member: str) -> set[bytes]:
        return {each for each, _ in queries.recalls_concerning(chain.state, member, 10)}

    second = person("second")
    assert concerning("pharmacy") == concerning("hospital") == {RECALL}
    assert concerning("wholesaler") == {RECALL, second}
    assert concerning("rival") == set()
    assert {each for each, _ in queries.recalls(chain.state, 10)} == {
        RECALL,
        second,
        person("mistake"),
    }
    first = min(RECALL, second)
    ((found, _),) = queries.recalls_concerning(chain.state, "wholesaler", 10, first)
    assert found == max(RECALL, second)


def test_amounts_without_serial_numbers_are_found_as_well(chain: SupplyWorld) -> None:
    event = chain.event(
        "object", "ADD", "commissioning", quantities=quantities((lot("L9"), 25, -1, "KGM"))
    )
    assert chain.capture("maker", event).ok
    (found,) = whereabouts(chain.state, lot("L9"))
    assert (found.pieces, found.member) == (0, "maker")
    assert found.amount is not None
    assert (found.amount.mantissa, found.amount.exponent) == (25, -1)


def test_a_scope_walks_each_lot_once_and_from_anywhere(chain: SupplyWorld) -> None:
    spread(chain)
    chain.commission("rival", pack("r", RIVALS), lot="R1")
    scope = (PRODUCT, lot("L1"), lot("R1", RIVALS))
    everything = [PRODUCT, lot("L1"), lot("L2"), lot("R1", RIVALS)]
    assert list(lots_of(chain.state, scope)) == everything
    for index, each in enumerate(everything):
        assert list(lots_of(chain.state, scope, each)) == everything[index + 1 :]
    assert list(lots_of(chain.state, (f"01/{RIVALS}",), PRODUCT)) == [
        f"01/{RIVALS}",
        lot("R1", RIVALS),
    ]
    assert GTIN < RIVALS


def test_lists_are_paged(chain: SupplyWorld) -> None:
    spread(chain)
    for number, subject in enumerate((PACKS[0], PACKS[1], lot("L1"))):
        who = "maker" if subject == lot("L1") else "pharmacy"
        assert chain.submit(f"{who}-admin", quarantine(subject)).ok
        assert chain.submit("pharmacy-nurse", doubt(PACKS[number], str(number))).ok
    held = queries.quarantines(chain.state, 10)
    assert [each.subject for each in held] == [lot("L1"), PACKS[0], PACKS[1]]
    after = (held[0].subject, held[0].entry.organization)
    assert queries.quarantines(chain.state, 1, after) == held[1:2]
    reports = queries.suspects(chain.state, 10)
    assert len(reports) == 3
    assert queries.suspects(chain.state, 1, reports[1].report) == reports[2:]
