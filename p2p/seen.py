"""A bounded memory of ids. Pure: it forgets by count, never by time."""


class Seen:
    """Remembers the last `count_max` ids added; the oldest is forgotten first."""

    def __init__(self, count_max: int) -> None:
        self._count_max = count_max
        self._ids: dict[bytes, None] = {}

    def add(self, identifier: bytes) -> bool:
        """Remembers the id; True where it is new. A repeated one keeps its age."""
        if identifier in self._ids:
            return False
        if len(self._ids) == self._count_max:
            del self._ids[next(iter(self._ids))]
        self._ids[identifier] = None
        return True

    def discard(self, identifier: bytes) -> None:
        """Forgets the id, so that it is new again."""
        self._ids.pop(identifier, None)

    def __contains__(self, identifier: bytes) -> bool:
        return identifier in self._ids

    def __len__(self) -> int:
        return len(self._ids)
