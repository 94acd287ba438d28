"""The keys of an organisation that runs a node: made once by `init`, opened by `run`.

`keys/node.keys` holds what the process needs (the key that votes, the transport key), the two
wallets are the organisation's administrator and its service (gateway). All lie under one
passphrase: the operator's own file, or a random one beside them, where file modes are all the
protection there is. Must not know the network.
"""

import base64
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta
from nacl import pwhash, secret
from nacl.exceptions import CryptoError
from nacl.exceptions import RuntimeError as SodiumRuntimeError

from chain.codec import Codec, Record
from chain.errors import InvalidMessage
from chain.genesis import Member, NodeEntry
from chain.keys import SigningKey, Suite
from chain.types import MemberId, Role
from client.errors import WalletError
from client.files import read_bounded, write_whole
from client.passphrase import PASSPHRASE_BYTES_MAX
from client.redacted import Redacted
from client.sealing import Random, new_private_key
from client.vault import MODERATE, KdfLimits
from client.wallet import Wallet, card, load_wallet, new_wallet, save_wallet
from node.errors import OperatorError
from p2p.certificates import Identity, create_identity

NODE_KEYS: Final = "node.keys"
SERVICE_WALLET: Final = "service.wallet"
ADMINISTRATOR_WALLET: Final = "administrator.wallet"
PASSPHRASE: Final = "passphrase"  # noqa: S105 - a file's name
"""Holds the random passphrase, where the operator gave none."""
RANDOM_PASSPHRASE: Final = KdfLimits(operations=1, memory_bytes=8_192)
"""Nobody guesses 32 random bytes, so stretching them only costs time."""
CONSENSUS_KEYS_MAX: Final = 2
"""The key that votes, and one that is to take its place."""
_KEYS_BYTES_MAX: Final = 1 << 16
_AEAD_DOMAIN: Final = b"medlock node keys"


class _Secrets(Redacted, frozen=True):
    member: MemberId
    consensus_seeds: Annotated[
        tuple[Annotated[bytes, Meta(min_length=32, max_length=32)], ...],
        Meta(min_length=1, max_length=CONSENSUS_KEYS_MAX),
    ]
    transport_pem: Annotated[bytes, Meta(max_length=16_384)]


class _File(Record, frozen=True):
    operations: Annotated[int, Meta(ge=1, le=16)]
    memory_bytes: Annotated[int, Meta(ge=8_192, le=1 << 30)]
    salt: Annotated[bytes, Meta(min_length=16, max_length=16)]
    ciphertext: Annotated[bytes, Meta(max_length=_KEYS_BYTES_MAX)]


_SECRETS: Final = Codec[_Secrets](_Secrets, name="node_keys", bytes_max=_KEYS_BYTES_MAX)
_FILE: Final = Codec[_File](_File, name="node_keys_file", bytes_max=2 * _KEYS_BYTES_MAX)


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """What a running node holds: consensus keys, the newest last, and the `transport` certificate
    that stands in the ledger."""

    member: str
    consensus: tuple[SigningKey, ...]
    transport: Identity


@dataclass(frozen=True, slots=True)
class Organization:
    """A new organisation's secrets, before they are written. `node` is None without a node."""

    id: str
    name: str
    role: Role
    service: Wallet
    administrator: Wallet
    node: NodeKeys | None

    def card(self, addresses: tuple[str, ...]) -> Member:
        """The public member card; `addresses` are where peers reach the node."""
        entry = node_entry(self.node, addresses) if self.node is not None else None
        principals = sorted((card(self.administrator), card(self.service)), key=lambda p: p.id)
        return Member(
            self.id,
            self.name,
            self.role,
            self.service.organization_keys[0].public,
            tuple(principals),
            entry,
        )


def new_organization(
    member: str, name: str, role: Role, random: Random, *, with_node: bool
) -> Organization:
    """Fresh keys. `random` decides all of them but the transport key, which OpenSSL makes."""
    gateway = new_private_key(Suite.ML_KEM_768_X25519, random)
    service = new_wallet("service", member, random, organization_keys=(gateway,))
    administrator = new_wallet("administrator", member, random)
    node = new_node_keys(member, random) if with_node else None
    return Organization(member, name, role, service, administrator, node)


def node_entry(keys: NodeKeys, addresses: tuple[str, ...]) -> NodeEntry:
    """What the chain is to say of a node that is to vote with its newest key."""
    return NodeEntry(keys.consensus[-1].public, keys.transport.certificate_der, addresses)


def new_node_keys(member: str, random: Random) -> NodeKeys:
    """A consensus key and a transport identity that nobody has seen."""
    return NodeKeys(member, (SigningKey(random(32)),), create_identity(member))


def save_organization(
    keys_path: Path,
    organization: Organization,
    passphrase: bytes | None,
    random: Random,
    limits: KdfLimits = MODERATE,
) -> None:
    """Writes everything into `keys_path`; with `passphrase` None, under a random one beside it."""
    if passphrase is None:
        limits = RANDOM_PASSPHRASE
        passphrase = new_passphrase(random)
        write_whole(keys_path / PASSPHRASE, passphrase + b"\n")
    save_wallet(keys_path / SERVICE_WALLET, organization.service, passphrase, random, limits)
    save_wallet(
        keys_path / ADMINISTRATOR_WALLET, organization.administrator, passphrase, random, limits
    )
    if (node := organization.node) is not None:
        save_node_keys(keys_path, node, passphrase, random, limits)


def save_node_keys(
    keys_path: Path, keys: NodeKeys, passphrase: bytes, random: Random, limits: KdfLimits
) -> None:
    """Writes them in place of those that are there; a crash leaves the ones or the others."""
    seeds = tuple(key.seed for key in keys.consensus)
    secrets = _Secrets(keys.member, seeds, keys.transport.to_pem())
    write_whole(keys_path / NODE_KEYS, _encrypt(secrets, passphrase, limits, random))


def add_node(keys_path: Path, keys: NodeKeys, passphrase: bytes | None, random: Random) -> None:
    """Writes the keys of a node for a member that has its wallets, here or elsewhere; with
    `passphrase` None, under a random one beside them."""
    beside = keys_path / PASSPHRASE
    if passphrase is None:
        passphrase = new_passphrase(random)
        write_whole(beside, passphrase + b"\n")
    limits = RANDOM_PASSPHRASE if beside.exists() else MODERATE
    save_node_keys(keys_path, keys, passphrase, random, limits)


def new_passphrase(random: Random) -> bytes:
    """32 random bytes as text, so that a person can copy them."""
    return base64.urlsafe_b64encode(random(32)).rstrip(b"=")


def find_passphrase(keys_path: Path, configured: Path | None = None) -> bytes:
    """The passphrase of `keys_path`: in `configured`, else in the file beside the keys.

    Raises `OperatorError` (E009, E010).
    """
    path = configured or keys_path / PASSPHRASE
    if not path.exists():
        raise OperatorError("E009", f"the passphrase of {keys_path} is not at {path}")
    passphrase = _read_private(path).removesuffix(b"\n").removesuffix(b"\r")
    if not 0 < len(passphrase) <= PASSPHRASE_BYTES_MAX:
        raise OperatorError("E009", f"{path} holds no passphrase")
    return passphrase


def load_node_keys(keys_path: Path, passphrase: bytes) -> NodeKeys:
    """The node's own keys. Raises `OperatorError` (E001, E009, E010)."""
    path = keys_path / NODE_KEYS
    if not path.exists():
        raise OperatorError(
            "E001",
            f"{path} is missing: no node runs from here",
            why="the organisation was made without a node, or the directory is not one",
        )
    secrets = _decrypt(path, _read_private(path), passphrase)
    try:
        transport = Identity.from_pem(secrets.transport_pem)
    except ValueError:
        raise OperatorError("E009", f"{path} holds no usable transport key") from None
    return NodeKeys(secrets.member, tuple(map(SigningKey, secrets.consensus_seeds)), transport)


def add_consensus_key(
    keys_path: Path, passphrase: bytes, in_use: bytes | None, random: Random
) -> NodeKeys:
    """Makes the key that is to vote next, beside the one `in_use`: the public key that the chain
    names. Where one that the chain does not name yet is there already, nothing is made.

    The key before the one in use is dropped: no height to come hears it.
    """
    keys = load_node_keys(keys_path, passphrase)
    if len(keys.consensus) == CONSENSUS_KEYS_MAX and keys.consensus[-1].public != in_use:
        return keys
    rotated = replace(keys, consensus=(keys.consensus[-1], SigningKey(random(32))))
    file = _FILE.decode(_read_private(keys_path / NODE_KEYS))
    limits = KdfLimits(file.operations, file.memory_bytes)
    save_node_keys(keys_path, rotated, passphrase, random, limits)
    return rotated


def load_service_wallet(keys_path: Path, passphrase: bytes) -> Wallet:
    """The wallet as which the node's own organisation asks its API."""
    return _load_wallet(keys_path / SERVICE_WALLET, passphrase)


def load_administrator_wallet(keys_path: Path, passphrase: bytes) -> Wallet:
    """The wallet of the administrator that `init` made."""
    return _load_wallet(keys_path / ADMINISTRATOR_WALLET, passphrase)


def _load_wallet(path: Path, passphrase: bytes) -> Wallet:
    if not path.exists():
        raise OperatorError(
            "E009",
            f"{path} is not there",
            why="the directory was made for a node alone, without wallets",
            fix="say whose wallet asks: --as FILE",
        )
    _read_private(path)
    try:
        return load_wallet(path, passphrase)
    except WalletError as error:
        raise OperatorError("E009", f"{path}: {error.cause}") from None


def _read_private(path: Path) -> bytes:
    try:
        if path.stat().st_mode & 0o077:
            raise OperatorError("E010", f"{path} can be read by others", fix=f"chmod 600 {path}")
        return read_bounded(path, 2 * _KEYS_BYTES_MAX)
    except OSError as error:
        raise OperatorError("E009", f"{path}: {error.strerror}") from None


def _encrypt(secrets: _Secrets, passphrase: bytes, limits: KdfLimits, random: Random) -> bytes:
    salt = random(16)
    box = secret.Aead(_derive(passphrase, salt, limits))
    ciphertext = box.encrypt(_SECRETS.encode(secrets), _AEAD_DOMAIN, random(box.NONCE_SIZE))
    return _FILE.encode(_File(limits.operations, limits.memory_bytes, salt, bytes(ciphertext)))


def _decrypt(path: Path, raw: bytes, passphrase: bytes) -> _Secrets:
    try:
        file = _FILE.decode(raw)
        limits = KdfLimits(file.operations, file.memory_bytes)
        box = secret.Aead(_derive(passphrase, file.salt, limits))
        return _SECRETS.decode(box.decrypt(file.ciphertext, _AEAD_DOMAIN))
    except InvalidMessage as refusal:
        raise OperatorError("E009", f"{path} is no file of node keys: {refusal.code}") from None
    except (CryptoError, ValueError):
        raise OperatorError(
            "E009",
            f"{path} does not open",
            why="the passphrase is wrong, or the file was changed",
            fix="name the right file in keys.passphrase_file, or restore the keys from a copy",
        ) from None


def _derive(passphrase: bytes, salt: bytes, limits: KdfLimits) -> bytes:
    try:
        return pwhash.argon2id.kdf(
            secret.Aead.KEY_SIZE, passphrase, salt, limits.operations, limits.memory_bytes
        )
    except (SodiumRuntimeError, MemoryError):
        raise OperatorError(
            "E009",
            f"opening the keys takes {limits.memory_bytes >> 20} MiB of memory",
            fix="free some memory",
        ) from None
