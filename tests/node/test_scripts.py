"""What `scripts/environment.bash` takes for a Python, on machines that have this one or that; and
what `scripts/test` runs, says and leaves behind."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

BASH = shutil.which("bash") or "bash"
ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
ENVIRONMENT = SCRIPTS / "environment.bash"
CHECKS = ("ruff", "mypy", "lint-imports")
WAIT_S = 60.0
INTERRUPTIBLE = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    "os.execv(sys.argv[1], sys.argv[1:])"
)
"""Whoever runs the suite in the background has its interrupts ignored, and bash keeps it so."""


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


class Checkout:
    """The script in a project whose tools do as a test tells them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tools = path / ".venv" / "bin"
        self.tools.mkdir(parents=True)
        (path / "temporary").mkdir()
        (path / "pyproject.toml").touch()
        (path / "scripts").mkdir()
        for name in ("environment.bash", "test"):
            shutil.copy(SCRIPTS / name, path / "scripts")
        for tool in ("python", "pytest", *CHECKS):
            self.put(tool, "echo $tool: $*")

    def put(self, tool: str, does: str) -> None:
        place = self.tools / tool
        place.write_text(f"#!{BASH}\ntool={tool}\n{does}\n", "utf-8")
        place.chmod(0o755)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        script = self.path / "scripts" / "test"
        return subprocess.Popen(
            [sys.executable, "-c", INTERRUPTIBLE, BASH, str(script), *arguments],
            env=os.environ | {"TMPDIR": str(self.path / "temporary")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def ended(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        """The exit code and all that was printed; nothing is left."""
        said, _ = process.communicate(timeout=WAIT_S)
        assert list((self.path / "temporary").iterdir()) == []
        return process.returncode, said

    def run(self, *arguments: str) -> tuple[int, str]:
        return self.ended(self.start(*arguments))


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s, "it does not come"
        time.sleep(0.01)


def test_all_is_checked_and_the_checks_have_their_say_after_the_tests(checkout: Checkout) -> None:
    code, said = checkout.run("tests/chain", "-k", "a b")
    assert code == 0
    ran = [line for line in said.splitlines() if not line.startswith("==")]
    assert ran[-5:] == [
        "pytest: -q -n 3 --dist loadscope tests/chain -k a b",
        "ruff: format --check .",
        "ruff: check .",
        "mypy:",
        "lint-imports:",
    ]
    assert "FAILED" not in said


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_that_fails_fails_the_run_and_hides_no_other(
    checkout: Checkout, check: str
) -> None:
    checkout.put(check, "echo $tool finds fault; exit 1")
    code, said = checkout.run()
    assert code == 1
    assert f"{check} finds fault" in said
    assert f"== .venv/bin/{check}" in said
    assert "FAILED" in said
    for other in set(CHECKS) - {check}:
        assert f"{other}:" in said


def test_tests_that_fail_fail_the_run_and_hide_no_check(checkout: Checkout) -> None:
    checkout.put("pytest", "exit 5")
    assert checkout.run()[0] == 5
    checkout.put("mypy", "echo $tool finds fault; exit 1")
    code, said = checkout.run()
    assert code == 5
    assert "mypy finds fault" in said


def test_a_check_that_is_slower_than_the_tests_is_waited_for(checkout: Checkout) -> None:
    checkout.put("pytest", "touch done")
    checkout.put("mypy", "until [ -e done ]; do sleep 0.01; done; echo $tool finds fault; exit 1")
    code, said = checkout.run()
    assert code == 1
    assert "mypy finds fault" in said


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_ends_the_checks_with_the_tests(
    checkout: Checkout, number: signal.Signals, code: int
) -> None:
    """As a terminal interrupts, or `timeout`: whatever is in the script's process group."""
    for tool in ("pytest", "mypy"):
        checkout.put(tool, f"echo $$ >{tool}; exec sleep 600")
    pids = [checkout.path / tool for tool in ("pytest", "mypy")]
    process = checkout.start()
    until(lambda: all(each.exists() and each.read_text() for each in pids))
    os.killpg(process.pid, number)
    assert checkout.ended(process)[0] == code
    until(lambda: not any(Path(f"/proc/{each.read_text().strip()}").exists() for each in pids))


def test_of_three_processes_one_alone_has_the_tests_over_nodes() -> None:
    """With such of them as start none."""
    over_nodes = (
        "tests/network/test_history.py",
        "tests/network/test_tutorial.py::test_a_transcript_that_is_not_so_is_found_out",
    )
    options = ("-v", "-n", "3", "--dist", "loadscope", "-p", "no:cacheprovider")
    unneeded = ("-p", "no:schemathesis", "-p", "no:hypothesispytest")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            *options,
            *unneeded,
            *over_nodes,
            "tests/chain/test_merkle.py",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    ran = re.findall(r"^\[(gw\d)\].* PASSED (\S+)", done.stdout, re.MULTILINE)
    workers = {worker for worker, test in ran if test.startswith("tests/network/")}
    assert len(workers) == 1
    assert {worker for worker, _ in ran} > workers
