"""The index looks at what may be the organisation's to know, and leaves out what cannot be."""

from collections.abc import Sequence
from typing import cast

from ledger.actions import RecordPut, RecordRetract
from ledger.ids import new_record_id, organization_owner
from node.gateway.attendants.follow import FollowedBlock, FollowedTransaction
from node.gateway.catalogue import Catalogue
from node.gateway.cataloguing import Cataloguing
from tests.node.gateway.gateway_world import House, World


class Taken:
    """A catalogue that only remembers what it was asked to take in."""

    def __init__(self) -> None:
        self.records: list[bytes] = []

    async def take_in(self, records: Sequence[bytes]) -> None:
        self.records += records


def put(owner: bytes, number: int) -> RecordPut:
    return RecordPut(new_record_id(owner, bytes([number]) * 16), bytes(16), 0, bytes(32), bytes(32))


def sent(house: House, *actions: RecordPut | RecordRetract) -> FollowedTransaction:
    return FollowedTransaction(house.office.wallet.principal, actions)


async def test_what_others_write_of_patients_is_left_alone_until_they_change_it(
    world: World,
) -> None:
    patient = b"a patient's id.."
    ours, theirs = put(patient, 1), put(patient, 2)
    directory = put(organization_owner(world.b.office.member), 3)
    retracted = RecordRetract(theirs.record, 2)
    block = FollowedBlock(
        7, 7_000, (sent(world.a, ours), sent(world.b, theirs, directory, retracted))
    )
    taken = Taken()
    attendant = Cataloguing(cast("Catalogue", taken), world.solo, world.a.office.member)
    assert attendant.wants(block)
    await attendant.attend(block)
    assert taken.records == [ours.record, directory.record, theirs.record]
