"""A virtual environment with SPU, whose pins contradict those of mpcc: build/peers/spu, made once."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

from tests.benchmarks.rows import ROOT

FOLDER = ROOT / "build/peers/spu"
REQUIREMENTS = Path(__file__).with_name("spu_requirements.txt")
PYTHONS = ("python3.11", "python3.10")  # that it has wheels for
CHECK = "import spu; spu.check_cpu_feature()"


class NotInstallable(Exception):
    """Why SPU cannot run here, in a line."""


def python() -> Path:
    """The environment's interpreter. Raises NotInstallable."""
    interpreter, pins = FOLDER / "bin/python", FOLDER / REQUIREMENTS.name
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    with FOLDER.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests in several processes want it at the same time
        if pins.exists() and pins.read_text(encoding="utf-8") == wanted:
            return interpreter
        shutil.rmtree(FOLDER, ignore_errors=True)
        _call(_base(), "-m", "venv", str(FOLDER))
        pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1")
        _call(str(interpreter), *pip, "--requirement", str(REQUIREMENTS))
        _call(str(interpreter), "-c", CHECK)
        pins.write_text(wanted, encoding="utf-8")  # last: an interrupted installation is made anew
        return interpreter


def _base() -> str:
    for name in PYTHONS:
        found = shutil.which(name)
        if found and not subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode:
            return found
    raise NotInstallable(f"SPU 0.9.5 needs {' or '.join(PYTHONS)}, which this machine does not have")


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        reasons = [line for line in lines if line.startswith("ERROR")] or lines
        raise NotInstallable(f"SPU 0.9.5 cannot be installed: {reasons[-1].strip()}")
