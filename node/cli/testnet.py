"""`medlock testnet`: four members, or more, as real processes on this machine."""

import asyncio
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final, TypeVar

import click

import node as node_package
from node.cli.demo import tell_story
from node.cli.output import Bar, json_option, print_document, say, table, wants_json
from node.cli.putting import put_bundle
from node.cli.reach import Asked, resolve
from node.cli.supply_story import tell_supply_story
from node.cli.telling import Told
from node.errors import Exit, OperatorError
from node.testnet import processes
from node.testnet.making import Settings, make_testnet
from node.testnet.network import (
    Seen,
    await_agreement,
    await_ready,
    look,
    purge,
    restart,
    start,
    stop_all,
)
from node.testnet.network import heal as heal_links
from node.testnet.network import partition as cut_links
from node.testnet.state import (
    DEFAULT_DIRECTORY,
    Testnet,
    is_testnet,
    load_testnet,
)

SAMPLES: Final = Path(node_package.__file__).parent.parent / "configs" / "samples"
STORY: Final = SAMPLES / "story"
"""What `demo` puts; a network that comes up does not load it."""
STORIES: Final = {
    "patient": (tell_story, STORY),
    "supply": (tell_supply_story, SAMPLES / "supply"),
}
SAMPLE_AUTHOR: Final = "hospital-a"
FOLLOW_POLL_S: Final = 0.2
R = TypeVar("R")

_DIR = click.option(
    "--dir",
    "path",
    type=click.Path(path_type=Path),
    envvar="MEDLOCK_TESTNET",
    default=DEFAULT_DIRECTORY,
    show_default=True,
    help="The network's directory.",
)
_NAME = click.argument("name")


@click.group()
def testnet() -> None:
    """A network of real processes on this machine."""


@testnet.command()
@click.option("-n", "validators", type=int, help="Validators, 1 to 13 (default 4).")
@_DIR
@click.option("--seed", type=int, help="Makes the same keys again. For development only.")
@click.option("--latency", help="Holds back every frame between nodes: 20ms.")
@click.option("--set", "overrides", multiple=True, help="[NODE:]KEY=VALUE for node.toml.")
@click.option(
    "--launcher",
    help="Command before each node's own, {node} its name: 'ip netns exec {node}'.",
)
@click.option("--no-samples", is_flag=True, help="Start with an empty ledger.")
@click.option("--detach", is_flag=True, help="Return when the network has committed.")
@json_option
def up(  # noqa: PLR0913 - one a flag, called by click
    *,
    validators: int | None,
    path: Path,
    seed: int | None,
    latency: str | None,
    overrides: tuple[str, ...],
    launcher: str | None,
    no_samples: bool,
    detach: bool,
) -> None:
    """Start a network; without --detach, stay until Ctrl-C and stop it then."""
    latency_ms = _milliseconds(latency)
    if is_testnet(path):
        network = load_testnet(path)
        _check_same(network, validators, seed, latency_ms, launcher)
        if overrides:
            raise OperatorError("E062", f"{path} was made already; --set comes too late")
    else:
        settings = Settings(
            4 if validators is None else validators,
            seed,
            latency_ms or 0,
            _overrides(overrides),
            _launcher(launcher),
        )
        network = make_testnet(path, settings)
        say(f"Made {settings.validators} validators in {path}")
    names = [node.name for node in network.nodes]
    if all(processes.process_state(network.directory(name))[0] == "running" for name in names):
        say(f"The network in {path} is running already.")
        _show(network, asyncio.run(look(network)))
        return
    for name in names:
        processes.resume(network.directory(name))
    try:
        started = start(network, names)
        seen = _bring_up(network, started, samples=not no_samples)
    except BaseException:
        stop_all(network)
        raise
    if detach:
        _show(network, seen)
    else:
        _stay(network, started, seen)


@testnet.command()
@_DIR
@json_option
def ps(path: Path) -> None:
    """The nodes: process, state, addresses, height, block hash."""
    network = load_testnet(path)
    _print_nodes(asyncio.run(look(network)))


@testnet.command()
@_NAME
@_DIR
@click.option("-f", "--follow", is_flag=True, help="Go on as lines are written.")
@click.option("-n", "count", type=click.IntRange(1, 100_000), default=50, show_default=True)
@json_option
def logs(name: str, path: Path, follow: bool, count: int) -> None:  # noqa: FBT001 - click's
    """The end of a node's log, and of its console where it failed."""
    directory = load_testnet(path).directory(name)
    log = directory.log_path / "node.log"
    lines = log.read_text("utf-8").splitlines()[-count:] if log.exists() else []
    lines += processes.last_words(directory).splitlines()
    print_document({"node": name, "lines": lines}, "\n".join(lines))
    if follow:
        for line in _following(log):
            click.echo(line, nl=False)


@testnet.command()
@_NAME
@_DIR
@json_option
def kill(name: str, path: Path) -> None:
    """SIGKILL, as a power cut would."""
    _signalled(path, name, "killed", processes.kill)


@testnet.command()
@_NAME
@_DIR
@json_option
def pause(name: str, path: Path) -> None:
    """SIGSTOP: the process is there and does nothing."""
    _signalled(path, name, "paused", processes.pause)


@testnet.command()
@_NAME
@_DIR
@json_option
def resume(name: str, path: Path) -> None:
    """SIGCONT, after pause."""
    _signalled(path, name, "resumed", processes.resume)


@testnet.command("restart")
@_NAME
@_DIR
@json_option
def restart_command(name: str, path: Path) -> None:
    """Start a node again; stops it first where it runs."""
    network = load_testnet(path)
    process = restart(network, name)
    _wait_for_api(network, name, process)
    print_document({"node": name, "restarted": True, "pid": process.pid}, f"{name} restarted")


@testnet.command()
@click.argument("groups")
@_DIR
@json_option
def partition(groups: str, path: Path) -> None:
    """Cut all links between groups of nodes: A,B/C,D."""
    named = [[name for name in group.split(",") if name] for group in groups.split("/")]
    made = asyncio.run(cut_links(load_testnet(path), named))
    print_document({"groups": made}, "cut: " + " | ".join(", ".join(group) for group in made))


@testnet.command()
@_DIR
@json_option
def heal(path: Path) -> None:
    """Undo every partition."""
    asyncio.run(heal_links(load_testnet(path)))
    print_document({"healed": True}, "healed")


@testnet.command()
@_DIR
@click.option("--purge", "forget", is_flag=True, help="Delete its directory too.")
@json_option
def down(path: Path, forget: bool) -> None:  # noqa: FBT001 - click's
    """Stop all nodes."""
    network = load_testnet(path)
    stopped = _with_bar("Stopping", lambda _: stop_all(network))
    if forget:
        purge(network)
    print_document({"stopped": stopped, "purged": forget}, f"stopped {len(stopped)} nodes")


@testnet.command()
@click.argument("story", type=click.Choice(tuple(STORIES)), default="patient")
@_DIR
@json_option
def demo(story: str, path: Path) -> None:
    """Tell a story on the running network, step by step; exit 1 where it breaks.

    `patient` is about a patient and her records, `supply` about goods on their way to one.
    """
    network = load_testnet(path)
    tell, samples = STORIES[story]
    told = tell(network, samples, (lambda _: None) if wants_json() else _tell_step)
    is_held = all(each.as_expected for each in told)
    verdict = "held" if is_held else "broken"
    document = {"steps": [each.document() for each in told], "verdict": verdict}
    print_document(document, f"\n{len(told)} steps: {verdict}")
    if not is_held:
        sys.exit(Exit.CHECK_FAILED)


def _tell_step(told: Told) -> None:
    typed = f"\n    $ {told.command}" if told.command else ""
    mark = "→" if told.as_expected else "BROKEN:"
    click.echo(f"{told.number:>2}. {told.says}{typed}\n    {mark} {told.outcome}")


def _bring_up(
    network: Testnet, started: "dict[str, subprocess.Popen[bytes]]", *, samples: bool
) -> list[Seen]:
    total = len(network.nodes)
    with Bar(f"Waiting for {total} nodes", total) as bar:
        asyncio.run(await_ready(network, started, bar.to))
    seen = asyncio.run(look(network))
    height = max((each.height or 0 for each in seen), default=0)
    if samples and height == 0:
        height = _load_samples(network)
    with Bar(f"Waiting for height {height} on all nodes", height) as bar:
        return asyncio.run(await_agreement(network, height, bar.to))


def _load_samples(network: Testnet) -> int:
    """Puts every sample bundle as hospital A; the height of the last one."""
    files = sorted(SAMPLES.glob("*.json")) if SAMPLES.is_dir() else []
    height = 0
    for file in files:
        asked = Asked(None, None, network.path, SAMPLE_AUTHOR, None, 30.0)
        put = asyncio.run(put_bundle(resolve(asked), file.read_bytes()))
        height = put["height"]
        say(f"Committed {file.name}: {len(put['records'])} records at height {height}")
    return height


def _stay(
    network: Testnet, started: "dict[str, subprocess.Popen[bytes]]", seen: list[Seen]
) -> None:
    """Shows the network until Ctrl-C or SIGTERM, which is its regular end, and stops it then."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    gone: set[str] = set()
    try:
        signal.signal(signal.SIGTERM, interrupt)
        _show(network, seen)
        say("Ctrl-C stops the network.")
        while True:
            time.sleep(FOLLOW_POLL_S)
            for name in started.keys() - gone:
                if started[name].poll() is not None:
                    gone.add(name)
                    say(f"{name} ended with exit code {started[name].returncode}")
    except KeyboardInterrupt:
        say("Stopping the network.")
    finally:
        stop_all(network)


def _show(network: Testnet, seen: list[Seen]) -> None:
    _print_nodes(seen)
    voting = {node.name for node in network.nodes}
    rows = [
        (name, "with a node" if name in voting else "without a node", network.wallet(name) or "-")
        for name in network.organizations
    ]
    say("\n" + table(("demo identity", "organisation", "wallet"), rows))
    where = "" if network.path == DEFAULT_DIRECTORY else f" --dir {network.path}"
    say(f"\nTry: {_our_name()} record put BUNDLE.json --as hospital-a{where}")


def _our_name() -> str:
    """How a person calls this program from here."""
    if shutil.which("medlock") is not None:
        return "medlock"
    program = Path(sys.argv[0])
    return str(program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program)


def _print_nodes(seen: list[Seen]) -> None:
    titles = ("node", "role", "pid", "state", "api", "height", "block")
    rows = [
        (
            each.node.name,
            each.node.role,
            each.pid or "-",
            each.state,
            each.node.api,
            "-" if each.height is None else each.height,
            (each.block_hash or "-")[:16],
        )
        for each in seen
    ]
    print_document({"nodes": [each.document() for each in seen]}, table(titles, rows))


def _signalled(path: Path, name: str, done: str, act: Callable[[Any], bool]) -> None:
    if not act(load_testnet(path).directory(name)):
        raise OperatorError(
            "E021", f"{name} does not run", fix=f"medlock testnet restart {name}, with this --dir"
        )
    print_document({"node": name, done: True}, f"{name} {done}")


def _wait_for_api(network: Testnet, name: str, process: "subprocess.Popen[bytes]") -> None:
    """Until the node answers, in a quorum or not."""

    def answers() -> bool:
        if process.poll() is not None:
            raise OperatorError(
                "E041",
                f"{name} ended with exit code {process.returncode}; it said:\n"
                + processes.last_words(network.directory(name)),
            )
        return any(each.height is not None for each in asyncio.run(look(network, [name])))

    with Bar(f"Waiting for {name}"):
        if not processes.wait_until(answers, processes.START_S):
            raise OperatorError("E041", f"{name} does not answer")


def _with_bar(label: str, work: Callable[[Callable[[int], None]], R]) -> R:
    with Bar(label) as bar:
        return work(bar.to)


def _following(log: Path) -> Iterator[str]:
    """Lines written to `log` from now on, across its rotation."""
    position = log.stat().st_size if log.exists() else 0
    while True:
        if log.exists():
            size = log.stat().st_size
            position = 0 if size < position else position
            if size > position:
                with log.open("rb") as file:
                    file.seek(position)
                    whole = file.read().rpartition(b"\n")[0]
                if whole:
                    position += len(whole) + 1
                    yield whole.decode("utf-8", "replace") + "\n"
        time.sleep(FOLLOW_POLL_S)


def _check_same(
    network: Testnet,
    validators: int | None,
    seed: int | None,
    latency_ms: int | None,
    launcher: str | None,
) -> None:
    same = (
        validators in {None, len(network.nodes)}
        and seed in {None, network.seed}
        and latency_ms in {None, network.latency_ms}
        and launcher in {None, network.launcher}
    )
    if not same:
        raise OperatorError(
            "E062",
            f"{network.path} holds {len(network.nodes)} validators, seed {network.seed}, "
            f"latency {network.latency_ms} ms, launcher {network.launcher or 'none'}",
        )


def _milliseconds(text: str | None) -> int | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,5})(ms|s)?", text)
    if match is None:
        raise click.BadParameter("a duration such as 20ms or 1s", param_hint="--latency")
    return int(match[1]) * (1_000 if match[2] == "s" else 1)


def _launcher(text: str | None) -> str:
    try:
        shlex.split(text or "")
    except ValueError as error:
        raise click.BadParameter(f"not a command: {error}", param_hint="--launcher") from None
    return text or ""


def _overrides(given: tuple[str, ...]) -> dict[str, dict[str, object]]:
    """`[NODE:]KEY=VALUE` by node; "" stands for all of them."""
    result: dict[str, dict[str, object]] = {}
    for text in given:
        place, equals, value = text.partition("=")
        node, _, key = place.rpartition(":")
        if not equals or not key:
            raise click.BadParameter("[NODE:]KEY=VALUE", param_hint="--set")
        result.setdefault(node, {})[key] = _toml_value(value)
    return result


def _toml_value(text: str) -> object:
    if text in {"true", "false"}:
        return text == "true"
    return int(text) if re.fullmatch(r"-?\d{1,18}", text) else text
