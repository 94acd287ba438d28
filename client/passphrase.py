"""Where passphrases come from: a file descriptor, a file, a prompt. Never an argument.

Arguments and environment variables are visible to other processes and stay in histories; the
environment names a file only.
"""

import getpass
import os
import resource
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from client.errors import WalletError

FILE_VARIABLE: Final = "MEDLOCK_PASSPHRASE_FILE"
PASSPHRASE_BYTES_MAX: Final = 1_024

_FIX: Final = f"type it at the prompt, name a file in {FILE_VARIABLE}, or pass a file descriptor"


def read_passphrase(
    prompt: str,
    environment: Mapping[str, str],
    *,
    descriptor: int | None = None,
    confirm: bool = False,
    ask: Callable[[str], str] | None = None,
) -> bytes:
    """The passphrase, without a line's end.

    `descriptor` goes first, then the file that `MEDLOCK_PASSPHRASE_FILE` names, then a prompt by
    `ask` (the terminal's, when there is one), twice where `confirm`. Raises `WalletError`
    (`passphrase.*`). From here on this process leaves no core dump.
    """
    forbid_core_dumps()
    if descriptor is not None:
        return _checked(_from_descriptor(descriptor))
    if path := environment.get(FILE_VARIABLE):
        return _checked(_from_file(Path(path)))
    if ask is None:
        if not sys.stdin.isatty():
            raise WalletError("passphrase.none", "there is no terminal to ask at", _FIX)
        ask = getpass.getpass
    first = _checked(ask(f"{prompt}: ").encode())
    if confirm and _checked(ask(f"{prompt} (again): ").encode()) != first:
        raise WalletError("passphrase.differs", "the two are not the same", "try again")
    return first


def forbid_core_dumps() -> None:
    """Keeps secrets in memory out of core files, for the rest of this process."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def _from_descriptor(descriptor: int) -> bytes:
    try:
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(PASSPHRASE_BYTES_MAX + 3)
    except OSError as error:
        raise WalletError(
            "passphrase.unreadable", f"the file descriptor: {error.strerror}", _FIX
        ) from None


def _from_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(PASSPHRASE_BYTES_MAX + 3)
    except OSError as error:
        raise WalletError(
            "passphrase.unreadable", f"the file in {FILE_VARIABLE}: {error.strerror}", _FIX
        ) from None


def _checked(raw: bytes) -> bytes:
    passphrase = raw.removesuffix(b"\n").removesuffix(b"\r")
    if not passphrase:
        raise WalletError("passphrase.empty", "it has no characters", _FIX)
    if len(passphrase) > PASSPHRASE_BYTES_MAX:
        raise WalletError(
            "passphrase.too_long", f"at most {PASSPHRASE_BYTES_MAX} bytes", "choose a shorter one"
        )
    return passphrase
