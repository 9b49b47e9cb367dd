"""Noise of RLWE ciphertexts against its bounds: all parameters of elementwise products, and layouts of
matrix products.

    python -m tests.benchmarks.rlwe_noise            every sum of sizes from 2 to 128 bits
    python -m tests.benchmarks.rlwe_noise --step 14

Run it from the repository's root. Margins are bits between what was measured, on random numbers, and bounds;
`hidden` is -log2 of the statistical distance between a flooded reply and a flood, with the noise that was
measured. Exit code 1 where a margin is negative or less than 40 bits are hidden.
"""

from __future__ import annotations

import argparse
import sys

from rich.console import Console
from rich.table import Table

from mpcc.runtime.two_party.rlwe.layout import layout
from mpcc.runtime.two_party.rlwe.matrix_product import Sizes
from mpcc.runtime.two_party.rlwe.ole_parameters import MAX_SIZE, slot_parameters
from mpcc.runtime.two_party.rlwe.parameters import STATISTICAL_BITS, modulus
from tests.runtime.two_party.rlwe.noise import Noise, matrix_noise, slot_noise

TERMS = (1, 2, 12)
MATRICES: list[Sizes] = [
    ((1, 64, 32, 4), 4, 12),
    ((1, 64, 32, 128), 8, 20),
    ((1, 128, 256, 128), 17, 37),
    ((1, 128, 768, 64), 17, 44),
    ((1, 1, 768, 512), 17, 50),
    ((1, 128, 256, 128), 17, 52),
    ((2, 64, 64, 128), 40, 40),
    ((2, 64, 64, 128), 52, 52),
    ((1, 32, 64, 64), 64, 64),
]


def add_row(table: Table, name: str, modulus_bits: float, noise: Noise) -> bool:
    margins = (noise.mean_margin, noise.largest_margin, noise.phase_margin, noise.distance_bits)
    table.add_row(
        name, str(noise.degree), f"{modulus_bits:.0f}", str(noise.flood_bits), *(f"{m:.1f}" for m in margins)
    )
    return min(margins[:3]) > 0 and noise.distance_bits >= STATISTICAL_BITS


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--step", type=int, default=1, help="between the sums of sizes that are measured")
    step: int = parser.parse_args().step
    table = Table("product", "N", "log2 q", "flood bits", "mean", "largest", "phase", "hidden")
    good = True
    for total in range(2, 2 * MAX_SIZE + 1, step):
        for terms in TERMS:
            chosen = slot_parameters((total // 2, total - total // 2), terms)
            name = f"{chosen.sizes[0]} x {chosen.sizes[1]} bits, {terms} terms"
            good &= add_row(table, name, chosen.modulus_bits, slot_noise(chosen))
    for sizes in MATRICES:
        (batch, m, k, n), right_bits, ring = sizes
        bits = modulus(layout(*sizes).primes).bit_length()
        good &= add_row(
            table, f"{batch} x {m}x{k}x{n}, {right_bits} bits, ring {ring}", bits, matrix_noise(sizes)
        )
    Console(width=110).print(table)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
