"""Rules 8 and 9: what a new view must propose, and whether a NewView does.

Signatures are the shell's business; what is checked here is that they are of the right validators,
for the right view, and enough.
"""

from collections.abc import Iterable

from chain.validators import ValidatorSet
from consensus.messages import NewView, PreparedCertificate, SignedViewChange, ViewChange


def is_sound(view_change: ViewChange, height: int, validators: ValidatorSet) -> bool:
    """True for an answerable ViewChange: its prepared certificate, if any, is a quorum of distinct
    validators for a view below the one asked for."""
    if view_change.height != height or view_change.view < 1:
        return False
    prepared = view_change.prepared
    return prepared is None or (
        prepared.view < view_change.view and _has_quorum(prepared, validators)
    )


def highest_prepared(view_changes: Iterable[SignedViewChange]) -> PreparedCertificate | None:
    """The certificate whose block has to be proposed again; None where the choice is free."""
    certificates = [
        signed.view_change.prepared
        for signed in view_changes
        if signed.view_change.prepared is not None
    ]
    return max(certificates, key=lambda certificate: certificate.view, default=None)


def new_view_holds(new_view: NewView, validators: ValidatorSet) -> bool:
    """Rule 9, the sender and the block's own checks aside: a quorum of distinct sound view changes
    for exactly this view, none unsound among them, and the block that follows from them."""
    senders = {signed.sender for signed in new_view.view_changes}
    if len(senders) != len(new_view.view_changes) or len(senders) < validators.quorum:
        return False
    for signed in new_view.view_changes:
        if signed.sender not in validators or signed.view_change.view != new_view.view:
            return False
        if not is_sound(signed.view_change, new_view.height, validators):
            return False
    demanded = highest_prepared(new_view.view_changes)
    return demanded is None or demanded.block_hash == new_view.block_hash


def _has_quorum(prepared: PreparedCertificate, validators: ValidatorSet) -> bool:
    senders = {prepare.sender for prepare in prepared.prepares}
    return (
        len(senders) == len(prepared.prepares)
        and all(sender in validators for sender in senders)
        and len(senders) >= validators.quorum
    )
