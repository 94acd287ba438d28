"""Bad input over HTTP to a live node: a 4xx with code and field, the same state, the node alive.

Frames that no honest peer sends are for the peer network's own tests.
"""

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest

from chain.keys import SigningKey, Suite
from chain.transaction import SIGNED, AttachmentRef, SignedTransaction, Transaction
from chain.transaction import sign_transaction as sign
from client.api import Api
from client.builder import BuiltTransaction, TransactionBuilder
from client.category import Recipient
from client.errors import ApiError
from client.transport import Call, Transport
from client.wallet import card, new_wallet
from client.wire import CONTENT_TYPE, SUBMISSION, Submission, to_base64url
from ledger.actions import ACTION, RecordPut, RecordRetract
from ledger.ids import organization_owner
from tests.network.world import Testnet, in_half_an_hour_ms

pytestmark = pytest.mark.network
AT = "hospital-a"
JSON = "application/json"
PIECE_BYTES = 1 << 16


@dataclass(frozen=True)
class Case:
    """A body to post, and the refusal that it must meet."""

    name: str
    body: bytes
    status: int
    code: str
    field: str
    content_type: str = CONTENT_TYPE


class Forger:
    """Makes what no client of ours would send."""

    def __init__(self, network: Testnet) -> None:
        self.network = network
        self.wallet = network.wallet(AT)

    def builder(self) -> TransactionBuilder:
        return TransactionBuilder(self.network.network, self.wallet, os.urandom)

    def bare(self, *actions: bytes, **changes: Any) -> bytes:
        """A signed transaction of encoded actions, none of which the builder would make."""
        parts: dict[str, Any] = {
            "sender": self.wallet.principal,
            "nonce": os.urandom(16),
            "valid_until_ms": in_half_an_hour_ms(),
            "actions": actions or (ACTION.encode(RecordRetract(os.urandom(32), 2)),),
            "attachments": (),
            "approvals": (),
        }
        key = changes.pop("key", self.wallet.signing_key)
        genesis_hash = changes.pop("genesis_hash", self.network.network.genesis_hash)
        signed = sign(Transaction(**(parts | changes)), key, genesis_hash)
        return submission(SIGNED.encode(signed))

    def put(self) -> BuiltTransaction:
        """A record of the hospital's own: its ciphertext and the seals come as attachments."""
        builder = self.builder()
        owner = organization_owner(AT)
        key = builder.open_category(
            owner, (Recipient(owner, self.wallet.organization_keys[0].public),)
        )
        builder.put(b"{}", key)
        return builder.sign(in_half_an_hour_ms())


def submission(raw: bytes, *attachments: bytes) -> bytes:
    return SUBMISSION.encode(Submission(raw, attachments))


def of_senders(forge: Forger) -> list[Case]:
    honest = SIGNED.decode(forge.network.work().raw)
    stranger = new_wallet("clinician", AT, os.urandom, suite=Suite.X25519)
    other_chain = forge.bare(genesis_hash=sha256(b"another chain").digest())
    return [
        Case(
            "an unknown sender",
            forge.bare(sender=stranger.principal, key=stranger.signing_key),
            400,
            "transaction.unknown_sender",
            "sender",
        ),
        Case(
            "a wrong signature",
            submission(SIGNED.encode(SignedTransaction(honest.body, bytes(64)))),
            400,
            "transaction.wrong_signature",
            "signature",
        ),
        Case(
            "somebody else's key",
            forge.bare(key=SigningKey(os.urandom(32))),
            400,
            "transaction.wrong_signature",
            "signature",
        ),
        Case(
            "another chain's signature",
            other_chain,
            400,
            "transaction.wrong_signature",
            "signature",
        ),
        Case(
            "an expired one",
            forge.bare(valid_until_ms=1),
            400,
            "transaction.expired",
            "valid_until_ms",
        ),
        Case(
            "one valid for a day",
            forge.bare(valid_until_ms=in_half_an_hour_ms() + 86_400_000),
            400,
            "transaction.valid_too_long",
            "valid_until_ms",
        ),
    ]


def of_sizes(forge: Forger) -> list[Case]:
    retraction = ACTION.encode(RecordRetract(bytes(32), 2))
    large = forge.builder()
    for _ in range(300):
        large.enrol(card(new_wallet("clinician", AT, os.urandom)))
    return [
        Case(
            "too large",
            submission(large.sign(in_half_an_hour_ms()).raw),
            413,
            "transaction.too_large",
            "transaction",
        ),
        Case("a body of 5 MiB", bytes(5 << 20), 413, "http.body_too_large", "body"),
        Case(
            "too many actions",
            forge.bare(*[retraction] * 513),
            400,
            "transaction.too_many_actions",
            "actions",
        ),
    ]


def of_attachments(forge: Forger) -> list[Case]:
    put = forge.put()
    unnamed = ACTION.encode(RecordPut(bytes(32), bytes(16), 0, bytes(32), bytes(32)))
    return [
        Case(
            "attachments left out",
            submission(put.raw),
            400,
            "transaction.attachment_missing",
            "attachments[0]",
        ),
        Case(
            "one attachment changed",
            submission(put.raw, put.attachments[0], b"other bytes"),
            400,
            "transaction.attachment_wrong",
            "attachments",
        ),
        Case(
            "an action that names none of the list",
            forge.bare(unnamed),
            400,
            "transaction.missing_attachment",
            "actions[0].ciphertext",
        ),
        Case(
            "a list with one that no action names",
            forge.bare(attachments=(AttachmentRef(bytes(32), 1),)),
            400,
            "transaction.unused_attachment",
            "attachments[0]",
        ),
    ]


def of_encodings(forge: Forger) -> list[Case]:
    work = forge.network.work()
    text = to_base64url(work.raw).encode()
    long_form = b"\x01\x93\xcd\x00\x01" + ACTION.encode(RecordRetract(bytes(32), 2))[2:]
    return [
        Case("noise", b"\xc1" * 64, 400, "codec.malformed", ""),
        Case("bytes behind the end", submission(work.raw + b"\0"), 400, "codec.malformed", ""),
        Case(
            "a longer encoding of the same",
            b"\x01\x92\xc5\x00\x00\x90",
            400,
            "codec.not_canonical",
            "",
        ),
        Case("deep nesting", b"\x01" + b"\x91" * 100_000, 400, "codec.wrong_type", ""),
        Case(
            "deep nesting inside of an action",
            forge.bare(b"\x01" + b"\x91" * 10_000),
            400,
            "codec.",
            "actions[0]",
        ),
        Case(
            "deep nesting in JSON",
            b"[" * 100_000 + b"]" * 100_000,
            400,
            "document.malformed",
            "",
            JSON,
        ),
        Case(
            "an unknown field",
            b'{"transaction":"' + text + b'","attachments":[],"more":1}',
            400,
            "document.unknown_field",
            "*",
            JSON,
        ),
        Case(
            "a number for bytes",
            b'{"transaction":7,"attachments":[]}',
            400,
            "document.wrong_type",
            "transaction",
            JSON,
        ),
        Case("an action of no kind", forge.bare(long_form), 400, "codec.", "actions[0]"),
        Case(
            "text for an action", forge.bare(b"\x01\xa4text"), 400, "codec.wrong_type", "actions[0]"
        ),
    ]


@pytest.mark.parametrize("cases", [of_senders, of_sizes, of_attachments, of_encodings])
async def test_a_refusal_names_code_and_field_and_changes_nothing(
    network: Testnet, cases: Callable[[Forger], list[Case]]
) -> None:
    before = await network.agreement()
    for case in cases(Forger(network)):
        refusal = await post(network, case.body, case.content_type)
        assert refusal.status == case.status, (case.name, refusal)
        assert refusal.code.startswith(case.code), (case.name, refusal)
        assert refusal.field.startswith(case.field), (case.name, refusal)
        assert refusal.field, case.name
        assert (await network.ask(AT, "/healthz"))["status"] == "ok", case.name
    after = await network.agreement()
    assert (after["height"], after["state_root"]) == (before["height"], before["state_root"])
    assert after["mempool"]["transactions"] == 0
    await network.agreement(await network.commit(AT))


async def test_a_version_out_of_order_is_refused(network: Testnet) -> None:
    forge = Forger(network)
    owner = organization_owner(AT)
    builder = forge.builder()
    key = builder.open_category(
        owner, (Recipient(owner, forge.wallet.organization_keys[0].public),)
    )
    record = builder.put(b"{}", key)
    built = builder.sign(in_half_an_hour_ms())
    async with network.api(AT) as api:
        await api.submit(built.raw, built.attachments)
        before = await network.agreement()
        for version in (1, 3, 2**32 - 1):
            amending = forge.builder()
            amending.amend(record, version, b"{}", key)
            late = amending.sign(in_half_an_hour_ms())
            with pytest.raises(ApiError) as refused:
                await api.submit(late.raw, late.attachments)
            assert refused.value.status == 422
            assert refused.value.code == "record.version_out_of_order"
            assert refused.value.field == "actions[0].version"
    after = await network.agreement()
    assert after["state_root"] == before["state_root"]


async def post(network: Testnet, body: bytes, content_type: str) -> ApiError:
    """The refusal of a body at `AT`, which must come."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), PIECE_BYTES):
            yield body[start : start + PIECE_BYTES]

    async with network.api(AT) as api:
        call = Call("POST", "/v1/transactions", {}, pieces, {"Content-Type": content_type})
        with pytest.raises(ApiError) as refused:
            await transport_of(api).call(call)
    return refused.value


def transport_of(api: Api) -> Transport:
    """Calls that `Api` has no name for."""
    return api._transport
