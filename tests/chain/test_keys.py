"""Signatures count on one chain, as one kind of message, under sound keys only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import InvalidMessage
from chain.keys import (
    Domain,
    EncryptionKey,
    SigningKey,
    check_encryption_key,
    check_public_key,
    payload,
    verify,
)

KEY = SigningKey(b"k" * 32)
GENESIS = bytes(range(32))

SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
]
NON_CANONICAL = [
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]


def test_rfc_8032_vector() -> None:
    key = SigningKey(
        bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    )
    assert key.public.hex() == ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    assert key.sign_raw(b"").hex().startswith("e5564300c360ac729086e2cc806e828a")


@pytest.mark.parametrize("raw", SMALL_ORDER + NON_CANONICAL)
def test_keys_that_prove_nothing_are_refused(raw: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        check_public_key(bytes.fromhex(raw), "signing_key")
    assert (caught.value.code, caught.value.field) == ("key.invalid_point", "signing_key")


def test_a_sound_key_passes() -> None:
    check_public_key(KEY.public, "signing_key")


def test_a_signature_is_bound_to_chain_and_kind() -> None:
    signature = KEY.sign(GENESIS, Domain.PREPARE, b"x")
    assert verify(KEY.public, signature, payload(GENESIS, Domain.PREPARE, b"x"))
    assert not verify(KEY.public, signature, payload(GENESIS, Domain.COMMIT, b"x"))
    assert not verify(KEY.public, signature, payload(bytes(32), Domain.PREPARE, b"x"))
    assert not verify(KEY.public, signature, payload(GENESIS, Domain.PREPARE, b"y"))


@given(st.integers(0, 63), st.integers(1, 255))
def test_a_flipped_signature_never_verifies(place: int, flip: int) -> None:
    signature = bytearray(KEY.sign(GENESIS, Domain.COMMIT, b"x"))
    signature[place] ^= flip
    assert not verify(KEY.public, bytes(signature), payload(GENESIS, Domain.COMMIT, b"x"))


def test_the_secret_is_in_no_representation() -> None:
    assert repr(KEY) == "SigningKey(…)"
    assert KEY.seed == b"k" * 32


@pytest.mark.parametrize(
    ("key", "field"),
    [
        (EncryptionKey(9, bytes(32)), "k.suite"),
        (EncryptionKey(1, bytes(31)), "k.public"),
        (EncryptionKey(2, bytes(32)), "k.public"),
    ],
)
def test_unusable_encryption_keys_are_refused(key: EncryptionKey, field: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        check_encryption_key(key, "k")
    assert caught.value.field == field
