"""A tag on a dispensed pack tells its own site who the patient is, and nobody else anything."""

import os

from chain.keys import Suite
from client.dispensing import TAG_BYTES, patient_of, tag_keys, tag_of
from client.sealing import new_private_key
from client.wallet import new_wallet

PATIENTS = [f"patient {number}" for number in range(50)]


def site(*keys: bytes) -> tuple[bytes, ...]:
    made = tuple(new_private_key(Suite.X25519, lambda size, key=key: key[:size]) for key in keys)
    return tag_keys(new_wallet("service", "pharmacy", os.urandom, organization_keys=made))


def test_a_site_finds_its_patient_again_also_after_its_keys_were_replaced() -> None:
    (old,) = site(b"o" * 32)
    tag = tag_of(old, "patient 7", "urn:uuid:1")
    assert patient_of(site(b"n" * 32, b"o" * 32), tag, "urn:uuid:1", PATIENTS) == "patient 7"


def test_nobody_else_does() -> None:
    (ours,), theirs = site(b"o" * 32), site(b"t" * 32)
    tag = tag_of(ours, "patient 7", "urn:uuid:1")
    assert patient_of(theirs, tag, "urn:uuid:1", PATIENTS) is None
    assert patient_of((ours,), tag, "urn:uuid:1", PATIENTS[:7]) is None


def test_two_tags_of_one_patient_have_nothing_in_common() -> None:
    (key,) = site(b"o" * 32)
    first, second = (tag_of(key, "patient 7", each) for each in ("urn:uuid:1", "urn:uuid:2"))
    assert first != second
    assert len(first) == len(second) == TAG_BYTES


def test_a_name_and_an_event_cannot_pass_for_another_pair() -> None:
    (key,) = site(b"o" * 32)
    assert tag_of(key, "a", "bc") != tag_of(key, "ab", "c")


def test_who_does_not_speak_for_an_organisation_has_no_key() -> None:
    assert tag_keys(new_wallet("clinician", "pharmacy", os.urandom)) == ()
