"""What a node that is not for development refuses to start with."""

from pathlib import Path

import pytest

from node.config import SETTINGS, variable
from tests.network.world import medlock

pytestmark = pytest.mark.network
VALUES = {"clock_offset_ms": "11000", "p2p.latency_ms": "20"}
SWITCHES = {setting.toml: name for name, setting in SETTINGS.items() if setting.development}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("production") / "node"
    medlock("init", "--org", "clinic", "--role", "clinic", "--dir", directory)
    return directory


def test_every_development_switch_is_tried_here() -> None:
    assert SWITCHES.keys() == VALUES.keys()


@pytest.mark.parametrize("switch", VALUES)
def test_a_switch_in_the_file_is_refused(node: Path, switch: str, tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    table, _, key = switch.rpartition(".")
    config.write_text((f"[{table}]\n" if table else "") + f"{key} = {VALUES[switch]}\n")
    said = medlock("config", "validate", "--file", config, exit_code=3)
    assert "error[E005]" in said.err
    assert switch in said.err
    allowed = config.with_name("development.toml")
    allowed.write_text("development = true\n" + config.read_text())
    medlock("config", "validate", "--file", allowed)


@pytest.mark.parametrize("switch", VALUES)
def test_a_switch_in_the_environment_stops_the_node(node: Path, switch: str) -> None:
    given = {variable(SWITCHES[switch]): VALUES[switch]}
    said = medlock("run", "--dir", node, exit_code=3, environ=given)
    assert "error[E005]" in said.err
    assert variable(SWITCHES[switch]) in said.err
