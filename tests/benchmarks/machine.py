"""Where and with what something was measured."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from mpcc.runtime import kernels
from tests.benchmarks.rows import ROOT


def machine() -> str:
    """Cores, instruction set, memory and versions."""
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return (
        f"{os.cpu_count()} cores, {kernels.isa()}, {gigabytes:.0f} GB; Python {platform.python_version()}, "
        f"NumPy {np.__version__}, onnxruntime {onnxruntime.__version__}"
    )


def processor() -> str:
    """The processor and the kernel."""
    names = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M)
    return f"{names[0] if names else platform.machine()}, Linux {platform.release()}"


def commit() -> str:
    """Of the repository; `+ changes` where files differ from it."""
    command = ["git", "describe", "--always", "--dirty= + changes", "--exclude=*"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def available_memory() -> float:
    """Bytes that this machine has left."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return next(float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


@dataclass
class Others:
    """How many cores everything but this process and its children keeps busy, from `watch` to `cores`; what
    the hypervisor takes is counted.
    """

    _started: tuple[float, float, float]

    @classmethod
    def watch(cls) -> Others:
        return cls(_seconds())

    def cores(self) -> float:
        """Children that have not ended are taken for others'."""
        elapsed, busy, own = (b - a for a, b in zip(self._started, _seconds(), strict=True))
        return max(busy - own, 0.0) / elapsed


def _seconds() -> tuple[float, float, float]:
    """The clock, all processes' time and our own."""
    first = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0]
    user, nice, system, _, _, _, _, steal = (int(word) for word in first.split()[1:9])
    own = os.times()
    ticks = (user + nice + system + steal) / os.sysconf("SC_CLK_TCK")
    return time.perf_counter(), ticks, own.user + own.system + own.children_user + own.children_system
