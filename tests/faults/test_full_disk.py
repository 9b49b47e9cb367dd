"""Disks that are full: a coded error, nothing half-written, and no session that might be used again."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import entries, works
from tests.faults.processes import Running, start
from tests.faults.setting import BAR, UNDISTURBED, Setting

LITTLE = 4000  # bytes that a file may have: less than any index, and enough for what a process says
TMPFS = 256 << 10  # bytes


def party(setting: Setting, name: str, number: int, limited: bool, *arguments: str) -> Running:
    """A party's process, or one that has little room."""
    options = ["--store", str(setting.store / f"party{number}"), "--timeout", str(UNDISTURBED), *arguments]
    call = (setting.work.party, setting.work.program / f"party{number}", options)
    if limited:
        return start(setting.scratch / f"{name}.{number}", entries.with_little_room, LITTLE, *call)
    return start(setting.scratch / f"{name}.{number}", *call, audit=setting.audit)


def run(setting: Setting, output: Path, limited: int | None = None) -> tuple[str, str]:
    """What became of both parties, of which one may have little room."""
    name = setting.new_name()
    server = party(setting, name, 0, limited == 0, "--listen", "127.0.0.1:0")
    port = server.wait_for("listening on port").split()[-1]
    files = ("--input", str(setting.scratch / "x.npz"), "--output", str(output))
    client = party(setting, name, 1, limited == 1, "--connect", f"localhost:{port}", *files)
    return server.outcome(BAR), client.outcome(BAR)


@pytest.mark.parametrize(("limited", "codes"), [(0, ("MPC-S011", "MPC-R008")), (1, ("MPC-R008", "MPC-S011"))])
def test_a_session_that_cannot_be_marked_is_not_used(
    tmp_path: Path, limited: int, codes: tuple[str, str]
) -> None:
    setting = Setting(tmp_path, 2)
    output = tmp_path / "y.npz"
    assert run(setting, output, limited) == codes
    assert not output.exists()
    assert set(setting.states(limited).values()) == {"unused"}
    assert run(setting, output) == ("done", "done")
    opened = setting.opened()
    assert len(opened) == len(set(opened))


@contextlib.contextmanager
def full_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own with no room left; skips the test where none can be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS}", "none", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        descriptor = os.open(folder / "filler", os.O_WRONLY | os.O_CREAT)
        with contextlib.suppress(OSError):
            while os.write(descriptor, bytes(4096)):
                pass
        os.close(descriptor)
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_an_answer_that_does_not_fit(tmp_path: Path) -> None:
    """It is lost, and with it its session; the server has done its part."""
    setting = Setting(tmp_path, 2)
    with full_disk(tmp_path / "full") as full:
        assert run(setting, full / "y.npz") == ("done", "MPC-R037")
        assert os.listdir(full) == ["filler"]
    for party in (0, 1):
        assert sorted(setting.states(party).values()) == ["unused", "used"]


@pytest.mark.parametrize("room", [LITTLE, 20_000])
def test_stores_that_do_not_fit(tmp_path: Path, room: int) -> None:
    program = works.compiled(tmp_path).program
    arguments = [str(program), "--sessions", "3", "-o", str(tmp_path / "store")]
    dealer = start(tmp_path / "dealer", entries.with_little_room, room, entries.deal, arguments)
    assert dealer.outcome(BAR) == "MPC-S011"
    assert not (tmp_path / "store").exists()
    assert not list(tmp_path.glob(".*"))


def test_stores_on_a_full_disk(tmp_path: Path) -> None:
    program = works.compiled(tmp_path).program
    with full_disk(tmp_path / "full") as full:
        arguments = [str(program), "--sessions", "3", "-o", str(full / "store")]
        assert start(tmp_path / "dealer", entries.deal, arguments).outcome(BAR) == "MPC-S011"
        assert os.listdir(full) == ["filler"]
