"""Without TLS only this machine is reached, unless the user insists."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from mpcc.runtime.transport.address import Address
from mpcc.runtime.transport.tcp import Listener, connect
from mpcc.runtime.transport.tls import Role, Security
from tests.runtime.certificate_folders import secured
from tests.runtime.party_processes import PATIENT
from tests.runtime.test_transport import PLAIN, error_of

ELSEWHERE = ["", "0.0.0.0", "::", "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"]


@pytest.mark.parametrize("host", ELSEWHERE)
def test_listening_beyond_this_machine(host: str) -> None:
    assert error_of(lambda: Listener(Address(host, 0), PLAIN)).code == "MPC-R050"


@pytest.mark.parametrize("host", ELSEWHERE[1:])
def test_connecting_beyond_this_machine(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", None)  # not even tried
    assert error_of(lambda: connect(Address(host, 1), 1.0, PLAIN, Role.PARTY0)).code == "MPC-R050"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost"])
def test_this_machine(host: str) -> None:
    with Listener(Address(host, 0), PLAIN) as listener:
        connect(Address(host, listener.port), PATIENT, PLAIN, Role.PARTY0).close()


def test_an_empty_host_is_this_machine_when_connecting() -> None:
    with Listener(Address("localhost", 0), PLAIN) as listener:
        connect(Address("", listener.port), PATIENT, PLAIN, Role.PARTY0).close()


def test_a_name_counts_as_the_addresses_it_stands_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them: the next one might be taken."""

    def resolve(host: str | None, port: int, **_: Any) -> list[Any]:
        addresses = [("127.0.0.1", port), ("192.0.2.1", port)]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    name = Address("somewhere.example", 0)
    assert error_of(lambda: Listener(name, PLAIN)).code == "MPC-R050"
    assert error_of(lambda: connect(name, 1.0, PLAIN, Role.PARTY0)).code == "MPC-R050"


def test_the_user_may_insist() -> None:
    insisting = Security(insecure_plaintext=True)
    with Listener(Address("", 0), insisting) as listener:
        connect(Address("0.0.0.0", listener.port), PATIENT, insisting, Role.PARTY0).close()


def test_with_tls_every_address_may_be_used(certificates: Any) -> None:
    with Listener(Address("", 0), secured(certificates / "party0")):
        pass
