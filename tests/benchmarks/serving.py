"""Sessions a second of `mpcc serve` with 1, 2, 4 and 8 clients at once, over TLS on loopback.

    python -m tests.benchmarks.serving                  the digit classifier
    python -m tests.benchmarks.serving PROG X.npz       a program and an input of yours

Each client is a process with an `mpcc.connect` of its own; all share one store. A session's overhead is what
`run` takes beyond its set-up and online phase: connection, handshake, marking the correlations used, checks.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import mpcc
from mpcc.compiler.text import table
from mpcc.runtime.dealing.offline import deal_sessions
from mpcc.runtime.transport.certificates import make_certificates
from tests.benchmarks.rows import ROOT

CLIENTS = (1, 2, 4, 8)
EACH = 6  # sessions of a client, after the first, which fetches what is kept of the weights
DIGITS = ROOT / "examples/digits"


@dataclass(frozen=True)
class Place:
    """What a client needs to ask the server."""

    address: str
    program: Path
    store: Path
    tls: Path
    input: Path


@dataclass(frozen=True)
class Asked:
    """One session as its client saw it: seconds of `run`, and of the two phases in it."""

    total: float
    phases: float


def client(place: Place, begin: float) -> list[Asked]:
    """One client's sessions; it begins when the clock (time.time) says so, with the others."""
    with np.load(place.input) as arrays:
        given = dict(arrays)
    asked = []
    with mpcc.connect(place.address, place.program, place.store, tls=place.tls, timeout=120) as session:
        inputs = {node.name: given[node.name] for node in session.get_inputs()}
        time.sleep(max(begin - time.time(), 0))
        for _ in range(EACH):
            started = time.perf_counter()
            session.run(None, inputs)
            total, report = time.perf_counter() - started, session.last_report
            asked.append(Asked(total, report["setup"]["seconds"] + report["online"]["seconds"]))
    return asked


def measured(place: Place, clients: int) -> tuple[str, ...]:
    """A row: clients, sessions a second, and medians of seconds a session and of their overhead."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(clients, context) as pool:
        begin = time.time() + 4 + clients  # they import and prepare the program
        runs = list(pool.map(client, [place] * clients, [begin] * clients))
        seconds = time.time() - begin
    asked = [one for run in runs for one in run]
    overhead = statistics.median(one.total - one.phases for one in asked)
    latency = statistics.median(one.total for one in asked)
    return str(clients), f"{len(asked) / seconds:.1f}", f"{latency:.3f}", f"{overhead:.3f}"


def benchmark(program: Path, inputs: Path, folder: Path) -> str:
    """The table, as Markdown."""
    deal_sessions(program, EACH * sum(CLIENTS) + EACH, folder / "store", lambda done, total: None)
    make_certificates(folder / "tls", (), 1)
    command = [sys.executable, "-m", "mpcc.compiler.cli", "serve", str(program / "party0"), "--events"]
    store = ["--store", str(folder / "store/party0"), "--tls", str(folder / "tls/party0")]
    room = ["--sessions", str(max(CLIENTS)), "--log", str(folder / "log")]
    server = subprocess.Popen(
        [*command, *store, *room, "--listen", "127.0.0.1:0"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    try:
        port = _port(folder / "log", server)
        place = Place(
            f"localhost:{port}", program / "party1", folder / "store/party1", folder / "tls/party1", inputs
        )
        client(place, 0)
        rows = [measured(place, clients) for clients in CLIENTS]
    finally:
        server.terminate()
        server.wait()
    return table(("clients", "sessions/s", "seconds a session", "of them overhead"), rows)


def _port(log: Path, server: subprocess.Popen[bytes]) -> int:
    while server.poll() is None:
        for line in log.read_text().splitlines() if log.exists() else ():
            entry = json.loads(line)
            if entry["event"] == "listening":
                return int(entry["port"])
        time.sleep(0.05)
    raise SystemExit("the server has ended")


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("program", type=Path, nargs="?", metavar="PROG")
    parser.add_argument("input", type=Path, nargs="?", metavar="X.npz")
    options = parser.parse_args(arguments)
    if (options.program is None) != (options.input is None):
        parser.error("give PROG and X.npz, or neither")
    with tempfile.TemporaryDirectory(prefix="mpcc-serving-") as name:
        folder = Path(name)
        program, inputs = options.program, options.input
        if program is None:
            program, inputs = folder / "program", DIGITS / "sample.npz"
            command = [sys.executable, "-m", "mpcc.compiler.cli", "compile", str(DIGITS / "digits.onnx")]
            batches = ["--calibrate", str(DIGITS / "digits_calibration.npz")]
            subprocess.run([*command, *batches, "-o", str(program)], check=True, stdout=subprocess.DEVNULL)
        print(benchmark(program, inputs, folder))


if __name__ == "__main__":
    main(sys.argv[1:])
