"""SPU 0.9.5 on one of the harness's works: two parties as processes, over TCP, in an environment of its own.

    python -m tests.benchmarks.peers.spu --work gelu [--protocol CHEETAH] [--network wan] [--repeats 5]
    python -m tests.benchmarks.peers.spu --list

From the repository root, in an environment with mpcc. Prints a JSON object a line; exits 3, with the reason
on stderr, where SPU cannot be installed. The first call makes build/peers/spu.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.harness.networks import NETWORKS
from tests.benchmarks.harness.relay import relay
from tests.benchmarks.peers import spu_environment
from tests.benchmarks.peers.spu_environment import NotInstallable
from tests.benchmarks.peers.spu_work import WORKS, write
from tests.benchmarks.rows import ROOT

SYSTEM = "SPU 0.9.5"
CACHED = ", weights opened before"  # of the system's name
SETTINGS = {
    "SEMI2K": "two parties, trusted first party: party 0 knows all correlations and makes them while it "
    "runs; offline material not counted",
    "CHEETAH": "two parties, nobody trusted: homomorphic encryption and oblivious transfer while it runs, "
    "all counted",
}
NOT_INSTALLABLE = 3  # an exit code


def free_ports(count: int) -> list[int]:
    """Of this machine, free a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports


@contextmanager
def reached(network: str, ports: Sequence[int]) -> Iterator[list[int]]:
    """The ports through which each party is reached."""
    shape = NETWORKS[network]
    if shape is None:
        yield list(ports)
        return
    with relay(shape, dict(enumerate(ports))) as shaped:
        yield [shaped[party] for party in range(len(ports))]


def measure(work: str, network: str, repeats: int, protocol: str) -> Iterator[dict[str, Any]]:
    """The lines of the output: with the server's matrices opened in every run and, where there are some,
    before the runs. Raises NotInstallable.
    """
    interpreter = spu_environment.python()
    with tempfile.TemporaryDirectory(prefix="mpcc-spu-") as folder:
        arrays = write(work, Path(folder))
        masked = protocol == "SEMI2K" and WORKS[work].matrices  # CHEETAH multiplies by the server's own
        for cached in (False, True) if masked else (False,):
            yield _session(interpreter, arrays, work, network, repeats, protocol, cached)


def _session(
    interpreter: Path, arrays: Path, work: str, network: str, repeats: int, protocol: str, cached: bool
) -> dict[str, Any]:
    wanted, listening = WORKS[work], free_ports(2)
    with reached(network, listening) as ports:
        command = [str(interpreter), "-P", "-m", "tests.benchmarks.peers.spu_session", str(arrays)]
        command += ["--model", wanted.model, "--heads", str(wanted.heads), "--repeats", str(repeats)]
        command += ["--protocol", protocol]
        command += ["--listening", *(f"127.0.0.1:{port}" for port in listening)]
        command += ["--reached", *(f"127.0.0.1:{port}" for port in ports)]
        command += ["--cached"] if cached else []
        environment = {"OMP_WAIT_POLICY": "passive", **os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"SPU failed on {work}\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    left_out = f"; {wanted.left_out} left out" if wanted.left_out else ""
    return {
        "system": f"{SYSTEM} {protocol}" + CACHED * cached,
        "work": work,
        "network": network,
        "seconds": statistics.median(found["all_seconds"]),
        **found,
        "setting": SETTINGS[protocol] + left_out,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure SPU 0.9.5 on a work of the harness.")
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--work", choices=WORKS, help="what to compute")
    wanted.add_argument("--list", action="store_true", help="print the works' names")
    parser.add_argument("--network", choices=NETWORKS, default="loopback", help="default: loopback")
    parser.add_argument(
        "--repeats", type=int, default=3, help="timed runs, after one that is not (default: 3)"
    )
    parser.add_argument("--protocol", choices=SETTINGS, default="SEMI2K", help="default: SEMI2K")
    options = parser.parse_args(arguments)
    if options.list:
        print("\n".join(WORKS))
        return
    if options.repeats < 1:
        parser.error("--repeats must be at least 1")
    try:
        for found in measure(options.work, options.network, options.repeats, options.protocol):
            print(json.dumps(found), flush=True)
    except NotInstallable as missing:
        print(missing, file=sys.stderr)
        raise SystemExit(NOT_INSTALLABLE) from missing


if __name__ == "__main__":
    main()
