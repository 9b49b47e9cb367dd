"""The mpcc command line, called as a user calls it: compile a model, run both parties, read the outputs."""

import argparse
import json
import shlex
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Result:
    """One run's outputs by name, and what it cost in words."""

    outputs: Tensors
    cost: str


@dataclass(frozen=True)
class Mpcc:
    """The command (its words), whether to simulate in the clear, and further options for `mpcc compile`."""

    command: tuple[str, ...]
    simulate: bool
    compile_options: tuple[str, ...]
    program: Path | None

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--program", type=Path, help="use this compiled program instead of compiling")
        parser.add_argument("--compile-options", default="", help='for `mpcc compile`, e.g. "--check-ranges"')
        parser.add_argument("--simulate", action="store_true", help="`mpcc simulate` instead of two parties")
        parser.add_argument("--mpcc", default="mpcc", help="the command to call (default: mpcc)")

    @staticmethod
    def from_arguments(arguments: argparse.Namespace) -> "Mpcc":
        return Mpcc(
            command=tuple(shlex.split(arguments.mpcc)),
            simulate=arguments.simulate,
            compile_options=tuple(shlex.split(arguments.compile_options)),
            program=arguments.program,
        )

    def prepare(self, model: Path, program: Path, calibration: Iterable[Tensors]) -> Path:
        """The given program, or `model` compiled to `program` with ranges taken from `calibration`."""
        if self.program is not None:
            return self.program
        with tempfile.TemporaryDirectory() as folder:
            options: list[str] = []
            for index, inputs in enumerate(calibration):
                path = Path(folder, f"{index:03d}.npz")
                np.savez(path, allow_pickle=False, **inputs)
                options += ["--calibrate", str(path)]
            self._call("compile", str(model), "-o", str(program), *options, *self.compile_options, show=True)
        return program

    def run(self, program: Path, inputs: Tensors) -> Result:
        """Both parties on this machine, in two processes; or the same program simulated in the clear."""
        with tempfile.TemporaryDirectory() as folder:
            source, target, report_path = (
                Path(folder, name) for name in ("input.npz", "output.npz", "report.json")
            )
            np.savez(source, allow_pickle=False, **inputs)
            files = ("--input", str(source), "--output", str(target))
            if self.simulate:
                self._call("simulate", str(program), *files)
                return Result(_load(target), "simulated in the clear")
            self._call("run", str(program), *files, "--report", str(report_path))
            report = json.loads(report_path.read_text())
            seconds, sent = report["seconds"]["online"], sum(report["bytes"]["online"].values())
            cost = f"{seconds:.2f} s, {report['rounds']} rounds, {sent / 1e6:.2f} MB online"
            return Result(_load(target), cost)

    def _call(self, *arguments: str, show: bool = False) -> None:
        try:
            done = subprocess.run(
                [*self.command, *arguments], capture_output=not show, text=True, check=False
            )
        except FileNotFoundError:
            raise SystemExit(
                f"command not found: {self.command[0]} (install mpcc, or name it with --mpcc)"
            ) from None
        if done.returncode != 0:
            raise SystemExit(f"mpcc {arguments[0]} failed\n{done.stderr or ''}".rstrip())


def _load(path: Path) -> Tensors:
    with np.load(path) as arrays:
        return dict(arrays)
