"""The first bytes of a TLS connection, on either side, and certificates.

The first byte says what the rest is: 0 what a server hears, 1 what a client hears, 2 a certificate (DER).
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import ClassVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mpcc.runtime.transport.certificates import make_certificates
from mpcc.runtime.transport.connection import TlsConnection
from mpcc.runtime.transport.tls import CERTIFICATE_NAME, Credentials, read_certificate
from tests.fuzz.mutate.raw import mutate_bytes
from tests.fuzz.target import Target, memory_folder

HOST = "localhost"
SECONDS = 1.0


class Tls(Target):
    name: ClassVar[str] = "tls"

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory(prefix="mpcc-fuzz-", dir=memory_folder()) as scratch:
            folder = Path(scratch) / "certificates"
            make_certificates(folder, [HOST], 1)
            roles = ("party0", "party1", "dealer")
            self._credentials = [Credentials.load(folder / role) for role in roles]
            self._certificates = [(folder / role / CERTIFICATE_NAME).read_bytes() for role in roles]

    def run(self, data: bytes) -> None:
        if data[:1] == b"\2":
            with contextlib.suppress(ValueError):  # what a connection's certificate is refused with
                read_certificate(x509.load_der_x509_certificate, data[1:])
            return
        connects = data[:1] == b"\1"
        ours, theirs = socket.socketpair()
        with theirs, contextlib.closing(self._connection(ours, connects)) as connection:
            theirs.sendall(data[1:])
            theirs.shutdown(socket.SHUT_WR)
            connection.handshake(time.monotonic() + SECONDS)

    def _connection(self, end: socket.socket, connects: bool) -> TlsConnection:
        credentials = self._credentials[1 if connects else 0]
        context = credentials.client_context if connects else credentials.server_context
        return TlsConnection(end, context, server_hostname=HOST if connects else None)

    def mutate(self, data: bytes, random: Random, max_bytes: int) -> bytes:
        return data[:1] + mutate_bytes(data[1:], random, max_bytes - 1)

    def seeds(self) -> Iterable[bytes]:
        for certificate in self._certificates:
            yield b"\2" + x509.load_pem_x509_certificate(certificate).public_bytes(Encoding.DER)
        client, server = ssl.MemoryBIO(), ssl.MemoryBIO()
        first = self._credentials[1].client_context.wrap_bio(server, client, server_hostname=HOST)
        second = self._credentials[0].server_context.wrap_bio(client, server, server_side=True)
        for side, says, said_by in ((first, client, 0), (second, server, 1)):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
            said = says.read()
            yield bytes([said_by]) + said
            says.write(said)
