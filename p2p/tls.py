"""TLS 1.3 with the members' own certificates as the only trusted ones, on both sides.

OpenSSL refuses unknown certificates inside the handshake; the certificate that it let through is
then compared, byte for byte, with those of the members, so a certificate that a member's key
signed for somebody else leads nowhere. Must not know sockets or messages.
"""

import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from tempfile import NamedTemporaryFile

from p2p.certificates import Identity, certificate_pem


class TrustedPeers:
    """The TLS contexts of one composition of the consortium. Made anew when members change."""

    def __init__(self, identity: Identity, certificates: Mapping[str, bytes]) -> None:
        """`certificates`: DER by member id, each passed by `check_certificate`, without our own."""
        self._prints = [(sha256(der).digest(), member) for member, der in certificates.items()]
        pem = "".join(certificate_pem(der).decode() for der in certificates.values())
        self.server = _context(ssl.PROTOCOL_TLS_SERVER, identity, pem)
        self.client = _context(ssl.PROTOCOL_TLS_CLIENT, identity, pem)

    def member_of(self, certificate_der: bytes | None) -> str | None:
        """Whose certificate it is; None for nobody's. Takes as long for every answer."""
        presented = sha256(certificate_der or b"").digest()
        found = None
        for fingerprint, member in self._prints:
            if compare_digest(fingerprint, presented):
                found = member
        return found


def _context(side: int, identity: Identity, trusted_pem: str) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if side == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0  # a resumed session would skip the check of the certificate
    if trusted_pem:
        context.load_verify_locations(cadata=trusted_pem)
    with _file_with(identity.to_pem()) as path:
        context.load_cert_chain(path)
    return context


@contextmanager
def _file_with(pem: bytes) -> Iterator[Path]:
    """A file for OpenSSL, which reads keys from files only: in memory where the system can."""
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        descriptor = os.memfd_create("identity", os.MFD_CLOEXEC)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            yield Path(f"/proc/self/fd/{descriptor}")
        return
    with NamedTemporaryFile("wb") as private:  # created for its owner only
        private.write(pem)
        private.flush()
        yield Path(private.name)
