"""A node's word of itself: signed with the key that it names, for one network, as nothing else."""

import pytest
from msgspec.structs import replace

from chain.errors import InvalidMessage
from chain.keys import Domain, SigningKey
from chain.readiness import (
    READINESS,
    Readiness,
    SignedReadiness,
    check_readiness,
    sign_readiness,
)

KEY = SigningKey(b"k" * 32)
OTHER = SigningKey(b"o" * 32)
GENESIS = bytes(range(32))
SAID = Readiness("hospital-a", KEY.public, 7, 1_700_000_000_000)
SIGNED = sign_readiness(SAID, KEY, GENESIS)


def refused(signed: SignedReadiness, genesis_hash: bytes = GENESIS) -> tuple[str, str]:
    with pytest.raises(InvalidMessage) as caught:
        check_readiness(signed, genesis_hash)
    return caught.value.code, caught.value.field


def test_what_a_node_says_is_believed_to_have_been_said() -> None:
    check_readiness(SIGNED, GENESIS)
    assert SIGNED.readiness == READINESS.decode(READINESS.encode(SAID))


@pytest.mark.parametrize(
    "changed",
    [
        {"member": "hospital-b"},
        {"consensus_key": OTHER.public},
        {"height": 8},
        {"at_ms": 1_700_000_000_001},
    ],
)
def test_every_part_of_it_is_signed(changed: dict[str, object]) -> None:
    bent = SignedReadiness(replace(SAID, **changed), SIGNED.signature)
    assert refused(bent) == ("readiness.wrong_signature", "signature")


def test_it_is_of_one_network_and_of_no_other_kind() -> None:
    assert refused(SIGNED, bytes(32)) == ("readiness.wrong_signature", "signature")
    for domain in Domain:
        signature = KEY.sign(GENESIS, domain, READINESS.encode(SAID))
        if domain is not Domain.READINESS:
            assert refused(SignedReadiness(SAID, signature))[0] == "readiness.wrong_signature"


def test_nobody_speaks_for_a_key_that_is_not_his() -> None:
    with pytest.raises(AssertionError):
        sign_readiness(SAID, OTHER, GENESIS)


def test_a_key_under_which_a_signature_proves_nothing_signs_nothing() -> None:
    nothing = replace(SAID, consensus_key=b"\x01" + bytes(31))
    assert refused(SignedReadiness(nothing, bytes(64)))[0] == "readiness.wrong_signature"
