"""Real FHIR bundles: on every node, opened by the right keys only, and nowhere readable."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from client.errors import NotForUs
from client.reading import Reader
from ledger.ids import organization_owner
from tests.network.world import NODES, ORGANIZATIONS, Testnet

pytestmark = pytest.mark.network
OF_A_PATIENT = ("Buster_Hoeger", "Clemente_Kreiger", "Liz_Conn")
OF_AN_ORGANIZATION = ("hospitalInformation", "practitionerInformation")
PERSONAL_TYPES = frozenset({"Patient", "Practitioner", "Organization"})
READABLE = re.compile(rb"[\x20-\x7e]{8,}")
LENGTH_MIN = 8


@pytest.fixture(scope="module")
def uncompressed(fhir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testnet]:
    """A network whose files hold what was written, byte for byte."""
    made = Testnet(tmp_path_factory.mktemp("bundles") / "testnet")
    made.up("--set", "storage.leveldb_compression=none")
    yield made
    made.down()


@pytest.fixture(scope="module")
def put(uncompressed: Testnet, fhir: Path) -> dict[str, Any]:
    """What `record put` printed for every bundle."""
    return {
        name: uncompressed.member(
            "record", "put", fhir / f"{name}.json", "--as", "hospital-a", "--json"
        ).document
        for name in (*OF_A_PATIENT, *OF_AN_ORGANIZATION)
    }


def test_a_bundle_is_one_transaction_and_every_resource_a_record(
    put: dict[str, Any], fhir: Path
) -> None:
    assert len({each["transaction"] for each in put.values()}) == len(put)
    for name, printed in put.items():
        types = [each["resourceType"] for each in resources(fhir / f"{name}.json")]
        assert [each["type"] for each in printed["records"]] == types


async def test_every_node_has_every_record(uncompressed: Testnet, put: dict[str, Any]) -> None:
    await uncompressed.agreement(max(each["height"] for each in put.values()))
    for node in NODES:
        async with uncompressed.api(node) as api:
            for printed in put.values():
                owner = bytes.fromhex(printed["records"][0]["id"])[:16]
                found = {each.id.hex(): each.entry async for each in api.records_of(owner)}
                for record in printed["records"]:
                    entry = found[record["id"]]
                    assert entry.transaction.hex() == printed["transaction"]
                    assert entry.content is not None
                    ciphertext = await api.attachment(entry.content.ciphertext)
                    assert len(ciphertext) > LENGTH_MIN


@pytest.mark.parametrize("name", OF_A_PATIENT)
async def test_the_patient_opens_all_of_it_at_another_hospital(
    uncompressed: Testnet, put: dict[str, Any], fhir: Path, name: str
) -> None:
    printed = put[name]
    (patient,) = {record["patient"] for record in printed["records"]}
    wallet = f"patient-{patient}"
    contents = await read_all(uncompressed, "hospital-b", wallet, printed)
    assert contents == [spelled(each) for each in resources(fhir / f"{name}.json")]

    first = printed["records"][0]["id"]
    said = uncompressed.member("record", "get", first, "--as", wallet, "--node", "hospital-b")
    assert said.out == contents[0]


@pytest.mark.parametrize("stranger", ["hospital-b", "wholesaler"])
async def test_other_members_hold_it_and_cannot_open_it(
    uncompressed: Testnet, put: dict[str, Any], stranger: str
) -> None:
    for name in OF_A_PATIENT:
        async with uncompressed.api(stranger) as api:
            reader = Reader(api, uncompressed.wallet(stranger), uncompressed.network.chain_id)
            for record in put[name]["records"]:
                with pytest.raises(NotForUs):
                    await reader.open(bytes.fromhex(record["id"]))
    first = put[OF_A_PATIENT[0]]["records"][0]["id"]
    said = uncompressed.member("record", "get", first, "--as", stranger, exit_code=5)
    assert said.out == b""


@pytest.mark.parametrize("name", OF_AN_ORGANIZATION)
async def test_what_is_about_no_patient_opens_for_every_member(
    uncompressed: Testnet, put: dict[str, Any], fhir: Path, name: str
) -> None:
    printed = put[name]
    assert {record["patient"] for record in printed["records"]} == {None}
    owner = organization_owner("hospital-a").hex()
    assert all(record["id"].startswith(owner) for record in printed["records"])
    expected = [spelled(each) for each in resources(fhir / f"{name}.json")]
    for organization in ORGANIZATIONS:
        node = organization if organization in NODES else "manufacturer"
        assert await read_all(uncompressed, node, organization, printed) == expected


def test_no_node_keeps_a_readable_word_about_a_person(
    uncompressed: Testnet, put: dict[str, Any], fhir: Path, tmp_path: Path
) -> None:
    words = {
        word
        for name in put
        for word in personal_words(json.loads((fhir / f"{name}.json").read_bytes()))
    }
    assert len(words) > 500
    assert {b"Faith Tremblay", b"999-59-2277", b"555-866-2259", b"1988-03-16"} <= words
    for spilled in (b"\0Liz Conn\0", b"\xff" + b"999-59-2277"):
        (tmp_path / "spilled").write_bytes(bytes(range(256)) + spilled)
        assert found_in(tmp_path, words), "else this test would find nothing anywhere"

    assert b"medlock-testnet" in bytes_below(uncompressed.path / "hospital-a" / "data")
    for node in NODES:
        assert not found_in(uncompressed.path / node, words)
    uncompressed.down()
    for node in NODES:
        assert not found_in(uncompressed.path / node, words)


async def read_all(network: Testnet, node: str, wallet: str, printed: Any) -> list[bytes]:
    """What the wallet opens at the node, in the order of the bundle."""
    async with network.api(node, wallet) as api:
        reader = Reader(api, network.wallet(wallet), network.network.chain_id)
        ids = [bytes.fromhex(record["id"]) for record in printed["records"]]
        first = await reader.open(ids[0])
        rest = await asyncio.gather(*(reader.open(each) for each in ids[1:]))
        return [each.content for each in (first, *rest)]


def resources(path: Path) -> list[Any]:
    """The bundle's resources; numbers stay text, between marks, so that none is rounded."""
    document = json.loads(path.read_bytes(), parse_float=marked, parse_int=marked)
    return [entry["resource"] for entry in document["entry"]]


def marked(number: str) -> str:
    return f"\0{number}\0"


def spelled(resource: Any) -> bytes:
    """Canonical JSON, made without a line of ours: keys sorted, no spaces, numbers as written."""
    text = json.dumps(resource, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return re.sub(r'"\\u0000([^"]*?)\\u0000"', r"\1", text).encode()


def personal_words(bundle: Any) -> Iterator[bytes]:
    """Every string of eight bytes or more in a resource about a person or a place, and every name
    by which another resource calls one."""
    for entry in bundle["entry"]:
        resource = entry["resource"]
        for value in walk(resource, everything=resource["resourceType"] in PERSONAL_TYPES):
            if len(value.encode()) >= LENGTH_MIN:
                yield value.encode()
        for name in resource.get("name", []) if resource["resourceType"] == "Patient" else []:
            yield f"{name['given'][0]} {name['family']}".encode()


def walk(value: Any, *, everything: bool) -> Iterator[str]:
    match value:
        case dict():
            for name, each in value.items():
                yield from walk(
                    each, everything=everything or (name == "display" and "reference" in value)
                )
        case list():
            for each in value:
                yield from walk(each, everything=everything)
        case str() | float() if everything:
            yield str(value)


def bytes_below(directory: Path) -> bytes:
    """All files below `directory`, one after the other."""
    pieces: list[bytes] = []
    for path in sorted(directory.rglob("*")):
        try:
            pieces.append(path.read_bytes() if path.is_file() else b"")
        except FileNotFoundError:
            continue  # LevelDB has merged it into another
    return b"\n".join(pieces)


def found_in(directory: Path, words: set[bytes]) -> list[bytes]:
    """Those of `words` that stand in a file below `directory`.

    Most are plain ASCII and can only stand where eight and more such bytes follow each other, which
    is rare in ciphertext: that makes a thousand searches quick.
    """
    raw = bytes_below(directory)
    text = b"\n".join(READABLE.findall(raw))
    return [word for word in words if word in (text if READABLE.fullmatch(word) else raw)]
