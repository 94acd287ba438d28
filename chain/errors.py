"""Blame in the type: whose fault a failure is decides what happens next.

`InvalidMessage` is the sender's fault (drop the frame, answer 4xx, score the peer); `Rejected` is
a well-formed transaction that breaks a rule of the ledger (committed as evidence, changes nothing
else). Our own faults are assertions.
"""


class InvalidMessage(Exception):  # noqa: N818 - named for whose fault it is
    """Bytes, a message or a transaction that no honest sender makes.

    `code` is stable and machine-readable, `field` points at the part at fault ("" for the whole),
    `cause` is a sentence that never repeats what was sent.
    """

    def __init__(self, code: str, field: str = "", cause: str = "") -> None:
        super().__init__(f"{code} at {field or 'message'}: {cause}" if cause else code)
        self.code = code
        self.field = field
        self.cause = cause


class Rejected(Exception):  # noqa: N818 - the ledger's word for it
    """A rule of the ledger says no. `code` names the rule, `field` the part of the transaction."""

    def __init__(self, code: str, field: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.field = field
