"""The state that a consortium starts from."""

from typing import Final

from chain.errors import InvalidMessage
from chain.genesis import Genesis, Member
from ledger.entries import (
    ORGANIZATION,
    OWNER,
    PARAMETERS,
    PRINCIPAL,
    OrganizationEntry,
    OwnerEntry,
    PrincipalEntry,
    ValidKey,
)
from ledger.ids import organization_owner
from ledger.keyspace import (
    PARAMETERS_KEY,
    VALIDATORS_KEY,
    organization_key,
    organization_owner_key,
    principal_key,
)

RULES_VERSION: Final = 1
"""The version of the rules in this release."""


def genesis_writes(genesis: Genesis) -> dict[bytes, bytes]:
    """The first state, for a genesis that `check_genesis` has passed.

    Raises `InvalidMessage` where it asks for rules of another release, or where a principal's id
    is the name of an organisation's records.
    """
    if genesis.parameters.rules_version != RULES_VERSION:
        raise InvalidMessage(
            "genesis.rules_version",
            "parameters.rules_version",
            f"this release has the rules of version {RULES_VERSION}",
        )
    writes = {
        PARAMETERS_KEY: PARAMETERS.encode(genesis.parameters),
        VALIDATORS_KEY: genesis.validators.encode(),
    }
    for member in genesis.members:
        entry = OrganizationEntry(
            member.id, member.name, member.role, member.encryption_key, member.node
        )
        writes[organization_key(member.id)] = ORGANIZATION.encode(entry)
        owner_key = organization_owner_key(organization_owner(member.id))
        writes[owner_key] = OWNER.encode(OwnerEntry(member.id))
    for index, member in enumerate(genesis.members):
        _add_principals(writes, member, f"members[{index}]")
    return writes


def _add_principals(writes: dict[bytes, bytes], member: Member, field: str) -> None:
    for index, principal in enumerate(member.principals):
        if organization_owner_key(principal.id) in writes:
            raise InvalidMessage("genesis.reserved_principal", f"{field}.principals[{index}].id")
        entry = PrincipalEntry(
            member.id,
            principal.kind,
            (ValidKey(principal.signing_key, None),),
            principal.encryption_key,
        )
        writes[principal_key(principal.id)] = PRINCIPAL.encode(entry)
