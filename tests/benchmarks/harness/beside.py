"""SPU on the same work in the same call, where it can be installed."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.benchmarks.harness.measure import Watch
from tests.benchmarks.harness.results import PeerResult
from tests.benchmarks.peers.spu import NOT_INSTALLABLE
from tests.benchmarks.peers.spu_environment import NotInstallable
from tests.benchmarks.rows import ROOT

COMMAND = "tests.benchmarks.peers.spu"


def measure_spu(work: str, network: str, repeats: int, protocol: str = "SEMI2K") -> list[PeerResult]:
    """One for every line that the command prints. Raises NotInstallable."""
    watch = Watch()
    arguments = ("--work", work, "--network", network, "--repeats", str(repeats), "--protocol", protocol)
    done = subprocess.run(
        [sys.executable, "-m", COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode == NOT_INSTALLABLE:
        raise NotInstallable(done.stderr.strip().splitlines()[-1])
    if done.returncode:
        raise SystemExit(f"{COMMAND} {' '.join(arguments)} failed\n{done.stdout}{done.stderr}")
    conditions = watch.conditions()
    return [
        PeerResult(
            system=found["system"],
            work=work,
            network=network,
            seconds=tuple(found["all_seconds"]),
            bytes=tuple(found["bytes"]),
            rounds=found["rounds"],
            max_error=found["max_error"],
            memory=tuple(found["peak_memory_bytes"]),
            setting=found["setting"],
            conditions=conditions,
        )
        for found in map(json.loads, done.stdout.splitlines())
    ]
