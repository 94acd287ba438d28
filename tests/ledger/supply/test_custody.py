"""One pack from its maker to a patient, on a pallet: who has it at every step."""

from chain.block import OK
from tests.ledger.supply.supply_world import SupplyWorld, pack

PACKS = tuple(pack(f"{number:03}") for number in range(20))
CASE, PALLET = "00/095211410000000010", "00/095211410000000027"


def test_a_pack_goes_from_its_maker_to_a_patient_on_a_pallet(chain: SupplyWorld) -> None:
    assert chain.commission("maker", *PACKS) == OK
    assert chain.pack("maker", CASE, *PACKS) == OK
    assert chain.pack("maker", PALLET, CASE) == OK
    stands = chain.stands(PACKS[0])
    assert (stands.custodian, stands.containers) == ("maker", (CASE, PALLET))
    assert chain.ship("maker", "wholesaler", PALLET) == OK
    assert chain.stands(PACKS[0]).shipment == 4
    assert chain.receive("wholesaler", PALLET) == OK
    assert chain.stands(PACKS[0]).custodian == "wholesaler"
    assert chain.unpack("wholesaler", PALLET, CASE) == OK
    assert chain.unpack("wholesaler", CASE) == OK
    assert chain.ship("wholesaler", "pharmacy", *PACKS[:5]) == OK
    assert chain.receive("pharmacy", *PACKS[:5]) == OK
    assert chain.dispense("pharmacy", PACKS[0]) == OK
    assert chain.stands(PACKS[0]).status == "dispensed"
    assert chain.stands(PACKS[7]).custodian == "wholesaler"
    assert chain.dispense("pharmacy", PACKS[0]).code == "supply.final"
