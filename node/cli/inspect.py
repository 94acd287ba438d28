"""`medlock inspect`: what is in a stopped node's directory, and what is wrong with it."""

from pathlib import Path

import click

from node.cli.arguments import node_directory
from node.cli.output import Bar, json_option, lines, print_document
from node.directory import Directory
from node.errors import Exit, OperatorError
from node.inspection import inspect_directory

PARTS: int = 3


@click.command()
@node_directory
@json_option
def inspect(path: Path) -> int:
    """Look into a stopped or damaged store, changing nothing; exit 7 where it is not whole."""
    directory = Directory(path)
    if (running := directory.running()) is not None:
        raise OperatorError("E014", f"data directory is in use by process {running.pid}")
    if not directory.config_path.is_file():
        raise OperatorError("E001", f"{path} is no node directory: node.toml is missing")
    with Bar("Inspecting", PARTS) as bar:
        parts = inspect_directory(directory, bar.to)
    document = {
        part.name: {"whole": part.problem is None, "problem": part.problem, **part.found}
        for part in parts
    }
    text = []
    for part in parts:
        text.append(f"{part.name}: {part.problem or 'whole'}")
        text += [f"  {line}" for line in lines(part.found).splitlines()] if part.found else []
        text += [f"  fix: {part.fix}"] if part.problem and part.fix else []
    print_document(document, "\n".join(text))
    return Exit.OK if all(part.problem is None for part in parts) else Exit.INTEGRITY
