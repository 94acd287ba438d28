"""Keys that an operator registers for its staff: what they open, for whom, and until when."""

import hashlib
import hmac
import json
import logging
import os
import secrets
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chain.errors import InvalidMessage
from chain.keys import SigningKey
from chain.transaction import SIGNED
from client.wallet import Wallet
from client.wire import SUBMISSION, Submission, to_base64url
from node.api.limits import KEY_SET_BYTES_MAX, KEY_SETS_MAX, REGISTERED_KEYS_MAX
from node.api.registered_keys import RegisteredKeys, read_key_set
from node.errors import OperatorError
from tests.node.api.conftest import Node, Reply

EC_KEY = ec.derive_private_key(7**90, ec.SECP384R1())
OTHER_EC_KEY = ec.derive_private_key(7**91, ec.SECP384R1())
P256_KEY = ec.derive_private_key(7**60, ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(65_537, 2_048)
SMALL_RSA_KEY = rsa.generate_private_key(65_537, 1_024)


def ec_jwk(kid: str = "ec", key: ec.EllipticCurvePrivateKey = EC_KEY, **changed: Any) -> Any:
    numbers = key.public_key().public_numbers()
    x, y = (to_base64url(value.to_bytes(48)) for value in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-384", "x": x, "y": y, "kid": kid} | changed


def rsa_jwk(kid: str = "rsa", key: rsa.RSAPrivateKey = RSA_KEY, **changed: Any) -> Any:
    numbers = key.public_key().public_numbers()
    n, e = (
        to_base64url(value.to_bytes((value.bit_length() + 7) // 8))
        for value in (numbers.n, numbers.e)
    )
    return {"kty": "RSA", "n": n, "e": e, "kid": kid} | changed


class Registry:
    """The folder of the node under test, and a hospital's engine that signs with its own keys."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.folder = node.solo.directory / "clients"
        self.folder.mkdir()

    def path(self, wallet: Wallet) -> Path:
        return self.folder / f"{wallet.principal.hex()}.jwks.json"

    def put(self, wallet: Wallet, *jwks: Any) -> None:
        self.path(wallet).write_text(json.dumps({"keys": jwks}))

    def assertion(self, wallet: Wallet, key: Any, algorithm: str, kid: str | None) -> str:
        me, now = wallet.principal.hex(), int(self.node.clock())
        claims = {"iss": me, "sub": me, "aud": self.node.audience, "exp": now + 60}
        return jwt.encode(
            claims | {"jti": secrets.token_hex(8)},
            key,
            algorithm,
            headers=None if kid is None else {"kid": kid},
        )

    async def sign_in(
        self, wallet: Wallet, key: Any = EC_KEY, algorithm: str = "ES384", kid: str | None = "ec"
    ) -> Reply:
        return await self.node.sign_in(self.assertion(wallet, key, algorithm, kid))

    async def token(self, wallet: Wallet, *signer: Any) -> dict[str, str]:
        reply = await self.sign_in(wallet, *signer)
        assert reply.status == 200, reply.body
        return {"Authorization": f"Bearer {reply.document['access_token']}"}

    async def opens(self, token: dict[str, str]) -> bool:
        reply = await self.node.get("/v1/members", headers=token)
        assert reply.status in {200, 401}
        return reply.status == 200


@pytest.fixture
def registry(node: Node) -> Registry:
    return Registry(node)


async def test_both_algorithms_open_the_api_with_the_scopes_of_the_principal(
    registry: Registry,
) -> None:
    clinician = registry.node.cast.clinician
    registry.put(clinician, ec_jwk(alg="ES384", use="sig"), rsa_jwk(key_ops=["verify"]))
    mine = await registry.node.sign_in(registry.node.assertion(clinician))
    for signer in ((EC_KEY, "ES384", "ec"), (RSA_KEY, "RS384", "rsa")):
        reply = await registry.sign_in(clinician, *signer)
        assert reply.status == 200, reply.body
        assert reply.document["scope"] == mine.document["scope"]
        assert await registry.opens(await registry.token(clinician, *signer))


async def test_such_an_assertion_is_good_once_as_well(registry: Registry) -> None:
    clinician = registry.node.cast.clinician
    registry.put(clinician, ec_jwk())
    assertion = registry.assertion(clinician, EC_KEY, "ES384", "ec")
    assert (await registry.node.sign_in(assertion)).status == 200
    assert (await registry.node.sign_in(assertion)).code == "auth.assertion_used"


async def test_wrong_key_unknown_kid_and_wrong_algorithm_get_the_answer_of_strangers(
    registry: Registry,
) -> None:
    cast = registry.node.cast
    registry.put(cast.clinician, ec_jwk(), rsa_jwk())
    answers = [
        await registry.sign_in(cast.clinician, OTHER_EC_KEY),
        await registry.sign_in(cast.clinician, kid="other"),
        await registry.sign_in(cast.clinician, EC_KEY, "ES384", "rsa"),
        await registry.sign_in(cast.clinician, RSA_KEY, "RS384", "ec"),
        await registry.sign_in(cast.service),
        await registry.sign_in(cast.stranger),
    ]
    assert {each.status for each in answers} == {401}
    assert {each.code for each in answers} == {"auth.not_verified"}
    assert len({each.body for each in answers}) == 1


async def test_a_header_without_the_name_of_a_key_is_told_so(registry: Registry) -> None:
    clinician = registry.node.cast.clinician
    registry.put(clinician, ec_jwk())
    for kid in (None, "", "k" * 129):
        reply = await registry.sign_in(clinician, kid=kid)
        assert (reply.status, reply.code) == (401, "auth.kid")


@pytest.mark.parametrize("algorithm", ["ES256", "ES512", "RS256", "RS512", "PS384", "HS384"])
async def test_a_key_verifies_by_one_algorithm_only(registry: Registry, algorithm: str) -> None:
    """Signed with the registered key where that can be, so that only the algorithm is wrong."""
    clinician = registry.node.cast.clinician
    registry.put(clinician, ec_jwk(), rsa_jwk())
    key: Any = {"ES256": P256_KEY, "ES512": ec.derive_private_key(5**90, ec.SECP521R1())}.get(
        algorithm, RSA_KEY
    )
    if algorithm == "HS384":
        public = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        assertion = registry.assertion(clinician, RSA_KEY, "RS384", "rsa")
        head = to_base64url(json.dumps({"alg": "HS384", "kid": "rsa"}).encode())
        text = f"{head}.{assertion.split('.')[1]}"
        mac = hmac.new(public, text.encode(), hashlib.sha384).digest()
        reply = await registry.node.sign_in(f"{text}.{to_base64url(mac)}")
    else:
        reply = await registry.sign_in(clinician, key, algorithm, "rsa")
    assert (reply.status, reply.code) == (401, "auth.algorithm")


async def test_the_ledgers_key_needs_no_name_and_no_registered_one_takes_its_place(
    registry: Registry,
) -> None:
    clinician = registry.node.cast.clinician
    registry.put(clinician, ec_jwk())
    raw = clinician.signing_key
    head = to_base64url(json.dumps({"alg": "EdDSA", "kid": "ec"}).encode())
    for key, status in ((raw, 200), (SigningKey(b"w" * 32), 401)):
        claims = registry.assertion(clinician, EC_KEY, "ES384", "ec").split(".")[1]
        signature = to_base64url(key.sign_raw(f"{head}.{claims}".encode()))
        reply = await registry.node.sign_in(f"{head}.{claims}.{signature}")
        assert reply.status == status


async def test_only_staff_of_the_nodes_own_organisation_can_have_one(registry: Registry) -> None:
    node, cast = registry.node, registry.node.cast
    built, _ = node.story.register(cast.patient)
    assert (await node.solo.committed_now(built)).ok
    for wallet in (cast.neighbour, cast.patient, cast.stranger):
        registry.put(wallet, ec_jwk())
        reply = await registry.sign_in(wallet)
        assert (reply.status, reply.code) == (401, "auth.not_verified")
    for wallet in (cast.administrator, cast.service, cast.auditor, cast.device):
        registry.put(wallet, ec_jwk())
        assert (await registry.sign_in(wallet)).status == 200


async def test_the_principal_has_to_be_on_the_ledger(registry: Registry) -> None:
    newcomer = registry.node.story.newcomer()
    registry.put(newcomer, ec_jwk())
    assert (await registry.sign_in(newcomer)).code == "auth.not_verified"
    await registry.node.solo.committed_now(registry.node.story.enrol(newcomer))
    assert await registry.opens(await registry.token(newcomer))


async def test_a_principal_that_ends_takes_the_registered_keys_tokens_along(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinician = registry.node.cast.clinician
    registry.put(clinician, ec_jwk())
    token = await registry.token(clinician)
    assert await registry.opens(token)
    monkeypatch.setattr("ledger.queries.sender_keys", lambda state, sender, at_ms: ())
    assert not await registry.opens(token)
    assert (await registry.sign_in(clinician)).code == "auth.not_verified"


async def test_a_key_that_is_removed_takes_its_tokens_along(registry: Registry) -> None:
    clinician = registry.node.cast.clinician
    registry.put(clinician, ec_jwk(), rsa_jwk())
    by_ec = await registry.token(clinician)
    by_rsa = await registry.token(clinician, RSA_KEY, "RS384", "rsa")
    by_ledger = {"Authorization": f"Bearer {await registry.node.token(clinician)}"}
    assert await registry.opens(by_ec)
    registry.put(clinician, rsa_jwk())
    assert not await registry.opens(by_ec)
    assert await registry.opens(by_rsa)
    assert (await registry.sign_in(clinician)).code == "auth.not_verified"
    registry.path(clinician).unlink()
    assert not await registry.opens(by_rsa)
    assert await registry.opens(by_ledger)


async def test_another_key_of_the_same_name_does_not_inherit_tokens(registry: Registry) -> None:
    clinician = registry.node.cast.clinician
    registry.put(clinician, ec_jwk())
    token = await registry.token(clinician)
    registry.put(clinician, ec_jwk(key=OTHER_EC_KEY))
    assert not await registry.opens(token)
    assert (await registry.sign_in(clinician)).code == "auth.not_verified"
    assert (await registry.sign_in(clinician, OTHER_EC_KEY)).status == 200


async def test_a_file_that_goes_bad_while_the_node_runs_closes_and_is_logged_once(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    clinician = registry.node.cast.clinician
    registry.put(clinician, ec_jwk())
    token = await registry.token(clinician)
    registry.put(clinician, ec_jwk(d="c2VjcmV0"))
    with caplog.at_level(logging.WARNING):
        assert not await registry.opens(token)
        assert not await registry.opens(token)
    lines = [line for line in caplog.messages if "refused" in line]
    assert len(lines) == 1
    assert f"{registry.path(clinician)} is refused" in lines[0]
    assert "keys[0].d" in lines[0]
    assert "c2VjcmV0" not in caplog.text
    registry.put(clinician, ec_jwk())
    assert (await registry.sign_in(clinician)).status == 200


async def test_a_transaction_is_still_signed_with_the_ledgers_key(registry: Registry) -> None:
    node = registry.node
    registry.put(node.cast.clinician, ec_jwk())
    token = await registry.token(node.cast.clinician)
    built, _ = node.story.open_category()
    signed = SIGNED.decode(built.raw)
    raw = EC_KEY.sign(signed.body, ec.ECDSA(hashes.SHA384()))
    other = SIGNED.encode(msgspec.structs.replace(signed, signature=raw[-64:]))

    async def submitted(transaction: bytes) -> Reply:
        return await node.ask(
            "POST",
            "/v1/transactions",
            headers=token | {"Content-Type": "application/msgpack"},
            data=SUBMISSION.encode(Submission(transaction, built.attachments)),
        )

    refused = await submitted(other)
    assert (refused.status, refused.code) == (400, "transaction.wrong_signature")
    assert (await submitted(built.raw)).status == 202


def point_off_the_curve() -> Any:
    return ec_jwk(x=ec_jwk()["y"])


@pytest.mark.parametrize(
    ("document", "code", "field"),
    [
        ([], "jwks.no_object", ""),
        ({}, "jwks.no_set", "keys"),
        ({"keys": {}}, "jwks.no_set", "keys"),
        ({"keys": [ec_jwk(str(n)) for n in range(REGISTERED_KEYS_MAX + 1)]}, "jwks.too_many", None),
        ({"keys": [5]}, "jwks.no_object", "keys[0]"),
        ({"keys": [ec_jwk(), ec_jwk()]}, "jwks.kid", "keys[1].kid"),
        ({"keys": [ec_jwk(kid=None)]}, "jwks.kid", "keys[0].kid"),
        ({"keys": [ec_jwk("")]}, "jwks.kid", "keys[0].kid"),
        ({"keys": [ec_jwk("k" * 129)]}, "jwks.kid", "keys[0].kid"),
        ({"keys": [ec_jwk(), {"kid": "a"}]}, "jwks.kty", "keys[1].kty"),
        ({"keys": [{"kid": "a", "kty": "OKP", "crv": "Ed25519"}]}, "jwks.kty", "keys[0].kty"),
        ({"keys": [ec_jwk(kty=["EC"])]}, "jwks.kty", "keys[0].kty"),
        ({"keys": [ec_jwk(crv="P-256")]}, "jwks.crv", "keys[0].crv"),
        ({"keys": [ec_jwk(x="AAAA")]}, "jwks.x", "keys[0].x"),
        ({"keys": [ec_jwk(y=None)]}, "document.wrong_type", "keys[0].y"),
        ({"keys": [ec_jwk(y="é")]}, "document.wrong_value", "keys[0].y"),
        ({"keys": [point_off_the_curve()]}, "jwks.point", "keys[0].x"),
        ({"keys": [ec_jwk(alg="RS384")]}, "jwks.alg", "keys[0].alg"),
        ({"keys": [ec_jwk(alg=["ES384"])]}, "jwks.alg", "keys[0].alg"),
        ({"keys": [rsa_jwk(alg="RS256")]}, "jwks.alg", "keys[0].alg"),
        ({"keys": [rsa_jwk(use="enc")]}, "jwks.use", "keys[0].use"),
        ({"keys": [rsa_jwk(key_ops=["sign"])]}, "jwks.key_ops", "keys[0].key_ops"),
        ({"keys": [rsa_jwk(key=SMALL_RSA_KEY)]}, "jwks.n", "keys[0].n"),
        ({"keys": [rsa_jwk(n=to_base64url(b"\xff" * 1_025))]}, "jwks.n", "keys[0].n"),
        ({"keys": [rsa_jwk(n="")]}, "jwks.n", "keys[0].n"),
        ({"keys": [rsa_jwk(e="Aw")]}, "jwks.e", "keys[0].e"),
        ({"keys": [rsa_jwk(e="AQAA")]}, "jwks.e", "keys[0].e"),
        ({"keys": [rsa_jwk(e="AQAC")]}, "jwks.n", "keys[0].n"),
        ({"keys": [rsa_jwk(e=to_base64url(b"\xff" * 32))]}, "jwks.e", "keys[0].e"),
    ],
)
def test_a_key_set_that_is_not_as_it_should_be_names_its_field(
    document: Any, code: str, field: str | None
) -> None:
    with pytest.raises(InvalidMessage) as refusal:
        read_key_set(json.dumps(document).encode())
    assert refusal.value.code == code
    assert field is None or refusal.value.field == field


@pytest.mark.parametrize("name", ["d", "p", "q", "dp", "dq", "qi", "oth", "k"])
def test_a_private_key_is_refused_wherever_it_is_put(name: str) -> None:
    for document, field in (
        ({"keys": [ec_jwk(), rsa_jwk(**{name: "c2VjcmV0"})]}, f"keys[1].{name}"),
        (rsa_jwk(**{name: None}), name),
        ({"keys": [{name: 1}]}, f"keys[0].{name}"),
    ):
        with pytest.raises(InvalidMessage) as refusal:
            read_key_set(json.dumps(document).encode())
        assert (refusal.value.code, refusal.value.field) == ("jwks.private_key", field)
        assert "make a new pair" in refusal.value.cause
        assert "c2VjcmV0" not in str(refusal.value)


@pytest.mark.parametrize("raw", [b"", b"x", b"\xff", b'{"keys": [', b"[" * 50_000, b'"\\ud800"'])
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidMessage) as refusal:
        read_key_set(raw)
    assert refusal.value.code == "jwks.malformed"


def test_a_key_set_has_a_size_and_what_says_nothing_about_keys_is_passed_over() -> None:
    raw = json.dumps({"keys": [ec_jwk(x5u="https://a.example"), rsa_jwk()], "more": 1}).encode()
    assert [(key.kid, key.algorithm) for key in read_key_set(raw)] == [
        ("ec", "ES384"),
        ("rsa", "RS384"),
    ]
    assert read_key_set(raw.ljust(KEY_SET_BYTES_MAX))
    with pytest.raises(InvalidMessage, match="too_large"):
        read_key_set(raw.ljust(KEY_SET_BYTES_MAX + 1))


NAME = f"{'ab' * 16}.jwks.json"


def refused_at_start(folder: Path) -> OperatorError:
    with pytest.raises(OperatorError) as refusal:
        RegisteredKeys(folder).check()
    assert refusal.value.code == "E025"
    return refusal.value


def test_at_start_every_file_counts_or_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "clients"
    RegisteredKeys(folder).check()
    folder.mkdir()
    (folder / NAME).write_text(json.dumps({"keys": [ec_jwk()]}))
    (folder / ".swap").write_text("x")
    RegisteredKeys(folder).check()
    (folder / NAME).write_text(json.dumps({"keys": [ec_jwk(crv="P-521")]}))
    assert f"{folder / NAME}: jwks.crv at keys[0].crv" in refused_at_start(folder).cause
    (folder / NAME).write_bytes(b" " * (KEY_SET_BYTES_MAX + 1))
    assert "jwks.too_large" in refused_at_start(folder).cause


@pytest.mark.parametrize("name", ["clinic.jwks.json", NAME.upper(), f"{NAME}~", "ab.json"])
def test_a_file_that_would_be_passed_over_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(json.dumps({"keys": [ec_jwk()]}))
    assert name in refused_at_start(tmp_path).cause


def test_a_folder_or_file_that_others_could_change_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "clients"
    folder.mkdir()
    path = folder / NAME
    path.write_text(json.dumps({"keys": [ec_jwk()]}))
    for mode in (0o620, 0o602):
        path.chmod(mode)
        assert "jwks.writable" in refused_at_start(folder).cause
        assert RegisteredKeys(folder).of(bytes.fromhex("ab" * 16)) == ()
    path.chmod(0o644)
    RegisteredKeys(folder).check()
    folder.chmod(0o777)
    assert "written by others" in refused_at_start(folder).cause


def test_what_is_no_file_does_not_keep_the_node_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / NAME)
    assert "jwks.no_file" in refused_at_start(tmp_path).cause
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).mkdir()
    assert "jwks.no_file" in refused_at_start(tmp_path).cause
    (tmp_path / "clients").write_text("x")
    assert "clients" in refused_at_start(tmp_path / "clients").cause


def test_there_is_a_limit_on_files(tmp_path: Path) -> None:
    for number in range(KEY_SETS_MAX + 1):
        (tmp_path / f"{number:032x}.jwks.json").write_text('{"keys": []}')
    assert "more than" in refused_at_start(tmp_path).cause
    registered = RegisteredKeys(tmp_path)
    for number in range(KEY_SETS_MAX + 1):
        registered.of(number.to_bytes(16))
    assert len(registered._last) == KEY_SETS_MAX
