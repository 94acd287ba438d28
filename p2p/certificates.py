"""The transport identity of a node: a self-signed X.509 certificate and its private key.

The certificate stands in the member's entry on the chain, and exactly these bytes are trusted: no
authority, no chain of issuers, no revocation list. It therefore has no end of its own (RFC 5280
§4.1.2.5): it ends when the member's entry changes, and a wrong wall clock cannot cut a node off.
Must not know sockets.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from chain.errors import InvalidMessage

CERTIFICATE_BYTES_MAX: Final = 4_096
_NOT_BEFORE: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Identity:
    """A node's certificate (DER) and private key (PKCS #8, PEM, not encrypted)."""

    certificate_der: bytes
    key_pem: bytes = field(repr=False)

    def to_pem(self) -> bytes:
        """Key and certificate in one PEM text, as `from_pem` reads it. Keep it private."""
        return self.key_pem + certificate_pem(self.certificate_der)

    @staticmethod
    def from_pem(pem: bytes) -> "Identity":
        """The identity in `pem`.

        Raises `ValueError` where key or certificate is missing, unreadable or of another pair.
        """
        key = serialization.load_pem_private_key(pem, password=None)
        certificate = x509.load_pem_x509_certificate(pem)
        if _spki(key.public_key()) != _spki(certificate.public_key()):
            raise ValueError("the certificate is of another key")
        return Identity(
            certificate.public_bytes(serialization.Encoding.DER),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )


def create_identity(member: str) -> Identity:
    """A fresh P-256 key and its self-signed certificate, which names the member.

    P-256 rather than Ed25519: every TLS stack and hardware module speaks it.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, member)])
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    subject_key = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOT_BEFORE)
        .not_valid_after(_NEVER)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(subject_key, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject_key),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return Identity(certificate.public_bytes(serialization.Encoding.DER), key_pem)


def check_certificate(der: bytes, *, others_than: bytes | None = None) -> None:
    """Raises `InvalidMessage` where `der` cannot be a member's transport certificate.

    It must be one X.509 certificate that signs itself, with an Ed25519 or P-256 key, that may not
    issue others, and that is not `others_than`, the asking node's own.
    """
    if der == others_than:
        raise InvalidMessage("certificate.is_our_own", "transport_certificate")
    if len(der) > CERTIFICATE_BYTES_MAX:
        raise InvalidMessage("certificate.too_large", "transport_certificate")
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
        issues_others = _issues_others(certificate)
        certificate.verify_directly_issued_by(certificate)
    except InvalidSignature:
        raise InvalidMessage("certificate.not_self_signed", "transport_certificate") from None
    except (ValueError, TypeError, x509.DuplicateExtension) as error:
        raise InvalidMessage(
            "certificate.malformed", "transport_certificate", type(error).__name__
        ) from None
    if certificate.public_bytes(serialization.Encoding.DER) != der:
        raise InvalidMessage("certificate.malformed", "transport_certificate", "trailing bytes")
    if issues_others:
        raise InvalidMessage("certificate.is_authority", "transport_certificate")
    if not isinstance(key, ed25519.Ed25519PublicKey) and not (
        isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    ):
        raise InvalidMessage("certificate.key_type", "transport_certificate")


def certificate_pem(der: bytes) -> bytes:
    """The certificate as PEM text. Raises `ValueError` where `der` is none."""
    return x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM)


def _issues_others(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _spki(key: object) -> bytes:
    if not isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        raise ValueError("the key is neither Ed25519 nor P-256")  # noqa: TRY004 - bad input
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
