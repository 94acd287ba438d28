"""Invariants 2, 3 and 4 as a machine that tries to break them, against a model too plain to be
wrong: lists that are searched from end to end, and no index."""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger import patient_queries
from ledger.actions import RecordPut
from ledger.consent_actions import ProxyRevoke
from ledger.fields import Effect, Period, Power, Purpose
from tests.ledger.consent_world import (
    IMAGING,
    access,
    appointment,
    consent_of,
    decision,
    everything,
    grant,
    release,
    revoke,
    rotation,
)
from tests.ledger.consent_world import logged as logged_id
from tests.ledger.ledger_world import (
    BLOCK_MS,
    GENERAL,
    World,
    digest,
    key,
    opening,
    person,
    record_of,
)

CATEGORIES = (GENERAL, IMAGING)
READERS = {"doctor-a": "hospital-a", "doctor-b": "hospital-b", "nurse-b": "hospital-b"}
GRANTEES = ("doctor-b", "hospital-b")
PURPOSES: tuple[Purpose, ...] = ("HRESCH", "TREAT")
SENDERS = ("anna", "ben", "carol", "doctor-a", "doctor-b", "admin-a")
POWERS: tuple[Power, ...] = ("consent", "read")
SCOPES = st.sampled_from(((), (GENERAL,), (IMAGING,), tuple(sorted(CATEGORIES))))
STEPS = st.integers(-3, 6)


@dataclass
class Consent:
    """A consent, in the test's own words."""

    id: bytes
    grantee: str
    effect: Effect
    purposes: tuple[Purpose, ...]
    categories: tuple[bytes, ...]
    period: Period | None
    from_ms: int
    until_ms: int | None
    revoked: bool = False

    def weight(self) -> list[int]:
        parts = (self.grantee == "doctor-b", self.categories, self.purposes, self.period)
        return [int(bool(part)) for part in parts]

    def fits(
        self, reader: str, category: bytes, purpose: str, made_ms: int | None, now: int
    ) -> bool:
        in_time = self.from_ms <= now and (self.until_ms is None or now < self.until_ms)
        for_him = self.grantee in {reader, READERS[reader]}
        about = not self.categories or category in self.categories
        why = not self.purposes or purpose in self.purposes
        if self.period is None:
            when = True
        elif made_ms is None:
            when = self.effect == "deny"
        else:
            when = self.period.start_ms <= made_ms < self.period.end_ms
        return not self.revoked and in_time and for_him and about and why and when


@dataclass
class Appointment:
    powers: tuple[Power, ...]
    categories: tuple[bytes, ...]
    until_ms: int | None
    ended: bool = False

    def covers(self, power: Power, categories: tuple[bytes, ...], now: int) -> bool:
        in_time = not self.ended and (self.until_ms is None or now < self.until_ms)
        whole = not self.categories or (
            bool(categories) and set(categories) <= set(self.categories)
        )
        return in_time and power in self.powers and whole


@dataclass
class Epoch:
    """The current epoch of one author's key."""

    number: int = 0
    opened_ms: int = 0


@dataclass
class Model:
    consents: list[Consent] = field(default_factory=list)
    appointments: dict[str, Appointment] = field(default_factory=dict)
    epochs: dict[bytes, Epoch] = field(default_factory=dict)
    ended_ms: dict[bytes, int] = field(default_factory=dict)
    records: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)
    accesses: list[tuple[bytes, bytes, bytes | None, str]] = field(default_factory=list)
    released: set[tuple[bytes, int]] = field(default_factory=set)


class Consents(RuleBasedStateMachine):
    """Anyone tries anything with the data of Anna, which hospital A wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.model = Model()
        self.count = 0

    @initialize()
    def begin(self) -> None:
        for patient in ("anna", "ben"):
            self.world.register(patient)
        self.world.submit("anna", appointment("carol", "read", new=True), approvals=CAROL)
        self.model.appointments["carol"] = Appointment(("read",), (), None)
        self.world.submit("doctor-a", opening(person("anna"), IMAGING))
        self.model.epochs = {category: Epoch() for category in CATEGORIES}
        self.model.ended_ms = dict.fromkeys(CATEGORIES, -1)

    @property
    def now(self) -> int:
        return self.world.next_block.timestamp_ms

    def name(self) -> str:
        self.count += 1
        return str(self.count)

    def speaks(self, sender: str, power: Power, categories: tuple[bytes, ...]) -> bool:
        if sender == "anna":
            return True
        known = self.model.appointments.get(sender)
        return known is not None and known.covers(power, categories, self.now)

    def end_epochs(self, categories: tuple[bytes, ...], at_ms: int) -> None:
        for category in categories or CATEGORIES:
            self.model.ended_ms[category] = at_ms

    @rule(
        sender=st.sampled_from(SENDERS),
        grantee=st.sampled_from(GRANTEES),
        effect=st.sampled_from(("permit", "permit", "deny")),
        purposes=st.sampled_from(((), ("TREAT",), PURPOSES)),
        categories=SCOPES,
        period=st.none() | st.tuples(STEPS, st.integers(1, 8)),
        start=st.none() | STEPS,
        length=st.none() | st.integers(0, 9),
    )
    def grant(
        self,
        sender: str,
        grantee: str,
        effect: Effect,
        purposes: tuple[Purpose, ...],
        categories: tuple[bytes, ...],
        period: tuple[int, int] | None,
        start: int | None,
        length: int | None,
    ) -> None:
        now = self.now
        from_ms = now if start is None else now + start * BLOCK_MS
        until_ms = None if length is None else from_ms + length * BLOCK_MS
        data_period = None
        if period is not None:
            begins = now + period[0] * BLOCK_MS
            data_period = Period(begins, begins + period[1] * BLOCK_MS)
        consent = consent_of("anna", grantee, self.name())
        allowed = (
            self.speaks(sender, "consent", categories)
            and from_ms >= now
            and (until_ms is None or until_ms > from_ms)
        )
        action = grant(
            consent,
            effect,
            purposes=purposes,
            categories=categories,
            data_period=data_period,
            start_ms=None if start is None else from_ms,
            until_ms=until_ms,
        )
        assert self.world.submit(sender, action).ok == allowed
        if allowed:
            self.model.consents.append(
                Consent(
                    consent, grantee, effect, purposes, categories, data_period, from_ms, until_ms
                )
            )
            if effect == "deny":
                self.end_epochs(categories, now)

    @rule(
        grantee=st.sampled_from(GRANTEES),
        effect=st.sampled_from(("permit", "deny")),
        categories=SCOPES,
    )
    def grant_rightly(self, grantee: str, effect: Effect, categories: tuple[bytes, ...]) -> None:
        """What chance alone finds too rarely: the patient grants without a fault."""
        self.grant("anna", grantee, effect, (), categories, None, None, None)

    @rule(
        grantee=st.sampled_from(GRANTEES),
        start=st.none() | STEPS,
        length=st.none() | st.integers(0, 4),
        period=st.none() | st.tuples(STEPS, st.integers(1, 8)),
    )
    def grant_for_a_time(
        self,
        grantee: str,
        start: int | None,
        length: int | None,
        period: tuple[int, int] | None,
    ) -> None:
        """The patient grants, and only time can be wrong."""
        self.grant("anna", grantee, "permit", (), (), period, start, length)

    @precondition(lambda self: self.model.consents)
    @rule(data=st.data(), sender=st.sampled_from(("anna", *SENDERS)))
    def revoke(self, data: st.DataObject, sender: str) -> None:
        now = self.now
        consent = data.draw(st.sampled_from(self.model.consents))
        allowed = not consent.revoked and self.speaks(sender, "consent", consent.categories)
        assert self.world.submit(sender, revoke(consent.id)).ok == allowed
        if allowed:
            consent.revoked = True
            if consent.effect == "permit":
                self.end_epochs(consent.categories, now)

    @rule(
        sender=st.sampled_from(("anna", "carol", "doctor-a")),
        proxy=st.sampled_from(("anna", "ben", "carol")),
        powers=st.sampled_from((("consent",), ("read",), POWERS)),
        categories=SCOPES,
        length=st.none() | st.integers(1, 9),
        cosigns=st.booleans(),
    )
    def appoint(
        self,
        sender: str,
        proxy: str,
        powers: tuple[Power, ...],
        categories: tuple[bytes, ...],
        length: int | None,
        cosigns: bool,
    ) -> None:
        until_ms = None if length is None else self.now + length * BLOCK_MS
        action = appointment(proxy, *powers, categories=categories, until_ms=until_ms)
        approvals = [(proxy, key(proxy))] if cosigns else []
        allowed = sender == "anna" and proxy != "anna" and cosigns
        assert self.world.submit(sender, action, approvals=approvals).ok == allowed
        if allowed:
            self.model.appointments[proxy] = Appointment(powers, categories, until_ms)

    @rule(sender=st.sampled_from(SENDERS), proxy=st.sampled_from(("ben", "carol")))
    def dismiss(self, sender: str, proxy: str) -> None:
        known = self.model.appointments.get(proxy)
        allowed = sender in {"anna", proxy} and known is not None and not known.ended
        action = ProxyRevoke(person("anna"), person(proxy))
        assert self.world.submit(sender, action).ok == allowed
        if allowed:
            assert known is not None
            known.ended = True

    @rule(category=st.sampled_from(CATEGORIES), number=st.integers(0, 4))
    def put(self, category: bytes, number: int) -> None:
        """Hospital A writes under some epoch."""
        now, name = self.now, self.name()
        record = record_of("anna", name)
        epoch = self.model.epochs[category]
        allowed = number == epoch.number and epoch.opened_ms > self.model.ended_ms[category]
        action = RecordPut(record, category, number, digest(name), digest("k"))
        assert self.world.submit("doctor-a", action).ok == allowed
        if allowed:
            self.model.records[record] = (category, now)

    @rule(category=st.sampled_from(CATEGORIES))
    def put_rightly(self, category: bytes) -> None:
        self.put(category, self.model.epochs[category].number)

    @rule(category=st.sampled_from(CATEGORIES))
    def rotate(self, category: bytes) -> None:
        now, epoch = self.now, self.model.epochs[category]
        assert self.world.submit("doctor-a", rotation(epoch.number + 1, category=category)).ok
        self.model.epochs[category] = Epoch(epoch.number + 1, now)

    @rule(blocks=st.integers(1, 6))
    def wait(self, blocks: int) -> None:
        self.world.pass_time(blocks * BLOCK_MS)

    def expected(
        self, reader: str, category: bytes, purpose: str, made_ms: int | None, now: int
    ) -> tuple[bool, set[bytes]]:
        """What the consents say, and which of them decide it."""
        fitting = [
            each
            for each in self.model.consents
            if each.fits(reader, category, purpose, made_ms, now)
        ]
        if not fitting:
            return False, set()
        heaviest = max(each.weight() for each in fitting)
        deciding = [each for each in fitting if each.weight() == heaviest]
        permit = all(each.effect == "permit" for each in deciding)
        return permit, {each.id for each in deciding}

    @rule(
        data=st.data(),
        reader=st.sampled_from(("doctor-b", "nurse-b")),
        category=st.sampled_from(CATEGORIES),
        purpose=st.sampled_from(PURPOSES),
    )
    def log(self, data: st.DataObject, reader: str, category: bytes, purpose: Purpose) -> None:
        """An access that cites some consent, or one that does not exist."""
        made_up = consent_of("anna", "hospital-b", "made up")
        cited = data.draw(st.sampled_from([each.id for each in self.model.consents] or [made_up]))
        record = data.draw(st.none() | st.sampled_from(sorted(self.model.records) or [None]))
        made_ms = None
        if record is not None:
            category, made_ms = self.model.records[record]
        named = () if record is None else (record,)
        claim = access(
            self.name(), *named, actor=reader, category=category, purpose=purpose, cited=cited
        )
        permit, deciding = self.expected(reader, category, purpose, made_ms, self.now)
        allowed = permit and cited in deciding
        result = self.world.submit(reader, claim)
        assert result.code == ("ok" if allowed else "access.basis_not_in_force")
        if allowed:
            at = logged_id(self.world, claim)
            self.model.accesses.append((at, category, record, reader))

    @precondition(lambda self: self.model.consents)
    @rule(
        category=st.sampled_from(CATEGORIES),
        reader=st.sampled_from(("doctor-b", "nurse-b")),
        answered=st.booleans(),
    )
    def log_rightly(self, category: bytes, reader: str, answered: bool) -> None:
        """The access that the consents permit, if they permit one, and the author's answer."""
        permit, deciding = self.expected(reader, category, "TREAT", None, self.now)
        if not permit:
            return
        claim = access(self.name(), actor=reader, category=category, cited=min(deciding))
        assert self.world.submit(reader, claim).ok
        at = logged_id(self.world, claim)
        self.model.accesses.append((at, category, None, reader))
        if answered:
            self._release(at, category, self.model.epochs[category].number)

    @precondition(lambda self: self.model.accesses)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """A key moves for a committed access only, while its basis is in force, and once."""
        at, category, _, _ = data.draw(st.sampled_from(self.model.accesses))
        epoch = data.draw(st.integers(0, self.model.epochs[category].number + 1))
        self._release(at, category, epoch)

    def _release(self, at: bytes, category: bytes, epoch: int) -> None:
        assert not self.world.submit("gateway-b", release(at, category, epoch)).ok
        rests = self.still_rests(at)
        result = self.world.submit("gateway-a", release(at, category, epoch))
        known = epoch <= self.model.epochs[category].number
        again = (category, epoch) in self.model.released
        assert result.ok == (known and not again and rests)
        if result.ok:
            self.model.released.add((category, epoch))

    @precondition(lambda self: self.model.accesses)
    @rule(data=st.data())
    def revoke_and_release(self, data: st.DataObject) -> None:
        """The author's answer comes when the consent is gone."""
        at, category, _, _ = data.draw(st.sampled_from(self.model.accesses))
        entry = patient_queries.access(self.world.state, at)
        assert entry is not None
        cited = next(each for each in self.model.consents if each.id == entry.cited)
        now = self.now
        assert self.world.submit("anna", revoke(cited.id)).ok == (not cited.revoked)
        if not cited.revoked:
            cited.revoked = True
            self.end_epochs(cited.categories, now)
        number = self.model.epochs[category].number
        assert not self.world.submit("gateway-a", release(at, category, number)).ok

    def still_rests(self, at: bytes) -> bool:
        entry = patient_queries.access(self.world.state, at)
        assert entry is not None
        _, category, record, reader = next(each for each in self.model.accesses if each[0] == at)
        made_ms = None if record is None else self.model.records[record][1]
        permit, deciding = self.expected(reader, category, entry.purpose, made_ms, self.now)
        return permit and entry.cited in deciding

    @invariant()
    def the_ledger_decides_as_the_model_does(self) -> None:
        now = self.now
        targets = [(everything(category=each), each, None) for each in CATEGORIES]
        recent = sorted(self.model.records.items())[-2:]
        for reader, hospital in READERS.items():
            for purpose in PURPOSES:
                for wanted, category, made_ms in (
                    *targets,
                    *((record, *where) for record, where in recent),
                ):
                    found = decision(self.world, reader, wanted, purpose)
                    if hospital == "hospital-a":
                        assert (found.permit, found.basis) == (True, "author")
                        continue
                    permit, deciding = self.expected(reader, category, purpose, made_ms, now)
                    assert found.permit == permit
                    top = [
                        each
                        for each in found.considered
                        if each.specificity == found.considered[0].specificity
                    ]
                    assert {each.consent for each in top} == deciding

    @invariant()
    def proxies_read_within_their_scope(self) -> None:
        for proxy in ("ben", "carol"):
            for category in CATEGORIES:
                known = self.model.appointments.get(proxy)
                allowed = known is not None and known.covers("read", (category,), self.now)
                assert decision(self.world, proxy, everything(category=category)).permit == allowed


CAROL = [("carol", key("carol"))]
TestConsents = Consents.TestCase
TestConsents.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
