"""Certificates that must not be trusted, bytes that are played again, and stores that were set back."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from mpcc.runtime.transport.certificates import make_certificates
from tests.faults import entries
from tests.faults.processes import start
from tests.faults.relay import Relay
from tests.faults.setting import BAR, UNDISTURBED, WAITING, Setting
from tests.runtime.certificate_folders import issue

ROLES = ("urn:mpcc:party0", "urn:mpcc:party1")


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path, 3)


def tls_folder(setting: Setting, party: int, wrong: str) -> Path:
    """A party's --tls folder with something wrong about it."""
    authority, folder = setting.certificates / "authority", setting.scratch / f"tls{party}"
    given: dict[str, dict[str, Any]] = {
        "expired": {"days": (-2, -1)},
        "of tomorrow": {"days": (1, 2)},
        "of another host": {"hosts": ["elsewhere"]},
        "of no role": {"uris": []},
        "of the dealer": {"uris": ["urn:mpcc:dealer"]},
        "of the other party": {"uris": [ROLES[1 - party]]},
    }
    if wrong != "of another authority":
        return issue(authority, folder, **{"uris": [ROLES[party]], **given[wrong]})
    make_certificates(setting.scratch / "others", ["localhost"], 1)
    issue(setting.scratch / "others/authority", folder, [ROLES[party]])
    shutil.copy(authority / "certificate.pem", folder / "authority.pem")  # it trusts the right one
    return folder


@pytest.mark.parametrize(
    ("party", "wrong", "codes"),
    [
        (0, "expired", ("MPC-R058", "MPC-R055")),
        (0, "of tomorrow", ("MPC-R058", "MPC-R055")),
        (0, "of another host", ("MPC-R058", "MPC-R056")),
        (0, "of another authority", ("MPC-R058", "MPC-R054")),
        (0, "of the dealer", ("MPC-R008", "MPC-R057")),
        (0, "of the other party", ("MPC-R008", "MPC-R057")),
        (1, "expired", ("MPC-R055", "MPC-R058")),
        (1, "of tomorrow", ("MPC-R055", "MPC-R058")),
        (1, "of another authority", ("MPC-R054", "MPC-R058")),
        (1, "of the dealer", ("MPC-R057", "MPC-R008")),
        (1, "of the other party", ("MPC-R057", "MPC-R008")),
    ],
)
def test_a_wrong_certificate(setting: Setting, party: int, wrong: str, codes: tuple[str, str]) -> None:
    """The side that meets it says what is wrong with it, the other one that it was refused."""
    folders = [setting.certificates / f"party{number}" for number in (0, 1)]
    folders[party] = tls_folder(setting, party, wrong)
    options = [["--store", str(setting.store / f"party{p}"), "--timeout", str(UNDISTURBED)] for p in (0, 1)]
    options = [[*given, "--tls", str(folder)] for given, folder in zip(options, folders, strict=True)]
    programs = [setting.work.program / f"party{p}" for p in (0, 1)]
    logs = [setting.scratch / f"log{p}" for p in (0, 1)]
    shows = (entries.impostor, entries.party)
    server = start(logs[0], *shows, programs[0], ["--listen", "127.0.0.1:0", *options[0]])
    port = server.wait_for("listening on port").split()[-1]
    files = ["--input", str(setting.scratch / "x.npz"), "--output", str(setting.output("y"))]
    client = start(logs[1], *shows, programs[1], ["--connect", f"localhost:{port}", *files, *options[1]])
    assert (server.outcome(BAR), client.outcome(BAR)) == codes
    assert not setting.answered("y")
    assert all(set(setting.states(p).values()) == {"unused"} for p in (0, 1)), "a session was spent"


@pytest.mark.parametrize(
    ("tls", "codes"), [(False, {"MPC-R005", "MPC-R013"}), (True, {"MPC-R005", "MPC-R059"})]
)
@pytest.mark.parametrize("cut", [0, 1, 4])
def test_a_client_that_is_played_again(setting: Setting, tls: bool, codes: set[str], cut: int) -> None:
    """All that a client said, or all but the last messages, to a server that was started again.

    Without TLS nobody can tell a client from who repeats it before the handshake's end: a session that was
    offered may be spent on it, a fresh one.
    """
    name = setting.new_name()
    said: list[bytes] = []
    server, port = setting.serve(name, "--timeout", str(UNDISTURBED), tls=tls)
    with Relay(port, None, passed=lambda to, message: None if to else said.append(message)) as relay:
        client = setting.ask(name, relay.port, "--timeout", str(WAITING), tls=tls)
        assert (server.outcome(BAR), client.outcome(BAR)) == ("done", "done")
    used = {i for i, state in setting.states(0).items() if state == "used"}
    server, port = setting.serve(setting.new_name(), "--timeout", str(WAITING), tls=tls)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"".join(said[: len(said) - cut]))
        code = server.outcome(BAR)
    assert code in codes
    now = {i for i, state in setting.states(0).items() if state == "used"}
    assert used == now if tls else used <= now
    opened = setting.opened()
    assert len(opened) == len(set(opened)) == 1 + len(now)


@pytest.mark.parametrize("party", [0, 1])
def test_a_store_that_was_set_back(setting: Setting, party: int) -> None:
    """The other party's store remembers: no session is used again, and the next one works."""
    store, copy = setting.store / f"party{party}", setting.scratch / "copy"
    shutil.copytree(store, copy)
    assert setting.run().server == "done"
    shutil.rmtree(store)
    shutil.copytree(copy, store)
    outcome = setting.run()
    assert (outcome.server, outcome.client, outcome.answered) == ("done", "done", True)
    opened = setting.opened()
    assert len(opened) == len(set(opened)) == 4
