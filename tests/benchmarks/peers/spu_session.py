"""Compiles a work for SPU, shares its inputs, runs both parties as processes and prints what they measured.

Called by tests.benchmarks.peers.spu with SPU's interpreter, in an environment without mpcc.
"""

from __future__ import annotations

import argparse
import json
import pickle
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import spu
from spu import libspu
from spu.experimental import make_cached_var
from spu.utils import frontend

from tests.benchmarks.peers import spu_models, spu_party

PARTIES = (0, 1)
UNOWNED = -1
PACKAGES = ("spu", "jax", "jaxlib", "numpy")
TRAFFIC = re.compile(r"Link details: total send bytes (\d+), recv bytes \d+, send actions (\d+)")

Arrays = dict[str, np.ndarray]


def compile_function(
    function: Callable[..., Any], operands: Sequence[Any], names: Sequence[str], results: Sequence[str]
) -> libspu.Executable:
    """For secret operands, whose arrays `names` names in jax's order."""
    secret = [libspu.Visibility.VIS_SECRET] * len(names)
    program, _ = frontend.compile(
        frontend.Kind.JAX, function, operands, {}, names, secret, lambda found: list(results)
    )
    return program


def write_parties(
    folder: Path,
    programs: dict[str, libspu.Executable],
    operands: Sequence[Sequence[np.ndarray]],
    protocol: str,
) -> spu.Io:
    """Each party's programs and shares; `operands` are the server's weights and the client's inputs.

    Weights are declared as the server's. Inputs are not as the client's: SPU would compute on them in the
    clear what needs nothing else.
    """
    io = spu.Io(len(PARTIES), spu_party.configuration(protocol))
    folders = [folder / str(party) for party in PARTIES]
    for party in folders:
        party.mkdir()
        for name, program in programs.items():
            (party / name).write_bytes(program.SerializeToString())
    weights, inputs = operands
    for owner, arrays in ((UNOWNED, inputs), (0, weights)):
        for array in arrays:
            shares = io.make_shares(np.ascontiguousarray(array), libspu.Visibility.VIS_SECRET, owner)
            for party, share in zip(folders, shares, strict=True):
                with (party / spu_party.SHARES).open("ab") as file:
                    pickle.dump(share, file)
    return io


def run_parties(folder: Path, options: argparse.Namespace) -> None:
    """The options' `listening` and `reached` are the parties' own addresses, and those that the other one
    connects to.
    """
    processes = []
    for party in PARTIES:
        addresses = [options.listening[i] if i == party else options.reached[i] for i in PARTIES]
        words = ("--rank", str(party), "--repeats", str(options.repeats), "--protocol", options.protocol)
        command = [sys.executable, "-P", "-m", spu_party.__name__, str(folder / str(party)), *words]
        command += ["--addresses", *addresses]
        processes.append(subprocess.Popen(command, stdout=sys.stderr))
    try:
        while None in (codes := [process.poll() for process in processes]) and not any(codes):
            time.sleep(0.1)
        if any(codes):  # the other one would wait for it
            raise SystemExit("a party of SPU failed")
    finally:
        for process in processes:
            process.kill()


def traffic(log: Path, repeats: int) -> tuple[int, int]:
    """Bytes sent and messages sent by a timed run, on average: they are the same in all, but for the runs in
    which CHEETAH extends its oblivious transfers.
    """
    runs = TRAFFIC.findall(log.read_text(encoding="utf-8"))[-repeats:]
    sent, messages = (sum(map(int, numbers)) for numbers in zip(*runs, strict=True))
    return round(sent / len(runs)), round(messages / len(runs))


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    with np.load(options.arrays) as file:
        arrays = {name: file[name] for name in file.files}
    expected = arrays.pop("y")
    inputs = {name: np.squeeze(arrays[name]) for name in sorted(arrays) if not name.startswith("w")}
    weights = {name: arrays[name] for name in sorted(arrays) if name.startswith("w")}
    function = spu_models.build(options.model, options.heads, len(weights))
    names = [*inputs, *weights]
    programs = {spu_party.PROGRAM: compile_function(function, [inputs, list(weights.values())], names, ["y"])}
    if options.cached:
        matrices = [name for name, array in weights.items() if array.ndim == 2]
        operands = [[weights[name] for name in matrices]]
        programs[spu_party.CACHING] = compile_function(cache, operands, matrices, matrices)
    io = write_parties(folder, programs, [list(weights.values()), list(inputs.values())], options.protocol)
    run_parties(folder, options)
    folders = [folder / str(party) for party in PARTIES]
    result = io.reconstruct([pickle.loads((party / spu_party.RESULT).read_bytes()) for party in folders])
    times = [json.loads((party / spu_party.TIMES).read_text(encoding="ascii")) for party in folders]
    counted = [traffic(party / spu_party.LOG, options.repeats) for party in folders]
    return {
        "all_seconds": [max(runs) for runs in zip(*(party["seconds"] for party in times), strict=True)],
        "bytes": [sent for sent, _ in counted],
        "rounds": max(messages for _, messages in counted),
        "max_error": float(np.abs(result.reshape(expected.shape) - expected).max()),
        "peak_memory_bytes": [party["memory"] for party in times],
        "versions": {name: version(name) for name in PACKAGES},
    }


def cache(weights: list[Any]) -> list[Any]:
    """A cached operand of a product is opened, masked, at its first use only."""
    return [make_cached_var(weight) for weight in weights]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure a work on SPU's two parties.")
    parser.add_argument("arrays", type=Path, help="x, y and the weights, as npz")
    parser.add_argument("--model", required=True)
    parser.add_argument("--heads", type=int, required=True)
    parser.add_argument("--listening", nargs=2, required=True, help="address of each party")
    parser.add_argument("--reached", nargs=2, required=True, help="where the other one connects to")
    parser.add_argument("--repeats", type=int, required=True)
    parser.add_argument("--protocol", choices=spu_party.PROTOCOLS, required=True)
    parser.add_argument("--cached", action="store_true", help="open weight matrices before the timed runs")
    with tempfile.TemporaryDirectory(prefix="mpcc-spu-") as folder:
        print(json.dumps(measure(parser.parse_args(arguments), Path(folder))))


if __name__ == "__main__":
    main()
