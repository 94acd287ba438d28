"""Writes node.toml: the few lines that `init` and test networks put there."""

import json
from collections.abc import Mapping


def node_toml(settings: Mapping[str, object]) -> str:
    """The file that sets `settings` ("api.listen": value), tables in order."""
    tables: dict[str, list[str]] = {"": []}
    for key, value in settings.items():
        table, _, name = key.rpartition(".")
        tables.setdefault(table, []).append(f"{name} = {_value(value)}")
    parts = ["# A Medlock node. `medlock config show --origin --dir DIR` explains every key."]
    for table, entries in tables.items():
        if entries:
            parts.append("\n".join([f"[{table}]", *entries] if table else entries))
    return "\n\n".join(parts) + "\n"


def _value(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case _:
            # A JSON string is a TOML basic string, once the one escape is avoided that TOML lacks.
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
