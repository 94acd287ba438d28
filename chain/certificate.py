"""Commit certificates: the votes that make a block final, in a form that anyone can check later."""

from typing import Annotated, Final

from msgspec import Meta

from chain.codec import Codec, Record
from chain.errors import InvalidMessage
from chain.keys import Domain, payload, verify
from chain.types import Hash, Height, MemberId, Signature, Unsigned
from chain.validators import VALIDATORS_MAX, ValidatorSet


class Commit(Record, frozen=True, tag="commit"):
    """A validator's last word on a block; its signature is the commit seal."""

    height: Height
    view: Unsigned
    block_hash: Hash


class Seal(Record, frozen=True):
    """One validator's signature over the `Commit`."""

    validator: MemberId
    signature: Signature


class Certificate(Record, frozen=True):
    """A quorum of commit seals for one (height, view, block), ordered by validator."""

    height: Height
    view: Unsigned
    block_hash: Hash
    seals: Annotated[tuple[Seal, ...], Meta(max_length=VALIDATORS_MAX)]


COMMIT: Final = Codec[Commit](Commit, name="commit", bytes_max=128)
CERTIFICATE: Final = Codec[Certificate](Certificate, name="certificate", bytes_max=16_384)


def check_certificate_shape(certificate: Certificate, validators: ValidatorSet) -> None:
    """Distinct known validators, in order, and enough of them; no signature is looked at."""
    names = [seal.validator for seal in certificate.seals]
    if names != sorted(set(names)):
        raise InvalidMessage("certificate.order", "certificate.seals", "distinct and in order")
    for index, name in enumerate(names):
        if name not in validators:
            raise InvalidMessage(
                "certificate.unknown_validator", f"certificate.seals[{index}].validator"
            )
    if len(names) < validators.quorum:
        raise InvalidMessage(
            "certificate.no_quorum",
            "certificate.seals",
            f"{len(names)} of {validators.n}, {validators.quorum} needed",
        )


def check_certificate(
    certificate: Certificate, validators: ValidatorSet, genesis_hash: bytes
) -> None:
    """Raises `InvalidMessage` unless a quorum of `validators` signed, every seal of them valid."""
    check_certificate_shape(certificate, validators)
    signed = payload(
        genesis_hash,
        Domain.COMMIT,
        COMMIT.encode(Commit(certificate.height, certificate.view, certificate.block_hash)),
    )
    for index, seal in enumerate(certificate.seals):
        public_key = validators.key(seal.validator)
        assert public_key is not None, "the shape was checked"
        if not verify(public_key, seal.signature, signed):
            raise InvalidMessage(
                "certificate.wrong_signature", f"certificate.seals[{index}].signature"
            )
