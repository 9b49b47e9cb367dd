"""Speed of the native kernels, beside the limits of a Xeon with AVX-512 IFMA at 3.3 GHz.

    python tests/benchmarks/kernels.py            all cores, best instruction set
    MPCC_THREADS=1 MPCC_ISA=avx2 python tests/benchmarks/kernels.py

The best of several runs is printed: other work on the machine only ever makes a run slower.
"""

import os
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from mpcc.runtime import kernels

# Giga multiply-adds a second of one thread, for rings of at most 52 bits and of 64 bits.
LIMITS = {"avx512ifma": (51.7, 12.9), "avx512": (12.9, 12.9), "avx2": (6.5, 6.5)}

SHAPES = [
    (1, 128, 768, 3072),
    (1, 128, 768, 768),
    (1, 32, 384, 1536),
    (1, 512, 512, 512),
    (12, 32, 32, 64),
    (12, 32, 64, 32),
    (12, 128, 64, 128),
    (1, 1, 768, 3072),
    (1, 4, 768, 3072),
    (1, 8, 768, 3072),
]


def best_seconds(call: Callable[[], object], budget: float = 0.6) -> float:
    call()
    best, deadline = float("inf"), time.perf_counter() + budget
    while time.perf_counter() < deadline:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def ring(bits: int, *shape: int) -> NDArray[np.uint64]:
    return np.random.default_rng(0).integers(0, (1 << bits) - 1, shape, dtype=np.uint64, endpoint=True)


def matmul_rows(table: Table, threads: int) -> None:
    for bits in (52, 64):
        limit = LIMITS.get(kernels.isa(), (0.0, 0.0))[bits > 52] * threads
        for batch, m, k, n in SHAPES:
            a, b = ring(bits, batch, m, k), ring(bits, batch, k, n)
            seconds = best_seconds(partial(kernels.matmul, a, b, bits))
            rate = batch * m * k * n / seconds / 1e9
            shape = f"{batch} x {m}x{k}x{n}"
            table.add_row(
                f"matmul {bits} bits", shape, f"{1e6 * seconds:.0f}", f"{rate:.1f} Gmul/s", f"{limit:.0f}"
            )


def stream_rows(table: Table) -> None:
    n = 1 << 22
    for bits in (1, 20, 52, 64):
        seconds = best_seconds(partial(kernels.expand, bytes(16), 1, n, bits))
        size = n * kernels.element_bytes(bits)
        rate = f"{n / seconds / 1e9:.2f} Gelem/s, {size / seconds / 1e9:.1f} GB/s of AES"
        table.add_row(f"expand {bits} bits", f"{n}", f"{1e6 * seconds:.0f}", rate, "")
    for bits in (1, 8, 20, 32, 52, 64):
        values = ring(bits, n)
        packed = kernels.pack(values, bits)
        for name, call in (
            ("pack", partial(kernels.pack, values, bits)),
            ("unpack", partial(kernels.unpack, packed, n, bits)),
        ):
            seconds = best_seconds(call)
            rate = f"{8 * n / seconds / 1e9:.1f} GB/s of uint64"
            table.add_row(f"{name} {bits} bits", f"{n}", f"{1e6 * seconds:.0f}", rate, "")


def protocol_rows(table: Table) -> None:
    n, bits, width, terms = 1 << 18, 20, 4, 12
    words, blocks = n // 64, 5
    thresholds = ring(20, 3)
    leaves = (ring(20, n), ring(16, blocks, n), ring(64, words), thresholds, bits, width, 0)
    seconds = best_seconds(partial(kernels.compare_leaves, *leaves))
    rate = f"{3 * n / seconds / 1e9:.2f} G comparisons/s"
    table.add_row("compare_leaves 20 bits", f"3 x {n}", f"{1e6 * seconds:.0f}", rate, "")
    opened, products = ring(64, 2 * blocks - 2, words), ring(64, len(kernels.carry_subsets(blocks)), words)
    seconds = best_seconds(partial(kernels.carry_node, opened, products, 0))
    table.add_row("carry_node", f"{n}", f"{1e6 * seconds:.0f}", f"{n / seconds / 1e9:.2f} G carries/s", "")
    waves, one_to = kernels.wave_table(14, 14), np.arange(1, terms + 1)
    shares, delta, phases = ring(32, 2 * terms, n), ring(14, n), ring(14, terms)
    seconds = best_seconds(
        partial(kernels.sine_series, delta, shares, waves, one_to * 1000, one_to, phases, 14, 12, 32)
    )
    rate = f"{n * terms / seconds / 1e9:.2f} G terms/s"
    table.add_row(f"sine_series {terms} terms", f"{n}", f"{1e6 * seconds:.0f}", rate, "")
    count, powers = 6, 4
    atoms, wraps = (1 + count) * powers - 1, (1 + count) * (powers - 1)
    repeats = np.ones((1 + count, powers, 1), dtype=np.int64)
    repeats[0, 0, 0] = 0
    cubic = (
        ring(20, n),
        ring(20, n),
        ring(1, count, n).astype(np.uint8),
        ring(64, 1 + count, powers, 1),
        repeats,
    )
    dealt = (ring(62, atoms * n), ring(42, wraps * n), ring(1, 0), ring(1, 0))
    seconds = best_seconds(partial(kernels.segmented_polynomial, *cubic, *dealt, n, 20, 64, 62, 0))
    rate = f"{8 * n * (atoms + wraps) / seconds / 1e9:.1f} GB/s of shares"
    table.add_row("cubic, 7 segments", f"{n}", f"{1e6 * seconds:.0f}", rate, "")
    bits_of = ring(1, n).astype(np.uint8)
    plane = kernels.planes_pack(bits_of)[None]
    for name, call in (
        ("planes_pack", partial(kernels.planes_pack, bits_of)),
        ("planes_unpack", partial(kernels.planes_unpack, plane, n)),
    ):
        seconds = best_seconds(call)
        table.add_row(name, f"{n}", f"{1e6 * seconds:.0f}", f"{n / seconds / 1e9:.2f} G bits/s", "")


def transfer_rows(table: Table) -> None:
    """Correlated OTs by SoftSpoken for each k, either end, and what is made of them."""
    n, words = 1 << 18, 1 << 12
    delta, q, plane = ring(64, 2), ring(64, n, 2), ring(64, words)

    def row(name: str, call: Callable[[], object], note: str = "", calls_of: int = n) -> None:
        seconds = best_seconds(call)
        table.add_row(
            name, f"{calls_of}", f"{1e6 * seconds:.0f}", f"{calls_of / seconds / 1e6:.0f} M/s", note
        )

    for bits in range(2, 9):
        trees = kernels.tree_bits(bits)
        seeds, corrections = ring(64, sum(1 << size for size in trees), 2), ring(64, len(trees) - 1, words)
        sent = f"{(len(trees) - 1) / 8:.2f} B/OT"
        row(f"OT receiver, k = {bits}", partial(kernels.softspoken_receive, seeds, bits, 0, words), sent)
        row(
            f"OT sender, k = {bits}",
            partial(kernels.softspoken_send, seeds, bits, delta, corrections, 0),
            sent,
        )
    row("bit products, sender", partial(kernels.transfer_send_bits, q, delta, plane, plane, 0))
    row("bit products, receiver", partial(kernels.transfer_receive_bits, q, plane, plane, 0))
    for columns, bits in ((1, 1), (1, 32), (1, 64), (4, 52)):
        values, widths = list(ring(bits, columns, n)), (bits,) * columns
        rest = widths, 0, False, list(ring(bits, columns, n))
        message = kernels.transfer_send(q, delta, plane, values, *rest)
        name = f"choose {columns} x {bits} bits"
        row(f"{name}, sender", partial(kernels.transfer_send, q, delta, plane, values, *rest))
        row(f"{name}, receiver", partial(kernels.transfer_receive, q, plane, message, *rest))
    for bits in (2, 4, 8):
        count = 1 << 14
        pads, tables, index = (
            q[: bits * count].reshape(bits, count, 2),
            ring(32, 1 << bits, count),
            ring(bits, count),
        )
        wanted = plane[: bits * count // 64].reshape(bits, -1)
        message, _ = kernels.lookup_send(pads, delta, wanted, tables, 32, 0, False)
        name = f"lookup of 2^{bits}"
        row(
            f"{name}, sender",
            partial(kernels.lookup_send, pads, delta, wanted, tables, 32, 0, False),
            "",
            count,
        )
        row(
            f"{name}, receiver",
            partial(kernels.lookup_receive, pads, index, message, 32, 0, False),
            "",
            count,
        )


def rlwe_rows(table: Table) -> None:
    rows, primes = 64, 3
    for degree in (4096, 8192):
        moduli = np.array(kernels.ntt_primes(46, degree, primes + 1), dtype=np.uint64)
        tables, smaller = kernels.ntt_tables(moduli, degree), kernels.ntt_tables(moduli[:primes], degree)
        c = kernels.uniform_residues(bytes(16), 0, rows, degree, smaller.moduli)
        key = kernels.uniform_residues(bytes(16), 1, 2 * primes, degree, moduli).reshape(
            primes, 2, -1, degree
        )
        left, right = c.reshape(2, -1, primes, degree)[:, :12].copy(), np.ones((12, rows, 64), dtype=np.int32)
        for name, count, call in (
            ("ntt_forward", rows * primes, partial(kernels.ntt_forward, c.copy(), smaller)),
            ("ntt_inverse", rows * primes, partial(kernels.ntt_inverse, c.copy(), smaller)),
            ("key_switch", rows, partial(kernels.key_switch, c, key, tables)),
            ("multiply_plain", 12 * rows, partial(kernels.multiply_plain, left, right, smaller)),
        ):
            seconds = best_seconds(call)
            rate = f"{1e6 * seconds / count:.1f} microseconds each"
            table.add_row(name, f"{count} x {degree}", f"{1e6 * seconds:.0f}", rate, "")


def main() -> None:
    threads = int(os.environ.get("MPCC_THREADS") or os.cpu_count() or 1)
    table = Table(title=f"{kernels.isa()}, {threads} threads")
    for column in ("kernel", "size", "microseconds", "rate", "limit"):
        table.add_column(column, justify="left" if column == "kernel" else "right")
    matmul_rows(table, threads)
    stream_rows(table)
    protocol_rows(table)
    rlwe_rows(table)
    transfer_rows(table)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
