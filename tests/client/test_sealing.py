"""A sealed key opens for its recipient, in its place, and for nobody else."""

import pytest

from chain.errors import InvalidMessage
from chain.keys import EncryptionKey, Suite
from client.errors import Tampered
from client.sealing import PRIVATE_BYTES, PrivateKey, Random, new_private_key, open_sealed, seal

SECRET = b"CANARY-secret-CANARY-secret-1234"
SUITES = list(Suite)


@pytest.fixture(params=SUITES, ids=lambda suite: suite.name)
def key(request: pytest.FixtureRequest, chance: Random) -> PrivateKey:
    return new_private_key(request.param, chance)


def test_a_round_trip(key: PrivateKey) -> None:
    sealed = seal(SECRET, key.public, b"place")
    assert open_sealed(sealed, key, b"place") == SECRET
    assert len(sealed) == {1: 80, 2: 1_168}[key.suite]
    assert len(key.public.public) == {1: 32, 2: 1_216}[key.suite]
    assert seal(SECRET, key.public, b"place") != sealed


def test_another_key_does_not_open_it(key: PrivateKey, chance: Random) -> None:
    other = new_private_key(Suite(key.suite), chance)
    with pytest.raises(Tampered):
        open_sealed(seal(SECRET, other.public, b"place"), key, b"place")


def test_another_place_does_not_open_it(key: PrivateKey) -> None:
    with pytest.raises(Tampered):
        open_sealed(seal(SECRET, key.public, b"place"), key, b"elsewhere")


def test_no_flipped_byte_opens(key: PrivateKey) -> None:
    sealed = seal(SECRET, key.public, b"place")
    for index in range(0, len(sealed), 1 if key.suite == 1 else 13):
        bent = bytearray(sealed)
        bent[index] ^= 1
        with pytest.raises(Tampered):
            open_sealed(bytes(bent), key, b"place")


def test_a_cut_one_does_not_open(key: PrivateKey) -> None:
    sealed = seal(SECRET, key.public, b"place")
    for size in (0, 1, 31, len(sealed) // 2, len(sealed) - 1):
        with pytest.raises(Tampered):
            open_sealed(sealed[:size], key, b"place")


@pytest.mark.parametrize(
    ("public", "code"),
    [
        (EncryptionKey(3, bytes(32)), "key.unknown_suite"),
        (EncryptionKey(1, bytes(31)), "key.wrong_length"),
        (EncryptionKey(2, bytes(32)), "key.wrong_length"),
        (EncryptionKey(1, bytes(32)), "key.invalid_point"),
        (EncryptionKey(2, b"\xff" * 1_216), "key.invalid_point"),
        (EncryptionKey(2, bytes(1_216)), "key.invalid_point"),
    ],
)
def test_keys_that_are_none_are_refused(public: EncryptionKey, code: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        seal(SECRET, public, b"place")
    assert caught.value.code == code


def test_private_keys_of_a_wrong_shape_are_refused() -> None:
    for key in (PrivateKey(9, bytes(32)), PrivateKey(2, bytes(32)), PrivateKey(1, bytes(96))):
        with pytest.raises(InvalidMessage):
            _ = key.public


def test_a_private_key_never_shows_itself(key: PrivateKey) -> None:
    canary = PrivateKey(key.suite, SECRET.ljust(PRIVATE_BYTES[Suite(key.suite)], b"C"))
    assert "CANARY" not in repr(canary) + str(canary) + repr([canary])
    assert SECRET.hex() not in repr(canary)
