"""To whom something was dispensed: a keyed tag on the chain, which only its site resolves.

The tag is a MAC over the event's id and the site's own name for the patient. Nothing is kept: on a
recall the site goes through its patients and finds those whose tags are on the recalled packs
(invariant 14). Who does not hold the site's key learns nothing from a tag, and cannot tell that two
are of one patient.
"""

from collections.abc import Iterable, Sequence
from hmac import compare_digest
from hmac import new as keyed
from typing import Final

from client.wallet import Wallet

TAG_BYTES: Final = 16
_PURPOSE: Final = b"medlock dispense tags"


def tag_keys(wallet: Wallet) -> tuple[bytes, ...]:
    """The keys of the wallet's organisation for tags, the newest first; none where the wallet does
    not speak for an organisation."""
    return tuple(keyed(key.secret, _PURPOSE, "sha256").digest() for key in wallet.organization_keys)


def tag_of(key: bytes, patient: str, event_id: str) -> bytes:
    """The tag for `patient`, in whatever words the site always names him, on an event."""
    named = len(patient.encode()).to_bytes(4, "big") + patient.encode() + event_id.encode()
    return keyed(key, named, "sha256").digest()[:TAG_BYTES]


def patient_of(
    keys: Sequence[bytes], tag: bytes, event_id: str, patients: Iterable[str]
) -> str | None:
    """Which of `patients` the tag on an event is for; None where it is none of them."""
    for patient in patients:
        for key in keys:
            if compare_digest(tag_of(key, patient, event_id), tag):
                return patient
    return None
