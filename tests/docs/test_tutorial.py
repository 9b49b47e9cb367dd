"""The tutorial's commands as they stand there: each machine is a folder that gets what is copied to it."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from tests.runtime.party_processes import quiet_port

PAGE = Path(__file__).parents[2] / "docs/tutorial.md"
SERVICES = {"dealer", "serve"}
BLOCKS = re.compile(r"(?:into `(?P<file>\w+\.py)`[^`]*)?```(?P<kind>python|console)\n(?P<text>.*?)```", re.S)


class Machines:
    """you, dealer, server and client; all are called localhost here."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._services: list[subprocess.Popen[str]] = []
        self._kept = ExitStack()
        self._ports = {port: str(self._kept.enter_context(quiet_port())) for port in ("7000", "7001", "7100")}
        self.said: list[str] = []
        for name in ("you", "dealer", "server", "client"):
            (scratch / name).mkdir()

    def here(self, text: str) -> str:
        """The text with names and ports of this machine."""
        text = re.sub(r"\b(?:\w+\.example|0\.0\.0\.0)\b", "localhost", text)
        return re.sub("|".join(self._ports), lambda match: self._ports[match[0]], text)

    def run(self, machine: str, command: str, files: dict[str, str]) -> None:
        words = shlex.split(command)
        if words[0] in ("ssh", "scp"):
            self._copy(words)
            return
        if words[0] == "python":
            (self._scratch / machine / words[1]).write_text(self.here(files[words[1]]))
        words = shlex.split(self.here(command))
        prefix = {"python": [sys.executable], "mpcc": [sys.executable, "-m", "mpcc.compiler.cli"]}[words[0]]
        arguments = [*prefix, *words[1:]]
        if words[1] in SERVICES:
            self._start(machine, arguments)
            return
        done = subprocess.run(
            arguments, cwd=self._scratch / machine, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        self.said.append(done.stdout)

    def stop(self) -> None:
        for service in self._services:
            service.terminate()
            service.communicate(timeout=60)
            assert service.returncode == 0, service.args
        self._kept.close()

    def _start(self, machine: str, arguments: list[str]) -> None:
        service = subprocess.Popen(arguments, cwd=self._scratch / machine, stderr=subprocess.PIPE, text=True)
        self._services.append(service)
        assert service.stderr
        lines = iter(service.stderr.readline, "")
        assert any("listening" in line for line in lines), arguments

    def _copy(self, words: list[str]) -> None:
        """ssh HOST mkdir NAME, or scp [-r] SOURCE... HOST:TARGET."""
        if words[0] == "ssh":
            (self._scratch / words[1].removesuffix(".example") / words[3]).mkdir()
            return
        sources = [self._scratch / "you" / word for word in words[1:-1] if word != "-r"]
        host, _, target = words[-1].partition(":")
        place = self._scratch / host.removesuffix(".example") / target
        for source in sources:
            (shutil.copytree if source.is_dir() else shutil.copy)(source, place)


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    machines = Machines(tmp_path)
    yield machines
    machines.stop()


@pytest.mark.slow
def test_the_tutorial(machines: Machines, tmp_path: Path) -> None:
    files: dict[str, str] = {}
    machines_seen = set()
    for block in BLOCKS.finditer(PAGE.read_text(encoding="utf-8")):
        if block["kind"] == "python":
            files[block["file"]] = block["text"]
            continue
        for line in block["text"].splitlines():
            machine, _, command = line.partition("$ ")
            machines_seen.add(machine)
            machines.run(machine, command, files)
    assert machines_seen == {"you", "dealer", "server", "client"}
    with np.load(tmp_path / "client/y.npz") as secure, np.load(tmp_path / "you/y.npz") as tried:
        assert secure["logits"].argmax() == tried["logits"].argmax()
        np.testing.assert_allclose(secure["logits"], tried["logits"], atol=0.05)
        assert f"the digit is {secure['logits'].argmax()}\n" in machines.said
        with np.load(tmp_path / "client/made.npz") as made:
            np.testing.assert_allclose(made["logits"], tried["logits"], atol=0.05)
    assert not list((tmp_path / "client").rglob("weights*"))
    assert not list((tmp_path / "dealer").rglob("weights*"))
