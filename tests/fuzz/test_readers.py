"""Everything else that reads what others wrote: frames, greetings, genesis, receipts, wallets,
configuration, FHIR JSON, EPCIS, barcodes, request bodies. An answer, or the refusal of the room;
nothing else."""

import json
import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from chain_world import World
from hypothesis import given
from hypothesis import strategies as st

from chain.document import from_document, to_document
from chain.errors import InvalidMessage
from chain.genesis import GENESIS, Genesis
from chain.receipt import RECEIPT
from chain.validators import ValidatorSet
from client import fhir_json
from client.epcis.barcode import read_barcode
from client.epcis.document import parse_document
from client.epcis.identifiers import parse_identifier
from client.errors import WalletError
from client.genesis_file import load_genesis
from client.verifier import NotVerified, parse_trusted, verify
from client.wallet import KdfLimits, decrypt_wallet, encrypt_wallet, new_wallet
from client.wire import SUBMISSION, to_base64url
from node.api import assertions, bodies
from node.api.batch import Frames
from node.api.problems import Problem
from node.config import SETTINGS, load_file
from node.errors import OperatorError
from node.tomlfile import node_toml
from p2p import frames, wire
from p2p.hello import GREETING, Refused, check_hello
from tests import campaign
from tests.client.epcis.event_world import EVENTS, document, written
from tests.fuzz.shapes import GARBAGE, damaged, garbage, values

BUDGET = campaign.budget(40)
CHEAP = KdfLimits(1, 8 << 10)
NAMES = st.sampled_from(sorted(setting.toml for setting in SETTINGS.values()))
JSON_TEXT = GARBAGE.map(lambda value: json.dumps(value, default=repr).encode())


def attempt(read: Callable[[], Any], refusal: type[Exception]) -> tuple[Any, Any]:
    """The answer, or the refusal; every other exception is a failure."""
    try:
        return read(), None
    except refusal as error:
        return None, error


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@BUDGET
@given(
    st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=12)), max_size=5)
    .filter(lambda each: len(each) == 1 or all(kind >= frames.FIRST_KIND for kind, _ in each))
    .filter(bool)
    .map(frames.encode)
    | st.binary(max_size=64)
)
def test_frames(raw: bytes) -> None:
    found, refusal = attempt(lambda: frames.decode(raw, frames_max=4), InvalidMessage)
    assert frames.encode(found) == raw if found else refusal.code.startswith("frame.")


@BUDGET
@given(st.integers(0, 255), garbage())
def test_messages_of_the_bulk_channel(kind: int, payload: bytes) -> None:
    try:
        message = wire.decode(kind, payload)
    except InvalidMessage:
        return
    assert wire.CODECS[wire.Kind(kind)].encode(message) == payload


@BUDGET
@given(damaged(values(GREETING._shape).map(GREETING.encode)) | garbage())
def test_greetings(raw: bytes) -> None:
    try:
        hello = check_hello(raw, genesis_hash=bytes(32), member="a")
    except (InvalidMessage, Refused):
        return
    assert GREETING.encode(hello) == raw


@BUDGET
@given(st.data())
def test_validator_sets(data: st.DataObject) -> None:
    whole = World().genesis.validators.encode()
    raw = data.draw(damaged(st.just(whole)) | garbage())
    try:
        found = ValidatorSet.decode(raw)
    except InvalidMessage:
        return
    assert found.encode() == raw


@BUDGET
@given(st.data())
def test_receipts(world: World, data: st.DataObject) -> None:
    raw = RECEIPT.encode(world.receipt())
    bent = data.draw(damaged(st.just(raw)) | garbage())
    if bent == raw:
        verify(bent, world.genesis)
        return
    with pytest.raises(NotVerified):
        verify(bent, world.genesis)


@BUDGET
@given(st.data())
def test_genesis_files(
    world: World, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed-genesis.json"
    whole = json.dumps(to_document(world.genesis)).encode()
    path.write_bytes(data.draw(damaged(st.just(whole)) | JSON_TEXT | st.binary(max_size=80)))
    try:
        genesis = load_genesis(path)
    except InvalidMessage:
        return
    assert from_document(Genesis, to_document(genesis)) == genesis
    assert GENESIS.decode(GENESIS.encode(genesis)) == genesis


@BUDGET
@given(st.data())
def test_wallet_files(data: st.DataObject) -> None:
    wallet = new_wallet("clinician", "hospital-a", random.Random(1).randbytes)
    raw = encrypt_wallet(wallet, b"passphrase", CHEAP, random.Random(2).randbytes)
    assert decrypt_wallet(raw, b"passphrase") == wallet
    bent = data.draw(damaged(st.just(raw)) | garbage())
    if bent != raw:
        with pytest.raises(WalletError):
            decrypt_wallet(bent, b"passphrase")


@BUDGET
@given(
    st.dictionaries(NAMES, st.integers() | st.text() | st.booleans()).map(node_toml)
    | st.text(max_size=80),
    st.dictionaries(st.sampled_from(("MEDLOCK_WORKERS", "MEDLOCK_PEERS", "MEDLOCK_X")), st.text()),
)
def test_configurations(
    tmp_path_factory: pytest.TempPathFactory, text: str, environ: dict[str, str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed-node.toml"
    path.write_text(text, "utf-8", errors="surrogatepass")
    _, refusal = attempt(lambda: load_file(path, {}, environ), OperatorError)
    assert refusal is None or refusal.code in {"E002", "E003", "E004", "E005", "E012"}


@BUDGET
@given(JSON_TEXT | damaged(JSON_TEXT) | st.binary(max_size=80))
def test_fhir_json(raw: bytes) -> None:
    value, refusal = attempt(lambda: fhir_json.parse(raw), InvalidMessage)
    if refusal is not None:
        assert refusal.code.startswith("json.")
        return
    written = fhir_json.canonical(value)
    assert fhir_json.parse(written) == value
    assert fhir_json.canonical(fhir_json.parse(written)) == written


@BUDGET
@given(damaged(st.just(written(document(*EVENTS)))) | JSON_TEXT | st.binary(max_size=80))
def test_epcis_documents(raw: bytes) -> None:
    found, refusal = attempt(lambda: parse_document(raw), InvalidMessage)
    if refusal is not None:
        assert 1 <= len(refusal.faults) <= 32
        return
    for event in found.events:
        alone = {**event.raw, "@context": list(event.context)}
        assert parse_document(fhir_json.canonical(alone)).events[0].raw == alone


@BUDGET
@given(st.text("()0123456789\x1d]dCQe/:%.*abc", max_size=60) | st.text(max_size=60))
def test_names_of_things(text: str) -> None:
    for read in (parse_identifier, lambda label: read_barcode(label, 2026)):
        found, refusal = attempt(lambda read=read: read(text), InvalidMessage)
        assert found or refusal.code.startswith(("identifier.", "barcode."))


@BUDGET
@given(JSON_TEXT | damaged(JSON_TEXT) | st.binary(max_size=80))
def test_json_bodies(raw: bytes) -> None:
    try:
        document = bodies.parse_json(raw)
        from_document(SUBMISSION._shape, document)
    except (InvalidMessage, Problem):
        return


@BUDGET
@given(st.lists(st.binary(max_size=40), max_size=6))
def test_batch_streams(pieces: list[bytes]) -> None:
    """However a stream is cut, its frames are the same."""
    assert cut(pieces) == cut([b"".join(pieces)])


def cut(pieces: list[bytes]) -> list[bytes | str]:
    stream, found = Frames(), list[bytes | str]()
    for piece in pieces:
        stream.feed(piece)
        try:
            found += stream
        except InvalidMessage as refusal:
            return [*found, refusal.code]
    return found


CLAIMS = st.dictionaries(
    st.sampled_from(("iss", "sub", "aud", "exp", "iat", "nbf", "jti", "x")),
    st.sampled_from((None, "node", ["node"], 0, 60, 2**80, -1, 1.5, {}, "ab" * 16, True)),
)


@BUDGET
@given(
    st.builds(
        lambda head, claims, signature: ".".join(map(part, (head, claims, signature))),
        st.sampled_from(
            ({"alg": "EdDSA"}, {"alg": "RS384", "kid": "k"}, {"alg": "none"}, {}, [], {"alg": None})
        )
        | GARBAGE,
        CLAIMS | GARBAGE,
        st.just("signature"),
    )
    | st.text()
    | st.text(alphabet="eyJ.-_09", max_size=60)
)
def test_assertions(text: str) -> None:
    _, refusal = attempt(lambda: assertions.read(text, ["node"], 30.0), Problem)
    assert refusal is None or 400 <= refusal.status < 500
    assert refusal is not None or assertions.signer(text, [bytes(32)]) is None


def part(value: Any) -> str:
    raw = msgspec.json.encode(value, enc_hook=repr) if value is not None else b""
    return to_base64url(raw)


@BUDGET
@given(st.text(max_size=90) | st.from_regex(r"\A[0-9]{1,30}:[0-9a-f]{60,66}\Z"))
def test_trusted_points(text: str) -> None:
    try:
        height, block_hash = parse_trusted(text)
    except (NotVerified, InvalidMessage, ValueError):
        return
    assert height >= 0
    assert len(block_hash) == 32
