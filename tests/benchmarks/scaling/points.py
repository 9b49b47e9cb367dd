"""The points of the study of growth, measured, and the file that keeps them."""

from __future__ import annotations

import re
import statistics
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from mpcc.compiler.cost.model import cost_of
from mpcc.compiler.cost.report import compute_seconds, memory_bytes
from mpcc.compiler.dumps import read_share_program
from mpcc.runtime.program_folder import load_program_folder
from mpcc.runtime.report import merge_reports
from tests.benchmarks import kept
from tests.benchmarks.harness.measure import Compiled, Watch, compile_row
from tests.benchmarks.harness.results import Conditions
from tests.benchmarks.harness.sessions import Sessions, run_sessions
from tests.benchmarks.rows import Row
from tests.benchmarks.run import check, largest_error
from tests.benchmarks.scaling.elements import Declared, declared
from tests.benchmarks.scaling.encoder import Encoder

TOKENS, LAYERS, WIDTH = "tokens", "layers", "width"
BASE = Encoder(tokens=128, layers=2, width=768)
AXES: dict[str, tuple[Encoder, ...]] = {
    TOKENS: tuple(Encoder(tokens, BASE.layers, BASE.width) for tokens in (32, 64, 128, 256, 512)),
    LAYERS: tuple(Encoder(BASE.tokens, layers, BASE.width) for layers in (1, 2, 4, 8, 12)),
    WIDTH: tuple(Encoder(BASE.tokens, BASE.layers, width) for width in (128, 256, 384, 512, 768, 1024)),
}


@dataclass(frozen=True)
class Memory:
    """Peaks of the processes, in bytes."""

    server: int
    client: int
    dealer: int
    compiler: int


@dataclass(frozen=True)
class Result:
    """Seconds online are of every session; dealing is that of one session, set-up that of the first one.
    `folder_bytes` are on disk, bytes online what each party sends; `phases` are the compiler's seconds;
    predicted are the seconds that a party computes online and the busier one's memory in bytes.
    """

    encoder: Encoder
    compile_seconds: float
    phases: dict[str, float]
    folder_bytes: int
    seconds: tuple[float, ...]
    dealing_seconds: float
    setup_seconds: float
    rounds: int
    bytes_party0: int
    bytes_party1: int
    dealt_bytes: int
    setup_bytes: int
    multiplications: int
    memory: Memory
    predicted_compute: float
    predicted_memory: int
    max_error: float
    declared: Declared
    conditions: Conditions

    @property
    def online_seconds(self) -> float:
        return statistics.median(self.seconds)

    @property
    def offline_seconds(self) -> float:
        return self.dealing_seconds + self.setup_seconds

    @property
    def online_bytes(self) -> int:
        return self.bytes_party0 + self.bytes_party1


def measure(encoder: Encoder, sessions: int, folder: Path) -> Result:
    """Exports, compiles and runs in an empty folder. Raises SystemExit where rounds or bytes are not the
    predicted ones.
    """
    watch = Watch()
    compiled = compile_row(Row(title(encoder), encoder.prepare), folder)
    run = run_sessions(compiled.program, compiled.material.input, None, sessions, folder)
    error = largest_error(compiled.material, folder / "y.npz")
    return _result(encoder, compiled, run, error, watch.conditions())


def _result(
    encoder: Encoder, compiled: Compiled, run: Sessions, error: float, conditions: Conditions
) -> Result:
    predicted = load_program_folder(compiled.program).manifest["predicted"]
    reports = [merge_reports(*pair, run.dealing_seconds, predicted) for pair in run.reports]
    check(title(encoder), reports[0], predicted)
    program = read_share_program(compiled.program)
    cost = cost_of(program)
    online, offline = (reports[0]["bytes"][phase] for phase in ("online", "offline"))
    server, client = (max(pair[party]["peak_memory_bytes"] for pair in run.reports) for party in (0, 1))
    return Result(
        encoder=encoder,
        compile_seconds=compiled.seconds,
        phases={name: float(text) for name, text in re.findall(r"^(\w+): ([\d.]+) s$", compiled.log, re.M)},
        folder_bytes=sum(path.stat().st_size for path in compiled.program.rglob("*") if path.is_file()),
        seconds=tuple(report["seconds"]["online"] for report in reports),
        dealing_seconds=run.dealing_seconds,
        setup_seconds=reports[0]["seconds"]["offline"] - run.dealing_seconds,
        rounds=reports[0]["rounds"],
        bytes_party0=online["party0"],
        bytes_party1=online["party1"],
        dealt_bytes=offline["dealer_to_party0"] + offline["dealer_to_party1"],
        setup_bytes=offline["setup_party0_to_party1"],
        multiplications=cost.multiplications,
        memory=Memory(server, client, run.dealer_memory, compiled.memory),
        predicted_compute=compute_seconds(program, cost),
        predicted_memory=memory_bytes(program, cost),
        max_error=error,
        declared=declared(program, encoder),
        conditions=conditions,
    )


def title(encoder: Encoder) -> str:
    return f"T={encoder.tokens} L={encoder.layers} d={encoder.width}"


class Results:
    """Finished points by encoder, kept in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        found = [_read(entry) for entry in kept.read(path)]
        self.by_encoder = {result.encoder: result for result in found}

    def add(self, result: Result) -> None:
        self.by_encoder[result.encoder] = result
        kept.write(self.path, [asdict(r) for r in self.by_encoder.values()])


def _read(entry: kept.Entry) -> Result:
    parts = {"encoder": Encoder, "memory": Memory, "declared": Declared, "conditions": Conditions}
    made = {name: kind(**entry[name]) for name, kind in parts.items()}
    return Result(**{**entry, **made, "seconds": tuple(entry["seconds"])})


def tell(result: Result) -> None:
    print(
        f"{title(result.encoder)}: compiled in {result.compile_seconds:.1f} s and "
        f"{result.memory.compiler / 1e9:.2f} GB, {result.rounds} rounds, {result.online_bytes / 1e6:.2f} MB, "
        f"{result.online_seconds:.3f} s online, error {result.max_error:.2g}",
        file=sys.stderr,
        flush=True,
    )
