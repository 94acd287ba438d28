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
_CERTIFICATE: Final = b"certificate"
ADDRESSES: Final = ("127.0.0.1:1",)
"""Of every simulated node: nobody looks."""
VALID_MS: Final = 1_800_000
"""How long a simulated transaction may wait for its block."""


def member_names(n: int, spares: int = 0) -> tuple[str, ...]:
    """The names of `n` members and then of `spares` more that have no seat in the beginning; an
    assertion where there cannot be so many."""
    assert 1 <= n <= n + spares <= MEMBERS_MAX, f"between 1 and {MEMBERS_MAX} members"
    return NAMES[: n + spares]


class Keyring:
    """A member's consensus keys, on whatever machine: the one in use and, once made, the next."""

    def __init__(self, name: str) -> None:
        # With the scheme of signatures that is in force now.
        self.held: tuple[SigningKey, ...] = (SigningKey(name.encode().ljust(32, b".")),)
        self._name = name
        self._made = 1

    @property
    def newest(self) -> SigningKey:
        """The one that is to be used from the next announcement on."""
        return self.held[-1]

    def of(self, public_key: bytes | None) -> SigningKey:
        """The secret of `public_key`, where it is held; else the oldest one that is."""
        return next((key for key in self.held if key.public == public_key), self.held[0])

    def make_next(self, in_use: bytes | None) -> SigningKey:
        """A new key beside the one whose public half is `in_use`; any other is forgotten."""
        self._made += 1
        fresh = SigningKey(f"{self._name}{self._made}".encode().ljust(32, b"."))
        self.held = (self.of(in_use), fresh)
        return fresh


class Consortium:
    """Members "a", "b", … and what they know. Immutable but for keys and the count of nonces."""

    def __init__(
        self, n: int, parameters: Parameters = PARAMETERS, first: str = "a", *, spares: int = 0
    ) -> None:
        """`first` is the primary of the first height. `spares` further members have no node yet
        that the others know of: they announce it, and may then be admitted as validators."""
        self.names = member_names(n, spares)
        self.spares = self.names[n:]
        # With the scheme of signatures that is in force now.
        self.keys = {name: Keyring(name) for name in self.names}
        self._administrators = {
            name: SigningKey(name.encode().ljust(32, b"a")) for name in self.names
        }
        publics = tuple(
            (
                name,
                None if name in self.spares else self.keys[name].newest.public,
                self._administrators[name].public,
            )
            for name in self.names
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
    publics: tuple[tuple[str, bytes | None, bytes], ...], parameters: Parameters, first: str
) -> Genesis:
    members = tuple(
        Member(
            name,
            name,
            "hospital",
            _ENCRYPTION,
            (GenesisPrincipal(_principal(name), "administrator", administrator, _ENCRYPTION),),
            NodeEntry(consensus, _CERTIFICATE, ADDRESSES) if consensus is not None else None,
        )
        for name, consensus, administrator in publics
    )
    return Genesis("simulated", EPOCH_MS - 1_000, parameters, members, first)
