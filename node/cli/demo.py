"""`medlock testnet demo`: the story of a patient and her records, told on a running test network.

Every step is a command that a member would type, or a look at what no command shows; the step says
what it is for, and whether it came out as it should. The patient is made up and new each time.
"""

import contextlib
import json
import os
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from client.errors import NotForUs
from node.cli.errand import Visit
from node.cli.telling import Broken, Teller, Told
from node.errors import Exit
from node.testnet.state import Testnet

PATIENT_ID: Final = "5b1c7d52-3f0e-4c55-8a77-51f00d0000"
"""How the ids in the samples begin; each telling has its own."""
RECORD_NUMBER: Final = "STORY-000230"
HOSPITAL: Final = "hospital-a"
OTHER: Final = "hospital-b"
NEEDLE_BYTES: Final = 64


def tell_story(network: Testnet, samples: Path, tell: Callable[[Told], None]) -> list[Told]:
    """All steps, as far as they came; the last one is wrong where the story broke."""
    with tempfile.TemporaryDirectory() as folder:
        teller = Teller(network, Path(folder), tell)
        with contextlib.suppress(Broken):
            _tell(teller, samples)
        return teller.told


@dataclass(frozen=True, slots=True)
class Patient:
    """Who the story is about: her pseudonym, the name of her wallet, two of her records."""

    pseudonym: str
    wallet: str
    record: str
    summary: str


def _tell(teller: Teller, samples: Path) -> None:
    _enrol_staff(teller)
    sample = _samples(teller, samples)
    patient = _register(teller, sample)
    consent = _ask_and_permit(teller, patient)
    read_at_other(teller, patient)
    teller.do(
        "The patient sees who looked.",
        *("access", "log", "--as", patient.wallet),
        outcome=lambda log: (
            f"{log['accesses'][-1]['organization']} read {log['accesses'][-1]['what']} "
            f"on the basis of a {log['accesses'][-1]['basis']}"
        ),
    )
    _revoke(teller, patient, consent, sample)
    _break_the_glass(teller, patient)
    _care(teller, patient, sample)
    _erase(teller, patient)
    _verify(teller)


def _enrol_staff(teller: Teller) -> None:
    for name, kind, organization in (
        ("doctor-a", "clinician", HOSPITAL),
        ("doctor-b", "clinician", OTHER),
        ("auditor-b", "auditor", OTHER),
    ):
        administrator = f"{organization}-administrator"
        if teller.network.wallet(name) is None:
            made = teller.do(
                f"{organization} makes a wallet for its {kind}.",
                *("wallet", "new", name, "--demo", "--kind", kind, "--org", organization),
                outcome=lambda made: f"his id is {made['card']['id']}",
            )
            card = made["card"]
        else:
            card = teller.run("wallet", "show", name, "--card").printed
        known = teller.run("principal", "show", card["id"], "--as", administrator)
        if known.exit_code != Exit.OK:
            file = teller.file(f"{name}.json", json.dumps(card))
            teller.do(
                "Its administrator enrols him.",
                *("principal", "enrol", file, "--as", administrator),
                outcome=lambda made: f"on the chain at height {made['height']}",
            )


def _samples(teller: Teller, samples: Path) -> dict[str, str]:
    """The sample files, about a patient whom nobody knows yet."""
    fresh, number = str(uuid.uuid4())[:-2], f"STORY-{os.urandom(4).hex()}"
    return {
        path.stem: teller.file(
            path.name,
            path.read_text("utf-8").replace(PATIENT_ID, fresh).replace(RECORD_NUMBER, number),
        )
        for path in sorted(samples.glob("*.json"))
    }


def _register(teller: Teller, sample: dict[str, str]) -> Patient:
    put = teller.do(
        "Hospital A registers a patient and seals her records, in one transaction.",
        *("record", "put", sample["patient"], "--as", HOSPITAL),
        outcome=lambda put: f"{len(put['records'])} records at height {put['height']}",
    )
    pseudonym = put["records"][0]["patient"]
    record = next(each["id"] for each in put["records"] if each["type"] == "Observation")
    summary = teller.do(
        "It keeps an emergency summary for her, in a category of its own.",
        *("record", "put", sample["emergency-summary"], "--category", "emergency-summary"),
        *("--as", HOSPITAL),
        outcome=lambda put: f"{len(put['records'])} records at height {put['height']}",
    )
    wallet = f"patient-{pseudonym}"
    teller.do(
        "The patient hands over her pseudonym, and no name.",
        *("wallet", "show", wallet, "--card"),
        outcome=lambda card: f"pseudonym {card['id']}, and her public keys",
    )
    return Patient(pseudonym, wallet, record, summary["records"][0]["id"])


def _ask_and_permit(teller: Teller, patient: Patient) -> str:
    teller.refuse(
        "Hospital B may not read: what nothing permits is denied.",
        *("record", "get", patient.record, "--as", OTHER),
        code="key.not_sealed_to_us",
    )
    note = teller.file("request.txt", "Seen in our outpatient clinic; we need the last INR.\n")
    asked = teller.do(
        "So it asks her, with a sealed note that only she and it can read.",
        *("access", "request", "--patient", patient.pseudonym, "--purpose", "TREAT"),
        *("--note-file", note, "--as", OTHER),
        outcome=lambda asked: f"the request is on the chain at height {asked['height']}",
    )
    teller.do(
        "She sees the request.",
        *("access", "requests", "--as", patient.wallet),
        outcome=lambda seen: (
            f"{seen['requests'][0]['organization']} asks: {seen['requests'][0]['note']}"
        ),
    )
    decided = teller.do(
        "She permits treatment, the general category, for thirty days.",
        *("access", "decide", asked["request"], "--permit", "--category", "general"),
        *("--days", "30", "--as", patient.wallet),
        outcome=lambda decided: f"permitted from height {decided['height']} on",
    )
    return str(decided["consent"])


def read_at_other(teller: Teller, patient: Patient) -> None:
    """Hospital B reads through its own node: the one place where the story reads over there."""
    path = f"/fhir/R4/Patient/{patient.pseudonym}/$everything"

    async def everything(visit: Visit) -> dict[str, Any]:
        return await visit.api.get_document(path)

    says = (
        f"Hospital B asks its own node's FHIR gateway, GET {path}: the access is logged, hospital "
        "A's node releases the key because of it, and what she permits opens."
    )
    bundle = teller.visit(says, OTHER, everything)
    resources = [each["resource"] for each in bundle.get("entry", ())]
    shown = {each["id"] for each in resources}
    teller.look(
        says,
        patient.record in shown and patient.summary not in shown,
        f"{len(resources)} resources: {', '.join(each['resourceType'] for each in resources)}",
        "not what she permits",
    )


def _revoke(teller: Teller, patient: Patient, consent: str, sample: dict[str, str]) -> None:
    teller.do(
        "She revokes. Nobody can un-read what was read; nothing more is opened.",
        *("consent", "revoke", consent, "--as", patient.wallet),
        outcome=lambda revoked: f"revoked at height {revoked['height']}",
    )
    teller.refuse(
        "Hospital B is denied from the next block on.",
        *("record", "get", patient.record, "--as", OTHER),
        code="key.not_sealed_to_us",
    )
    later = teller.do(
        "Hospital A writes another record, under the key of a new epoch.",
        *("record", "put", sample["follow-up"], "--as", HOSPITAL),
        outcome=lambda put: f"one record at height {put['height']}",
    )
    record = bytes.fromhex(later["records"][0]["id"])

    async def opens(visit: Visit) -> bool:
        try:
            await visit.reader().open(record)
        except NotForUs:
            return False
        return True

    says = "Even if hospital B skips the decision and the log: do its keys open the new record?"
    teller.look(
        says,
        not teller.visit(says, OTHER, opens),
        "no: it is sealed to the patient and to hospital A",
        "they do",
    )


def _break_the_glass(teller: Teller, patient: Patient) -> None:
    reason = teller.file("reason.txt", "Unconscious, bleeding, no relatives present.\n")
    opened = teller.do(
        "A clinician of hospital B breaks the glass, on the chain first.",
        *("emergency", "open", "--patient", patient.pseudonym, "--note-file", reason),
        *("--as", "doctor-b"),
        outcome=lambda opened: f"open from height {opened['height']} on",
    )
    emergency = opened["emergency"]
    doctor = teller.run("wallet", "show", "doctor-b", "--card").printed["id"]
    reading = ("--purpose", "ETREAT", "--actor", doctor, "--as", OTHER)
    teller.do(
        "The emergency summary opens for him.",
        *("record", "get", patient.summary, *reading),
        outcome=lambda found: f"it holds her {found['resourceType']}",
    )
    teller.refuse(
        "Nothing else does.",
        *("record", "get", patient.record, *reading),
        code="key.not_sealed_to_us",
    )
    teller.do(
        "She is told who, when and why.",
        *("emergency", "list", "--as", patient.wallet),
        outcome=lambda seen: (
            f"{seen['emergencies'][0]['organization']}: {seen['emergencies'][0]['reason']}"
        ),
    )
    teller.do(
        "The clinician ends it.",
        *("emergency", "close", emergency, "--as", "doctor-b"),
        outcome=lambda closed: f"closed at height {closed['height']}",
    )
    teller.refuse(
        "He cannot review himself.",
        *("emergency", "review", emergency, "--outcome", "justified", "--as", "doctor-b"),
        code="emergency.not_reviewer",
    )
    teller.do(
        "A privacy officer can, and must: without a review in time, hospital B opens no more.",
        *("emergency", "review", emergency, "--outcome", "justified", "--as", "auditor-b"),
        outcome=lambda said: f"{said['outcome']}, at height {said['height']}",
    )


def _care(teller: Teller, patient: Patient, sample: dict[str, str]) -> None:
    proposed = teller.do(
        "A clinician of hospital A proposes a care plan.",
        *("careplan", "propose", sample["care-plan"], "--patient", patient.pseudonym),
        *("--as", "doctor-a"),
        outcome=lambda made: f"proposed at height {made['height']}",
    )
    teller.do(
        "She reads it.",
        *("careplan", "show", proposed["plan"], "--as", patient.wallet),
        outcome=lambda shown: f"“{shown['document']['title']}”, version {shown['version']}",
    )
    teller.do(
        "She accepts it.",
        *("careplan", "respond", proposed["plan"], "--accept", "--as", patient.wallet),
        outcome=lambda said: f"accepted at height {said['height']}",
    )


def _erase(teller: Teller, patient: Patient) -> None:
    steward = f"{HOSPITAL}-administrator"
    held = teller.do(
        "The law asks hospital A to keep her records: it places a hold.",
        *("hold", "place", "--patient", patient.pseudonym, "--as", steward),
        outcome=lambda placed: f"in force from height {placed['height']} on",
    )
    teller.refuse(
        "She asks for erasure, and is refused while the hold stands.",
        *("erasure", "request", "--as", patient.wallet),
        code="erasure.on_hold",
    )
    teller.do(
        "The hold is lifted.",
        *("hold", "release", held["hold"], "--as", steward),
        outcome=lambda released: f"released at height {released['height']}",
    )
    record = bytes.fromhex(patient.record)

    async def ciphertext(visit: Visit) -> bytes:
        content = (await visit.api.record(record)).entry.content
        assert content is not None, "it was never retracted"
        return await visit.api.attachment(content.ciphertext)

    says = "Do the nodes' disks, searched raw, hold a ciphertext of hers?"
    needle: bytes = teller.visit(says, patient.wallet, ciphertext)[-NEEDLE_BYTES:]
    names = [node.name for node in teller.network.nodes]
    teller.look(
        says,
        all(_holds(teller.network.path / name, needle) for name in names),
        f"yes, all {len(names)} do",
        "not all of them, so that the search would prove nothing",
    )
    asked = teller.do(
        "She asks again.",
        *("erasure", "request", "--as", patient.wallet),
        outcome=lambda asked: f"asked for at height {asked['height']}",
    )
    teller.do(
        "Hospital A grants it: all of her hashes are buried.",
        *("erasure", "approve", asked["erasure"], "--as", steward),
        outcome=lambda done: f"{done['hashes']} hashes are never named or served again",
    )
    teller.wait(
        "Every member deletes, and attests it on the chain.",
        *("erasure", "status", asked["erasure"], "--as", patient.wallet),
        until=lambda seen: all(each["attested_ms"] is not None for each in seen["attestations"]),
        outcome=lambda seen: (
            f"{sum(each['attested_ms'] is not None for each in seen['attestations'])} of "
            f"{len(seen['attestations'])} have attested"
        ),
    )
    left = [name for name in names if _holds(teller.network.path / name, needle)]
    teller.look(
        "Do the nodes' disks still hold it?",
        not left,
        "no, none does",
        f"yes: {', '.join(left)}",
    )
    teller.do(
        "Hospital A's own wallet forgets her, and with her the link from person to pseudonym.",
        *("wallet", "forget", patient.pseudonym, "--as", HOSPITAL),
        outcome=lambda _: "forgotten",
    )


def _verify(teller: Teller) -> None:
    chain = str(teller.folder / "chain")
    teller.do(
        "The whole chain is exported,",
        *("chain", "export", "-o", chain),
        outcome=lambda made: f"{made['height']} blocks, {made['bytes']} bytes",
    )
    teller.do(
        "and still verifies, without a network.",
        *("chain", "verify", chain, "--genesis", str(teller.network.genesis)),
        outcome=lambda found: f"valid: {found['transactions']} transactions",
    )


def _holds(directory: Path, needle: bytes) -> bool:
    """True where a file below `directory` holds these bytes."""
    for path in sorted(directory.rglob("*")):
        try:
            if path.is_file() and needle in path.read_bytes():
                return True
        except FileNotFoundError:
            continue  # LevelDB has merged it into another
    return False
