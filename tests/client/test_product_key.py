"""The key for hidden serial numbers: it opens for whom it is sealed to, for its product, on its
chain."""

import os
from typing import Any

import pytest

from chain.errors import InvalidMessage
from chain.keys import Suite
from client.category import Recipient
from client.errors import NotForUs, Tampered
from client.product_key import KEY_BYTES, open_product_key, seal_product_key, sealed_to
from client.sealing import new_private_key
from ledger.ids import organization_owner

CHAIN = "net"
GTIN = "09521141012345"
MAKER, PHARMACY = organization_owner("maker"), organization_owner("pharmacy")
KEYS = {each: new_private_key(Suite.X25519, os.urandom) for each in (MAKER, PHARMACY)}
SECRET = b"k" * KEY_BYTES


def sealed(*readers: bytes, secret: bytes = SECRET) -> bytes:
    recipients = [Recipient(each, KEYS[each].public) for each in readers]
    return seal_product_key(secret, GTIN, CHAIN, recipients)


def test_it_opens_for_each_of_its_readers() -> None:
    raw = sealed(PHARMACY, MAKER)
    for reader, key in KEYS.items():
        assert open_product_key(raw, GTIN, CHAIN, [(reader, key)]) == SECRET
    assert SECRET not in raw


def test_it_opens_for_nobody_else() -> None:
    with pytest.raises(NotForUs) as refusal:
        open_product_key(sealed(MAKER), GTIN, CHAIN, [(PHARMACY, KEYS[PHARMACY])])
    assert refusal.value.code == "product.key_not_shared"
    assert f"product share {GTIN}" in refusal.value.fix
    with pytest.raises(Tampered):
        open_product_key(sealed(MAKER), GTIN, CHAIN, [(MAKER, KEYS[PHARMACY])])


@pytest.mark.parametrize(("gtin", "chain"), [("00000000000000", CHAIN), (GTIN, "other")])
def test_it_is_worth_nothing_elsewhere(gtin: str, chain: str) -> None:
    with pytest.raises(Tampered):
        open_product_key(sealed(MAKER), gtin, chain, [(MAKER, KEYS[MAKER])])


@pytest.mark.parametrize("raw", [b"", b"\x00", b"no attachment at all"])
def test_what_is_no_such_attachment_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidMessage):
        open_product_key(raw, GTIN, CHAIN, [(MAKER, KEYS[MAKER])])


def test_a_changed_seal_does_not_open() -> None:
    raw = bytearray(sealed(MAKER))
    raw[-1] ^= 1
    with pytest.raises(Tampered):
        open_product_key(bytes(raw), GTIN, CHAIN, [(MAKER, KEYS[MAKER])])


def test_readers_come_once_and_there_is_one() -> None:
    with pytest.raises(InvalidMessage):
        sealed(MAKER, MAKER)
    with pytest.raises(InvalidMessage):
        sealed()


def product(**more: Any) -> dict[str, Any]:
    shares = [{"organization": "pharmacy", "sealed": "bb", "shared_ms": 1}]
    entry = {"manufacturer": "maker", "seals": "aa"}
    return {"id": GTIN, "product": entry, "shares": shares, **more}


def test_a_product_says_which_attachment_is_whose() -> None:
    assert sealed_to(product(), "maker") == "aa"
    assert sealed_to(product(), "pharmacy") == "bb"
    open_one = product(product={"manufacturer": "maker", "seals": None}, shares=[])
    assert sealed_to(open_one, "stranger") is None
    for stranger in ("stranger", None):
        with pytest.raises(NotForUs) as refusal:
            sealed_to(product(), stranger)
        assert "ask maker" in refusal.value.fix
