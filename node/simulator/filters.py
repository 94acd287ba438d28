"""Which frames are lost on purpose, as data: chaos draws it, scenario files say it."""

from collections.abc import Mapping
from typing import Any

from consensus.messages import Packet
from node.simulator.network import Frame, words_of


class Filter:
    """For `World.drop`. All of `arguments` have to fit: "message" (its kind), "source" and "target"
    (a node or several), "height" and "view"."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self.arguments = arguments

    def __call__(self, frame: Frame, packet: Packet | None) -> bool:
        """True where the frame is lost."""
        arguments = self.arguments
        for name, end in (("source", frame.source), ("target", frame.target)):
            if name in arguments and not _is_in(end, arguments[name]):
                return False
        message = packet.signed.message if packet is not None else None
        for name in ("height", "view"):
            if name in arguments and arguments[name] != getattr(message, name, None):
                return False
        return arguments.get("message") in {None, words_of(frame, packet).what}

    def __str__(self) -> str:
        words = {name: each for name, each in self.arguments.items() if name != "message"}
        return " ".join(
            [
                str(self.arguments.get("message", "all")),
                *(f"{name} {''.join(map(str, _listed(each)))}" for name, each in words.items()),
            ]
        )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_in(node: str, nodes: str | list[str]) -> bool:
    return node == nodes if isinstance(nodes, str) else node in nodes
