"""Refusals on the member's side: a stable code, why, and a way out.

`InvalidMessage` (chain.errors) stays the word for malformed documents. These are for well-formed
things that cannot be used: a wallet under another passphrase, content that is sealed to others,
content that does not fit what the chain says, a node that says no. No message repeats a secret or
clinical content.
"""


class ClientError(Exception):
    """`code` is stable, `cause` and `fix` are sentences, `field` points at the part at fault."""

    def __init__(self, code: str, cause: str, fix: str = "", field: str = "") -> None:
        super().__init__(f"{code}: {cause}")
        self.code = code
        self.cause = cause
        self.fix = fix
        self.field = field


class WalletError(ClientError):
    """A wallet file or a passphrase that cannot be used."""


class NotForUs(ClientError):  # noqa: N818 - says what is the matter
    """Sealed to others: this wallet holds no key that opens it."""


class Tampered(ClientError):  # noqa: N818 - says what is the matter
    """Bytes that are not those that their author sealed in this place."""


class ApiError(ClientError):
    """A node refused, or none answered. `status` is the HTTP status; 0 where there was none.

    `attempts` counts the requests that were made.
    """

    def __init__(
        self, code: str, cause: str, fix: str = "", field: str = "", *, status: int = 0
    ) -> None:
        super().__init__(code, cause, fix, field)
        self.status = status
        self.attempts = 1
