"""From the genesis file to whoever votes at a height: the chain of trust that proofs carry.

A header counts as certified where the validators of its height signed it. Those of genesis are
known; where they have changed since, the lineage shows each change, signed by those who voted
before it. Trusts nothing else: not the node that gave it, no clock, no network.
"""

from collections.abc import Sequence
from typing import Annotated, Final

from msgspec import Meta

from chain.block import Header
from chain.certificate import Certificate, check_certificate
from chain.codec import Record
from chain.errors import InvalidMessage
from chain.genesis import Genesis
from chain.validators import ValidatorSet

LINEAGE_MAX: Final = 10_000


class LineageStep(Record, frozen=True):
    """A block after which other validators vote: `validators` is the encoding of the new set."""

    header: Header
    certificate: Certificate
    validators: Annotated[bytes, Meta(max_length=16_384)]


Lineage = Annotated[tuple[LineageStep, ...], Meta(max_length=LINEAGE_MAX)]


def check_certified(
    header: Header, certificate: Certificate, lineage: Sequence[LineageStep], genesis: Genesis
) -> ValidatorSet:
    """Checks every signature of `certificate` and of the lineage; the validators of that height.

    Raises `InvalidMessage` (`lineage.*`, `certificate.*`) naming what is wrong.
    """
    validators, height = genesis.validators, 0
    for index, step in enumerate(lineage):
        field = f"lineage[{index}]"
        if not height < step.header.height < header.height:
            raise InvalidMessage("lineage.order", f"{field}.header.height")
        _check_step(step.header, step.certificate, validators, genesis, f"{field}.")
        following = ValidatorSet.decode(step.validators)
        if following.hash != step.header.next_validators_hash or following == validators:
            raise InvalidMessage("lineage.validators", f"{field}.validators")
        validators, height = following, step.header.height
    _check_step(header, certificate, validators, genesis, "")
    return validators


def _check_step(
    header: Header,
    certificate: Certificate,
    validators: ValidatorSet,
    genesis: Genesis,
    place: str,
) -> None:
    if header.chain_id != genesis.chain_id:
        raise InvalidMessage("lineage.other_chain", f"{place}header.chain_id")
    if (certificate.height, certificate.block_hash) != (header.height, header.hash):
        raise InvalidMessage("lineage.other_block", f"{place}certificate", "of another block")
    if header.validators_hash != validators.hash:
        raise InvalidMessage(
            "lineage.other_validators", f"{place}header.validators_hash", "not the lineage's"
        )
    check_certificate(certificate, validators, genesis.hash)
