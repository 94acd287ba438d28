"""Which category a word means. Ids are random, but for that of the emergency summary, so that only
who keeps a key, or sees that there is one category only, knows which is the general one.
"""

from typing import Final

from client.api import Api
from client.wallet import Wallet
from ledger.ids import emergency_summary, organization_owner
from node.cli.arguments import identifier
from node.errors import OperatorError

GENERAL: Final = "general"
"""The word for the category that is opened when a patient is registered."""
SUMMARY: Final = "emergency-summary"


async def find_category(api: Api, wallet: Wallet, patient: bytes, word: str) -> bytes:
    """The id of the category that `word` names: general, emergency-summary, or its id.

    The general one is the only one that the patient's hospital has opened beside the summary, or,
    where there are several, the one whose key came first into the patient's own wallet or into that
    of the hospital which registered him.
    """
    if word == SUMMARY:
        return emergency_summary(patient)
    if word != GENERAL:
        return identifier(word, 16, "--category")
    home = (await api.principal(patient)).organization
    found = {
        each.category
        async for each in api.categories_of(patient)
        if each.author == organization_owner(home)
    } - {emergency_summary(patient)}
    if len(found) == 1:
        return found.pop()
    kept = kept_general(wallet, patient)
    if kept is None or kept not in found:
        raise OperatorError(
            "E070",
            "this wallet does not know which of the patient's categories is the general one",
            fix="name a category by its id, or none for all: medlock record list shows them",
        )
    return kept


def kept_general(wallet: Wallet, patient: bytes) -> bytes | None:
    """The general category as far as the wallet itself tells: a clinician's does not, who keeps
    keys of what he wrote only."""
    if wallet.principal != patient and not wallet.organization_keys:
        return None
    summary = emergency_summary(patient)
    return next(
        (
            key.name.category
            for key in wallet.category_keys
            if key.name.owner == patient and key.name.category != summary
        ),
        None,
    )


def category_word(category: bytes, patient: bytes, wallet: Wallet) -> str:
    """A category for people: its word, where that is known, else its id."""
    if category == emergency_summary(patient):
        return SUMMARY
    return GENERAL if category == kept_general(wallet, patient) else category.hex()
