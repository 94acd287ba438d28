"""Short-lived opaque tokens: what a caller shows after it has proved who it is.

Kept as digests, so a copy of memory or a log of this table opens nothing; bounded in number and
time. The clock is the caller's.
"""

import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256

from node.api.access import AnyScope
from node.api.limits import TOKEN_LIFE_S, TOKENS_MAX, TOKENS_PRINCIPAL_MAX

_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token stands for. `voucher` is the signing key that vouched for it, or a registered
    key's fingerprint; when that key is no longer valid, neither is the token."""

    digest: bytes
    principal: bytes
    voucher: bytes
    scopes: frozenset[AnyScope]
    expires_s: float


class Tokens:
    """The tokens that this node has given out. The oldest go first when there is no more room."""

    def __init__(self) -> None:
        self._grants: OrderedDict[bytes, Grant] = OrderedDict()
        self._of_principal: dict[bytes, OrderedDict[bytes, None]] = {}

    def __len__(self) -> int:
        return len(self._grants)

    def issue(
        self, principal: bytes, voucher: bytes, scopes: frozenset[AnyScope], now_s: float
    ) -> str:
        """A new token, `TOKEN_LIFE_S` seconds long."""
        self._drop_expired(now_s)
        own = self._of_principal.get(principal)
        if own is not None and len(own) >= TOKENS_PRINCIPAL_MAX:
            self._drop(next(iter(own)))
        elif len(self._grants) >= TOKENS_MAX:
            self._drop(next(iter(self._grants)))
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        digest = _digest(token)
        self._grants[digest] = Grant(digest, principal, voucher, scopes, now_s + TOKEN_LIFE_S)
        self._of_principal.setdefault(principal, OrderedDict())[digest] = None
        return token

    def find(self, token: str, now_s: float) -> Grant | None:
        """What `token` stands for; None where it was never given out or its time is over.

        The table is searched by digest, so the time that this takes says nothing about a token.
        """
        return self.find_digest(_digest(token), now_s)

    def find_digest(self, digest: bytes, now_s: float) -> Grant | None:
        """`find` for a token whose digest is known already."""
        grant = self._grants.get(digest)
        if grant is None or not hmac.compare_digest(grant.digest, digest):
            return None
        return grant if now_s < grant.expires_s else None

    def _drop_expired(self, now_s: float) -> None:
        """All tokens live equally long, so the oldest expire first."""
        while self._grants:
            digest, grant = next(iter(self._grants.items()))
            if now_s < grant.expires_s:
                return
            self._drop(digest)

    def _drop(self, digest: bytes) -> None:
        grant = self._grants.pop(digest)
        own = self._of_principal[grant.principal]
        del own[digest]
        if not own:
            del self._of_principal[grant.principal]


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()
