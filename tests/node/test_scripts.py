"""What `scripts/environment.bash` takes for a Python, on machines that have this one or that."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BASH = shutil.which("bash") or "bash"
ENVIRONMENT = Path(__file__).parents[2] / "scripts" / "environment.bash"


class Machine:
    """A PATH and a home of its own, with the Pythons that a test puts there."""

    def __init__(self, path: Path) -> None:
        self.bin = path / "bin"
        self.home = path / "home"
        self.bin.mkdir()
        self.home.mkdir()
        for tool in ("bash", "dirname"):
            (self.bin / tool).symlink_to(shutil.which(tool) or tool)

    def put(self, place: Path, *, fits: bool) -> Path:
        """A Python that says of itself that it fits, or that it does not."""
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"#!{BASH}\nexit {0 if fits else 1}\n", "utf-8")
        place.chmod(0o755)
        return place

    def found(self, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BASH, "-ec", f'source "{ENVIRONMENT}"; find_python'],
            env={"PATH": str(self.bin), "HOME": str(self.home), **environ},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("name", ["python3", "python3.11", "python3.12"])
def test_whichever_fits_is_taken(machine: Machine, name: str) -> None:
    machine.put(machine.bin / "python3", fits=False)
    machine.put(machine.bin / name, fits=True)
    assert machine.found().stdout.strip() == name


def test_what_was_asked_for_goes_before_all(machine: Machine) -> None:
    machine.put(machine.bin / "python3", fits=True)
    mine = machine.put(machine.home / "mine", fits=True)
    assert machine.found(PYTHON=str(mine)).stdout.strip() == str(mine)


def test_one_of_pyenv_is_found_though_no_path_leads_there(machine: Machine) -> None:
    machine.put(machine.bin / "python3", fits=False)
    kept = machine.put(machine.home / ".pyenv/versions/3.12.1/bin/python3", fits=True)
    assert machine.found().stdout.strip() == str(kept)


def test_without_any_it_says_what_is_needed(machine: Machine) -> None:
    machine.put(machine.bin / "python3.12", fits=False)
    refused = machine.found()
    assert refused.returncode != 0
    assert "Python 3.11 or 3.12" in refused.stderr


def test_this_python_fits() -> None:
    said = subprocess.run(
        [BASH, "-c", f'source "{ENVIRONMENT}"; fits "{sys.executable}"'],
        env=dict(os.environ),
        check=False,
    )
    assert said.returncode == 0
