"""What travels between this client and a node, beside the formats of the chain."""

import base64
import binascii
from typing import Annotated, Final

from msgspec import Meta

from chain.codec import Codec, Record
from chain.errors import InvalidMessage
from chain.transaction import ATTACHMENTS_MAX, TRANSACTION_BYTES_MAX

SUBMISSION_BYTES_MAX: Final = 4 << 20
CONTENT_TYPE: Final = "application/msgpack"
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
"""RFC 7523 §2.2."""
TOKEN_PATH: Final = "/auth/token"  # noqa: S105 - a path


class Submission(Record, frozen=True):
    """The body of `POST /v1/transactions`.

    `transaction` is an encoded `SignedTransaction`; `attachments` are those of its attachments that
    were not uploaded before, in any order.
    """

    transaction: Annotated[bytes, Meta(max_length=TRANSACTION_BYTES_MAX + 128)]
    attachments: Annotated[tuple[bytes, ...], Meta(max_length=ATTACHMENTS_MAX)]


SUBMISSION: Final = Codec[Submission](Submission, name="submission", bytes_max=SUBMISSION_BYTES_MAX)


def to_base64url(raw: bytes) -> str:
    """Base64url without padding, as JSON documents spell bytes that are no identifier."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_base64url(text: object, field: str) -> bytes:
    """The bytes that `text` spells; `InvalidMessage` for another spelling or type."""
    if not isinstance(text, str):
        raise InvalidMessage("document.wrong_type", field, "a string expected")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise InvalidMessage("document.wrong_value", field, "base64url expected") from None
    if to_base64url(raw) != text:
        raise InvalidMessage("document.wrong_value", field, "not in its one spelling")
    return raw


def from_hex(text: object, size: int, field: str) -> bytes:
    """The `size` bytes that `text` spells in lower-case hex; `InvalidMessage` otherwise."""
    if not isinstance(text, str):
        raise InvalidMessage("document.wrong_type", field, "a string expected")
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raise InvalidMessage("document.wrong_value", field, "hex expected") from None
    if raw.hex() != text or len(raw) != size:
        raise InvalidMessage("document.wrong_value", field, f"{2 * size} hex digits expected")
    return raw
