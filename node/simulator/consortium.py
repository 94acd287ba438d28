"""The members of a simulated consortium: names, keys, genesis, and transactions they sign."""

from functools import lru_cache
from hashlib import sha256
from typing import Final

from chain.genesis import Genesis, GenesisPrincipal, Member, NodeEntry, Parameters
from chain.keys import EncryptionKey, SigningKey
from chain.transaction import SIGNED, AttachmentRef, Transaction, sign_transaction
from ledger.actions import ACTION, Action, CategoryOpen, PrincipalEnrol
from ledger.ids import organization_owner
from node.simulator.clocks import EPOCH_MS

MEMBERS_MAX: Final = 13
NAMES: Final = tuple("abcdefghijklm")
PARAMETERS: Final = Parameters(
    state_buckets=16, timeout_base_ms=1_000, timeout_ms_max=8_000, idle_timeout_ms=5_000
)
_ENCRYPTION: Final = EncryptionKey(1, b"e" * 32)
VALID_MS: Final = 1_800_000
"""How long a simulated transaction may wait for its block."""


def member_names(n: int) -> tuple[str, ...]:
    """The names of `n` members; an assertion where there cannot be so many."""
    assert 1 <= n <= MEMBERS_MAX, f"between 1 and {MEMBERS_MAX} members"
    return NAMES[:n]


class Consortium:
    """Members "a", "b", … and what they know. Immutable but for the count of nonces."""

    def __init__(self, n: int, parameters: Parameters = PARAMETERS, first: str = "a") -> None:
        """`first` is the primary of the first height."""
        self.names = member_names(n)
        # With the scheme of signatures that is in force now.
        self.keys = {name: SigningKey(name.encode().ljust(32, b".")) for name in self.names}
        self._administrators = {
            name: SigningKey(name.encode().ljust(32, b"a")) for name in self.names
        }
        publics = tuple(
            (name, self.keys[name].public, self._administrators[name].public) for name in self.names
        )
        self.genesis = _genesis(publics, parameters, first)
        self.signed: set[bytes] = set()
        """All transactions that anybody signed, here or in front of `World.submit`."""
        self._nonce = 0

    def transaction(self, sender: str, now_ms: int, *actions: Action) -> bytes:
        """A signed transaction; by default one that enrols somebody."""
        nonce = self._next_nonce()
        return self._signed(sender, nonce, now_ms, actions or (_enrolment(nonce),), ())

    def with_attachment(self, sender: str, now_ms: int, size: int) -> tuple[bytes, bytes]:
        """A signed transaction that names an attachment of `size` bytes, and the attachment."""
        nonce = self._next_nonce()
        content = (sha256(nonce).digest() * (size // 32 + 1))[:size]
        digest = sha256(content).digest()
        opening = CategoryOpen(organization_owner(sender), nonce, digest)
        refs = (AttachmentRef(digest, size),)
        return self._signed(sender, nonce, now_ms, (opening,), refs), content

    def _next_nonce(self) -> bytes:
        self._nonce += 1
        return self._nonce.to_bytes(16, "big")

    def _signed(
        self,
        sender: str,
        nonce: bytes,
        now_ms: int,
        actions: tuple[Action, ...],
        attachments: tuple[AttachmentRef, ...],
    ) -> bytes:
        transaction = Transaction(
            _principal(sender),
            nonce,
            now_ms + VALID_MS,
            tuple(ACTION.encode(each) for each in actions),
            attachments,
            (),
        )
        key = self._administrators[sender]
        raw = SIGNED.encode(sign_transaction(transaction, key, self.genesis.hash))
        self.signed.add(raw)
        return raw


def _principal(name: str) -> bytes:
    return name.encode().ljust(16, b".")


def _enrolment(seed: bytes) -> PrincipalEnrol:
    public = SigningKey(seed.ljust(32, b"p")).public
    return PrincipalEnrol(seed, "clinician", public, _ENCRYPTION)


@lru_cache(maxsize=64)
def _genesis(
    publics: tuple[tuple[str, bytes, bytes], ...], parameters: Parameters, first: str
) -> Genesis:
    members = tuple(
        Member(
            name,
            name,
            "hospital",
            _ENCRYPTION,
            (GenesisPrincipal(_principal(name), "administrator", administrator, _ENCRYPTION),),
            NodeEntry(consensus, b"certificate", ("127.0.0.1:1",)),
        )
        for name, consensus, administrator in publics
    )
    return Genesis("simulated", EPOCH_MS - 1_000, parameters, members, first)
