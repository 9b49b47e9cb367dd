"""The bad-input bar: a coded error on every side in bounded time, nothing is left running or half-written."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.runtime.fake_program import INPUT, build_program, deal, write_input
from tests.runtime.party_processes import BAR, BRIEF, Parties, quiet_port

ALONE = ("--timeout", "0.5")  # for a party whose peer cannot come
Change = Callable[[Path], object]


def set_up(scratch: Path, steps: tuple[str, str] = ("linear", "linear")) -> Parties:
    program = build_program(scratch / "prog", steps)
    deal(program, 1, scratch / "store")
    write_input(scratch / "x.npz")
    return Parties(scratch, program)


@pytest.fixture(autouse=True)
def nothing_half_written(tmp_path: Path) -> Iterator[None]:
    """No output appears, nothing partial is left, and the whole case took less than the bar."""
    started = time.monotonic()
    yield
    assert not (tmp_path / "y.npz").exists()
    assert list(tmp_path.rglob("*.partial")) == []
    assert time.monotonic() - started < BAR


def flip(name: str, place: float = 0.5) -> Change:
    def change(scratch: Path) -> None:
        contents = bytearray((scratch / name).read_bytes())
        contents[int(len(contents) * place)] ^= 1
        (scratch / name).write_bytes(contents)

    return change


def truncate(name: str) -> Change:
    return lambda scratch: os.truncate(scratch / name, (scratch / name).stat().st_size // 2)


def cut(name: str) -> Change:
    """Only its last byte."""
    return lambda scratch: os.truncate(scratch / name, (scratch / name).stat().st_size - 1)


def remove(name: str) -> Change:
    return lambda scratch: (scratch / name).unlink()


def inputs(**arrays: object) -> Change:
    return lambda scratch: np.savez(scratch / "x.npz", **arrays)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (flip("prog/party0/program.mpc"), "MPC-R023"),
        (truncate("prog/party0/program.mpc"), "MPC-R023"),
        (flip("prog/party0/weights.safetensors"), "MPC-R023"),
        (truncate("prog/party0/weights.safetensors"), "MPC-R023"),
        (remove("prog/party0/weights.safetensors"), "MPC-R022"),
        (flip("prog/party0/manifest.json"), "MPC-R021"),
        (truncate("prog/party0/manifest.json"), "MPC-R021"),
        (remove("prog/party0/manifest.json"), "MPC-R020"),
        (flip("store/party0/index.sqlite", place=0), "MPC-S002"),
        (remove("store/party0/index.sqlite"), "MPC-S001"),
    ],
)
def test_a_server_that_cannot_start(tmp_path: Path, change: Change, code: str) -> None:
    """The client meanwhile finds nobody listening."""
    with set_up(tmp_path).running() as parties, quiet_port() as port:
        change(tmp_path)
        client = parties.ask(port, *ALONE)
        assert parties.start_server().error() == code
        assert client.error() == "MPC-R003"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (flip("prog/party1/program.mpc"), "MPC-R023"),
        (truncate("prog/party1/manifest.json"), "MPC-R021"),
        (truncate("store/party1/index.sqlite"), "MPC-S002"),
        (remove("x.npz"), "MPC-R030"),
        (truncate("x.npz"), "MPC-R030"),
        (inputs(), "MPC-R031"),
        (inputs(x=INPUT, z=INPUT), "MPC-R032"),
        (inputs(x=INPUT[1:]), "MPC-R033"),
        (inputs(x=INPUT.astype(np.int32)), "MPC-R034"),
        (inputs(x=INPUT * 1000), "MPC-R036"),
        (lambda scratch: (scratch / "y.npz").symlink_to(scratch), "MPC-R037"),
    ],
)
def test_a_client_that_cannot_start(tmp_path: Path, change: Change, code: str) -> None:
    """The server meanwhile waits for it, for as long as it was told to."""
    with set_up(tmp_path).running() as parties:
        change(tmp_path)
        server, port = parties.serve(*ALONE)
        assert parties.ask(port).error() == code
        assert server.error() == "MPC-R002"
    (tmp_path / "y.npz").unlink(missing_ok=True)


@pytest.mark.parametrize("party", [0, 1])
@pytest.mark.parametrize(("damage", "code"), [(flip, "MPC-S008"), (cut, "MPC-S008"), (remove, "MPC-S007")])
def test_a_damaged_session(tmp_path: Path, party: int, damage: Callable[[str], Change], code: str) -> None:
    with set_up(tmp_path).running() as parties:
        [file] = tmp_path.glob(f"store/party{party}/session-*")
        damage(str(file))(tmp_path)
        server, port = parties.serve()
        client = parties.ask(port)
        codes = (server.error(), client.error())
        assert codes[party] == code
        assert codes[1 - party] == "MPC-R008"


def test_an_exhausted_store(tmp_path: Path) -> None:
    with set_up(tmp_path).running() as parties:
        server, port = parties.serve()
        assert parties.ask(port).end()[0] == 0
        assert server.end()[0] == 0
        parties.output.unlink()
        assert parties.start_server().error() == "MPC-S006"
        assert parties.ask(port).error() == "MPC-S006"


def test_a_port_in_use(tmp_path: Path) -> None:
    with set_up(tmp_path).running() as parties, socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        assert parties.start_server(address=address).error() == "MPC-R001"


def test_a_peer_that_never_comes(tmp_path: Path) -> None:
    with set_up(tmp_path).running() as parties, quiet_port() as port:
        client = parties.ask(port, *ALONE)
        server, _ = parties.serve(*ALONE)
        assert server.error() == "MPC-R002"
        assert client.error() == "MPC-R003"


def test_a_peer_that_says_nothing(tmp_path: Path) -> None:
    with set_up(tmp_path).running() as parties, socket.create_server(("127.0.0.1", 0)) as silent:
        assert parties.ask(silent.getsockname()[1], *ALONE).error() == "MPC-R005"


def test_different_programs(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with (
        set_up(tmp_path).running() as parties,
        set_up(tmp_path / "other", ("linear", "linear linear")).running() as others,
    ):
        server, port = parties.serve()
        assert others.ask(port).error() == "MPC-R011"
        assert server.error() == "MPC-R011"
    assert not others.output.exists()


def test_two_servers(tmp_path: Path) -> None:
    with set_up(tmp_path).running() as parties:
        _, port = parties.serve()
        assert parties.start_server(address=f"127.0.0.1:{port}").error() == "MPC-R001"


@pytest.mark.parametrize("killed", [0, 1])
def test_a_peer_killed_in_mid_run(tmp_path: Path, killed: int) -> None:
    """The killed party is inside its program; the other one waits for its message."""
    steps = ("hang linear", "linear") if killed == 0 else ("linear", "hang linear")
    with set_up(tmp_path, steps).running() as parties:
        server, port = parties.serve()
        client = parties.ask(port)
        wait_until_taken(tmp_path)
        both = (server, client)
        both[killed].process.kill()
        assert both[1 - killed].error() == "MPC-R004"
        assert both[killed].end()[0] == -9


@pytest.mark.parametrize("hanging", [0, 1])
def test_a_peer_that_hangs_in_mid_run(tmp_path: Path, hanging: int) -> None:
    steps = ("hang linear", "linear") if hanging == 0 else ("linear", "hang linear")
    with set_up(tmp_path, steps).running() as parties:
        server, port = parties.serve()
        client = parties.ask(port, "--timeout", str(BRIEF))  # then the server does not wait longer, either
        both = (server, client)
        assert both[1 - hanging].error() == "MPC-R005"
        both[hanging].process.terminate()
        assert both[hanging].error() == "MPC-R041"


@pytest.mark.parametrize("interrupted", [0, 1])
def test_a_peer_interrupted_in_mid_run(tmp_path: Path, interrupted: int) -> None:
    steps = ("hang linear", "linear") if interrupted == 0 else ("linear", "hang linear")
    with set_up(tmp_path, steps).running() as parties:
        server, port = parties.serve()
        client = parties.ask(port)
        wait_until_taken(tmp_path)
        both = (server, client)
        both[interrupted].process.terminate()
        assert both[interrupted].error() == "MPC-R041"
        assert both[1 - interrupted].error() == "MPC-R008"


@pytest.mark.parametrize(
    ("steps", "codes"),
    [
        (("crash", "linear"), ("MPC-R042", "MPC-R008")),
        (("linear", "crash"), ("MPC-R008", "MPC-R042")),
        (("lie", "linear"), ("MPC-R008", "MPC-R006")),
        (("linear", "lie"), ("MPC-R006", "MPC-R008")),
    ],
)
def test_a_party_that_fails_in_mid_run(
    tmp_path: Path, steps: tuple[str, str], codes: tuple[str, str]
) -> None:
    with set_up(tmp_path, steps).running() as parties:
        server, port = parties.serve()
        client = parties.ask(port)
        assert (server.error(), client.error()) == codes


def wait_until_taken(scratch: Path) -> None:
    """Both parties have opened their session, and removed its file."""
    deadline = time.monotonic() + BAR
    while list((scratch / "store").rglob("session-*")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
