"""Whatever is behind the address that a client connects to: a coded error in bounded time."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.transport.address import Address
from mpcc.runtime.transport.frame import FrameHeader, FrameType
from mpcc.runtime.transport.tcp import connect
from mpcc.runtime.transport.tls import Role, Security
from tests.runtime.certificate_folders import issue, secured
from tests.runtime.party_processes import BAR, PATIENT
from tests.runtime.test_hostile_callers import Act, floods, header, patience, resets, says, trickles
from tests.runtime.test_transport import LOOPBACK

pytestmark = pytest.mark.usefixtures("short_linger")
ALERT = b"\x15\x03\x01\x00\x02\x02\x46"  # protocol version
SERVER_HELLO = b"\x16\x03\x03\x40\x00\x02\xff\xff\xff\x03\x03"


def resets_whoever_speaks(connection: socket.socket) -> None:
    """While it still connects it would try again."""
    connection.recv(1)
    resets(connection)


ANYWHERE: list[tuple[str, Act, set[str]]] = [
    ("nothing", says(b""), {"MPC-R005"}),
    ("gone at once", says(b"", then_ends=True), {"MPC-R004"}),
    ("a reset", resets_whoever_speaks, {"MPC-R004"}),
    ("SSH", says(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"), {"MPC-R006", "MPC-R059"}),
    ("endless garbage", floods(b"\xff" * 100), {"MPC-R006", "MPC-R059"}),
    ("a TLS alert", says(ALERT, then_ends=True), {"MPC-R059"}),
]
PLAIN: list[tuple[str, Act, set[str]]] = [
    ("a huge length", floods(header(1 << 62)), {"MPC-R006"}),
    ("busy", says(header(8, kind=FrameType.ABORT) + b"MPC-R001"), {"MPC-R008"}),
]
TLS: list[tuple[str, Act, set[str]]] = [
    ("plain frames", says(header(8, kind=FrameType.ABORT) + b"MPC-R001"), {"MPC-R059"}),
    ("a huge server hello", floods(SERVER_HELLO), {"MPC-R059"}),
    ("slow bytes", trickles(SERVER_HELLO), {"MPC-R005"}),
]
CASES = [
    pytest.param(kind, act, codes, id=f"{kind}: {name}")
    for kind, cases in (("plain", [*ANYWHERE, *PLAIN]), ("tls", [*ANYWHERE, *TLS]))
    for name, act, codes in cases
]


def code_of_client(security: Security, act: Act, timeout: float) -> str:
    """What a client ends with whose connection `act` gets."""
    with socket.create_server((LOOPBACK, 0)) as server:
        address = Address(LOOPBACK, server.getsockname()[1])

        def serve() -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                act(connection)
                connection.settimeout(PATIENT)
                while connection.recv(1 << 16):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        started = time.monotonic()
        code = "connected"
        try:
            channel = connect(address, timeout, security, Role.PARTY0)
            try:
                channel.exchange_control(FrameType.HELLO, bytes(67), 256)
            except MpccError as error:
                channel.abort(error.code)
                raise
        except MpccError as error:
            code = error.code
        assert time.monotonic() - started < BAR
        thread.join()
    return code


@pytest.mark.parametrize(("kind", "act", "codes"), CASES)
def test_a_hostile_listener(certificates: Path, kind: str, act: Act, codes: set[str]) -> None:
    security = secured(certificates / "party1") if kind == "tls" else Security()
    assert code_of_client(security, act, patience(codes)) in codes


@pytest.mark.parametrize(
    ("version", "code"), [(ssl.TLSVersion.TLSv1_2, "MPC-R059"), (ssl.TLSVersion.TLSv1_3, "MPC-R004")]
)
def test_a_server_of_the_authority(
    certificates: Path, tmp_path: Path, version: ssl.TLSVersion, code: str
) -> None:
    """One with a good certificate: refused for its old TLS, else spoken with, though it hangs up."""
    folder = issue(certificates / "authority", tmp_path / "x", ["urn:mpcc:party0"], hosts=["localhost"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")

    def act(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(len(FrameHeader(FrameType.HELLO, 0, 0).pack()))

    client = secured(certificates / "party1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.runtime.test_hostile_listeners.LOOPBACK", "localhost")
        assert code_of_client(client, act, PATIENT) == code
