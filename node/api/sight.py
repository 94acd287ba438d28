"""Whose entries a caller may see: staff everyone's, a patient his own, a proxy what he stands for.

An appointment that is limited to categories shows what stands in these categories; listings of
everything are for appointments without such a limit. Whoever may not see is told what a stranger
is told: nothing is there.
"""

from ledger.consent_entries import APPOINTMENT
from ledger.fields import Power
from ledger.keyspace import proxy_key
from ledger.proxies import covers, in_force
from ledger.state import decoded
from node.api.access import Scope
from node.api.asking import ask
from node.api.calls import Call
from node.api.problems import not_found
from storage.protocols import StateSnapshot


async def may_see(
    call: Call, owner: bytes, power: Power = "read", category: bytes | None = None
) -> bool:
    """True where the caller may see what is `owner`'s, in `category` or (None) all of it.

    A proxy needs `power`, or the power to read.
    """
    caller = call.authenticated.principal
    if call.may(Scope.LEDGER_READ) or owner == caller:
        return True
    categories = () if category is None else (category,)

    def is_covered(state: StateSnapshot) -> bool:
        entry = decoded(state).read(proxy_key(owner, caller), APPOINTMENT)
        at_ms = call.api.next_block_ms(state.header)
        return (
            entry is not None
            and in_force(entry, at_ms)
            and any(covers(entry, each, categories) for each in (power, "read"))
        )

    return await ask(call, is_covered)


async def check_owner(
    call: Call, owner: bytes, power: Power = "read", category: bytes | None = None
) -> None:
    """Refuses who may not see what is `owner`'s, as if nothing were there."""
    if not await may_see(call, owner, power, category):
        raise not_found("owner", "path.owner")
