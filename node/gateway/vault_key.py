"""The vault's key: 32 random bytes in a file of their own, under the passphrase of the node's keys.

Must not know what the vault holds.
"""

from pathlib import Path
from typing import Final

from client.errors import WalletError
from client.files import read_bounded, write_whole
from client.sealing import Random
from client.vault import limits_of, lock, unlock
from node.errors import OperatorError
from node.keys import SERVICE_WALLET

VAULT_KEY: Final = "gateway.key"
KEY_BYTES: Final = 32
_FILE_BYTES_MAX: Final = 4_096
_WALLET_BYTES_MAX: Final = 64 << 20


def open_vault_key(keys_path: Path, passphrase: bytes, random: Random, *, may_make: bool) -> bytes:
    """The key in `keys_path`; a new one where there is none and `may_make` (there is no vault yet).

    Made as hard to guess as the service wallet beside it. Raises `OperatorError` (E009, E010).
    """
    path = keys_path / VAULT_KEY
    if not path.exists():
        if not may_make:
            raise OperatorError(
                "E009",
                f"{path} is missing, and the gateway's vault is locked with it",
                fix="restore it from a copy; or move DIR/gateway away: keys are then found again "
                "from the chain, and the index is built anew",
            )
        return _make(path, passphrase, random)
    if path.stat().st_mode & 0o077:
        raise OperatorError("E010", f"{path} can be read by others", fix=f"chmod 600 {path}")
    try:
        key = unlock("medlock-gateway", read_bounded(path, _FILE_BYTES_MAX), passphrase)
    except OSError as error:
        raise OperatorError("E009", f"{path}: {error.strerror}") from None
    except WalletError as error:
        raise OperatorError("E009", f"{path}: {error.cause}") from None
    if len(key) != KEY_BYTES:
        raise OperatorError("E009", f"{path} holds no key of a vault")
    return key


def _make(path: Path, passphrase: bytes, random: Random) -> bytes:
    wallet = path.with_name(SERVICE_WALLET)
    try:
        limits = limits_of(read_bounded(wallet, _WALLET_BYTES_MAX))
        key = random(KEY_BYTES)
        write_whole(path, lock("medlock-gateway", key, passphrase, limits, random))
    except OSError as error:
        raise OperatorError("E009", f"{path}: {error.strerror}") from None
    except WalletError as error:
        raise OperatorError("E009", f"{wallet}: {error.cause}") from None
    return key
