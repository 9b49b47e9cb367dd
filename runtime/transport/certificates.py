"""An authority and a certificate for each role, for trying mpcc out without an authority of one's own."""

from __future__ import annotations

import ipaddress
import os
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.transport.tls import AUTHORITY_NAME, CERTIFICATE_NAME, KEY_NAME, ROLE_PREFIX, Role

AUTHORITY_FOLDER = "authority"
THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_CLOCKS_DIFFER = timedelta(hours=1)
_LISTENS, _CONNECTS = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
_USES = {Role.PARTY0: [_LISTENS, _CONNECTS], Role.PARTY1: [_CONNECTS], Role.DEALER: [_LISTENS]}


def make_certificates(folder: Path, hosts: Sequence[str], days: int) -> None:
    """Write `folder`, with one folder for the --tls of each role and one for the authority and its key.

    Party 0 and the dealer can be reached at `hosts` (names or IP addresses) and on this machine. The whole
    appears at once. Raises MPC-C010 when there is something already, MPC-R061.
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise MpccError(
                "MPC-C010",
                "the output folder exists and is not empty",
                where=str(folder),
                remedy="give a new folder with -o",
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".certificates-", dir=folder.parent) as name:
            made = Path(name) / "made"
            _write_all(made, hosts, days)
            made.rename(folder)
    except OSError as error:
        raise MpccError(
            "MPC-R061",
            f"the certificates cannot be written: {error.strerror}",
            where=str(folder),
            remedy="check the folder's permissions and the free space",
        ) from None


def _write_all(folder: Path, hosts: Sequence[str], days: int) -> None:
    folder.mkdir(mode=0o700)
    validity = (datetime.now(UTC) - _CLOCKS_DIFFER, datetime.now(UTC) + timedelta(days=days))
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _authority(authority_key, validity)
    _write(folder / AUTHORITY_FOLDER, authority, authority_key)
    for role, uses in _USES.items():
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(ROLE_PREFIX + role)]
        if _LISTENS in uses:
            names += map(_general_name, dict.fromkeys((*hosts, *THIS_MACHINE)))
        certificate = (
            _builder(f"mpcc {role}", key, authority, validity)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(authority_key, hashes.SHA256())
        )
        _write(folder / role, certificate, key)
        (folder / role / AUTHORITY_NAME).write_bytes(_pem(authority))


def _authority(key: ec.EllipticCurvePrivateKey, validity: tuple[datetime, datetime]) -> x509.Certificate:
    return (
        _builder("mpcc try-out authority", key, None, validity)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _builder(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    validity: tuple[datetime, datetime],
) -> x509.CertificateBuilder:
    """What all certificates have; without an issuer it is its own."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer_key = issuer.public_key() if issuer else key.public_key()
    assert isinstance(issuer_key, ec.EllipticCurvePublicKey)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity[0])
        .not_valid_after(validity[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _key_usage(*, certificates: bool) -> x509.KeyUsage:
    """An authority's key signs certificates and nothing else, any other signs handshakes and nothing else."""
    return x509.KeyUsage(
        digital_signature=not certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(folder: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    folder.mkdir(mode=0o700)
    (folder / CERTIFICATE_NAME).write_bytes(_pem(certificate))
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with open(os.open(folder / KEY_NAME, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
