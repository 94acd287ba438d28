"""Chance, drawn from one seed: a stream of its own for each purpose, by name.

So a new draw in one place changes nothing that another place draws, and old seeds stay comparable.
"""

from random import Random


class Streams:
    """Named random streams of one seed."""

    def __init__(self, seed: int | str) -> None:
        self.seed = seed
        self._streams: dict[str, Random] = {}

    def __getitem__(self, name: str) -> Random:
        """The stream `name`, the same object each time."""
        stream = self._streams.get(name)
        if stream is None:
            # Random seeds itself with SHA-512 of a string, whatever PYTHONHASHSEED says.
            stream = self._streams[name] = Random(f"{self.seed}/{name}")  # noqa: S311
        return stream
