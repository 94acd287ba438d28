"""The power of one simulated process: every effect it has passes here, so that it can end anywhere.

A process that has no power left can do nothing: each further effect raises `PowerCut`, while its
tasks are being cleared away.
"""

from collections.abc import Callable


class PowerCut(BaseException):
    """The process ended at this very effect. No code of a node may catch it."""


class Power:
    """One life of a process, from its start to its end."""

    def __init__(self, ended: Callable[[], None]) -> None:
        """`ended` is called when the life ends by an armed crash, before `PowerCut` is raised."""
        self.on = True
        self._ended = ended
        self._left: int | None = None
        self._kind: str | None = None

    def crash_after(self, effects: int, kind: str | None = None) -> None:
        """Ends this life before its effect number `effects` from now (0: the next one), counting
        all kinds or only `kind` ("send", "write", "sync", "work")."""
        self._left, self._kind = effects, kind

    def disarm(self) -> None:
        """The crash that was armed will not come."""
        self._left = None

    def spend(self, kind: str) -> None:
        """Called before each effect."""
        if not self.on:
            raise PowerCut
        if self._left is not None and (self._kind is None or self._kind == kind):
            if self._left == 0:
                self.on = False
                self._ended()
                raise PowerCut
            self._left -= 1
