"""`medlock config`: what a node would run with, where each value comes from, does it hold."""

import os
from collections.abc import Mapping
from pathlib import Path

import click

from node.api.registered_keys import RegisteredKeys
from node.cli.output import json_option, print_document, table
from node.config import SETTINGS, Loaded, load, load_file, variable
from node.directory import Directory


@click.group()
def config() -> None:
    """Show or check a node's configuration."""


@config.command()
@click.option("--dir", "directory", type=click.Path(path_type=Path), envvar="MEDLOCK_DIR")
@click.option("--file", type=click.Path(path_type=Path), help="A node.toml outside of a directory.")
@click.option("--origin", is_flag=True, help="Say where each value comes from.")
@json_option
def show(directory: Path | None, file: Path | None, origin: bool) -> None:  # noqa: FBT001 - click's
    """Print every setting, its value, and what it means."""
    loaded = _load(directory, file)
    document = {
        setting.toml: _shown(loaded, name, origin=origin) for name, setting in SETTINGS.items()
    }
    titles = ["setting", "value", *(["origin"] if origin else []), "meaning"]
    rows = [
        [
            setting.toml,
            _plain(getattr(loaded.config, name)),
            *([loaded.origins[name]] if origin else []),
            setting.says,
        ]
        for name, setting in SETTINGS.items()
    ]
    print_document(document, table(titles, rows))


@config.command()
@click.option("--dir", "directory", type=click.Path(path_type=Path), envvar="MEDLOCK_DIR")
@click.option("--file", type=click.Path(path_type=Path), help="A node.toml outside of a directory.")
@json_option
def validate(directory: Path | None, file: Path | None) -> None:
    """Check the configuration; exit 3 and say what is wrong where it does not hold.

    With --dir, the keys in clients/ as well.
    """
    loaded = _load(directory, file)
    if directory is not None:
        RegisteredKeys(Directory(directory).clients_path).check()
    changed = sorted(name for name, origin in loaded.origins.items() if origin != "default")
    print_document(
        {"valid": True, "set": [SETTINGS[name].toml for name in changed]},
        f"valid: {len(changed)} of {len(SETTINGS)} settings are set, the others have their default",
    )


def _load(directory: Path | None, file: Path | None) -> Loaded:
    environ: Mapping[str, str] = os.environ
    if (directory is None) == (file is None):
        raise click.UsageError("give either --dir DIR or --file FILE")
    if file is not None:
        return load_file(file, {}, environ)
    assert directory is not None, "one of the two is given"
    return load(directory, {}, environ)


def _shown(loaded: Loaded, name: str, *, origin: bool) -> object:
    value = getattr(loaded.config, name)
    value = str(value) if isinstance(value, Path) else value
    if not origin:
        return value
    return {"value": value, "origin": loaded.origins[name], "variable": variable(name)}


def _plain(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return str(value).lower()
        case dict():
            return ", ".join(f"{name}={each}" for name, each in value.items()) or "-"
        case _:
            return str(value)
