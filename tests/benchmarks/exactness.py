"""Exactness of truncation, comparison, select, lookup and row maxima over many elements, by both parties.

    python -m tests.benchmarks.exactness            10^8 truncations, 10^7 of each other check
    python -m tests.benchmarks.exactness --scale 0.01

Run it from the repository's root. Work is cut into chunks of bounded memory, spread over all cores. Exit
code 1 when an element is wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from rich.console import Console
from rich.table import Table

from mpcc.ir.program import Value
from mpcc.runtime.ring import signed, to_ring
from tests.runtime.protocols.cases import Setting
from tests.runtime.protocols.choices import seeded
from tests.runtime.protocols.harness import Prepared, seed_pair

CHUNK = 1 << 18


@dataclass(frozen=True)
class Job:
    """`count` elements of one check with its parameters; `number` makes its seeds."""

    check: str
    parameters: tuple[int, ...]
    count: int
    number: int


@dataclass(frozen=True)
class Outcome:
    """`error` is the largest in units of the result and `sum` their sum; 0 where results are exact."""

    elements: int
    wrong: int
    error: float = 0.0
    sum: float = 0.0


class Runner:
    """One program over an input `x` of fixed shape."""

    def __init__(self, shape: tuple[int, ...], ring: int, build: Callable[[Setting, Value], Value]) -> None:
        setting = Setting(seeded(0, 0))
        x = setting.share(np.zeros(shape, dtype=np.int64), ring=ring)
        self.names = list(setting.arrays)
        case = setting.end(build(setting, x), to="party1")
        self.arrays = case.arrays
        self.prepared = Prepared(case.program)

    def __call__(self, x: np.ndarray, number: int) -> np.ndarray:
        part = np.random.default_rng((number, 1)).integers(-(2**63), 2**63, size=x.shape, dtype=np.int64)
        other = (to_ring(x) - to_ring(part)).view(np.int64)
        arrays = {**self.arrays, self.names[0]: part, self.names[1]: other}
        return self.prepared.run(arrays, seed_pair(number)).outputs[1]["y"]


def bits_as_integers(setting: Setting, bits: Value) -> Value:
    """All bits of the leading axis in one integer."""
    count = bits.type.shape[0]  # type: ignore[union-attr]
    row = (0, *(1 << t for t in range(count)))
    return setting.emit(
        "product", setting.emit("open_bits", bits), factors=("bits",), coefficients=(row,), fractions=(0,)
    )


# ---- truncation


@lru_cache
def _truncation(ring: int, bits: int, wide: int, count: int) -> Runner:
    return Runner((count,), ring, lambda s, x: s.emit("truncate", x, ring=wide, bits=bits))


def truncation(job: Job) -> Outcome:
    ring, bits, wide = job.parameters
    limit = 1 << (ring - 2)
    x = np.random.default_rng(job.number).integers(-limit, limit, size=job.count, dtype=np.int64)
    x[:4] = (limit - 1, -limit, 0, -1)
    output = _truncation(ring, bits, wide, job.count)(x, job.number)
    above = signed(to_ring(output) - to_ring(x >> bits), wide)  # 0 or 1: the floor or the ceiling
    fraction = (x & ((1 << bits) - 1)) * 2.0**-bits
    error = above - fraction
    wrong = int(np.count_nonzero(np.abs(error) >= 1))
    return Outcome(job.count, wrong, float(np.abs(error).max()), float(error.sum()))


# ---- comparison


def _thresholds(bits: int, start: int) -> tuple[int, ...]:
    low = -(1 << (bits - 1))
    return tuple(range(low + start, min(low + start + 48, -low)))


@lru_cache
def _comparison(bits: int, width: int, thresholds: tuple[int, ...], count: int) -> Runner:
    def build(s: Setting, x: Value) -> Value:
        return bits_as_integers(s, s.less_than(x, bits, thresholds, width))

    return Runner((count,), bits, build)


def _compare(x: np.ndarray, bits: int, width: int, thresholds: tuple[int, ...], number: int) -> Outcome:
    output = _comparison(bits, width, thresholds, x.size)(x, number)
    wrong = 0
    for index, threshold in enumerate(thresholds):
        expected = signed(to_ring(x - threshold), bits) < 0
        wrong += int(np.count_nonzero((output >> index & 1) != expected))
    return Outcome(x.size * len(thresholds), wrong)


def comparison_exhaustive(job: Job) -> Outcome:
    """Every x against 48 thresholds: x - t takes every value."""
    bits, width, start = job.parameters
    x = np.arange(-(1 << (bits - 1)), 1 << (bits - 1), dtype=np.int64)
    return _compare(x, bits, width, _thresholds(bits, start), job.number)


def comparison(job: Job) -> Outcome:
    """Random x, half of them within two units of the threshold."""
    bits, width = job.parameters
    generator = np.random.default_rng(job.number)
    half = 1 << (bits - 1)
    threshold = (half >> 2) - 5
    high = min(threshold + half, 1 << 63)
    x = generator.integers(threshold - half, high, size=job.count, dtype=np.int64)
    x[::2] = threshold + generator.integers(-2, 3, size=x[::2].size)
    return _compare(x, bits, width, (threshold,), job.number)


# ---- select, lookup, row maxima


@lru_cache
def _select(bits: int, count: int) -> Runner:
    """x where x < 0, else 0."""

    def build(s: Setting, x: Value) -> Value:
        masked = s.emit("open_masked", x, bits=bits + 1)
        negative = s.emit("open_bits", s.emit("less_than", masked, bits=bits, width=4, thresholds=(0,)))
        return s.emit(
            "product",
            masked,
            negative,
            factors=("value", "bits"),
            coefficients=((), (0, 1)),
            fractions=(0, 0),
        )

    return Runner((count,), bits + 1, build)


def select(job: Job) -> Outcome:
    (bits,) = job.parameters
    half = 1 << (bits - 1)
    x = np.random.default_rng(job.number).integers(-half, half, size=job.count, dtype=np.int64)
    if 2 * half <= x.size:
        x[: 2 * half] = np.arange(-half, half)
    return Outcome(x.size, int(np.count_nonzero(_select(bits, x.size)(x, job.number) != np.minimum(x, 0))))


@lru_cache
def _lookup(bits: int, count: int) -> Runner:
    """Entries of a public table and of party 0's table, in one integer."""

    def build(s: Setting, x: Value) -> Value:
        onehot = s.emit("one_hot", x, bits=bits)
        public = s.emit("matmul_public", onehot, s.source("constant", _table(bits, 20)))
        private = s.emit("linear", s.emit("serve", onehot, bits=64), s.source("weight", _table(bits, 21)))
        return s.emit("add", public, s.emit("scale", private, factor=1 << 30, fraction=0))

    return Runner((count,), bits, build)


def _table(bits: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 1 << 30, size=(1 << bits, 1))


def lookup(job: Job) -> Outcome:
    (bits,) = job.parameters
    x = np.random.default_rng(job.number).integers(0, 1 << bits, size=job.count, dtype=np.int64)
    x[: 1 << bits] = np.arange(1 << bits)[: x.size]
    output = _lookup(bits, x.size)(x, job.number)[:, 0]
    expected = _table(bits, 20)[x, 0] + (_table(bits, 21)[x, 0] << 30)
    return Outcome(x.size, int(np.count_nonzero(output != expected)))


@lru_cache
def _row_maximum(bits: int, low: int, levels: int, shape: tuple[int, ...]) -> Runner:
    def build(s: Setting, x: Value) -> Value:
        reached = s.emit("open_bits", s.emit("row_reaches", x, bits=bits, low=low, levels=levels))
        row = (low, *(1,) * levels)
        return s.emit("product", reached, factors=("bits",), coefficients=(row,), fractions=(0,))

    return Runner(shape, bits, build)


def row_maximum(job: Job) -> Outcome:
    """Rows of `length`: every row of the small ring if they fit, else random ones."""
    bits, levels, length = job.parameters
    low = -(1 << (bits - 2))
    bottom = low + levels - (1 << bits) + 1
    rows = job.count // length
    if (1 << (bits * length)) <= rows:
        digits = np.indices((1 << bits,) * length).reshape(length, -1).T
        x = np.ascontiguousarray(digits) + bottom
    else:
        top = np.random.default_rng(job.number).integers(bottom, low + levels, size=(rows, 1), endpoint=True)
        x = np.random.default_rng(job.number + 1).integers(bottom, top, size=(rows, length), endpoint=True)
    output = _row_maximum(bits, low, levels, x.shape)(x, job.number)
    expected = np.maximum(x.max(axis=1, keepdims=True), low)
    return Outcome(len(x), int(np.count_nonzero(output != expected)))


CHECKS: dict[str, Callable[[Job], Outcome]] = {
    f.__name__: f for f in (truncation, comparison, comparison_exhaustive, select, lookup, row_maximum)
}
# (ring, bits, ring of the result): formats of compiled programs, extremes, and a ring small enough
# for every pair of shares to occur
TRUNCATIONS = ((52, 20, 64), (40, 13, 52), (64, 29, 64), (30, 28, 40), (24, 12, 12), (6, 3, 64))


def chunks(check: str, parameters: tuple[int, ...], total: int, size: int = CHUNK) -> Iterator[Job]:
    count = -(-total // size)
    for index in range(count):
        number = zlib.crc32(f"{check} {parameters}".encode()) << 20 | index
        yield Job(check, parameters, min(size, total), number)


def jobs(scale: float) -> Iterator[Job]:
    """The whole run at scale 1; comparisons of up to 12 bits are exhaustive there, else up to 8."""
    for parameters in TRUNCATIONS:
        yield from chunks("truncation", parameters, round(1e8 * scale / len(TRUNCATIONS)))
    for bits in range(2, 13 if scale >= 1 else 9):
        for width in range(max(1, -(-(bits - 1) // 12)), 7):
            for start in range(0, 1 << bits, 48):
                yield from chunks("comparison_exhaustive", (bits, width, start), 1)
    for ring, width in ((20, 4), (24, 6), (33, 6), (64, 6)):
        yield from chunks("comparison", (ring, width), round(1e7 * scale / 4))
    for bits in (10, 24, 40):
        yield from chunks("select", (bits,), round(1e7 * scale / 3))
    for bits, share, size in ((1, 0.49, CHUNK), (5, 0.49, 1 << 15), (10, 0.02, 1 << 10)):
        yield from chunks("lookup", (bits,), round(1e7 * scale * share), size)
    for parameters in ((3, 5, 3), (3, 7, 4), (7, 40, 32), (8, 100, 255), (8, 100, 256)):
        yield from chunks("row_maximum", parameters, round(2e6 * scale), 1 << 15)


def perform(job: Job) -> Outcome:
    return CHECKS[job.check](job)


def _start() -> None:
    os.environ["MPCC_THREADS"] = "1"  # the processes fill the cores


def run(scale: float, processes: int) -> dict[tuple[str, str], tuple[Outcome, float]]:
    """Outcomes by check and parameters, summed over their jobs, and seconds of wall-clock time."""
    groups: dict[tuple[str, str], list[Job]] = {}
    for job in jobs(scale):
        every = job.check == "comparison_exhaustive"
        shown = "small, every x and threshold" if every else str(job.parameters)
        groups.setdefault((job.check, shown), []).append(job)
    results = {}
    with ProcessPoolExecutor(processes, initializer=_start) as pool:
        for group, members in groups.items():
            started = time.perf_counter()
            total = Outcome(0, 0)
            for o in pool.map(perform, members, chunksize=4):
                total = Outcome(
                    total.elements + o.elements,
                    total.wrong + o.wrong,
                    max(total.error, o.error),
                    total.sum + o.sum,
                )
            results[group] = (total, time.perf_counter() - started)
    return results


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of random elements")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    table = Table(*("check", "parameters", "elements", "wrong", "largest error", "mean error", "seconds"))
    wrong = 0
    for (check, parameters), (o, seconds) in run(arguments.scale, arguments.processes).items():
        mean = f"{o.sum / o.elements:+.1e}" if o.error else ""
        largest = f"{o.error:.6f}" if o.error else ""
        table.add_row(check, parameters, f"{o.elements:,}", f"{o.wrong:,}", largest, mean, f"{seconds:.1f}")
        wrong += o.wrong
    Console(width=120).print(table)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
