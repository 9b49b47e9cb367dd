"""A campaign: many executions of one target in several processes, started again where one dies."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import corpus
from tests.fuzz.findings import CRASHES
from tests.fuzz.target import Target

WORK = Path(__file__).parents[2] / "build" / "fuzz"
EXECUTION_SECONDS = 60  # after which a process that waits or computes in native code is ended
PROCESS_MEBIBYTES = 3000
_STATUS = re.compile(r"^#(\d+)\s.*?\bcov: (\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Result:
    """What a campaign did. `edges` are those of the process that reached most."""

    executions: int
    seconds: float
    edges: int
    corpus: int
    findings: int


def run_campaign(target: Target, runs: int, seconds: int, processes: int) -> Result:
    """Search until so many executions are done or, unless 0, so many seconds are over."""
    folder = WORK / target.name
    found = folder / "corpus"
    corpus.write(found, corpus.read(target.name).values())
    corpus.write(found, target.seeds())
    before = _findings(target)
    started = time.monotonic()
    workers = [_Worker(target.name, folder, number, -(-runs // processes)) for number in range(processes)]
    deadline = started + seconds if seconds else None
    while sum(worker.advance(deadline) for worker in workers):
        time.sleep(0.5)
    return Result(
        executions=sum(worker.executions for worker in workers),
        seconds=time.monotonic() - started,
        edges=max(worker.edges for worker in workers),
        corpus=len(list(found.iterdir())),
        findings=len(_findings(target) - before),
    )


class _Worker:
    """One process after the other, until their executions add up."""

    def __init__(self, target: str, folder: Path, number: int, runs: int) -> None:
        self.edges = 0
        self._target = target
        self._folder = folder
        self._log = folder / f"worker{number}.log"
        self._runs = runs
        self._done = 0  # by processes that have ended
        self._current = 0
        self._over = False
        self._process = self._started()

    @property
    def executions(self) -> int:
        return self._done + self._current

    def advance(self, deadline: float | None) -> bool:
        """Look after the process; False when all is done."""
        if self._over:
            return False
        status = self._process.poll()
        self._read_log()
        over = deadline is not None and time.monotonic() > deadline
        if status is None:
            if over:
                self._process.terminate()
                self._process.wait()
                self._over = True
            return not over
        self._done, self._current = self._done + self._current, 0
        if status:
            self._keep_artifacts()
        self._over = over or self._done >= self._runs
        if not self._over:
            self._process = self._started()
        return not self._over

    def _started(self) -> subprocess.Popen[bytes]:
        artifacts = self._folder / "artifacts"
        artifacts.mkdir(parents=True, exist_ok=True)
        options = (
            f"-runs={self._runs - self._done}",
            f"-timeout={EXECUTION_SECONDS}",
            f"-rss_limit_mb={PROCESS_MEBIBYTES}",
            f"-artifact_prefix={artifacts}/",
            "-print_final_stats=1",
            "-len_control=0",
        )
        command = (sys.executable, "-m", "tests.fuzz.worker", self._target, *options, self._folder / "corpus")
        with self._log.open("wb") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _read_log(self) -> None:
        matches = _STATUS.findall(self._log.read_text(errors="replace"))
        if matches:
            self._current, self.edges = int(matches[-1][0]), max(self.edges, int(matches[-1][1]))

    def _keep_artifacts(self) -> None:
        """What ended a process: a crash in native code, no end, or too much memory."""
        for path in (self._folder / "artifacts").iterdir():
            CRASHES.joinpath(self._target).mkdir(parents=True, exist_ok=True)
            shutil.move(path, CRASHES / self._target / f"native-{path.name[:24]}")
            log = self._log.read_text(errors="replace")
            (CRASHES / self._target / f"native-{path.name[:24]}.txt").write_text(log[-4000:])


def _findings(target: Target) -> set[Path]:
    return set((CRASHES / target.name).glob("*.txt"))
