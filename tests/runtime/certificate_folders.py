"""Folders for --tls with certificates as no `mpcc certificates` makes them: expired, of another role, ..."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mpcc.runtime.transport.tls import Credentials, Security

ALL_USES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


def issue(
    authority: Path,
    folder: Path,
    uris: Sequence[str],
    *,
    hosts: Sequence[str] = ("localhost",),
    uses: Sequence[x509.ObjectIdentifier] = ALL_USES,
    days: tuple[int, int] = (-1, 1),
) -> Path:
    """A --tls folder whose certificate the authority in a folder has signed, valid in these days from now."""
    signer = x509.load_pem_x509_certificate((authority / "certificate.pem").read_bytes())
    signer_key = serialization.load_pem_private_key((authority / "key.pem").read_bytes(), None)
    assert isinstance(signer_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri) for uri in uris]
    names += [x509.DNSName(host) for host in hosts]
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")]))
        .issuer_name(signer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) + timedelta(days=days[0]))
        .not_valid_after(datetime.now(UTC) + timedelta(days=days[1]))
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    folder.mkdir()
    certificate = builder.sign(signer_key, hashes.SHA256())
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "authority.pem").write_bytes((authority / "certificate.pem").read_bytes())
    (folder / "key.pem").touch(mode=0o600)
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return folder


def secured(folder: Path) -> Security:
    return Security(Credentials.load(folder))
