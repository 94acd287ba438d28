"""A receipt convinces a stranger who has the genesis file and nothing else, and cannot be bent."""

import msgspec
import pytest
from chain_world import NAMES, World

from chain.errors import InvalidMessage
from chain.lineage import LineageStep
from chain.receipt import RECEIPT, verify_receipt
from chain.validators import ValidatorSet


def refused(call: object) -> str:
    with pytest.raises(InvalidMessage) as caught:
        call()  # type: ignore[operator]
    return caught.value.code


def test_a_receipt_verifies_and_says_what_it_proves(world: World) -> None:
    for index in range(5):
        verified = verify_receipt(world.receipt(index), world.genesis)
        assert verified.transaction_id == world.transactions[index].id
        assert (verified.height, verified.signatures, verified.validators) == (7, 3, 4)
        assert verified.result == world.results[index]


FLIPS = (1, 2, 3, 4, 8, 16, 32, 64, 128, 255)
"""Every bit alone, two together, all of them."""


def test_no_byte_can_be_another(world: World) -> None:
    raw = RECEIPT.encode(world.receipt())
    for place in range(len(raw)):
        bent = bytearray(raw)
        for flip in FLIPS:
            bent[place] = raw[place] ^ flip
            with pytest.raises(InvalidMessage):
                verify_receipt(RECEIPT.decode(bytes(bent)), world.genesis)


def test_too_few_signatures_are_no_certificate(world: World) -> None:
    receipt = world.receipt(signers=NAMES[:2])
    assert refused(lambda: verify_receipt(receipt, world.genesis)) == "certificate.no_quorum"


def test_one_bad_signature_among_enough_good_ones_is_refused(world: World) -> None:
    receipt = world.receipt(signers=NAMES)
    seals = list(receipt.certificate.seals)
    seals[3] = msgspec.structs.replace(seals[3], signature=bytes(64))
    bent = msgspec.structs.replace(
        receipt, certificate=msgspec.structs.replace(receipt.certificate, seals=tuple(seals))
    )
    assert refused(lambda: verify_receipt(bent, world.genesis)) == "certificate.wrong_signature"


def test_a_signer_counted_twice_is_refused(world: World) -> None:
    receipt = world.receipt(signers=(NAMES[0], NAMES[0], NAMES[1]))
    assert refused(lambda: verify_receipt(receipt, world.genesis)) == "certificate.order"


def test_another_consortium_is_refused(world: World) -> None:
    other = msgspec.structs.replace(world.genesis, time_ms=1_001)
    code = refused(lambda: verify_receipt(world.receipt(), other))
    assert code == "certificate.wrong_signature"


def test_a_trusted_block_decides_between_histories(world: World) -> None:
    receipt = world.receipt()
    block_hash = receipt.header.hash
    assert verify_receipt(receipt, world.genesis, (7, block_hash)).height == 7
    assert (
        refused(lambda: verify_receipt(receipt, world.genesis, (7, bytes(32))))
        == "receipt.other_history"
    )
    assert (
        refused(lambda: verify_receipt(receipt, world.genesis, (8, block_hash)))
        == "receipt.trusted_not_shown"
    )


def with_lineage(world: World, following: ValidatorSet, signers: tuple[str, ...]) -> object:
    first = world.genesis.validators
    change = world.header(3, first, following)
    step = LineageStep(change, world.certify(change), following.encode())
    header = world.header(7, following, following)
    return msgspec.structs.replace(
        world.receipt(),
        header=header,
        certificate=world.certify(header, signers),
        lineage=(step,),
    )


def test_lineage_carries_trust_to_new_validators(world: World) -> None:
    three = ValidatorSet(world.genesis.validators.validators[:3])
    receipt = with_lineage(world, three, NAMES[:3])
    assert verify_receipt(receipt, world.genesis).validators == 3  # type: ignore[arg-type]


def test_who_left_signs_nothing_any_more(world: World) -> None:
    three = ValidatorSet(world.genesis.validators.validators[:3])
    receipt = with_lineage(world, three, (NAMES[0], NAMES[1], NAMES[3]))
    code = refused(lambda: verify_receipt(receipt, world.genesis))  # type: ignore[arg-type]
    assert code == "certificate.unknown_validator"


def test_a_receipt_without_its_lineage_is_refused(world: World) -> None:
    three = ValidatorSet(world.genesis.validators.validators[:3])
    receipt = msgspec.structs.replace(with_lineage(world, three, NAMES[:3]), lineage=())  # type: ignore[type-var]
    code = refused(lambda: verify_receipt(receipt, world.genesis))  # type: ignore[arg-type]
    assert code == "lineage.other_validators"
