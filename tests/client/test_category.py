"""A category key reaches exactly those to whom it was sealed."""

import msgspec
import pytest

from chain.errors import InvalidMessage
from chain.keys import Suite
from client.category import (
    SEALS,
    CategoryKey,
    CategoryName,
    Recipient,
    Seals,
    new_category_key,
    open_category_key,
    seal_category_key,
)
from client.errors import NotForUs, Tampered
from client.sealing import PrivateKey, Random, new_private_key

NAME = CategoryName(b"o" * 16, b"c" * 16, b"a" * 16, 0)
PATIENT, HOSPITAL, STRANGER = b"p" * 16, b"h" * 16, b"s" * 16


@pytest.fixture
def key(chance: Random) -> CategoryKey:
    return new_category_key(NAME, chance)


@pytest.fixture
def rings(chance: Random) -> dict[bytes, PrivateKey]:
    return {
        PATIENT: new_private_key(Suite.X25519, chance),
        HOSPITAL: new_private_key(Suite.ML_KEM_768_X25519, chance),
        STRANGER: new_private_key(Suite.ML_KEM_768_X25519, chance),
    }


@pytest.fixture
def seals(key: CategoryKey, rings: dict[bytes, PrivateKey]) -> bytes:
    recipients = [Recipient(each, rings[each].public) for each in (PATIENT, HOSPITAL)]
    return seal_category_key(key, "net", recipients)


def test_each_recipient_opens_it_in_its_own_suite(
    key: CategoryKey, rings: dict[bytes, PrivateKey], seals: bytes
) -> None:
    for each in (PATIENT, HOSPITAL):
        assert open_category_key(seals, NAME, "net", [(each, rings[each])]) == key


def test_a_stranger_is_told_that_it_is_not_for_him(
    rings: dict[bytes, PrivateKey], seals: bytes
) -> None:
    with pytest.raises(NotForUs):
        open_category_key(seals, NAME, "net", [(STRANGER, rings[STRANGER])])
    with pytest.raises(NotForUs):
        open_category_key(seals, NAME, "net", [])


def test_a_strangers_key_under_a_recipients_name_opens_nothing(
    rings: dict[bytes, PrivateKey], seals: bytes
) -> None:
    with pytest.raises(Tampered):
        open_category_key(seals, NAME, "net", [(HOSPITAL, rings[STRANGER])])


def test_an_old_key_in_front_does_not_hide_the_right_one(
    key: CategoryKey, rings: dict[bytes, PrivateKey], seals: bytes
) -> None:
    ring = [(HOSPITAL, rings[STRANGER]), (HOSPITAL, rings[HOSPITAL])]
    assert open_category_key(seals, NAME, "net", ring) == key


@pytest.mark.parametrize("field", ["owner", "category", "author"])
def test_seals_moved_to_another_name_do_not_open(
    field: str, rings: dict[bytes, PrivateKey], seals: bytes
) -> None:
    other = msgspec.structs.replace(NAME, **{field: b"x" * 16})
    with pytest.raises(Tampered):
        open_category_key(seals, other, "net", [(PATIENT, rings[PATIENT])])


def test_seals_moved_to_another_epoch_or_chain_do_not_open(
    rings: dict[bytes, PrivateKey], seals: bytes
) -> None:
    ring = [(PATIENT, rings[PATIENT])]
    with pytest.raises(Tampered):
        open_category_key(seals, msgspec.structs.replace(NAME, epoch=1), "net", ring)
    with pytest.raises(Tampered):
        open_category_key(seals, NAME, "other", ring)


def test_a_seal_renamed_to_another_recipient_does_not_open(
    rings: dict[bytes, PrivateKey], seals: bytes
) -> None:
    """Even with the right private key: the name of the recipient is bound."""
    first, second = SEALS.decode(seals).seals
    renamed = SEALS.encode(Seals((first, msgspec.structs.replace(second, recipient=STRANGER))))
    with pytest.raises(Tampered):
        open_category_key(renamed, NAME, "net", [(STRANGER, rings[PATIENT])])


def test_repeated_and_disordered_recipients_are_refused(
    key: CategoryKey, rings: dict[bytes, PrivateKey], seals: bytes
) -> None:
    patient = Recipient(PATIENT, rings[PATIENT].public)
    with pytest.raises(InvalidMessage):
        seal_category_key(key, "net", [patient, patient])
    with pytest.raises(InvalidMessage):
        seal_category_key(key, "net", [])
    decoded = SEALS.decode(seals)
    turned = SEALS.encode(msgspec.structs.replace(decoded, seals=decoded.seals[::-1]))
    with pytest.raises(InvalidMessage) as caught:
        open_category_key(turned, NAME, "net", [(PATIENT, rings[PATIENT])])
    assert caught.value.code == "seals.order"


@pytest.mark.parametrize("raw", [b"", b"\x01", b"\x02\x90", b"\x01\x91\x90", bytes(100)])
def test_bytes_that_are_no_seals_are_refused(raw: bytes) -> None:
    with pytest.raises(InvalidMessage):
        open_category_key(raw, NAME, "net", [])


def test_a_category_key_never_shows_itself() -> None:
    key = CategoryKey(NAME, b"CANARY".ljust(32, b"C"))
    assert "CANARY" not in repr(key) + str(key) + repr({"key": key})
