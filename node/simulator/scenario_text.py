"""A scenario as TOML that `load_scenario` reads back: what shrinking writes."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from node.simulator.network import Weather
from node.simulator.scenario import (
    TIMEOUT_BASE_MS,
    TIMEOUT_MS_MAX,
    Happening,
    Scenario,
    When,
    swarm_rates,
)
from node.simulator.swarm import Knobs

_CALM: Final = Weather()
_IDLE: Final = Knobs()


def text_of(scenario: Scenario, comment: str = "") -> str:
    """The file; `comment` comes first."""
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    lines += [
        f"title = {_value(scenario.title)}",
        f"seed = {scenario.seed}",
        f"nodes = {scenario.nodes}",
        *([f"spares = {scenario.spares}"] if scenario.spares else []),
        f"seconds = {_value(scenario.seconds)}",
    ]
    timing = {
        "timeout_base_ms": (scenario.timeout_base_ms, TIMEOUT_BASE_MS),
        "timeout_ms_max": (scenario.timeout_ms_max, TIMEOUT_MS_MAX),
    }
    lines += _table("timing", {name: now for name, (now, usual) in timing.items() if now != usual})
    lines += _table(
        "weather", _unlike(scenario.weather, _CALM, [each.name for each in fields(_CALM)])
    )
    lines += _table("byzantine", scenario.byzantine)
    lines += _table("drift_ppm", scenario.drift_ppm)
    if scenario.swarm is not None:
        knobs = _unlike(scenario.swarm, _IDLE, swarm_rates())
        lines += ["", "[swarm]", *(f"{name} = {_value(value)}" for name, value in knobs.items())]
        lines += _table("swarm.disk_losers", scenario.swarm.disk_losers)
    for happening in scenario.happenings:
        lines += ["", "[[event]]", *_event(happening)]
    lines += _table("expect", scenario.expectations)
    return "\n".join(lines) + "\n"


def _unlike(one: object, usual: object, names: list[str]) -> dict[str, Any]:
    values = {name: getattr(one, name) for name in names}
    return {name: value for name, value in values.items() if value != getattr(usual, name)}


def _table(name: str, values: Mapping[str, Any]) -> list[str]:
    if not values:
        return []
    return ["", f"[{name}]", *(f"{key} = {_value(value)}" for key, value in values.items())]


def _event(happening: Happening) -> list[str]:
    entries: dict[str, Any] = {}
    if happening.id:
        entries["id"] = happening.id
    if happening.when is not None:
        entries["when"] = _state(happening.when)
    elif happening.after:
        entries["after"] = happening.after
        if happening.delay_s:
            entries["delay_s"] = happening.delay_s
    else:
        entries["at"] = happening.at_s
    entries |= {"do": happening.deed, **happening.arguments}
    return [f"{name} = {_value(value)}" for name, value in entries.items()]


def _state(when: When) -> dict[str, Any]:
    state = {"height": when.height, "view": when.view, "step": when.step, "node": when.node}
    return {name: value for name, value in state.items() if value is not None}


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return repr(int(value)) if value == int(value) else repr(value)
        case int():
            return repr(value)
        case str():
            return _string(value)
        case list() | tuple():
            return f"[{', '.join(map(_value, value))}]"
        case dict():
            return f"{{ {', '.join(f'{key} = {_value(each)}' for key, each in value.items())} }}"
        case _:
            raise AssertionError(f"no TOML for {value!r}")


def _string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    escaped = "".join(
        each if each.isprintable() else f"\\u{ord(each):04x}" for each in escaped[:1_000]
    )
    return f'"{escaped}"'
