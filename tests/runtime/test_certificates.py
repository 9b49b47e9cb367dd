"""`mpcc certificates`, and the two parties with what it makes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cryptography import x509

from mpcc.runtime.commands import certificates, party
from mpcc.runtime.transport.tls import Role
from tests.runtime.certificate_folders import secured
from tests.runtime.fake_program import INPUT, WEIGHTS, build_program, deal, write_input
from tests.runtime.party_processes import Parties
from tests.runtime.test_tls import meet

FILES = {"certificate.pem", "key.pem", "authority.pem"}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = tmp_path / "new" / "certificates"
    hosts = (
        "--host",
        "Server.Example",
        "--host",
        "10.0.0.1",
        "--host",
        "2001:db8::1",
        "--host",
        "bücher.example",
    )
    assert certificates.main(["-o", str(folder), *hosts, "--days", "2"]) == 0
    return folder


def test_a_folder_for_each_role_and_one_for_the_authority(made: Path) -> None:
    assert {path.name for path in made.iterdir()} == {"party0", "party1", "dealer", "authority"}
    for role in Role:
        assert {path.name for path in (made / role).iterdir()} == FILES
        assert secured(made / role).tls.own.role is role  # type: ignore[union-attr]
    assert {path.name for path in (made / "authority").iterdir()} == {"certificate.pem", "key.pem"}


def test_private_keys_are_their_owner_s(made: Path) -> None:
    keys = list(made.rglob("key.pem"))
    assert [key.stat().st_mode & 0o777 for key in keys] == [0o600] * 4
    assert [key.parent.stat().st_mode & 0o777 for key in keys] == [0o700] * 4
    assert len({key.read_bytes() for key in keys}) == 4


def test_the_names_it_was_given(made: Path) -> None:
    """A client finds them, whatever the case, and its own machine besides."""
    server, client = secured(made / "party0"), secured(made / "party1")
    assert meet(server, client, "localhost") == ("party1", "party0")
    names = certificate_names(made / "party0")
    for name in ("server.example", "10.0.0.1", "2001:db8::1", "xn--bcher-kva.example", "127.0.0.1"):
        assert name in names
    assert certificate_names(made / "party1") == []


def certificate_names(folder: Path) -> list[str]:
    certificate = x509.load_pem_x509_certificate((folder / "certificate.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [name.lower() for name in names.get_values_for_type(x509.DNSName)] + list(
        map(str, names.get_values_for_type(x509.IPAddress))
    )


def test_what_to_copy_where_is_said(made: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert certificates.main(["-o", str(tmp_path / "again")]) == 0
    said = capfd.readouterr().err
    for name in ("party0", "party1", "dealer", "authority"):
        assert str(tmp_path / "again" / name) in said


def test_nothing_is_overwritten(made: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in made.rglob("*.pem")}
    assert certificates.main(["-o", str(made)]) == 1
    assert "MPC-C010" in capfd.readouterr().err
    assert {path: path.read_bytes() for path in made.rglob("*.pem")} == before


def test_a_folder_that_cannot_be_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert certificates.main(["-o", str(tmp_path / "file" / "x")]) == 1
    assert "MPC-R061" in capfd.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["-o", "x", "--days", "0"],
        ["-o", "x", "--host", "http://server"],
        ["-o", "x", "--host", "server:7000"],
        ["-o", "x", "--host", ""],
        ["-o", "x", "--host", "-"],
        ["-o", "x", "--host", "a" * 70],
        ["-o", "x", "--host", "*.example"],
    ],
)
def test_wrong_command_lines(options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert certificates.main(options) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def parties(tmp_path: Path) -> Iterator[Parties]:
    program = build_program(tmp_path / "prog")
    deal(program, 2, tmp_path / "store")
    write_input(tmp_path / "x.npz")
    with Parties(tmp_path, program).running() as started:
        yield started


def test_a_session_over_tls(parties: Parties, certificates: Path, tmp_path: Path) -> None:
    """Of the two executables, with the counters of one without."""
    reports = []
    for number, (server_options, client_options) in enumerate(
        (
            ((), ()),
            (("--tls", str(certificates / "party0")), ("--tls", str(certificates / "party1"))),
        )
    ):
        names = [str(tmp_path / f"r{number}{role}.json") for role in (0, 1)]
        server, port = parties.serve("--report", names[0], *server_options)
        assert parties.ask(port, "--report", names[1], *client_options).end()[0] == 0
        assert server.end()[0] == 0
        with np.load(parties.output) as arrays:
            assert np.array_equal(arrays["y"], INPUT * WEIGHTS.astype(np.int64))
        reports.append([json.loads(Path(name).read_text()) for name in names])
    for role in (0, 1):
        plain, encrypted = reports[0][role], reports[1][role]
        for phase in ("setup", "online"):
            for counter in ("bytes_sent", "bytes_received", "rounds"):
                assert plain[phase][counter] == encrypted[phase][counter]


def test_a_party_with_the_other_s_folder(
    parties: Parties, certificates: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ["--listen", "127.0.0.1:0", "--store", str(parties.scratch / "store/party0")]
    assert party.main(parties.program / "party0", [*options, "--tls", str(certificates / "party1")]) == 1
    assert "MPC-R053" in capfd.readouterr().err


def test_one_side_without_tls(parties: Parties, certificates: Path) -> None:
    server, port = parties.serve("--tls", str(certificates / "party0"))
    client = parties.ask(port)
    assert (server.error(), client.error()) == ("MPC-R059", "MPC-R008")


def test_listening_everywhere_needs_tls_or_a_loud_option(parties: Parties) -> None:
    assert parties.start_server(address=":0").error() == "MPC-R050"
    server = parties.start_server("--insecure-plaintext", address=":0")
    assert "everybody on the network" in server.wait_for("warning")
    server.wait_for("listening on port")
