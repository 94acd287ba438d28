"""A node's configuration: what may be set, where each value comes from, what is refused.

Precedence: flag, `MEDLOCK_*`, node.toml, default. A key that nothing reads is an error. Must not
know what the values do.
"""

import difflib
import ipaddress
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, get_type_hints

from node.errors import OperatorError

CONFIG_BYTES_MAX: Final = 1 << 20
ENVIRONMENT_PREFIX: Final = "MEDLOCK_"
OTHER_VARIABLES: Final = frozenset(
    f"{ENVIRONMENT_PREFIX}{name}"
    for name in ("API", "AS", "DEBUG", "DIR", "NODE", "PASSPHRASE_FILE", "PASSPHRASE_FD", "TESTNET")
)
"""Variables that commands read and that are no part of a node's configuration."""

Check = Callable[[Any], Any]
"""Returns the value in its final form; raises `ValueError` with what was expected instead."""


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "1", "yes", "on"):
        return True
    if value in ("false", "0", "no", "off"):
        return False
    raise ValueError("true or false")


def _integer(lowest: int, highest: int) -> Check:
    def check(value: Any) -> int:
        expected = f"a whole number from {lowest} to {highest}"
        if isinstance(value, str):
            try:
                value = int(value)
            except ValueError:
                raise ValueError(expected) from None
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(expected)  # noqa: TRY004 - one refusal for type and range
        if not lowest <= value <= highest:
            raise ValueError(expected)
        return value

    return check


def _seconds(lowest: float, highest: float) -> Check:
    def check(value: Any) -> float:
        expected = f"a number of seconds from {lowest:g} to {highest:g}"
        if isinstance(value, bool):
            raise ValueError(expected)  # noqa: TRY004 - one refusal for type and range
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise ValueError(expected) from None
        if not lowest <= number <= highest:
            raise ValueError(expected)
        return number

    return check


def _choice(*words: str) -> Check:
    def check(value: Any) -> str:
        if value not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return str(value)

    return check


def _path(value: Any) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError("a path")
    return Path(value)


def split_address(text: str) -> tuple[str, int]:
    """Host and port of "host:port" or "[v6]:port"; `ValueError` for anything else."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise ValueError("HOST:PORT")
    return host, int(port)


def _address(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("HOST:PORT")  # noqa: TRY004 - one refusal for type and form
    split_address(value)
    return value


def _addresses(value: Any) -> dict[str, str]:
    if isinstance(value, str):
        value = dict(part.partition("=")[::2] for part in value.split(",") if part)
    if not isinstance(value, Mapping):
        raise ValueError("MEMBER = HOST:PORT pairs")  # noqa: TRY004 - one refusal for type and form
    return {str(member): _address(address) for member, address in value.items()}


@dataclass(frozen=True, slots=True)
class Setting:
    """How a value is set: its place in node.toml, what it must be, what it means.

    A `development` setting is refused on every other kind of node.
    """

    toml: str
    check: Check
    says: str
    development: bool = False


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """Everything an operator can set. Sizes in bytes, durations as their names say."""

    development: Annotated[
        bool, Setting("development", _boolean, "a throw-away node: allows the switches below")
    ] = False
    clock_offset_ms: Annotated[
        int,
        Setting(
            "clock_offset_ms", _integer(-86_400_000, 86_400_000), "added to the wall clock", True
        ),
    ] = 0
    workers: Annotated[int, Setting("workers", _integer(1, 64), "threads for crypto and disk")] = 2
    api_listen: Annotated[str, Setting("api.listen", _address, "where the HTTP API listens")] = (
        "127.0.0.1:7070"
    )
    api_tls_certificate: Annotated[
        Path | None, Setting("api.tls_certificate", _path, "PEM; needed off loopback")
    ] = None
    api_tls_key: Annotated[Path | None, Setting("api.tls_key", _path, "PEM, mode 0600")] = None
    p2p_listen: Annotated[
        str, Setting("p2p.listen", _address, "where peers connect to, over mutual TLS")
    ] = "0.0.0.0:7071"
    p2p_latency_ms: Annotated[
        int,
        Setting("p2p.latency_ms", _integer(0, 60_000), "holds back every frame that is sent", True),
    ] = 0
    dial_cap_s: Annotated[
        float,
        Setting("p2p.dial_cap_s", _seconds(0.05, 3_600), "longest pause between dials of a peer"),
    ] = 30.0
    peers: Annotated[
        dict[str, str],
        Setting("p2p.peers", _addresses, "MEMBER = HOST:PORT, instead of the ledger's address"),
    ] = field(default_factory=dict)
    mempool_bytes_max: Annotated[
        int,
        Setting("mempool.bytes_max", _integer(1 << 20, 1 << 34), "bytes that wait for a block"),
    ] = 64 << 20
    mempool_transactions_max: Annotated[
        int,
        Setting(
            "mempool.transactions_max",
            _integer(1, 10_000_000),
            "transactions that wait for a block",
        ),
    ] = 50_000
    mempool_sender_share_percent: Annotated[
        int,
        Setting(
            "mempool.sender_share_percent", _integer(1, 100), "what one sender may hold of both"
        ),
    ] = 50
    leveldb_compression: Annotated[
        str,
        Setting("storage.leveldb_compression", _choice("snappy", "none"), "of LevelDB's tables"),
    ] = "none"
    leveldb_cache_bytes: Annotated[
        int,
        Setting("storage.leveldb_cache_bytes", _integer(1 << 20, 1 << 34), "LevelDB's block cache"),
    ] = 32 << 20
    gateway_enabled: Annotated[
        bool,
        Setting(
            "gateway.enabled", _boolean, "acts with the organisation's keys, where keys/ holds them"
        ),
    ] = True
    gateway_patient_wallets: Annotated[
        Path | None,
        Setting(
            "gateway.patient_wallets", _path, "where wallets of new patients wait to be handed over"
        ),
    ] = None
    gateway_epcis_policy: Annotated[
        str,
        Setting(
            "gateway.epcis_policy",
            _choice("binding", "recording"),
            "whether events that are captured move custody, or only say something",
        ),
    ] = "binding"
    gateway_epcis_visibility: Annotated[
        str,
        Setting(
            "gateway.epcis_visibility",
            _choice("consortium", "parties"),
            "who can open events that are captured, where a client does not say",
        ),
    ] = "consortium"
    gateway_epcis_private_targets: Annotated[
        bool,
        Setting(
            "gateway.epcis_private_targets",
            _boolean,
            "subscriptions may send to addresses of the inside, and without TLS",
        ),
    ] = False
    keys_passphrase_file: Annotated[
        Path | None,
        Setting("keys.passphrase_file", _path, "opens keys/, so that the node restarts unattended"),
    ] = None
    log_level: Annotated[
        str,
        Setting(
            "log.level", _choice("debug", "info", "warning", "error"), "the least level written"
        ),
    ] = "info"
    log_format: Annotated[
        str, Setting("log.format", _choice("json", "text"), "one line an event")
    ] = "json"
    log_target: Annotated[
        str,
        Setting("log.target", _choice("stderr", "file"), "file is DIR/log/node.log, rotated"),
    ] = "stderr"


def variable(name: str) -> str:
    """The environment variable of the attribute `name`."""
    return f"{ENVIRONMENT_PREFIX}{name.upper()}"


SETTINGS: Final[dict[str, Setting]] = {
    name: hint.__metadata__[0]
    for name, hint in get_type_hints(NodeConfig, include_extras=True).items()
}
"""Every setting, by its attribute in `NodeConfig`."""
_BY_TOML: Final = {setting.toml: name for name, setting in SETTINGS.items()}
_TABLES: Final = frozenset(
    setting.toml.partition(".")[0] for setting in SETTINGS.values() if "." in setting.toml
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """`origins` tells for every attribute where its value comes from."""

    config: NodeConfig
    origins: Mapping[str, str]


def load(directory: Path, flags: Mapping[str, object], environ: Mapping[str, str]) -> Loaded:
    """The configuration of the node in `directory`.

    `flags` maps attributes to values, None where a flag was not given. Raises `OperatorError`
    (E001 to E005, E012). Relative paths in node.toml are taken from `directory`.
    """
    path = directory / "node.toml"
    if not path.is_file():
        raise OperatorError("E001", f"{directory} is no node directory: node.toml is missing")
    return load_file(path, flags, environ)


def load_file(path: Path, flags: Mapping[str, object], environ: Mapping[str, str]) -> Loaded:
    """As `load`, from any file."""
    values: dict[str, Any] = {}
    origins = dict.fromkeys(SETTINGS, "default")
    for toml, value in _flatten(_parse(path)).items():
        name = _BY_TOML.get(toml)
        if name is None:
            raise _unknown(toml, list(_BY_TOML), f"in {path}")
        values[name] = _checked(name, value, f"{toml} in {path}")
        if isinstance(values[name], Path):
            values[name] = path.parent / values[name]
        origins[name] = f"{path.name}: {toml}"
    for name, text in _variables(environ).items():
        values[name] = _checked(name, text, variable(name))
        origins[name] = variable(name)
    for name, given in flags.items():
        if given is not None:
            flag = "--" + name.replace("_", "-")
            values[name] = _checked(name, given, flag)
            origins[name] = f"flag {flag}"
    config = NodeConfig(**values)
    _check_together(config, origins)
    return Loaded(config, origins)


def _parse(path: Path) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise OperatorError("E002", f"{path} cannot be read: {error.strerror}") from None
    if len(raw) > CONFIG_BYTES_MAX:
        raise OperatorError("E002", f"{path} is larger than {CONFIG_BYTES_MAX} bytes")
    try:
        return tomllib.loads(raw.decode())
    except tomllib.TOMLDecodeError as error:
        raise OperatorError("E002", f"{path} is not TOML: {error}") from None
    except UnicodeDecodeError:
        raise OperatorError("E002", f"{path} is not UTF-8") from None


def _flatten(document: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, dict) and name in _TABLES:
            flat |= {f"{name}.{inner}": each for inner, each in value.items()}
        else:
            flat[name] = value
    return flat


def _variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Attribute names and their texts in the environment."""
    known = {variable(name): name for name in SETTINGS}
    found: dict[str, str] = {}
    for given, text in environ.items():
        if not given.startswith(ENVIRONMENT_PREFIX) or given in OTHER_VARIABLES:
            continue
        if given not in known:
            raise _unknown(given, sorted(known.keys() | OTHER_VARIABLES), "in the environment")
        found[known[given]] = text
    return found


def _unknown(given: str, known: list[str], where: str) -> OperatorError:
    close = difflib.get_close_matches(given, known, n=1, cutoff=0.5)
    fix = f"did you mean {close[0]}?" if close else None
    return OperatorError("E003", f"unknown configuration key {given!r} {where}", fix=fix)


def _checked(name: str, value: object, where: str) -> Any:
    try:
        return SETTINGS[name].check(value)
    except ValueError as expected:
        raise OperatorError("E004", f"{where} is refused: {expected} expected") from None


def _check_together(config: NodeConfig, origins: Mapping[str, str]) -> None:
    if not config.development:
        for name, setting in SETTINGS.items():
            if setting.development and getattr(config, name):
                raise OperatorError(
                    "E005", f"{setting.toml} is set ({origins[name]}) and development is false"
                )
    if (config.api_tls_certificate is None) != (config.api_tls_key is None):
        raise OperatorError("E004", "api.tls_certificate and api.tls_key are set together or not")
    if config.api_tls_certificate is None and not _is_loopback(split_address(config.api_listen)[0]):
        raise OperatorError("E012", f"api.listen is {config.api_listen}, without TLS")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
