"""A wallet file opens under its passphrase, shows nothing, and is never half written."""

import json
import os
import stat
import threading
import traceback
from pathlib import Path

import msgspec
import pytest

from chain.keys import SigningKey, Suite
from client.category import CategoryKey, CategoryName
from client.errors import WalletError
from client.files import write_whole
from client.sealing import PrivateKey, Random, new_private_key
from client.vault import KdfLimits
from client.wallet import (
    Wallet,
    card,
    decrypt_wallet,
    encrypt_wallet,
    load_wallet,
    new_wallet,
    recipient,
    save_wallet,
    show_document,
    update_wallet,
)
from ledger.ids import organization_owner

PASSPHRASE = b"correct horse CANARY"
NAME = CategoryName(b"p" * 16, b"c" * 16, organization_owner("hospital-a"), 0)
KEY = CategoryKey(NAME, b"CANARY".ljust(32, b"."))


@pytest.fixture
def wallet(chance: Random) -> Wallet:
    organization_key = new_private_key(Suite.ML_KEM_768_X25519, chance)
    fresh = new_wallet("service", "hospital-a", chance, organization_keys=(organization_key,))
    seeded = msgspec.structs.replace(fresh, signing_seed=b"CANARY".ljust(32, b"!"))
    return seeded.with_category_key(KEY).with_links(b"p" * 16, "Patient/CANARY", "urn:mr|CANARY")


@pytest.fixture
def raw(wallet: Wallet, fast: KdfLimits, chance: Random) -> bytes:
    return encrypt_wallet(wallet, PASSPHRASE, fast, chance)


def refused(raw: bytes, passphrase: bytes = PASSPHRASE) -> WalletError:
    with pytest.raises(WalletError) as caught:
        decrypt_wallet(raw, passphrase)
    return caught.value


def test_a_round_trip(wallet: Wallet, raw: bytes) -> None:
    assert decrypt_wallet(raw, PASSPHRASE) == wallet
    assert b"CANARY" not in raw
    assert b"hospital-a" not in raw


def test_a_wrong_passphrase_opens_nothing(raw: bytes) -> None:
    for wrong in (b"", PASSPHRASE + b" ", PASSPHRASE[:-1], PASSPHRASE.lower()):
        assert refused(raw, wrong).code == "wallet.does_not_open"


def test_no_flipped_byte_opens(raw: bytes) -> None:
    places = [*range(130), *range(130, len(raw), 41), len(raw) - 1]
    for place in places:
        bent = bytearray(raw)
        bent[place] ^= 1 << (place % 8)
        assert refused(bytes(bent)).code in {"wallet.does_not_open", "wallet.malformed"}


@pytest.mark.parametrize("cut", [b"", b"\x01", b"{}", b"\x01\x92\xc4\x00\xc4\x00", b"\x02\x90"])
def test_files_that_are_no_wallet_are_refused(cut: bytes) -> None:
    assert refused(cut).code == "wallet.malformed"


def test_a_file_cannot_ask_for_all_of_the_memory(
    wallet: Wallet, chance: Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("client.vault._derive", lambda passphrase, header: bytes(32))
    greedy = encrypt_wallet(wallet, PASSPHRASE, KdfLimits(1, 2 << 30), chance)
    assert refused(greedy).code == "wallet.malformed"
    slow = encrypt_wallet(wallet, PASSPHRASE, KdfLimits(1_000, 8_192), chance)
    assert refused(slow).code == "wallet.malformed"


def test_the_limits_of_the_header_count(wallet: Wallet, chance: Random) -> None:
    """The header is associated data, and its limits are the ones that were used."""
    dear = encrypt_wallet(wallet, PASSPHRASE, KdfLimits(2, 16_384), chance)
    assert decrypt_wallet(dear, PASSPHRASE) == wallet


def test_two_files_of_one_wallet_share_nothing(wallet: Wallet, fast: KdfLimits) -> None:
    first, second = (encrypt_wallet(wallet, PASSPHRASE, fast, os.urandom) for _ in range(2))
    assert first[-200:] != second[-200:]


def test_the_file_is_private_and_never_replaces_another(
    tmp_path: Path, wallet: Wallet, fast: KdfLimits, chance: Random
) -> None:
    path = tmp_path / "a.wallet"
    old = os.umask(0)
    try:
        save_wallet(path, wallet, PASSPHRASE, chance, fast)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_wallet(path, PASSPHRASE) == wallet
    with pytest.raises(WalletError) as caught:
        save_wallet(path, wallet, b"other", chance, fast)
    assert caught.value.code == "wallet.exists"
    assert load_wallet(path, PASSPHRASE) == wallet


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path,
    wallet: Wallet,
    fast: KdfLimits,
    chance: Random,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "a.wallet"
    save_wallet(path, wallet, PASSPHRASE, chance, fast)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            update_wallet(path, PASSPHRASE, chance, lambda each: each.with_links(b"q" * 16, "x"))
    assert load_wallet(path, PASSPHRASE) == wallet
    assert {each.name for each in tmp_path.iterdir()} == {"a.wallet", ".a.wallet.lock"}


def test_concurrent_updates_all_count(tmp_path: Path, wallet: Wallet, fast: KdfLimits) -> None:
    path = tmp_path / "a.wallet"
    save_wallet(path, wallet, PASSPHRASE, os.urandom, fast)

    def add(index: int) -> None:
        patient = bytes([index]) * 16
        update_wallet(
            path, PASSPHRASE, os.urandom, lambda each: each.with_links(patient, f"Patient/{index}")
        )

    threads = [threading.Thread(target=add, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = load_wallet(path, PASSPHRASE)
    assert all(kept.patient(f"Patient/{index}") == bytes([index]) * 16 for index in range(8))


def test_an_update_keeps_the_limits_and_needs_the_passphrase(
    tmp_path: Path, wallet: Wallet, chance: Random
) -> None:
    path = tmp_path / "a.wallet"
    save_wallet(path, wallet, PASSPHRASE, chance, KdfLimits(2, 16_384))
    with pytest.raises(WalletError):
        update_wallet(path, b"wrong", chance, lambda each: each)
    size = path.stat().st_size
    update_wallet(path, PASSPHRASE, chance, lambda each: each.without_patient(b"p" * 16))
    kept = load_wallet(path, PASSPHRASE)
    assert path.stat().st_size < size
    assert kept.patient("Patient/CANARY") is None
    assert kept.category_key(NAME) is None


def test_a_folder_that_is_not_there_is_named_by_the_path_that_was_given(tmp_path: Path) -> None:
    path = tmp_path / "none" / "receipt"
    with pytest.raises(FileNotFoundError) as caught:
        write_whole(path, b"x")
    assert caught.value.filename == str(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WalletError) as caught:
        load_wallet(tmp_path / "none", PASSPHRASE)
    assert caught.value.code == "wallet.unreadable"
    assert caught.value.field.endswith("none")


def test_nothing_of_it_shows_itself(wallet: Wallet, raw: bytes) -> None:
    shown = json.dumps(show_document(wallet))
    secrets = [wallet.signing_seed.hex(), KEY.secret.hex(), wallet.encryption_keys[0].secret.hex()]
    for text in (repr(wallet), str(wallet), repr(wallet.links), repr(vars), shown):
        assert "CANARY" not in text
        assert not any(secret in text for secret in secrets)
    assert wallet.__rich_repr__() == []
    error = refused(raw, b"CANARY guess")
    assert "CANARY" not in "".join(traceback.format_exception(error))


def test_a_card_holds_public_keys_only(wallet: Wallet) -> None:
    shown = card(wallet)
    assert shown.signing_key == SigningKey(wallet.signing_seed).public
    assert shown.encryption_key == wallet.encryption_keys[0].public
    assert recipient(wallet).id == shown.id == wallet.principal


def test_links_find_the_patient_by_any_name(wallet: Wallet) -> None:
    assert wallet.patient("Patient/other", "urn:mr|CANARY") == b"p" * 16
    assert wallet.patient("Patient/other") is None
    assert wallet.patient() is None


def test_names_of_two_patients_are_not_mixed_up(wallet: Wallet) -> None:
    two = wallet.with_links(b"q" * 16, "Patient/second")
    with pytest.raises(WalletError) as caught:
        two.patient("Patient/second", "urn:mr|CANARY")
    assert caught.value.code == "wallet.ambiguous_patient"


def test_the_newest_epoch_of_the_first_category_is_current(wallet: Wallet) -> None:
    def key(category: bytes, epoch: int, author: bytes = NAME.author) -> CategoryKey:
        return CategoryKey(CategoryName(b"p" * 16, category * 16, author, epoch), bytes(32))

    more = wallet
    for each in (key(b"d", 7), key(b"c", 2), key(b"c", 1), key(b"c", 9, b"x" * 16)):
        more = more.with_category_key(each)
    assert more.current_key(b"p" * 16) == key(b"c", 2)
    assert more.current_key(b"p" * 16, b"d" * 16) == key(b"d", 7)
    assert more.current_key(b"z" * 16) is None


def test_a_wallet_with_a_key_of_a_wrong_length_is_refused(
    wallet: Wallet, fast: KdfLimits, chance: Random
) -> None:
    bent = msgspec.structs.replace(wallet, encryption_keys=(PrivateKey(2, bytes(32)),))
    assert refused(encrypt_wallet(bent, PASSPHRASE, fast, chance)).code == "wallet.malformed"
