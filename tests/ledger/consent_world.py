"""Patients, readers and what they ask of each other: short words for the stories about consent."""

from collections.abc import Sequence

from ledger import queries
from ledger.accesses import Actor
from ledger.care_actions import (
    CarePlanPropose,
    EmergencyOpen,
    ErasureRequest,
    HoldPlace,
)
from ledger.consent_actions import (
    AccessLog,
    AccessRequest,
    CategoryRotate,
    ConsentGrant,
    ConsentRevoke,
    KeyRelease,
    ProxyAppoint,
    ProxyKeys,
)
from ledger.decision import Decision, Target, decide, target_of
from ledger.fields import (
    BasisKind,
    Deferred,
    Effect,
    Period,
    Power,
    Purpose,
    StandingKey,
)
from ledger.ids import (
    access_id,
    emergency_summary,
    new_case_id,
    new_consent_id,
    organization_owner,
)
from ledger.state import DecodedState
from tests.ledger.ledger_world import ENCRYPTION, GENERAL, World, digest, key, person

HOSPITAL_A = organization_owner("hospital-a")
HOSPITAL_B = organization_owner("hospital-b")
IMAGING = b"imaging".ljust(16, b".")
ANNA = person("anna")
SUMMARY = emergency_summary(ANNA)


def case_of(patient: str, name: str) -> bytes:
    """The id of a request, access, emergency, care plan, erasure or hold."""
    return new_case_id(person(patient), person(name))


def consent_of(patient: str, grantee: str, name: str = "consent") -> bytes:
    """A consent's id. The grantee is a clinician, or a hospital."""
    who = organization_owner(grantee) if grantee.startswith("hospital") else person(grantee)
    return new_consent_id(person(patient), who, person(name))


def grant(
    consent: bytes,
    effect: Effect = "permit",
    *,
    purposes: tuple[Purpose, ...] = (),
    categories: Sequence[bytes] = (),
    data_period: Period | None = None,
    start_ms: int | None = None,
    until_ms: int | None = None,
    standing: tuple[StandingKey, ...] = (),
) -> ConsentGrant:
    return ConsentGrant(
        consent,
        effect,
        tuple(sorted(purposes)),
        tuple(sorted(categories)),
        data_period,
        start_ms,
        until_ms,
        standing,
    )


def revoke(consent: bytes) -> ConsentRevoke:
    return ConsentRevoke(consent)


def appointment(
    proxy: str,
    *powers: Power,
    categories: Sequence[bytes] = (),
    new: bool = False,
    until_ms: int | None = None,
    start_ms: int | None = None,
) -> ProxyAppoint:
    keys = ProxyKeys(key(proxy).public, ENCRYPTION) if new else None
    named = powers or ("care", "consent", "erasure", "read")
    scope = tuple(sorted(categories))
    return ProxyAppoint(
        person(proxy), keys, tuple(sorted(named)), scope, start_ms, until_ms, guardian=False
    )


def request(
    name: str, patient: str = "anna", categories: Sequence[bytes] = (), until_ms: int | None = None
) -> AccessRequest:
    scope = tuple(sorted(categories))
    return AccessRequest(case_of(patient, name), ("TREAT",), scope, until_ms, digest(name))


def access(
    name: str,
    *records: bytes,
    actor: str = "doctor-b",
    patient: str = "anna",
    category: bytes = GENERAL,
    author: bytes = HOSPITAL_A,
    purpose: Purpose = "TREAT",
    basis: BasisKind = "consent",
    cited: bytes | None = None,
    deferred: Deferred | None = None,
) -> AccessLog:
    """Of `records`, or of everything in `category` by `author`."""
    return AccessLog(
        case_of(patient, name),
        person(actor),
        None if records else category,
        None if records else author,
        tuple(sorted(records)),
        purpose,
        basis,
        cited,
        deferred,
    )


def logged(world: World, log: AccessLog) -> bytes:
    """Under which id the last block committed `log`."""
    return access_id(log.access, world.timestamp_ms)


def release(
    access: bytes, category: bytes = GENERAL, epoch: int = 0, sealed: str = "sealed to reader"
) -> KeyRelease:
    return KeyRelease(access, category, epoch, digest(sealed))


def rotation(epoch: int, owner: bytes = ANNA, category: bytes = GENERAL) -> CategoryRotate:
    return CategoryRotate(owner, category, epoch, digest(f"seals of epoch {epoch}"))


def emergency(name: str, patient: str = "anna", categories: Sequence[bytes] = ()) -> EmergencyOpen:
    return EmergencyOpen(case_of(patient, name), tuple(sorted(categories)), digest(f"why {name}"))


def plan(name: str, patient: str = "anna") -> CarePlanPropose:
    return CarePlanPropose(case_of(patient, name), digest(f"plan {name}"))


def erasure(
    name: str = "erasure",
    patient: str = "anna",
    category: bytes | None = None,
    record: bytes | None = None,
) -> ErasureRequest:
    return ErasureRequest(case_of(patient, name), category, record)


def hold(name: str = "hold", patient: str = "anna", category: bytes | None = None) -> HoldPlace:
    return HoldPlace(case_of(patient, name), category, digest(f"court order {patient} {name}"))


def everything(
    patient: str = "anna", category: bytes = GENERAL, author: bytes = HOSPITAL_A
) -> Target:
    return Target(person(patient), category, author, None, None)


def actor(world: World, name: str) -> Actor:
    """The reader of that name, for the organisation that the state knows."""
    entry = queries.principal(world.state, person(name))
    assert entry is not None
    own_account = entry.kind in {"patient", "proxy"}
    return Actor(person(name), None if own_account else entry.organization)


def decision(
    world: World, reader: str, target: Target | bytes, purpose: Purpose = "TREAT"
) -> Decision:
    """What the ledger says in the next block."""
    state = DecodedState(world.state)
    wanted = target_of(state, target) if isinstance(target, bytes) else target
    assert wanted is not None
    at_ms = world.next_block.timestamp_ms
    return decide(state, actor(world, reader), wanted, purpose, at_ms)
