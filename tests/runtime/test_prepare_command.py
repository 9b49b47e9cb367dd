"""`mpcc prepare` and the commands around it: which goes with a program's source of correlations."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime import client
from mpcc.runtime.commands import deal, dealer, infer, party, prepare, serve
from tests.runtime.fake_program import FakeProgram, build_program, write_input


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a program of each source."""
    for source in ("dealer", "two-party"):
        build_program(tmp_path / source, source=source)
    write_input(tmp_path / "x.npz")
    return tmp_path


def code_of(capfd: pytest.CaptureFixture[str], exit_code: int) -> str:
    """The error code that was said, or that of a wrong command line."""
    text = capfd.readouterr().err
    if exit_code == 2:
        assert "Usage: mpcc" in text
        return "usage"
    assert exit_code == 1
    (code,) = re.findall(r"error\[(MPC-\w+)\]", text)
    return str(code)


@pytest.mark.parametrize(
    ("program", "arguments", "code"),
    [
        ("two-party/party1", "--dealer :1", "MPC-R074"),
        ("two-party/party0", "--dealer :1 --listen :2", "MPC-R074"),
        ("two-party/party1", "--listen :1", "usage"),
        ("two-party/party0", "--connect :1", "usage"),
        ("two-party/party0", "", "usage"),
        ("two-party/party0", "--listen :1 --keep", "usage"),
        ("dealer/party1", "--connect :1", "MPC-R075"),
        ("dealer/party0", "--listen :1", "MPC-R075"),
        ("dealer/party1", "", "usage"),
        ("dealer/party1", "--dealer :1 --connect :1", "usage"),
    ],
)
def test_prepare(
    folder: Path, capfd: pytest.CaptureFixture[str], program: str, arguments: str, code: str
) -> None:
    store = folder / "store"
    said = prepare.main([str(folder / program), *arguments.split(), "--store", str(store)], FakeProgram)
    assert code_of(capfd, said) == code
    assert not store.exists()


def test_prepare_needs_a_store(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    said = prepare.main([str(folder / "two-party/party0"), "--listen", ":1"], FakeProgram)
    assert code_of(capfd, said) == "usage"


def test_no_dealer_where_there_is_none(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    program, store = str(folder / "two-party"), ["--store", str(folder / "store")]
    ask = ["--connect", ":1", "--input", str(folder / "x.npz"), "--dealer", ":2"]
    said = [
        deal.main([program, "--sessions", "1", "-o", str(folder / "stores")]),
        dealer.main([program, "--listen", "127.0.0.1:0", "--state", str(folder / "state")]),
        infer.main([f"{program}/party1", *ask], FakeProgram),
        serve.main([f"{program}/party0", "--listen", ":1", "--dealer", ":2", *store], FakeProgram),
    ]
    assert said == [1] * 4
    assert re.findall(r"error\[(MPC-\w+)\]", capfd.readouterr().err) == ["MPC-R074"] * 4
    with pytest.raises(MpccError) as caught:
        client.connect(":1", f"{program}/party1", folder / "store", dealer=":2")
    assert caught.value.code == "MPC-R074"
    assert not {"store", "stores", "state"} & {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("number", [0, 1])
def test_a_store_where_there_is_a_dealer(
    folder: Path, capfd: pytest.CaptureFixture[str], number: int
) -> None:
    files = ["--input", str(folder / "x.npz"), "--output", str(folder / "y.npz")]
    arguments = ["--listen", "127.0.0.1:0"] if number == 0 else ["--connect", ":1", *files]
    assert party.main(folder / f"dealer/party{number}", arguments, FakeProgram) == 2
    assert "Missing option '--store'" in capfd.readouterr().err
