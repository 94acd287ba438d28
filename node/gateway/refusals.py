"""Why a read through the gateway gives no plaintext: one exception a reason, each with its code.

None of them names a record, a person or a key. Must not know HTTP.
"""

from typing import Final

from ledger.decision import Decision


class ReadRefused(Exception):  # noqa: N818 - the base of those below
    """`code` is stable."""

    code: str

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Denied(ReadRefused):
    """The ledger's decision says no; `decision` explains why."""

    def __init__(self, decision: Decision) -> None:
        super().__init__("access.denied")
        self.decision = decision


class Unknown(ReadRefused):
    """There is no such record, version or patient."""

    def __init__(self, code: str = "record.unknown") -> None:
        super().__init__(code)


class Erased(ReadRefused):
    """It is erased, or about to be."""

    def __init__(self) -> None:
        super().__init__("record.erased")


class Retracted(ReadRefused):
    """Entered in error: this version has no content."""

    def __init__(self) -> None:
        super().__init__("record.retracted")


class TooLarge(ReadRefused):
    """More than is opened in one piece: ask for less, or for a stream."""

    def __init__(self) -> None:
        super().__init__("read.too_large")


class Unreadable(ReadRefused):
    """What its author sealed does not fit what the chain says of it. `code` says what is wrong."""


class Unavailable(ReadRefused):
    """Not now; it may be later. `cause` is a sentence for people."""

    def __init__(self, code: str, cause: str, retry_after_s: int = 1) -> None:
        super().__init__(code)
        self.cause = cause
        self.retry_after_s = retry_after_s


NO_QUORUM: Final = "network.no_quorum"
