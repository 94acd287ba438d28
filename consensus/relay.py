"""Relaying (rule 12): a broken link costs latency, not liveness.

The shell feeds it links and the `heard` marks of Status messages, and asks to whom a message that
arrived has to be passed on. Knows nothing of what messages say.
"""

from typing import Final

RELAYED_MESSAGES_MAX: Final = 4_096
INTERVAL_S: Final = 0.5
"""Half of what lies between two retransmissions (rule 11): one that a network has hurried is passed
on, a copy by another way is not (ADR 0033)."""


class RelayTable:
    """Who does not hear whom, and what was passed on in the last interval."""

    def __init__(self, me: str) -> None:
        self._me = me
        self._heard: dict[str, tuple[str, ...] | None] = {}
        self._wanting: dict[str, list[str]] = {}
        """By author: the peers that do not hear him, as far as somebody has asked; in order."""
        self._passed: dict[tuple[bytes, str], float] = {}

    def connected(self, peer: str) -> None:
        """A link is up. Until its first Status, a peer is taken to hear everyone."""
        self._heard.setdefault(peer, None)
        self._wanting.clear()

    def disconnected(self, peer: str) -> None:
        """The link is down."""
        self._heard.pop(peer, None)
        self._wanting.clear()

    def heard(self, peer: str, members: tuple[str, ...]) -> None:
        """`peer` says, directly, that it hears these members directly."""
        if peer in self._heard and self._heard[peer] != members:
            self._heard[peer] = members
            self._wanting.clear()

    def targets(self, author: str, source: str, signature: bytes, now: float) -> tuple[str, ...]:
        """The peers to which a message of `author` that came from `source` is passed on.

        `signature` names the message. Each retransmission is passed on again, but to one peer at
        most once an `INTERVAL_S` (seconds of `now`).
        """
        if author == self._me:
            return ()
        wanting = self._wanting.get(author)
        if wanting is None:
            wanting = self._wanting[author] = self._who_wants(author)
        chosen = [
            peer for peer in wanting if peer != source and self._is_time((signature, peer), now)
        ]
        for peer in chosen:
            self._note((signature, peer), now)
        return tuple(chosen)

    def _who_wants(self, author: str) -> list[str]:
        return sorted(
            peer
            for peer, heard in self._heard.items()
            if heard is not None and author not in heard and peer != author
        )

    def _is_time(self, key: tuple[bytes, str], now: float) -> bool:
        at = self._passed.get(key)
        return at is None or now - at >= INTERVAL_S

    def _note(self, key: tuple[bytes, str], now: float) -> None:
        """Entries stay in order of time, so that the oldest is the first to be forgotten."""
        self._passed.pop(key, None)
        self._passed[key] = now
        while len(self._passed) > RELAYED_MESSAGES_MAX:
            del self._passed[next(iter(self._passed))]
