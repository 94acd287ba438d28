"""Configuration: where values come from, and everything that is refused."""

from pathlib import Path

import pytest

from node.config import SETTINGS, NodeConfig, load, load_file, split_address, variable
from node.errors import Exit, OperatorError

EXAMPLE = Path(__file__).parents[2] / "configs" / "node.toml"


def write(folder: Path, text: str) -> Path:
    (folder / "node.toml").write_text(text, "utf-8")
    return folder


def refused(folder: Path, text: str, environ: dict[str, str] | None = None) -> OperatorError:
    with pytest.raises(OperatorError) as caught:
        load(write(folder, text), {}, environ or {})
    assert caught.value.exit_code is Exit.CONFIG
    return caught.value


def test_defaults_hold_where_nothing_is_set(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, ""), {}, {})
    assert loaded.config == NodeConfig()
    assert set(loaded.origins.values()) == {"default"}


def test_a_flag_wins_over_a_variable_over_the_file_over_the_default(tmp_path: Path) -> None:
    write(tmp_path, '[log]\nlevel = "warning"\nformat = "text"\n[api]\nlisten = "127.0.0.1:1"')
    environ = {"MEDLOCK_LOG_LEVEL": "error", "MEDLOCK_API_LISTEN": "127.0.0.1:2"}
    loaded = load(tmp_path, {"api_listen": "127.0.0.1:3", "log_target": None}, environ)
    config = loaded.config
    assert (config.api_listen, config.log_level, config.log_format, config.log_target) == (
        "127.0.0.1:3",
        "error",
        "text",
        "stderr",
    )
    origins = [loaded.origins[n] for n in ("api_listen", "log_level", "log_format", "log_target")]
    assert origins == [
        "flag --api-listen",
        "MEDLOCK_LOG_LEVEL",
        "node.toml: log.format",
        "default",
    ]


def test_the_example_file_loads_and_states_the_defaults() -> None:
    assert load_file(EXAMPLE, {}, {}).config == NodeConfig()


def test_a_directory_without_configuration_is_no_node_directory(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"node\.toml is missing") as caught:
        load(tmp_path, {}, {})
    assert caught.value.code == "E001"


@pytest.mark.parametrize(
    ("text", "suggested"),
    [
        ("[api]\nlissten = 1", "api.listen"),
        ("developement = true", "development"),
        ("[mempol]\nbytes_max = 1", None),
        ("[storage]\nleveldb_cache_byte = 1", "storage.leveldb_cache_bytes"),
    ],
)
def test_an_unknown_key_is_an_error_with_a_suggestion(
    tmp_path: Path, text: str, suggested: str | None
) -> None:
    error = refused(tmp_path, text)
    assert error.code == "E003"
    if suggested:
        assert error.fix == f"did you mean {suggested}?"


def test_an_unknown_variable_is_an_error_with_a_suggestion(tmp_path: Path) -> None:
    error = refused(tmp_path, "", {"MEDLOCK_LOG_LEVL": "info"})
    assert (error.code, error.fix) == ("E003", "did you mean MEDLOCK_LOG_LEVEL?")


def test_variables_of_commands_and_of_others_are_left_alone(tmp_path: Path) -> None:
    environ = {"MEDLOCK_PASSPHRASE_FILE": "/x", "MEDLOCK_AS": "a", "PATH": "/bin"}
    assert load(write(tmp_path, ""), {}, environ).config == NodeConfig()


@pytest.mark.parametrize(
    "text",
    [
        "workers = 0",
        "workers = 65",
        'workers = "two"',
        "workers = true",
        "workers = 1.5",
        'development = "perhaps"',
        "development = 1",
        '[api]\nlisten = "127.0.0.1"',
        '[api]\nlisten = "127.0.0.1:99999"',
        '[api]\nlisten = ":7070"',
        "[api]\nlisten = 7070",
        "[p2p]\ndial_cap_s = nan",
        "[p2p]\ndial_cap_s = inf",
        "[p2p]\ndial_cap_s = 0",
        "[p2p]\ndial_cap_s = true",
        "[p2p]\npeers = 4\n",
        '[p2p.peers]\na = "nowhere"',
        "[mempool]\nsender_share_percent = 101",
        '[storage]\nleveldb_compression = "zip"',
        '[log]\nlevel = "loud"',
        "[log]\nlevel = 3",
        '[keys]\npassphrase_file = ""',
        '[api]\ntls_certificate = "a.pem"',
    ],
)
def test_wrong_types_and_ranges_are_refused(tmp_path: Path, text: str) -> None:
    assert refused(tmp_path, text).code == "E004"


@pytest.mark.parametrize("raw", [b"[api", b"\xff\xfe", b"a = 1\na = 2"])
def test_a_file_that_is_not_toml_is_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "node.toml").write_bytes(raw)
    with pytest.raises(OperatorError) as caught:
        load(tmp_path, {}, {})
    assert caught.value.code == "E002"


@pytest.mark.parametrize("switch", ["clock_offset_ms = 11000", "[p2p]\nlatency_ms = 20"])
def test_development_switches_need_a_development_node(tmp_path: Path, switch: str) -> None:
    assert refused(tmp_path, switch).code == "E005"
    config = load(write(tmp_path, f"development = true\n{switch}"), {}, {}).config
    assert config.clock_offset_ms == 11_000 or config.p2p_latency_ms == 20


def test_a_development_switch_in_the_environment_is_refused_too(tmp_path: Path) -> None:
    error = refused(tmp_path, "", {"MEDLOCK_CLOCK_OFFSET_MS": "5"})
    assert error.code == "E005"
    assert "MEDLOCK_CLOCK_OFFSET_MS" in error.cause


@pytest.mark.parametrize("address", ["0.0.0.0:7070", "[::]:7070", "10.0.0.4:80", "example.org:1"])
def test_the_api_off_loopback_needs_tls(tmp_path: Path, address: str) -> None:
    assert refused(tmp_path, f'[api]\nlisten = "{address}"').code == "E012"
    secured = f'[api]\nlisten = "{address}"\ntls_certificate = "a.pem"\ntls_key = "a.key"'
    config = load(write(tmp_path, secured), {}, {}).config
    assert config.api_tls_certificate == tmp_path / "a.pem"


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.3.2.1:1", "[::1]:1", "localhost:1"])
def test_loopback_needs_none(tmp_path: Path, address: str) -> None:
    text = f'[api]\nlisten = "{address}"'
    assert load(write(tmp_path, text), {}, {}).config.api_listen == address


def test_peers_come_as_a_table_or_as_a_variable(tmp_path: Path) -> None:
    table = load(write(tmp_path, '[p2p.peers]\nb = "10.0.0.1:7"'), {}, {}).config
    assert table.peers == {"b": "10.0.0.1:7"}
    given = load(write(tmp_path, ""), {}, {"MEDLOCK_PEERS": "b=10.0.0.1:7,c=[::1]:8"}).config
    assert given.peers == {"b": "10.0.0.1:7", "c": "[::1]:8"}


def test_every_setting_has_its_own_place_and_variable() -> None:
    assert len({setting.toml for setting in SETTINGS.values()}) == len(SETTINGS)
    assert len({variable(name) for name in SETTINGS}) == len(SETTINGS)


def test_addresses_split_into_host_and_port() -> None:
    assert split_address("127.0.0.1:80") == ("127.0.0.1", 80)
    assert split_address("[::1]:80") == ("::1", 80)
