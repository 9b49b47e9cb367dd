"""What was measured, and the file that keeps it."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks import kept
from tests.benchmarks.harness.networks import NETWORKS
from tests.benchmarks.harness.precision import Precision
from tests.benchmarks.harness.roofline import Limits, Roofline, roofline

MPCC = "mpcc"


@dataclass(frozen=True)
class Conditions:
    """Where, with what and beside what: the load of the machine before, and the cores that other processes
    kept busy meanwhile.
    """

    machine: str
    processor: str
    commit: str
    load: float
    other_cores: float


@dataclass(frozen=True)
class Result:
    """Work over a network with mpcc. Seconds online are every session's, offline those of dealing one and of
    sending the set-up; bytes online are what each party sends, `reveal_bytes` those of them that reveal the
    result, in `reveal_rounds`; memory is the peak in bytes of server, client, dealer and compiler.
    """

    system: str
    work: str
    network: str
    program_hash: str
    seconds: tuple[float, ...]
    dealing_seconds: float
    setup_seconds: float
    rounds: int
    bytes: tuple[int, int]
    reveal_rounds: int
    reveal_bytes: int
    dealt_bytes: int
    setup_bytes: int
    memory: tuple[int, int, int, int]
    max_error: float
    compile_seconds: float
    predicted_wire: float
    predicted_compute: float
    multiplications: int
    limits: Limits
    conditions: Conditions

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def predicted(self) -> float:
        return self.predicted_wire + self.predicted_compute

    @property
    def megabytes(self) -> float:
        """Online, both ways."""
        return sum(self.bytes) / 1e6

    @property
    def offline_seconds(self) -> float:
        return self.dealing_seconds + self.setup_seconds

    @property
    def roofline(self) -> Roofline:
        network = NETWORKS[self.network] or self.limits.loopback
        return roofline(self.limits, network, self.multiplications, self.rounds, max(self.bytes))


@dataclass(frozen=True)
class PeerResult:
    """The same work with another system: the bytes that each party sends online, and its peak of memory."""

    system: str
    work: str
    network: str
    seconds: tuple[float, ...]
    bytes: tuple[int, ...]
    rounds: int | None
    max_error: float
    memory: tuple[int, ...]
    setting: str
    conditions: Conditions

    @property
    def family(self) -> str:
        """The system without its version."""
        return re.sub(r" [0-9.]+", "", self.system)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def megabytes(self) -> float:
        return sum(self.bytes) / 1e6


class Results:
    """By work and network; a file keeps them, an interrupted run goes on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mpcc: dict[tuple[str, str], Result] = {}
        self.peers: dict[tuple[str, str, str], PeerResult] = {}
        for entry in kept.read(path):
            self._put(_read(entry))

    def add(self, results: Iterable[Result | PeerResult]) -> None:
        for result in results:
            self._put(result)
        ours, others = (map(asdict, found.values()) for found in (self.mpcc, self.peers))
        kept.write(self.path, [*ours, *others])

    def _put(self, result: Result | PeerResult) -> None:
        if isinstance(result, Result):
            self.mpcc[result.work, result.network] = result
        else:
            self.peers[result.work, result.network, result.system] = result


def _read(entry: kept.Entry) -> Result | PeerResult:
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()
    }
    values["conditions"] = Conditions(**entry["conditions"])
    if entry["system"] != MPCC:
        return PeerResult(**values)
    limits = {**entry["limits"], "relay": Precision(**entry["limits"]["relay"])}
    return Result(**{**values, "limits": Limits(**limits)})
