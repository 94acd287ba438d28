"""What the organisation alone may know: kept, found again, forgotten, and never shown."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from chain.errors import InvalidMessage
from client.category import CategoryKey, CategoryName, new_category_key
from client.wallet import PatientLink, Wallet, new_wallet
from ledger.ids import emergency_summary
from node.backend import Busy
from node.errors import OperatorError
from node.gateway import vault as vault_module
from node.gateway.vault import Vault, open_vault
from node.gateway.vault_entries import INDEX_ENTRY_BYTES_MAX, IndexEntry
from node.gateway.vault_key import VAULT_KEY, open_vault_key
from node.keys import new_organization, save_organization
from node.simulator.disk import Loss, MachineDisk, Platter
from node.simulator.power import Power, PowerCut
from storage.errors import StoreDamaged, StoreTooNew
from storage.protocols import Disk

OURS = b"our organisation"
OTHERS = b"other organisati"
ANNA = b"anna............"
BERT = b"bert............"
GENERAL = b"general........."
IMAGING = b"imaging........."
KEY = b"the vault's key".ljust(32, b".")
FOLDER = Path("/node/gateway")
LOSSES: tuple[Loss, ...] = ("kept", "lost", "torn")


def opened(folder: Path, disk: Disk | None = None, key: bytes = KEY, seed: int = 1) -> Vault:
    return Vault(folder, key, OURS, Random(seed).randbytes, disk)


def key_of(
    owner: bytes = ANNA, category: bytes = GENERAL, epoch: int = 0, author: bytes = OURS
) -> CategoryKey:
    chance = Random(f"{owner!r}{category!r}{epoch}{author!r}").randbytes
    return new_category_key(CategoryName(owner, category, author, epoch), chance)


def entry_of(
    name: str, content: bytes = b"entry", version: int = 1, category: bytes = GENERAL
) -> IndexEntry:
    return IndexEntry(ANNA + name.encode().ljust(16, b"."), version, category, OURS, content)


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.vault"))


def lose_power(platter: Platter, loss: Loss, chance: Random) -> None:
    """Unsynced bytes are kept, lost or torn. Names are kept or lost: a rename is atomic, as on any
    file system that keeps a journal."""
    platter.lose_power(loss if loss != "torn" else chance.choice(("kept", "lost")), chance)
    if loss == "torn":
        for file in platter.files_below(FOLDER):
            file.lose_power("torn", chance)


# What is kept.


def test_everything_is_there_again_after_a_restart(tmp_path: Path) -> None:
    vault = opened(tmp_path)
    vault.keep_keys(key_of(), key_of(epoch=1), key_of(BERT))
    vault.keep_links(ANNA, "Patient/1", "urn:oid:1|77")
    vault.keep_entries(ANNA, [entry_of("x-ray"), entry_of("lab", b"more")])
    vault.close()
    again = opened(tmp_path)
    assert set(again.owners()) == {ANNA, BERT}
    assert again.category_key(key_of(epoch=1).name) == key_of(epoch=1)
    assert again.category_key(key_of(epoch=2).name) is None
    assert again.category_key(key_of(OURS).name) is None
    assert again.keys_of(ANNA) == (key_of(), key_of(epoch=1))
    assert again.patient("Patient/1", "Patient/unknown") == ANNA
    assert again.identifiers(ANNA) == ("Patient/1", "urn:oid:1|77")
    assert again.entries(ANNA) == (entry_of("x-ray"), entry_of("lab", b"more"))
    assert (again.entries(BERT), again.keys_of(OURS), again.identifiers(OURS)) == ((), (), ())


def test_the_current_key_is_our_newest_of_the_category_that_came_first(tmp_path: Path) -> None:
    vault = opened(tmp_path)
    assert vault.current_key(ANNA) is None
    vault.keep_keys(key_of(category=emergency_summary(ANNA)), key_of(author=OTHERS))
    assert vault.current_key(ANNA) is None
    vault.keep_keys(key_of(epoch=1), key_of(), key_of(category=IMAGING, epoch=5))
    for each in (vault, opened(tmp_path)):
        assert each.current_key(ANNA) == key_of(epoch=1)
        assert each.current_key(ANNA, IMAGING) == key_of(category=IMAGING, epoch=5)
        assert each.current_key(ANNA, b"nothing of ours.") is None
        summary = emergency_summary(ANNA)
        assert each.current_key(ANNA, summary) == key_of(category=summary)


def test_a_key_that_was_found_to_read_does_not_tell_where_we_write(tmp_path: Path) -> None:
    vault = opened(tmp_path)
    vault.keep_found(key_of(category=IMAGING))
    assert vault.current_key(ANNA) is None
    assert vault.current_key(ANNA, IMAGING) == key_of(category=IMAGING)
    vault.keep_keys(key_of())
    for each in (vault, opened(tmp_path)):
        assert each.current_key(ANNA) == key_of()
    vault.keep_keys(key_of(category=IMAGING))
    vault.keep_found(key_of(category=IMAGING))
    vault.forget(ANNA, category=GENERAL)
    for each in (vault, opened(tmp_path)):
        assert each.current_key(ANNA) == key_of(category=IMAGING)


def test_a_name_stands_for_one_patient_only(tmp_path: Path) -> None:
    vault = opened(tmp_path)
    vault.keep_links(ANNA, "Patient/1")
    vault.keep_links(BERT, "Patient/2")
    with pytest.raises(InvalidMessage) as taken:
        vault.keep_links(BERT, "Patient/3", "Patient/1")
    assert taken.value.code == "vault.identifier_taken"
    assert vault.patient("Patient/3") is None
    with pytest.raises(InvalidMessage) as ambiguous:
        vault.patient("Patient/1", "Patient/2")
    assert ambiguous.value.code == "vault.ambiguous_patient"
    for wrong in ("", "x" * 5_000):
        with pytest.raises(InvalidMessage):
            vault.keep_links(ANNA, wrong)


def test_of_a_record_the_highest_version_is_known(tmp_path: Path) -> None:
    vault = opened(tmp_path)
    vault.keep_entries(ANNA, [entry_of("x-ray", b"2", 2)])
    vault.keep_entries(ANNA, [entry_of("x-ray", b"1", 1)])
    vault.keep_entries(ANNA, [entry_of("x-ray", b"2 indexed anew", 2)])
    for each in (vault, opened(tmp_path)):
        assert each.entries(ANNA) == (entry_of("x-ray", b"2 indexed anew", 2),)


def test_what_is_known_is_not_written_again(tmp_path: Path) -> None:
    vault = opened(tmp_path)
    vault.keep(ANNA, keys=[key_of()], identifiers=["Patient/1"], entries=[entry_of("x-ray")])
    (path,) = files(tmp_path)
    size = path.stat().st_size
    vault.keep(ANNA, keys=[key_of()], identifiers=["Patient/1"], entries=[entry_of("x-ray")])
    vault.keep(ANNA)
    assert path.stat().st_size == size


def test_many_entries_of_one_owner_are_one_write(tmp_path: Path) -> None:
    platter = Platter()
    synced: list[Path] = []
    disk = MachineDisk(platter, Power(lambda: None), synced.append)
    vault = opened(FOLDER, disk)
    vault.keep_keys(key_of())
    synced.clear()
    vault.keep_entries(ANNA, [entry_of(f"record {number}") for number in range(500)])
    assert len(synced) == 1


def test_a_large_batch_is_written_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_module, "BATCH_BYTES_MAX", 2_000)
    vault = opened(tmp_path)
    entries = [entry_of(f"record {number}", bytes(300)) for number in range(40)]
    vault.keep_entries(ANNA, entries)
    assert opened(tmp_path).entries(ANNA) == tuple(entries)


def test_overtaken_entries_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_module, "STALE_MIN", 8)
    vault = opened(tmp_path)
    sizes = []
    for version in range(1, 60):
        vault.keep_entries(ANNA, [entry_of("x-ray", bytes(1_000), version)])
        sizes.append(files(tmp_path)[0].stat().st_size)
    assert max(sizes) < 15 * 1_300
    assert opened(tmp_path).entries(ANNA) == (entry_of("x-ray", bytes(1_000), 59),)


def test_what_a_wallet_kept_is_taken_over(tmp_path: Path) -> None:
    vault = opened(tmp_path)
    wallet: Wallet = new_wallet("service", "hospital-a", Random(1).randbytes)
    wallet = wallet.with_category_key(key_of()).with_links(ANNA, "Patient/1", "|77")
    wallet = wallet.with_links(BERT, "Patient/2")
    vault.keep_wallet(wallet)
    vault.keep_wallet(wallet)
    assert vault.current_key(ANNA) == key_of()
    assert vault.patient("|77") == ANNA
    assert vault.patient("Patient/2") == BERT
    assert isinstance(wallet.links[0], PatientLink)


def test_the_vault_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_module, "OWNERS_MAX", 1)
    monkeypatch.setattr(vault_module, "KEYS_OF_OWNER_MAX", 2)
    monkeypatch.setattr(vault_module, "LINKS_OF_OWNER_MAX", 1)
    monkeypatch.setattr(vault_module, "INDEX_ENTRIES_OF_OWNER_MAX", 2)
    monkeypatch.setattr(vault_module, "INDEX_BYTES_MAX", 100)
    vault = opened(tmp_path)
    vault.keep_keys(key_of(), key_of(epoch=1))
    vault.keep_entries(ANNA, [entry_of("1", bytes(60)), entry_of("2", bytes(40))])
    vault.forget(ANNA, record=entry_of("2").record)
    vault.keep_entries(ANNA, [entry_of("2", bytes(40))])
    for excess in (
        lambda: vault.keep_keys(key_of(BERT)),
        lambda: vault.keep_keys(key_of(epoch=2)),
        lambda: vault.keep_links(ANNA, "1", "2"),
        lambda: vault.keep_entries(ANNA, [entry_of("3", b"")]),
        lambda: vault.keep_entries(ANNA, [entry_of("2", b".", 2)]),
    ):
        with pytest.raises(Busy) as full:
            excess()
        assert full.value.code == "vault.full"
    with pytest.raises(InvalidMessage):
        vault.keep_entries(ANNA, [entry_of("3", bytes(INDEX_ENTRY_BYTES_MAX + 1))])
    vault.keep_keys(key_of())  # known already


def test_threads_keep_at_once_and_lose_nothing(tmp_path: Path) -> None:
    vault = opened(tmp_path)
    with ThreadPoolExecutor(4) as threads:
        for epoch in range(12):
            threads.submit(vault.keep_keys, key_of(epoch=epoch), key_of(BERT, epoch=epoch))
            threads.submit(vault.keep_links, ANNA, f"Patient/{epoch}")
    again = opened(tmp_path)
    assert len(again.keys_of(ANNA)) == len(again.keys_of(BERT)) == 12
    assert len(again.identifiers(ANNA)) == 12


# What is forgotten.


def test_forgetting_leaves_the_rest(tmp_path: Path) -> None:
    vault = opened(tmp_path)
    vault.keep_keys(key_of(), key_of(category=IMAGING), key_of(BERT))
    vault.keep_links(ANNA, "Patient/1")
    image = entry_of("image", category=IMAGING)
    vault.keep_entries(ANNA, [entry_of("x-ray"), entry_of("lab"), image])
    vault.forget(ANNA, record=entry_of("lab").record)
    assert vault.entries(ANNA) == (entry_of("x-ray"), image)
    vault.forget(ANNA, category=IMAGING)
    for each in (vault, opened(tmp_path)):
        assert each.entries(ANNA) == (entry_of("x-ray"),)
        assert each.keys_of(ANNA) == (key_of(),)
        assert each.patient("Patient/1") == ANNA
    vault.forget(ANNA)
    vault.forget(ANNA)
    for each in (vault, opened(tmp_path)):
        assert each.owners() == (BERT,)
        assert each.patient("Patient/1") is None
        assert each.current_key(ANNA) is None
    assert len(files(tmp_path)) == 1
    vault.keep_links(BERT, "Patient/1")
    assert opened(tmp_path).patient("Patient/1") == BERT


@pytest.mark.parametrize("scope", [{}, {"category": GENERAL}])
def test_the_old_bytes_are_overwritten_not_just_unlinked(
    tmp_path: Path, scope: dict[str, bytes]
) -> None:
    vault = opened(tmp_path / "gateway")
    vault.keep_keys(key_of(), key_of(category=IMAGING))
    vault.keep_entries(ANNA, [entry_of("x-ray", bytes(10_000))])
    (path,) = files(tmp_path / "gateway")
    before = path.read_bytes()
    witness = tmp_path / "the old file under another name"
    os.link(path, witness)
    vault.forget(ANNA, **scope)
    assert witness.read_bytes() == bytes(len(before))
    on_disk = b"".join(each.read_bytes() for each in (tmp_path / "gateway").iterdir())
    assert before[2_000:2_032] not in on_disk


@pytest.mark.parametrize("scope", ["owner", "category", "keep"])
def test_a_crash_at_any_step_loses_nothing_that_was_durable_and_keeps_nothing_forgotten(
    scope: str,
) -> None:
    """Ends the process before each effect, with every kind of loss, and starts again."""
    finished = False
    effects = 0
    while not finished:
        for loss in LOSSES:
            platter, power = Platter(), Power(lambda: None)
            vault = opened(FOLDER, MachineDisk(platter, power))
            vault.keep_keys(key_of(), key_of(category=IMAGING), key_of(BERT))
            vault.keep_entries(ANNA, [entry_of("x-ray", bytes(3_000))])
            (was,) = {bytes(f.content[1_000:1_100]) for f in platter.files_below(FOLDER)} - {b""}
            power.crash_after(effects)
            try:
                _change(vault, scope)
                finished = True
            except PowerCut:
                lose_power(platter, loss, Random(effects))
            disk = MachineDisk(platter, Power(lambda: None))
            again = opened(FOLDER, disk)
            assert again.keys_of(BERT) == (key_of(BERT),)
            if scope == "keep":
                assert again.entries(ANNA)[0] == entry_of("x-ray", bytes(3_000))
                assert len(again.entries(ANNA)) in {1, 3}
            else:
                assert again.keys_of(ANNA) in {
                    (key_of(), key_of(category=IMAGING)),
                    _left(scope),
                }
            _change(again, scope)
            assert scope == "keep" or again.keys_of(ANNA) == _left(scope)
            assert opened(FOLDER, disk).keys_of(ANNA) == again.keys_of(ANNA)
            if scope != "keep":
                left = b"".join(bytes(f.content) for f in platter.files_below(FOLDER))
                assert was not in left
                assert all(n.endswith(".vault") for n in platter.names(FOLDER))
        effects += 1
    assert effects >= 3


def test_what_a_crash_left_unfinished_is_overwritten_too(tmp_path: Path) -> None:
    folder = tmp_path / "gateway"
    vault = opened(folder)
    vault.keep_keys(key_of())
    (path,) = files(folder)
    unfinished = path.with_suffix(".new")
    unfinished.write_bytes(path.read_bytes())
    witness = tmp_path / "the unfinished file under another name"
    os.link(unfinished, witness)
    assert opened(folder).keys_of(ANNA) == (key_of(),)
    assert not unfinished.exists()
    assert not any(witness.read_bytes())


def _change(vault: Vault, scope: str) -> None:
    match scope:
        case "keep":
            vault.keep_entries(ANNA, [entry_of("lab", bytes(2_000)), entry_of("more")])
        case "category":
            vault.forget(ANNA, category=GENERAL)
        case _:
            vault.forget(ANNA)


def _left(scope: str) -> tuple[CategoryKey, ...]:
    return (key_of(category=IMAGING),) if scope == "category" else ()


# What is on disk.


def test_the_files_show_nothing(tmp_path: Path) -> None:
    vault = opened(tmp_path)
    vault.keep(
        ANNA,
        keys=[key_of()],
        identifiers=["canary identifier"],
        entries=[entry_of("x-ray", b"canary entry")],
    )
    vault.advance("canary cursor", 3)
    everything = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    everything += b" ".join(path.name.encode() for path in tmp_path.iterdir())
    for secret in (b"canary", ANNA, GENERAL, key_of().secret, KEY, OURS):
        assert secret not in everything
        assert secret.hex().encode() not in everything
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0
    assert "canary" not in repr(vault.entries(ANNA))


def test_a_wrong_key_and_every_flipped_bit_name_the_file(tmp_path: Path) -> None:
    vault = opened(tmp_path)
    vault.keep_keys(key_of())
    vault.keep_links(ANNA, "Patient/1")
    (path,) = files(tmp_path)
    with pytest.raises(StoreDamaged) as wrong:
        opened(tmp_path, key=b"x" * 32)
    assert str(path) in str(wrong.value)
    whole = path.read_bytes()
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        with pytest.raises((StoreDamaged, StoreTooNew)) as damaged:
            opened(tmp_path)
        assert str(path) in str(damaged.value)
        assert path.read_bytes() == bytes(changed)
    path.write_bytes(whole)
    assert opened(tmp_path).patient("Patient/1") == ANNA


def test_a_torn_tail_is_cut_and_the_rest_is_whole(tmp_path: Path) -> None:
    vault = opened(tmp_path)
    vault.keep_keys(key_of())
    (path,) = files(tmp_path)
    durable = path.read_bytes()
    vault.keep_entries(ANNA, [entry_of("x-ray", bytes(1_500))])
    whole = path.read_bytes()
    cut = [whole[:end] for end in range(len(durable), len(whole), 7)]
    # Or the file has grown, and one of its sectors has not come to be.
    firsts = range(len(durable) // 512 * 512, len(whole), 512)
    edges = [(max(first, len(durable)), min(first + 512, len(whole))) for first in firsts]
    cut += [whole[:start] + bytes(end - start) + whole[end:] for start, end in edges]
    for torn in cut:
        path.write_bytes(torn)
        again = opened(tmp_path)
        assert again.keys_of(ANNA) == (key_of(),)
        assert again.entries(ANNA) == ()
        assert path.read_bytes() == durable


def test_a_sector_that_is_lost_in_the_middle_is_no_torn_tail(tmp_path: Path) -> None:
    vault = opened(tmp_path)
    starts = []
    for number in range(4):
        vault.keep_entries(ANNA, [entry_of(f"{number}", bytes(900))])
        (path,) = files(tmp_path)
        starts.append(path.stat().st_size)
    whole = path.read_bytes()
    lost = [(first, 512) for first in range(512, starts[2], 512)]
    lost += [(start, size) for start in starts[:2] for size in (16, 32, 48)]
    for first, size in lost:
        path.write_bytes(whole[:first] + bytes(size) + whole[first + size :])
        with pytest.raises(StoreDamaged):
            opened(tmp_path)


def test_files_that_stand_in_for_each_other_are_found(tmp_path: Path) -> None:
    vault = opened(tmp_path)
    vault.keep_keys(key_of(), key_of(BERT))
    first, second = files(tmp_path)
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    with pytest.raises(StoreDamaged):
        opened(tmp_path)
    # An older state of one file, or its frames in another order.
    first.write_bytes(one)
    second.write_bytes(other)
    vault = opened(tmp_path)
    vault.keep_keys(key_of(epoch=1))
    vault.keep_keys(key_of(epoch=2))
    grown = next(path for path in (first, second) if path.stat().st_size > len(one))
    raw = grown.read_bytes()
    start = len(one)
    size = (len(raw) - start) // 2
    grown.write_bytes(raw[:start] + raw[start + size :] + raw[start : start + size])
    with pytest.raises(StoreDamaged):
        opened(tmp_path)


def test_a_file_of_a_later_release_is_left_alone(tmp_path: Path) -> None:
    opened(tmp_path).keep_keys(key_of())
    (path,) = files(tmp_path)
    raw = bytearray(path.read_bytes())
    raw[7] = 2
    path.write_bytes(raw)
    with pytest.raises(StoreTooNew):
        opened(tmp_path)


def test_a_full_disk_refuses_and_everything_goes_on_after() -> None:
    platter = Platter()
    disk = MachineDisk(platter, Power(lambda: None))
    vault = opened(FOLDER, disk)
    vault.keep_keys(key_of())
    platter.faults.full = True
    with pytest.raises(OSError, match="no space") as full:
        vault.keep_links(ANNA, "Patient/1")
    assert full.value.errno == errno.ENOSPC
    assert vault.patient("Patient/1") is None
    platter.faults.full = False
    vault.keep_links(ANNA, "Patient/2")
    assert opened(FOLDER, disk).identifiers(ANNA) == ("Patient/2",)


def test_after_a_sync_that_failed_nothing_is_promised_any_more() -> None:
    platter = Platter()
    disk = MachineDisk(platter, Power(lambda: None))
    vault = opened(FOLDER, disk)
    vault.keep_keys(key_of())
    platter.faults.sync_fails = True
    with pytest.raises(OSError, match="error"):
        vault.keep_links(ANNA, "Patient/1")
    platter.faults.sync_fails = False
    with pytest.raises(OSError, match="earlier"):
        vault.keep_links(ANNA, "Patient/1")
    assert opened(FOLDER, disk).keys_of(ANNA) == (key_of(),)


# Cursors.


def test_a_cursor_only_rises_and_survives(tmp_path: Path) -> None:
    vault = opened(tmp_path)
    assert vault.cursor("release") == 0
    vault.advance("release", 7)
    vault.advance("release", 5)
    vault.advance("erasure", 2)
    vault.close()
    again = opened(tmp_path)
    assert (again.cursor("release"), again.cursor("erasure"), again.cursor("other")) == (7, 2, 0)
    again.rewind("release")
    again.rewind("never was")
    again.close()
    anew = opened(tmp_path)
    assert (anew.cursor("release"), anew.cursor("erasure")) == (0, 2)
    anew.close()


def test_a_crash_while_a_cursor_moves_costs_one_step_at_most() -> None:
    for effects in range(12):
        for loss in LOSSES:
            platter, power = Platter(), Power(lambda: None)
            vault = opened(FOLDER, MachineDisk(platter, power))
            power.crash_after(effects)
            done = 0
            try:
                for height in range(1, 4):
                    vault.advance("release", height)
                    done = height
            except PowerCut:
                lose_power(platter, loss, Random(effects))
            again = opened(FOLDER, MachineDisk(platter, Power(lambda: None)))
            assert again.cursor("release") in {done, done + 1}


def test_a_cursor_of_another_gateway_is_refused(tmp_path: Path) -> None:
    vault = opened(tmp_path)
    vault.advance("release", 1)
    vault.advance("erasure", 2)
    vault.close()
    first, second = sorted(tmp_path.glob("*.mark"))
    first.write_bytes(second.read_bytes())
    again = opened(tmp_path)
    with pytest.raises(StoreDamaged):
        _ = [again.cursor(name) for name in ("release", "erasure")]
    again.close()


# The key of the vault.


def test_the_vaults_key_lies_under_the_nodes_passphrase(tmp_path: Path) -> None:
    chance = Random(1).randbytes
    keys = tmp_path / "keys"
    keys.mkdir()
    made = new_organization("hospital-a", "Hospital A", "hospital", chance, with_node=False)
    save_organization(keys, made, None, chance)
    passphrase = (keys / "passphrase").read_bytes().strip()
    vault = open_vault(tmp_path, passphrase, OURS, chance)
    vault.keep_keys(key_of())
    key = open_vault_key(keys, passphrase, chance, may_make=False)
    assert key not in (keys / VAULT_KEY).read_bytes()
    assert open_vault(tmp_path, passphrase, OURS, chance).current_key(ANNA) == key_of()
    with pytest.raises(OperatorError) as refused:
        open_vault(tmp_path, b"another one", OURS, chance)
    assert refused.value.code == "E009"
    assert VAULT_KEY in str(refused.value)
    (keys / VAULT_KEY).chmod(0o644)
    with pytest.raises(OperatorError) as readable:
        open_vault(tmp_path, passphrase, OURS, chance)
    assert readable.value.code == "E010"
    (keys / VAULT_KEY).unlink()
    with pytest.raises(OperatorError) as missing:
        open_vault(tmp_path, passphrase, OURS, chance)
    assert missing.value.code == "E009"
    assert not (keys / VAULT_KEY).exists()
