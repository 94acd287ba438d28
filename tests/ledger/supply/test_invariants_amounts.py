"""Invariant 10 for what has no serial number: nothing is lost, made or moved twice."""

from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ledger.supply import queries
from ledger.supply.amounts import amount_of, millionths
from ledger.supply.fields import ClassQuantities, ClassQuantity
from tests import campaign
from tests.ledger.supply.supply_world import TAG, SupplyWorld, lot

LOTS = (lot("L1"), lot("L2"))
BOXES = ("00/1", "00/2")
MEMBERS = ("maker", "wholesaler", "pharmacy")
AMOUNTS = st.dictionaries(st.sampled_from(LOTS), st.integers(1, 4_000_000), min_size=1)
WHO = st.sampled_from(MEMBERS)

Pot = Counter[str]
"""Millionths by lot."""


def quantities(pot: dict[str, int]) -> ClassQuantities:
    found = []
    for item_class in sorted(pot):
        amount = amount_of(pot[item_class], "LTR")
        assert amount is not None
        found.append(ClassQuantity(item_class, amount))
    return tuple(found)


class Amounts(RuleBasedStateMachine):
    """Litres of two lots, loose and in two boxes, among three members."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = SupplyWorld()
        self.made: Pot = Counter()
        self.loose: dict[str, Pot] = {member: Counter() for member in MEMBERS}
        self.sent: dict[tuple[str, str], Pot] = {
            (sender, receiver): Counter() for sender in MEMBERS for receiver in MEMBERS
        }
        self.dispensed: Pot = Counter()
        self.boxes: dict[str, Pot] = {}
        self.where: dict[str, tuple[str, str | None]] = {}
        """The custodian of a box, and to whom it is under way."""

    def known(self, pot: dict[str, int]) -> bool:
        return all(self.made[each] for each in pot)

    @rule(who=WHO, pot=AMOUNTS)
    def commission(self, who: str, pot: dict[str, int]) -> None:
        result = self.chain.commission(who, quantities=quantities(pot))
        assert result.ok == (who == "maker")
        if result.ok:
            self.made.update(pot)
            self.loose["maker"].update(pot)

    @rule(who=WHO, receiver=WHO, pot=AMOUNTS)
    def ship(self, who: str, receiver: str, pot: dict[str, int]) -> None:
        allowed = self.known(pot) and Counter(pot) <= self.loose[who]
        assert self.chain.ship(who, receiver, quantities=quantities(pot)).ok == allowed
        if allowed:
            self.loose[who].subtract(pot)
            self.sent[who, receiver].update(pot)

    @rule(sender=WHO, who=WHO, share=st.integers(1, 5))
    def receive(self, sender: str, who: str, share: int) -> None:
        """A part of what one sender sent, or a little more; the oldest comes first."""
        pot = {each: max(1, count * share // 4) for each, count in self.sent[sender, who].items()}
        under_way: Pot = Counter()
        for member in MEMBERS:
            under_way.update(self.sent[member, who])
        if not pot:
            return
        allowed = self.known(pot) and Counter(pot) <= under_way
        before = self.holdings()
        assert self.chain.receive(who, quantities=quantities(pot)).ok == allowed
        if allowed:
            self.loose[who].update(pot)
            after = self.holdings()
            for member in MEMBERS:
                for each in pot:
                    place = f"{member}>{who}"
                    gone = before[each, place] - after[each, place]
                    assert 0 <= gone <= self.sent[member, who][each]
                    self.sent[member, who][each] -= gone

    @rule(who=WHO, box=st.sampled_from(BOXES), pot=AMOUNTS)
    def pack(self, who: str, box: str, pot: dict[str, int]) -> None:
        allowed = (
            self.where.get(box, (who, None)) == (who, None)
            and self.known(pot)
            and Counter(pot) <= self.loose[who]
        )
        assert self.chain.pack(who, box, quantities=quantities(pot)).ok == allowed
        if allowed:
            self.where[box] = (who, None)
            self.loose[who].subtract(pot)
            self.boxes.setdefault(box, Counter()).update(pot)

    @rule(who=WHO, box=st.sampled_from(BOXES), pot=AMOUNTS, everything=st.booleans())
    def unpack(self, who: str, box: str, pot: dict[str, int], everything: bool) -> None:
        inside = self.boxes.get(box, Counter())
        allowed = self.where.get(box) == (who, None)
        if everything:
            assert self.chain.unpack(who, box).ok == allowed
            pot = dict(inside)
        else:
            allowed = allowed and self.known(pot) and Counter(pot) <= inside
            assert self.chain.unpack(who, box, quantities=quantities(pot)).ok == allowed
        if allowed:
            inside.subtract(pot)
            self.loose[who].update(pot)

    @rule(who=WHO, receiver=WHO, box=st.sampled_from(BOXES))
    def ship_a_box(self, who: str, receiver: str, box: str) -> None:
        allowed = self.where.get(box) == (who, None)
        assert self.chain.ship(who, receiver, box).ok == allowed
        if allowed:
            self.where[box] = (who, receiver)

    @rule(who=WHO, box=st.sampled_from(BOXES))
    def receive_a_box(self, who: str, box: str) -> None:
        allowed = self.where.get(box, (None, None))[1] == who
        assert self.chain.receive(who, box).ok == allowed
        if allowed:
            self.where[box] = (who, None)

    @rule(who=WHO, pot=AMOUNTS)
    def dispense(self, who: str, pot: dict[str, int]) -> None:
        allowed = who == "pharmacy" and self.known(pot) and Counter(pot) <= self.loose[who]
        assert self.chain.dispense(who, quantities=quantities(pot), tag=TAG).ok == allowed
        if allowed:
            self.loose[who].subtract(pot)
            self.dispensed.update(pot)

    def holdings(self) -> Counter[tuple[str, str]]:
        """Millionths by lot and place, as the state has them."""
        found: Counter[tuple[str, str]] = Counter()
        for each in LOTS:
            for place, held in queries.holders(self.chain.state, each, limit=99):
                assert held.pieces == 0
                found[each, place] = 0 if held.amount is None else millionths(held.amount)
        return found

    @invariant()
    def every_drop_is_where_the_model_has_it(self) -> None:
        expected: Counter[tuple[str, str]] = Counter()
        for each in LOTS:
            for member in MEMBERS:
                expected[each, member] += self.loose[member][each]
            for (sender, receiver), pot in self.sent.items():
                expected[each, f"{sender}>{receiver}"] += pot[each]
            expected[each, "pharmacy!dispensed"] += self.dispensed[each]
            for box, pot in self.boxes.items():
                custodian, receiver = self.where[box]
                place = custodian if receiver is None else f"{custodian}>{receiver}"
                expected[each, place] += pot[each]
        assert +self.holdings() == +expected
        for each in LOTS:
            entry = queries.lot(self.chain.state, each)
            made = 0 if entry is None or entry.amount is None else millionths(entry.amount)
            assert made == self.made[each]

    @invariant()
    def what_is_open_is_what_is_under_way(self) -> None:
        for receiver in MEMBERS:
            expected: Pot = Counter()
            for sender in MEMBERS:
                expected.update(self.sent[sender, receiver])
            for box, pot in self.boxes.items():
                if self.where[box][1] == receiver:
                    expected.update(pot)
            found: Pot = Counter()
            for _, shipment in queries.shipments_to(self.chain.state, receiver, limit=999):
                for content in shipment.open:
                    assert content.amount is not None
                    found[content.item_class] += millionths(content.amount)
            assert +found == +expected


TestAmounts = Amounts.TestCase
TestAmounts.settings = campaign.machine(30, steps=40)
