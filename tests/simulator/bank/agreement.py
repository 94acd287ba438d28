"""Bugs in the rules of agreement: quorums, views, certificates."""

from collections.abc import Iterable
from typing import Final

import pytest
from msgspec.structs import replace

from chain.block import Block
from chain.certificate import Certificate, Commit, Seal
from chain.validators import faults_max
from consensus.ballots import Ballots
from consensus.messages import (
    PreparedCertificate,
    PrePrepare,
    Signed,
    SignedViewChange,
)
from consensus.replica import Replica
from consensus.standing import Proposal, Standing
from node.engine import Engine
from node.simulator.swarm import Knobs
from tests.simulator.bank.bug import Bug, under
from tests.simulator.bank.stages import (
    all_locked,
    bare_usurper,
    false_source,
    impersonated,
    mixed_views,
    prepares_too_late,
    told_twice,
    two_certificates,
    unproven_usurper,
    withdrawn,
)


def small_quorum(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("chain.validators.quorum", lambda n: 2 * faults_max(n) + 1)


def _copies_count(patch: pytest.MonkeyPatch) -> None:
    add = Ballots.add

    def add_copy(self: Ballots, signed: Signed) -> None:
        add(self, signed)
        vars(self).setdefault("copies", []).append(signed)

    def certificate(self: Ballots) -> Certificate | None:
        tally: dict[Commit, list[Seal]] = {}
        for signed in vars(self).get("copies", ()):
            if isinstance(signed.message, Commit):
                seals = tally.setdefault(signed.message, [])
                seals.append(Seal(signed.sender, signed.signature))
        for commit, seals in tally.items():
            if len(seals) >= self._validators.quorum:
                return Certificate(commit.height, commit.view, commit.block_hash, tuple(seals))
        return None

    patch.setattr(Ballots, "add", add_copy)
    patch.setattr(Ballots, "certificate", certificate)


def _forgotten_at_a_jump(patch: pytest.MonkeyPatch) -> None:
    jump = Replica._jump

    def forgetful(self: Replica) -> bool:
        here = self._here
        if (
            self._votes
            and len(here.ballots.views_above(self.view, self.me)) > here.tip.validators.f
        ):
            here.record = replace(here.record, prepared=None, committed=False)
        return jump(self)

    patch.setattr(Replica, "_jump", forgetful)


def _view_change_without_proof(patch: pytest.MonkeyPatch) -> None:
    ask = Replica._ask

    def unproven(self: Replica, view: int) -> None:
        here, prepared = self._here, self._here.record.prepared
        here.record = replace(here.record, prepared=None)
        ask(self, view)
        here.record = replace(here.record, prepared=prepared)

    patch.setattr(Replica, "_ask", unproven)


def _lowest_view_wins(patch: pytest.MonkeyPatch) -> None:
    def lowest(view_changes: Iterable[SignedViewChange]) -> PreparedCertificate | None:
        certificates = [
            each.view_change.prepared
            for each in view_changes
            if each.view_change.prepared is not None
        ]
        return min(certificates, key=lambda certificate: certificate.view, default=None)

    for module in ("replica", "standing", "view_change"):
        patch.setattr(f"consensus.{module}.highest_prepared", lowest)


def _bare_proposal(patch: pytest.MonkeyPatch) -> None:
    def take(self: Replica, sender: str, message: PrePrepare, block: Block | None) -> None:
        if message.view == self.view and sender == self.primary:
            self._here.consider(Proposal(message.view, message.block_hash, fresh=True), block)

    patch.setattr(Replica, "_take_pre_prepare", take)


def _new_view_unchecked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("consensus.replica.new_view_holds", lambda *_: True)


def _late_prepares_count(patch: pytest.MonkeyPatch) -> None:
    prepare, vote_for = Replica._prepare, Replica._vote_for

    def remember(self: Replica, block_hash: bytes) -> None:
        vars(self._here).setdefault("left", {})[self.view] = block_hash
        vote_for(self, block_hash)

    def late(self: Replica, now: float) -> bool:
        here = self._here
        for view, block_hash in sorted(vars(here).get("left", {}).items()):
            prepares = here.ballots.prepares(view, block_hash)
            if self._votes and view < self.view and len(prepares) >= here.quorum:
                del vars(here)["left"][view]
                prepared = PreparedCertificate(view, block_hash, prepares)
                here.record = replace(here.record, prepared=prepared, committed=True)
                self._say(Commit(here.height, view, block_hash))
                return True
        return prepare(self, now)

    patch.setattr(Replica, "_vote_for", remember)
    patch.setattr(Replica, "_prepare", late)


def _commit_before_prepared(patch: pytest.MonkeyPatch) -> None:
    def hasty(self: Replica, now: float) -> bool:
        here, accepted = self._here, self._here.accepted
        if not self._votes or accepted is None or here.is_prepared:
            return False
        prepares = here.ballots.prepares(here.view, accepted.block_hash)
        prepared = PreparedCertificate(here.view, accepted.block_hash, prepares)
        here.record = replace(here.record, prepared=prepared, committed=True)
        self._say(Commit(here.height, here.view, accepted.block_hash))
        return True

    patch.setattr(Replica, "_prepare", hasty)


def _second_proposal(patch: pytest.MonkeyPatch) -> None:
    consider = Standing.consider

    def fickle(self: Standing, proposal: Proposal, block: Block | None) -> None:
        if self.proposal is not None and self.proposal.block_hash != proposal.block_hash:
            self.proposal = None
            self.record = replace(self.record, accepted=None)
        consider(self, proposal, block)

    patch.setattr(Standing, "consider", fickle)


def _commits_of_several_views(patch: pytest.MonkeyPatch) -> None:
    def certificate(self: Ballots) -> Certificate | None:
        tally: dict[bytes, list[tuple[int, Seal]]] = {}
        for member, signed in sorted(self._slots[Commit].items()):
            assert isinstance(signed.message, Commit)
            seals = tally.setdefault(signed.message.block_hash, [])
            seals.append((signed.message.view, Seal(member, signed.signature)))
        height = next(iter(self._slots[Commit].values())).message.height if tally else 0
        for block_hash, found in tally.items():
            if len(found) >= self._validators.quorum:
                seals_only = tuple(seal for _, seal in found)
                return Certificate(height, max(view for view, _ in found), block_hash, seals_only)
        return None

    patch.setattr(Ballots, "certificate", certificate)


def _signatures_unchecked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("node.engine.authenticate", lambda *_: None)


def _certificate_unchecked_in_sync(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Engine, "_check_certificate", lambda *_: None)


BUGS: Final = (
    Bug(
        "quorum of 2f+1 among six",
        "two quorums share an honest member",
        small_quorum,
        "S5",
        0,
        under(Knobs(6, chaos_s=5, transactions=5, partitions=20, byzantine={"a": "equivocator"})),
        "n=6, an equivocator, partitions",
    ),
    Bug(
        "a repeated vote counts again",
        "certificates count distinct validators",
        _copies_count,
        "S5",
        0,
        told_twice,
        "two of four Commits get through, each several times",
    ),
    Bug(
        "Commits of several views make a certificate",
        "rule 5: a quorum for one view",
        _commits_of_several_views,
        "S5",
        0,
        mixed_views,
        "one block prepared in two views, one Commit of either arrives",
    ),
    Bug(
        "signatures of consensus unchecked",
        "every message is signed by its validator",
        _signatures_unchecked,
        "S5",
        0,
        impersonated,
        "a member votes in the name of all",
    ),
    Bug(
        "prepared certificate forgotten at a jump",
        "rule 4: the highest certificate is kept, however the view moves",
        _forgotten_at_a_jump,
        "S6",
        0,
        withdrawn,
        "a liar and a late member are the first to leave a view in which two prepared",
    ),
    Bug(
        "view change without the prepared certificate",
        "rule 6: ViewChange carries the highest prepared",
        _view_change_without_proof,
        "S6",
        0,
        all_locked,
        "all prepare, no Commit arrives",
    ),
    Bug(
        "NewView picks the lowest view",
        "rule 8: the block of the highest view_p",
        _lowest_view_wins,
        "S6",
        0,
        two_certificates,
        "two blocks prepared in two views, one by a member cut off since",
    ),
    Bug(
        "bare PrePrepare above view 0",
        "rule 3: above view 0 only inside a NewView",
        _bare_proposal,
        "S6",
        0,
        bare_usurper,
        "all prepare; the next primary proposes its own block, bare",
    ),
    Bug(
        "NewView unchecked",
        "rule 9: a quorum of sound view changes, and what follows from them",
        _new_view_unchecked,
        "S6",
        0,
        unproven_usurper,
        "all prepare; the next primary proposes its own block without proof",
    ),
    Bug(
        "late Prepares of a left view count",
        "rule 4: prepared only in the current view",
        _late_prepares_count,
        "S4",
        0,
        prepares_too_late,
        "Prepares arrive when everyone has left the view",
    ),
    Bug(
        "Commit before prepared",
        "rule 4: a quorum of Prepares before the Commit",
        _commit_before_prepared,
        "live",
        0,
        all_locked,
        "all commit unproven, and no view change can say so",
    ),
    Bug(
        "a second proposal of a view is accepted",
        "rule 3: no other hash accepted at (h, v)",
        _second_proposal,
        "S4",
        4,
        under(Knobs(4, chaos_s=10, transactions=10, byzantine={"a": "equivocator"})),
        "an equivocator",
    ),
    Bug(
        "certificate unchecked when catching up",
        "only certificates count",
        _certificate_unchecked_in_sync,
        "S1",
        0,
        false_source,
        "a liar answers whoever catches up with a block of its own",
    ),
)
