"""Who may talk to whom: a wrong certificate, role, host or kind of peer is a coded error on both sides."""

from __future__ import annotations

import hashlib
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.transport import tls
from mpcc.runtime.transport.address import Address
from mpcc.runtime.transport.certificates import make_certificates
from mpcc.runtime.transport.frame import FrameType
from mpcc.runtime.transport.stream import StreamChannel
from mpcc.runtime.transport.tcp import Listener, connect
from mpcc.runtime.transport.tls import Credentials, Role, Security
from tests.runtime.certificate_folders import issue, secured
from tests.runtime.party_processes import PATIENT
from tests.runtime.test_transport import LOOPBACK, error_of

PARTY1 = frozenset([Role.PARTY1])
CLIENT_ONLY, SERVER_ONLY = [ExtendedKeyUsageOID.CLIENT_AUTH], [ExtendedKeyUsageOID.SERVER_AUTH]


@pytest.fixture
def peers(certificates: Path) -> dict[str, Security]:
    return {role: secured(certificates / role) for role in Role} | {"plain": Security()}


def greeted(make_channel: Callable[[], StreamChannel]) -> str:
    """The role at the other end of a channel on which HELLOs are exchanged, or the code of what goes wrong;
    in brackets one that the other side sent.
    """
    try:
        channel = make_channel()
    except MpccError as error:
        return error.code
    try:
        channel.exchange_control(FrameType.HELLO, b"", 0)
        channel.finish()
    except MpccError as error:
        channel.abort(error.code)
        return error.code if error.code != "MPC-R008" else f"({error.message.split(': ')[1].split(',')[0]})"
    return channel.peer.role if channel.peer else "plain"


def meet(
    server: Security, client: Security, host: str = LOOPBACK, timeout: float = PATIENT
) -> tuple[str, str]:
    """What a server and a client that expect party 1 and party 0 come to, within the timeout."""
    started = time.monotonic()
    with Listener(Address(LOOPBACK, 0), server) as listener, ThreadPoolExecutor(1) as pool:
        address = Address(host, listener.port)
        other = pool.submit(greeted, lambda: connect(address, timeout, client, Role.PARTY0))
        result = greeted(lambda: listener.accept(timeout).channel(timeout, PARTY1)), other.result()
    assert time.monotonic() - started < timeout
    return result


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_both_know_who_the_other_is(peers: dict[str, Security], host: str) -> None:
    assert meet(peers["party0"], peers["party1"], host) == ("party1", "party0")


def test_a_fingerprint_is_the_digest_of_the_certificate(certificates: Path) -> None:
    pem = (certificates / "party1/certificate.pem").read_text()
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest()
    assert Credentials.load(certificates / "party1").own.fingerprint == digest


def test_both_see_the_same_certificates(peers: dict[str, Security]) -> None:
    with Listener(Address(LOOPBACK, 0), peers["party0"]) as listener, ThreadPoolExecutor(1) as pool:
        address = Address(LOOPBACK, listener.port)
        other = pool.submit(connect, address, PATIENT, peers["party1"], Role.PARTY0)
        server, client = listener.accept(PATIENT).channel(PATIENT, PARTY1), other.result()
    assert (server.own, server.peer) == (client.peer, client.own)
    assert server.own != server.peer
    server.close()
    client.close()


@pytest.mark.parametrize(
    ("server", "client", "result"),
    [
        ("plain", "party1", ("MPC-R059", "MPC-R059")),
        ("party0", "plain", ("MPC-R059", "(MPC-R059)")),
        ("party0", "party0", ("MPC-R057", "(MPC-R057)")),
        ("party0", "dealer", ("MPC-R057", "MPC-R058")),  # its certificate is for listening only
        ("party1", "party1", ("MPC-R058", "MPC-R057")),  # and that of party 1 for connecting only
        ("dealer", "party1", ("(MPC-R057)", "MPC-R057")),
    ],
)
def test_roles_are_not_confused(
    peers: dict[str, Security], server: str, client: str, result: tuple[str, str]
) -> None:
    assert meet(peers[server], peers[client]) == result


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Security]:
    """Loads a folder at a time at which its certificate was, or will be, valid."""

    def load(folder: Path) -> Security:
        certificate = x509.load_pem_x509_certificate((folder / "certificate.pem").read_bytes())

        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return certificate.not_valid_before_utc

        with monkeypatch.context() as context:
            context.setattr(tls, "datetime", Clock)
            return secured(folder)

    return load


@pytest.mark.parametrize(
    ("given", "as_server", "as_client"),
    [
        ({"days": (-3, -1)}, "MPC-R055", "MPC-R055"),
        ({"days": (1, 3)}, "MPC-R055", "MPC-R055"),
        ({"uses": CLIENT_ONLY}, "MPC-R057", None),
        ({"uses": SERVER_ONLY}, None, "MPC-R057"),
        ({"hosts": ["server.example"]}, "MPC-R056", None),
        ({"hosts": []}, "MPC-R056", None),
    ],
)
def test_a_certificate_that_is_refused(
    certificates: Path,
    peers: dict[str, Security],
    tmp_path: Path,
    late: Callable[[Path], Security],
    given: dict[str, Any],
    as_server: str | None,
    as_client: str | None,
) -> None:
    """The side that refuses says why, and the other one that it is refused."""
    authority = certificates / "authority"
    server = late(issue(authority, tmp_path / "server", ["urn:mpcc:party0"], **given))
    client = late(issue(authority, tmp_path / "client", ["urn:mpcc:party1"], **given))
    refused = ("MPC-R058", as_server) if as_server else ("party1", "party0")
    assert meet(server, peers["party1"], "localhost") == refused
    refused = (as_client, "MPC-R058") if as_client else ("party1", "party0")
    assert meet(peers["party0"], client, "localhost") == refused


@pytest.mark.parametrize("other", ["server", "client"])
def test_another_authority(peers: dict[str, Security], tmp_path: Path, other: str) -> None:
    """Of the same name. Neither side trusts the other; whichever finds it first says so."""
    make_certificates(tmp_path / "other", (), 30)
    if other == "server":
        assert meet(secured(tmp_path / "other/party0"), peers["party1"]) == ("MPC-R058", "MPC-R054")
    else:
        assert meet(peers["party0"], secured(tmp_path / "other/party1")) == ("MPC-R058", "MPC-R054")


def test_only_one_side_trusts_the_other(
    certificates: Path, peers: dict[str, Security], tmp_path: Path
) -> None:
    make_certificates(tmp_path / "other", (), 30)
    strange = tmp_path / "other/party1"
    (strange / "authority.pem").write_bytes((certificates / "party0/authority.pem").read_bytes())
    assert meet(peers["party0"], secured(strange)) == ("MPC-R054", "MPC-R058")


@pytest.mark.parametrize(
    "uris",
    [
        [],
        ["urn:mpcc:party2"],
        ["urn:mpcc:"],
        ["https://party1.example"],
        ["urn:mpcc:party1", "urn:mpcc:party0"],
        ["urn:mpcc:party1", "urn:mpcc:party1"],
    ],
)
def test_a_certificate_without_one_role(
    certificates: Path, peers: dict[str, Security], tmp_path: Path, uris: list[str]
) -> None:
    folder = issue(certificates / "authority", tmp_path / "x", uris)
    error = error_of(lambda: Credentials.load(folder))
    assert error.code == "MPC-R051"
    assert "subjectAltName" in error.message
    nameless = Credentials(
        tls.Peer(Role.PARTY1, "", b""), *(tls.make_context(folder, side) for side in tls.SIDES)
    )
    assert meet(peers["party0"], Security(nameless)) == ("MPC-R057", "(MPC-R057)")


@pytest.mark.parametrize("name", ["certificate.pem", "key.pem", "authority.pem"])
@pytest.mark.parametrize(
    "content", [None, b"", b"no PEM", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_a_file_that_is_missing_or_damaged(
    certificates: Path, tmp_path: Path, name: str, content: bytes | None
) -> None:
    folder = issue(certificates / "authority", tmp_path / "x", ["urn:mpcc:party0"])
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    error = error_of(lambda: Credentials.load(folder))
    assert error.code == "MPC-R051"
    assert error.where == str(folder / name)


def test_no_folder(tmp_path: Path) -> None:
    assert error_of(lambda: Credentials.load(tmp_path / "none")).code == "MPC-R051"


def test_a_key_of_another_certificate(certificates: Path, tmp_path: Path) -> None:
    folder = issue(certificates / "authority", tmp_path / "x", ["urn:mpcc:party0"])
    (folder / "key.pem").write_bytes((certificates / "party1/key.pem").read_bytes())
    assert error_of(lambda: Credentials.load(folder)).code == "MPC-R051"


def test_a_key_with_a_password_does_not_ask_for_it(certificates: Path, tmp_path: Path) -> None:
    folder = issue(certificates / "authority", tmp_path / "x", ["urn:mpcc:party0"])
    key = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), None)
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    error = error_of(lambda: Credentials.load(folder))
    assert error.code == "MPC-R051"
    assert "password" in error.message


@pytest.mark.parametrize("days", [(-3, -1), (1, 3)])
def test_an_own_certificate_out_of_its_time(
    certificates: Path, tmp_path: Path, days: tuple[int, int]
) -> None:
    folder = issue(certificates / "authority", tmp_path / "x", ["urn:mpcc:party0"], days=days)
    error = error_of(lambda: Credentials.load(folder))
    assert error.code == "MPC-R051"
    assert "valid from" in error.message


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660])
def test_a_key_that_others_can_read(certificates: Path, tmp_path: Path, mode: int) -> None:
    folder = issue(certificates / "authority", tmp_path / "x", ["urn:mpcc:party0"])
    (folder / "key.pem").chmod(mode)
    assert error_of(lambda: Credentials.load(folder)).code == "MPC-R052"


def test_the_folder_of_another_role(certificates: Path) -> None:
    credentials = Credentials.load(certificates / "party1")
    credentials.require(Role.PARTY1)
    assert error_of(lambda: credentials.require(Role.PARTY0)).code == "MPC-R053"
