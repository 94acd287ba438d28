"""What an event says, as one hash: an error declaration has to say the same as its event."""

from hashlib import sha256
from typing import Final

from msgspec.structs import replace

from chain.codec import Codec
from chain.transaction import ACTION_BYTES_MAX
from ledger.supply.actions import EventContent, SupplyCapture

_CAPTURE: Final = Codec[SupplyCapture](SupplyCapture, name="capture", bytes_max=ACTION_BYTES_MAX)
_NO_KEY: Final = bytes(32)
_NO_CONTENT: Final = EventContent(bytes(16), 0, bytes(32), bytes(32))


def facts_of(action: SupplyCapture) -> bytes:
    """The hash of all that `action` says beside its names and its document."""
    bare = replace(action, event=_NO_KEY, declaration=None, content=_NO_CONTENT)
    return sha256(_CAPTURE.encode(bare)).digest()
