"""Who is at the other end: roles, certificates, and what a connection must be secured with."""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from mpcc.ir.diagnostics import MpccError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

CERTIFICATE_NAME, KEY_NAME, AUTHORITY_NAME = "certificate.pem", "key.pem", "authority.pem"
SIDES = (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT)
ROLE_PREFIX = "urn:mpcc:"  # a URI among the subjectAltNames of a certificate


class Role(StrEnum):
    PARTY0 = "party0"
    PARTY1 = "party1"
    DEALER = "dealer"

    @staticmethod
    def of_party(party: int) -> Role:
        return (Role.PARTY0, Role.PARTY1)[party]


@dataclass(frozen=True)
class Peer:
    """Whom a certificate stands for; `fingerprint` is the SHA-256 of its DER form."""

    role: Role
    name: str
    fingerprint: bytes


@dataclass(frozen=True)
class Credentials:
    """One side's certificate and key, and the only authority that it trusts, as TLS 1.3 contexts."""

    own: Peer
    server_context: ssl.SSLContext = field(repr=False)
    client_context: ssl.SSLContext = field(repr=False)

    @staticmethod
    def load(folder: Path) -> Credentials:
        """Read certificate.pem, key.pem and authority.pem. Raises MPC-R051, MPC-R052."""
        from cryptography import x509

        for name in (CERTIFICATE_NAME, KEY_NAME, AUTHORITY_NAME):
            if not os.path.isfile(folder / name):  # also where the folder must not be read
                raise _unusable(folder / name, "there is no such file")
        _check_permissions(folder / KEY_NAME)
        path = folder / CERTIFICATE_NAME
        try:
            certificate, own = read_certificate(x509.load_pem_x509_certificate, path.read_bytes())
        except (OSError, ValueError) as error:
            raise _unusable(path, str(error)) from None
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if not begin <= datetime.now(UTC) <= end:
            state = "has expired" if end < datetime.now(UTC) else "is not valid yet"
            span = f"valid from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"
            raise _unusable(path, f"it {state}: it is {span}")
        return Credentials(own, *(make_context(folder, side) for side in SIDES))

    def require(self, role: Role) -> None:
        """Raises MPC-R053 when these are another role's."""
        if self.own.role != role:
            raise MpccError(
                "MPC-R053",
                f"the certificate given with --tls is that of {self.own.role}, and this is {role}",
                remedy=f"give --tls the folder of {role}",
            )


@dataclass(frozen=True)
class Security:
    """How connections are secured: by TLS, or (`insecure_plaintext`) not even beyond this machine.

    With neither, only loopback addresses may be listened on or connected to.
    """

    tls: Credentials | None = None
    insecure_plaintext: bool = False

    @property
    def needs_loopback(self) -> bool:
        return not (self.tls or self.insecure_plaintext)


def read_certificate(load: Callable[[bytes], Certificate], data: bytes) -> tuple[Certificate, Peer]:
    """A certificate, read by one of the library's functions, and whom it stands for. Raises ValueError."""
    try:
        certificate = load(data)
        return certificate, peer_of(certificate)
    except ValueError:
        raise
    except Exception as error:  # what the library cannot read has classes without a common base
        raise ValueError(str(error)) from error


def peer_of(certificate: Certificate) -> Peer:
    """Whom a certificate stands for. Raises ValueError when it names no role, or several."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except x509.ExtensionNotFound:
        uris = []
    roles = [uri.removeprefix(ROLE_PREFIX) for uri in uris if uri.startswith(ROLE_PREFIX)]
    if len(roles) != 1 or roles[0] not in Role.__members__.values():
        raise ValueError(
            f"its subjectAltName has not exactly one of {', '.join(map(ROLE_PREFIX.__add__, Role))}"
        )
    common_names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    name = str(common_names[0].value) if common_names else ""
    return Peer(Role(roles[0]), name, certificate.fingerprint(hashes.SHA256()))


def make_context(folder: Path, side: int) -> ssl.SSLContext:
    """Only TLS 1.3, only the folder's authority, and no peer without a certificate. Raises MPC-R051."""
    context = ssl.SSLContext(side)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    if side == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0  # a session is never resumed: every one is with certificates
    try:
        context.load_verify_locations(folder / AUTHORITY_NAME)
    except (OSError, ValueError) as error:
        raise _unusable(folder / AUTHORITY_NAME, _reason(error)) from None
    try:
        context.load_cert_chain(folder / CERTIFICATE_NAME, folder / KEY_NAME, password=lambda: "")
    except (OSError, ValueError) as error:
        raise _unusable(
            folder / KEY_NAME, f"{_reason(error)}; it must be the certificate's, without a password"
        ) from None
    return context


def _check_permissions(key: Path) -> None:
    """The rule of PostgreSQL: nobody but the owner reads a key, or root's group where root owns it."""
    status = key.stat()
    allowed = stat.S_IRWXU | (stat.S_IRGRP if status.st_uid == 0 else 0)
    if stat.S_IMODE(status.st_mode) & ~allowed:
        raise MpccError(
            "MPC-R052",
            "other users of this machine can read the private key",
            where=str(key),
            remedy=f"chmod 600 {key}",
        )


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None)
    return str(reason).replace("_", " ").lower() if reason else "it is no PEM file"


def _unusable(path: Path, detail: str) -> MpccError:
    return MpccError(
        "MPC-R051",
        f"a file for TLS cannot be used: {detail}",
        where=str(path),
        remedy=f"--tls takes a folder with {CERTIFICATE_NAME}, {KEY_NAME} and {AUTHORITY_NAME}, such as "
        "those of: mpcc certificates -o DIR",
    )
