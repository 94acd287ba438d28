"""A note about goods: sealed as one about the organisation that wrote it, to those concerned."""

import os

import pytest

from client.category import Recipient
from client.errors import NotForUs, Tampered
from client.note import open_note, seal_note
from client.wallet import Wallet, new_wallet
from ledger.ids import organization_owner

CHAIN = "net"
MAKER = organization_owner("maker")
PHARMACY = organization_owner("pharmacy")


def organization() -> Wallet:
    return new_wallet("service", "pharmacy", os.urandom)


def test_a_note_about_goods_opens_for_those_whom_it_concerns() -> None:
    pharmacy, stranger = organization(), organization()
    reader = Recipient(PHARMACY, pharmacy.encryption_keys[0].public)
    sealed = seal_note("glass in vial 7", CHAIN, MAKER, (reader,), os.urandom)
    keyring = [(PHARMACY, pharmacy.encryption_keys[0])]
    assert open_note(sealed, CHAIN, MAKER, keyring) == "glass in vial 7"
    with pytest.raises(NotForUs):
        open_note(sealed, CHAIN, MAKER, [(organization_owner("x"), stranger.encryption_keys[0])])
    with pytest.raises(Tampered):
        open_note(sealed, CHAIN, organization_owner("rival"), keyring)
