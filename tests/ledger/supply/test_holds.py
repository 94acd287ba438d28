"""Own holds are counted in all containers around, however they come and go."""

from chain.block import OK
from ledger.state import DecodedState
from ledger.supply.entries import HELD_EXCURSION, HELD_SUSPECT
from ledger.supply.standing import container_of
from tests.ledger.supply.supply_world import SupplyWorld, pack

PACKS = tuple(pack(str(number)) for number in range(4))
CASE, PALLET = "00/1", "00/2"


def counted(chain: SupplyWorld) -> tuple[int, int]:
    state = DecodedState(chain.state)
    return container_of(state, CASE).held, container_of(state, PALLET).held


def test_a_held_thing_counts_in_every_container_around_it(chain: SupplyWorld) -> None:
    chain.commission("maker", *PACKS)
    chain.hold(PACKS[0])
    assert chain.pack("maker", CASE, *PACKS[:3]) == OK
    assert chain.pack("maker", PALLET, CASE) == OK
    assert counted(chain) == (1, 1)
    chain.hold(PACKS[1], HELD_SUSPECT)
    chain.hold(PACKS[1], HELD_EXCURSION)
    assert counted(chain) == (2, 2)
    chain.lift(PACKS[1], HELD_SUSPECT)
    assert counted(chain) == (2, 2)
    chain.lift(PACKS[1], HELD_EXCURSION)
    assert counted(chain) == (1, 1)
    chain.hold(CASE)
    assert counted(chain) == (1, 2)
    assert chain.unpack("maker", PALLET, CASE) == OK
    assert counted(chain) == (1, 0)
    assert chain.unpack("maker", CASE, PACKS[0]) == OK
    assert counted(chain) == (0, 0)
    assert chain.stands(PACKS[0]).entry.holds != 0


def test_what_a_container_had_is_held_outside_for_its_own_sake(chain: SupplyWorld) -> None:
    chain.commission("maker", *PACKS)
    chain.pack("maker", CASE, *PACKS)
    chain.hold(CASE)
    chain.unpack("maker", CASE)
    chain.lift(CASE)
    assert chain.pack("maker", PALLET, PACKS[0]) == OK
    assert counted(chain) == (0, 1)
    chain.lift(PACKS[0])
    assert counted(chain) == (0, 0)
