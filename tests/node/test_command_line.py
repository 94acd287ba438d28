"""The command line: usage, errors, JSON, and the commands that need no running node."""

import io
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from node_command import Terminal, forget_settings

from client.wallet import decrypt_wallet
from node.assembly import begin_chain
from node.cli.main import PLACES, cli
from node.directory import Directory, read_card, read_genesis
from node.testnet.making import Settings, make_testnet
from storage.integrity import create_store

ROOT = Path(__file__).parents[2]


@pytest.fixture
def medlock(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Terminal:
    monkeypatch.chdir(tmp_path)
    forget_settings(monkeypatch)
    return Terminal(capsys)


def every_command(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from every_command(command, (*path, name))
        else:
            yield (*path, name)


def find(path: tuple[str, ...]) -> click.Command:
    command: click.Command = cli
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    return command


COMMANDS = sorted(every_command(cli, ()))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help_and_takes_json(medlock: Terminal, path: tuple[str, ...]) -> None:
    shown = medlock.run(*path, "--help")
    assert shown.code == 0
    assert "--json" in shown.out
    assert find(path).help


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_reports_usage_errors_as_json(
    medlock: Terminal, path: tuple[str, ...]
) -> None:
    outcome = medlock.run(*path, "--json", "--no-such-option")
    # Of `simulate`, 2 says that a goal was not reached.
    assert (outcome.code, outcome.out) == (4 if path == ("simulate",) else 2, "")
    assert outcome.error["code"] == ("E080" if path == ("simulate",) else "E070")
    assert outcome.error["exit_code"] == outcome.code
    assert outcome.error["fix"]


def test_the_names_that_tools_call_are_there() -> None:
    wanted = """
        init run stop status peers why-stalled inspect votes.accept-loss
        genesis.create config.show config.validate
        testnet.up testnet.ps testnet.logs testnet.kill testnet.pause testnet.resume
        testnet.restart testnet.partition testnet.heal testnet.demo testnet.down bench
        wallet.new wallet.show wallet.export record.put record.get record.list record.history
        consent.grant consent.revoke consent.list consent.explain
        access.request access.log access.dispute emergency.open emergency.close emergency.review
        careplan.show careplan.respond erasure.request erasure.status
        receipt.get receipt.verify chain.export chain.verify
    """
    assert set(wanted.split()) <= {".".join(path) for path in COMMANDS}


def test_the_help_of_the_groups_matches_their_commands() -> None:
    for name, place in PLACES.items():
        command = find((name,))
        assert command.name == name
        assert place.says.endswith(".")


def test_help_imports_no_room(tmp_path: Path) -> None:
    """So that it is there at once."""
    code = (
        "import sys\nfrom node.cli.main import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'aiohttp', 'cryptography', 'nacl', 'msgspec', 'plyvel', 'rich'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert shown.stdout.endswith("heavy: []\n")


def test_an_unknown_command_is_a_usage_error(medlock: Terminal) -> None:
    outcome = medlock.run("statsu")
    assert outcome.code == 2
    assert outcome.err.startswith("error[E070] No such command 'statsu'")


def test_no_arguments_show_the_help(medlock: Terminal) -> None:
    outcome = medlock.run()
    assert outcome.code == 2
    assert "why-stalled" in outcome.err


def member(medlock: Terminal, path: Path, org: str, *options: str) -> Path:
    outcome = medlock.run("init", "--org", org, "--role", "hospital", "--dir", path, *options)
    assert outcome.code == 0, outcome.err
    return path


def test_init_makes_a_directory_from_which_genesis_is_made(
    medlock: Terminal, tmp_path: Path
) -> None:
    a = member(medlock, tmp_path / "a", "hospital-a", "--address", "a.example:7071")
    b = member(medlock, tmp_path / "b", "hospital-b", "--no-node")
    card = read_card(a / "card.json")
    assert card.node is not None
    assert card.node.addresses == ("a.example:7071",)
    assert {principal.kind for principal in card.principals} == {"administrator", "service"}
    assert read_card(b / "card.json").node is None
    assert (a / "votes").is_dir()
    assert not (b / "votes").exists()
    assert medlock.run("config", "validate", "--dir", a).code == 0
    made = medlock.run(
        "genesis", "create", a / "card.json", b / "card.json", "-o", "genesis.json", "--json"
    )
    assert made.document["validators"] == ["hospital-a"]
    assert read_genesis(Path("genesis.json")).hash.hex() == made.document["genesis_hash"]


def test_genesis_is_not_replaced_by_accident(medlock: Terminal, tmp_path: Path) -> None:
    a = member(medlock, tmp_path / "a", "hospital-a")
    create = ("genesis", "create", a / "card.json", "-o", "genesis.json")
    assert medlock.run(*create).code == 0
    assert medlock.run(*create).code == 3
    assert medlock.run(*create, "--force", "--parameter", "term_blocks=7").code == 0
    assert read_genesis(Path("genesis.json")).parameters.term_blocks == 7


@pytest.mark.parametrize(
    "arguments",
    [
        ("--org", "Hospital A", "--role", "hospital"),
        ("--org", "hospital-a", "--role", "hotel"),
        ("--org", "a", "--role", "hospital", "--p2p-listen", "7071"),
        ("--org", "a", "--role", "hospital", "--p2p-listen", "0.0.0.0:7071"),
        ("--org", "a", "--role", "hospital", "--passphrase-file", "/nowhere"),
    ],
)
def test_init_refuses_bad_input_and_leaves_nothing(
    medlock: Terminal, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    assert medlock.run("init", "--dir", tmp_path / "n", *arguments, "--json").code == 2
    assert not (tmp_path / "n").exists()


def test_what_init_makes_below_the_directory_is_for_its_owner_only(
    medlock: Terminal, tmp_path: Path
) -> None:
    before = os.umask(0)
    try:
        a = member(medlock, tmp_path / "a", "hospital-a")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in a.rglob("*") if path.is_dir()}
    assert modes == dict.fromkeys(("keys", "attachments", "log", "votes", "blocks"), 0o700)


def test_a_refused_address_names_its_option(medlock: Terminal, tmp_path: Path) -> None:
    refused = medlock.run(
        "init", "--org", "a", "--role", "clinic", "--dir", tmp_path / "n", "--p2p-listen", "h:x1"
    )
    assert "--p2p-listen h:x1 is refused: HOST:PORT expected" in refused.err


def test_a_hint_to_the_help_names_the_command(medlock: Terminal) -> None:
    refused = medlock.run("receipt", "get", "zz", "-o", "x", "--api", "http://127.0.0.1:1")
    assert refused.code == 2
    assert "fix: medlock receipt get --help" in refused.err


def test_two_cards_of_one_member_make_no_genesis(medlock: Terminal, tmp_path: Path) -> None:
    card = member(medlock, tmp_path / "a", "hospital-a") / "card.json"
    refused = medlock.run("genesis", "create", card, card, "-o", "genesis.json", "--json")
    assert refused.error["cause"] == "two cards are of 'hospital-a'"
    assert "once" in refused.error["fix"]


def test_init_leaves_an_existing_directory_alone(medlock: Terminal, tmp_path: Path) -> None:
    a = member(medlock, tmp_path / "a", "hospital-a")
    before = {path: path.read_bytes() for path in a.rglob("*") if path.is_file()}
    again = medlock.run("init", "--org", "b", "--role", "clinic", "--dir", a, "--json")
    assert (again.code, again.error["code"]) == (3, "E008")
    assert before == {path: path.read_bytes() for path in a.rglob("*") if path.is_file()}


def test_keys_can_lie_under_the_operators_passphrase(medlock: Terminal, tmp_path: Path) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse\n", "utf-8")
    passphrase.chmod(0o600)
    a = member(medlock, tmp_path / "a", "hospital-a", "--passphrase-file", str(passphrase))
    directory = Directory(a)
    config = directory.load_config({}, {}).config
    assert config.keys_passphrase_file == passphrase
    assert directory.load_keys(config).member == "hospital-a"
    assert not (a / "keys" / "passphrase").exists()


def test_run_without_genesis_says_what_is_missing(medlock: Terminal, tmp_path: Path) -> None:
    a = member(medlock, tmp_path / "a", "hospital-a", "--api-listen", "127.0.0.1:1")
    outcome = subprocess.run(
        [sys.executable, "-m", "node.cli", "run", "--dir", str(a), "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert outcome.returncode == 3
    assert json.loads(outcome.stderr.splitlines()[-1])["error"]["code"] == "E006"


def test_keys_that_would_not_count_are_an_error_at_start_and_found_before(
    medlock: Terminal, tmp_path: Path
) -> None:
    a = member(medlock, tmp_path / "a", "hospital-a", "--api-listen", "127.0.0.1:1")
    create = ("genesis", "create", a / "card.json", "-o", a / "genesis.json")
    assert medlock.run(*create).code == 0
    registered = a / "clients" / f"{'ab' * 16}.jwks.json"
    registered.parent.mkdir(mode=0o700)
    registered.write_text('{"keys": []}')
    assert medlock.run("config", "validate", "--dir", a).code == 0
    registered.write_text('{"keys": [{"kid": "1", "kty": "oct", "k": "c2VjcmV0"}]}')
    validated = medlock.run("config", "validate", "--dir", a, "--json")
    started = subprocess.run(
        [sys.executable, "-m", "node.cli", "run", "--dir", str(a), "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert validated.code == started.returncode == 3
    for error in (validated.error, json.loads(started.stderr.splitlines()[-1])["error"]):
        assert error["code"] == "E025"
        assert f"{registered}: jwks.private_key at keys[0].k" in error["cause"]
    assert "c2VjcmV0" not in started.stderr
    assert not (a / "data").exists()


@pytest.mark.parametrize(
    ("command", "code"),
    [("run --dir .", 3), ("receipt verify README.md --genesis README.md", 3), ("simulate", 4)],
)
def test_no_command_runs_on_a_python_without_assertions(command: str, code: int) -> None:
    outcome = subprocess.run(
        [sys.executable, "-O", "-m", "node.cli", *command.split()],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert outcome.returncode == code
    assert outcome.stderr.startswith("error[E015]")


def test_stop_and_status_of_a_node_that_does_not_run(medlock: Terminal, tmp_path: Path) -> None:
    a = member(medlock, tmp_path / "a", "hospital-a", "--api-listen", "127.0.0.1:1")
    assert (stopped := medlock.run("stop", "--dir", a, "--json")).code == 4
    assert stopped.error["code"] == "E021"
    status = medlock.run("status", "--dir", a, "--json", "--timeout", "0.2")
    assert (status.code, status.error["code"]) == (4, "E020")


def test_which_node_and_as_whom_have_to_be_said(medlock: Terminal) -> None:
    for arguments in (
        ("status",),
        ("status", "--node", "hospital-a"),
        ("record", "list", "--api", "http://127.0.0.1:1"),
        ("record", "list", "--api", "http://127.0.0.1:1", "--as", "nobody"),
        ("status", "--api", "http://127.0.0.1:1"),
    ):
        outcome = medlock.run(*arguments, "--json")
        assert (outcome.code, bool(outcome.error["fix"])) == (2, True), arguments


def test_inspect_of_a_node_that_has_not_run(medlock: Terminal, tmp_path: Path) -> None:
    a = member(medlock, tmp_path / "a", "hospital-a")
    assert medlock.run("inspect", "--dir", a, "--json").error["code"] == "E006"
    medlock.run("genesis", "create", a / "card.json", "-o", a / "genesis.json")
    shown = medlock.run("inspect", "--dir", a, "--json")
    assert shown.code == 0
    assert shown.document["votes"]["condition"] == "ok"
    (a / "votes" / "slot-0").write_bytes(b"")
    (a / "votes" / "slot-1").write_bytes(b"")
    damaged = medlock.run("inspect", "--dir", a, "--json")
    assert (damaged.code, damaged.document["votes"]["condition"]) == (7, "corrupt")


def accepting(path: Path, *options: str) -> tuple[str, ...]:
    why = ("--operator", "Ada", "--reason", "two disks died")
    return ("votes", "accept-loss", "--dir", str(path), *why, *options)


def test_a_lost_vote_record_is_given_up_on_a_persons_word_only(
    medlock: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = member(medlock, tmp_path / "a", "hospital-a")
    medlock.run("genesis", "create", a / "card.json", "-o", a / "genesis.json")
    refused = medlock.run(*accepting(a, "--yes", "--json"))
    assert (refused.code, refused.error["code"]) == (1, "E054"), "nothing is lost"
    for slot in ("slot-0", "slot-1"):
        (a / "votes" / slot).write_bytes(b"")
    lost = sorted((path.name, path.stat().st_size) for path in (a / "votes").rglob("*"))
    assert medlock.run(*accepting(a, "--json")).error["code"] == "E070", "machines say --yes"
    for answer in ("n\n", ""):
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        unsaid = medlock.run(*accepting(a))
        assert unsaid.code == 130
        assert "may have voted already at any height" in unsaid.err
    assert lost == sorted((path.name, path.stat().st_size) for path in (a / "votes").rglob("*"))
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert "By override of Ada this node votes" in medlock.run(*accepting(a)).out
    assert medlock.run("inspect", "--dir", a, "--json").document["votes"]["condition"] == "ok"
    assert medlock.run(*accepting(a, "--yes", "--json")).error["code"] == "E054", "it is used up"
    shutil.rmtree(a / "votes")
    again = medlock.run(*accepting(a, "--yes", "--json")).document
    assert (again["operator"], again["reason"]) == ("Ada", "two disks died")
    assert (again["condition"], again["tip_height"], again["risky_to"]) == ("missing", None, None)


def test_an_override_names_the_heights_that_it_risks(medlock: Terminal, tmp_path: Path) -> None:
    a = member(medlock, tmp_path / "a", "hospital-a")
    medlock.run("genesis", "create", a / "card.json", "-o", a / "genesis.json")
    genesis = read_genesis(a / "genesis.json")
    store = create_store(a / "data", genesis.parameters.state_buckets)
    begin_chain(store, genesis)
    store.close()
    shutil.rmtree(a / "votes")
    done = medlock.run(*accepting(a, "--yes"))
    assert done.code == 0, done.err
    assert "voted already at heights up to 1" in done.err
    (a / "votes" / "mark").unlink()
    data = a / "data" / "CURRENT"
    data.unlink()
    damaged = medlock.run(*accepting(a, "--yes", "--json"))
    assert (damaged.code, damaged.error["code"]) == (7, "E051"), "the store first"


def test_an_override_needs_a_stopped_node_and_words(medlock: Terminal, tmp_path: Path) -> None:
    a = member(medlock, tmp_path / "a", "hospital-a")
    shutil.rmtree(a / "votes")
    with Directory(a).lock("http://127.0.0.1:1"):
        running = medlock.run(*accepting(a, "--yes", "--json"))
    assert running.error["code"] == "E014"
    for words in ("", " ", "x" * 201):
        said = medlock.run(*accepting(a, "--yes", "--json", "--reason", words))
        assert (said.code, said.error["code"]) == (2, "E070")
    b = member(medlock, tmp_path / "b", "pharmacy", "--no-node")
    assert medlock.run(*accepting(b, "--yes", "--json")).error["code"] == "E070"
    assert not (a / "votes").exists()


def test_config_show_tells_origins(
    medlock: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = member(medlock, tmp_path / "a", "hospital-a")
    monkeypatch.setenv("MEDLOCK_LOG_LEVEL", "error")
    shown = medlock.run("config", "show", "--origin", "--dir", a, "--json").document
    assert shown["log.level"] == {
        "value": "error",
        "origin": "MEDLOCK_LOG_LEVEL",
        "variable": "MEDLOCK_LOG_LEVEL",
    }
    assert shown["api.listen"]["origin"] == "node.toml: api.listen"
    (a / "node.toml").write_text("[api]\nlisten = 5\n", "utf-8")
    refused = medlock.run("config", "validate", "--dir", a, "--json")
    assert (refused.code, refused.error["code"]) == (3, "E004")


def descriptor(text: bytes) -> int:
    readable, writable = os.pipe()
    os.write(writable, text)
    os.close(writable)
    return readable


def test_a_wallet_is_made_shown_and_exported(medlock: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "marisol.wallet"
    made = medlock.run("wallet", "new", path, "--passphrase-fd", descriptor(b"one\n"), "--json")
    assert made.code == 0, made.err
    assert path.stat().st_mode & 0o777 == 0o600
    card = medlock.run(
        "wallet", "show", path, "--card", "--passphrase-fd", descriptor(b"one"), "--json"
    ).document
    assert card == made.document["card"]
    assert card["kind"] == "patient"
    wrong = medlock.run("wallet", "show", path, "--passphrase-fd", descriptor(b"two"), "--json")
    assert (wrong.code, wrong.error["code"]) == (5, "E031")
    copied = medlock.run(
        *("wallet", "export", path, "-o", tmp_path / "copy.wallet"),
        *("--passphrase-fd", descriptor(b"one"), "--new-passphrase-fd", descriptor(b"three")),
    )
    assert copied.code == 0, copied.err
    original = decrypt_wallet(path.read_bytes(), b"one")
    assert decrypt_wallet((tmp_path / "copy.wallet").read_bytes(), b"three") == original
    text = made.out + card["id"]
    assert original.signing_seed.hex() not in text


def test_a_stopped_node_of_a_test_network_is_not_paused(medlock: Terminal, tmp_path: Path) -> None:
    make_testnet(tmp_path / "net", Settings(1))
    refused = medlock.run("testnet", "pause", "hospital-a", "--dir", tmp_path / "net", "--json")
    assert (refused.code, refused.error["code"]) == (4, "E021")
    assert refused.error["fix"].startswith("medlock testnet restart hospital-a")


def test_a_wallet_is_never_replaced(medlock: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "a.wallet"
    path.write_bytes(b"precious")
    new = medlock.run("wallet", "new", path, "--passphrase-fd", descriptor(b"x"), "--json")
    assert new.code == 2
    assert path.read_bytes() == b"precious"


@pytest.mark.parametrize(
    "arguments",
    [
        ("record", "get", "abc", "--as", "x"),
        ("receipt", "get", "zz", "-o", "f", "--as", "x"),
        ("testnet", "up", "-n", "14"),
        ("testnet", "up", "-n", "0"),
        ("testnet", "up", "--latency", "soon"),
        ("testnet", "up", "--set", "nothing"),
        ("status", "--api", "http://127.0.0.1:1", "--timeout", "nan"),
        ("status", "--api", "http://127.0.0.1:1", "--timeout", "0"),
        ("status", "--api", "http://127.0.0.1:1", "--timeout", "-1"),
        ("testnet", "ps"),
        ("testnet", "kill", "hospital-a"),
    ],
    ids=" ".join,
)
def test_bad_arguments_are_usage_errors_and_change_nothing(
    medlock: Terminal, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    assert medlock.run(*arguments, "--json").code == 2
    assert not list(tmp_path.iterdir())


def test_what_is_no_receipt_and_no_chain_is_an_integrity_failure(
    medlock: Terminal, tmp_path: Path
) -> None:
    a = member(medlock, tmp_path / "a", "hospital-a")
    medlock.run("genesis", "create", a / "card.json", "-o", "genesis.json")
    for content, command in itertools.product((b"", b"\x01\x90", b"{}"), ("receipt", "chain")):
        Path("file").write_bytes(content)
        outcome = medlock.run(command, "verify", "file", "--genesis", "genesis.json", "--json")
        assert (outcome.code, outcome.error["code"]) == (7, "E050")
