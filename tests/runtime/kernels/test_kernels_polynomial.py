from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from mpcc.runtime.kernels import twin
from tests.runtime.kernels.levels import U64

SHAPES = [(1, 4, 1, 20, 64, 62), (3, 3, 2, 17, 20, 45), (6, 2, 4, 20, 33, 52), (2, 1, 1, 64, 64, 64)]


def integers(generator: np.random.Generator, bits: int, *shape: int) -> U64:
    return generator.integers(0, (1 << bits) - 1, shape, dtype=np.uint64, endpoint=True)


def arguments(n: int, parameters: tuple[int, ...], party: int, repeats: Sequence[int] = (1,)) -> list[Any]:
    """Random words everywhere, a third of the atoms missing; neighbours share entries as one of `repeats`
    says.

    `parameters`: bits, powers of z and w, both openings' width, the ring.
    """
    bit_count, z_powers, w_powers, z_bits, w_bits, ring = parameters
    generator = np.random.default_rng(n + 7 * bit_count)
    shape = (1 + bit_count, z_powers, w_powers)
    needed = (generator.random(shape) < 2 / 3) * generator.choice(repeats, shape)
    kept = (
        needed,
        needed[:, 1:] * (z_bits < ring),
        needed[:, :, 1:] * (w_bits < ring),
        needed[:, 1:, 1:] * (z_bits + w_bits < ring),
    )
    entries = n // generator.choice(repeats, 3)
    return [
        integers(generator, z_bits, entries[0]),
        integers(generator, w_bits, entries[1]),
        generator.integers(0, 2, (bit_count, entries[2]), dtype=np.uint8),
        integers(generator, 64, *shape),
        needed,
        *(integers(generator, 64, int((n // rows[rows > 0]).sum())) for rows in kept),
        n,
        z_bits,
        w_bits,
        ring,
        party,
    ]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 127, 128, 129, 5003])
def test_matches_the_twin(native: Any, n: int, shape: tuple[int, ...]) -> None:
    for party in (0, 1):
        args = arguments(n, shape, party)
        assert np.array_equal(native.segmented_polynomial(*args), twin.segmented_polynomial(*args))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("n", [0, 6, 768, 4608])
def test_neighbours_may_share_entries(native: Any, n: int, shape: tuple[int, ...]) -> None:
    for repeats in ((1, 2, 3), (6, 1), (n or 1,)):
        args = arguments(n, shape, 0, repeats)
        assert np.array_equal(native.segmented_polynomial(*args), twin.segmented_polynomial(*args))


def test_shared_entries_are_repeated_entries(kernels: Any) -> None:
    args = arguments(240, (3, 3, 2, 17, 20, 45), 0, (1, 5, 240))
    expected = kernels.segmented_polynomial(*args)
    for position in (0, 1, 2):
        args[position] = np.repeat(args[position], 240 // args[position].shape[-1], axis=-1)
    assert np.array_equal(kernels.segmented_polynomial(*args), expected)


@pytest.mark.parametrize(("z_powers", "w_powers"), [(64, 1), (1, 64), (8, 8)])
def test_the_most_powers(native: Any, z_powers: int, w_powers: int) -> None:
    args = arguments(200, (2, z_powers, w_powers, 9, 12, 64), 0)
    assert np.array_equal(native.segmented_polynomial(*args), twin.segmented_polynomial(*args))


def test_without_bits_and_with_any_flags(native: Any) -> None:
    args = arguments(300, (0, 3, 1, 20, 64, 60), 0)
    assert np.array_equal(native.segmented_polynomial(*args), twin.segmented_polynomial(*args))
    args = arguments(300, (4, 3, 1, 20, 64, 60), 1)
    plain = twin.segmented_polynomial(*args)
    args[2] = args[2] + np.uint8(2)  # the lowest bit counts
    for kernels in (native, twin):
        assert np.array_equal(kernels.segmented_polynomial(*args), plain)


def atoms_of(
    masks: Sequence[int], bits: Sequence[int], rho: Sequence[int], powers: tuple[int, int], ring: int
) -> tuple[list[int], ...]:
    """The four dealt arrays of one element, from Python integers; none for the public constant."""
    dealt: tuple[list[int], ...] = ([], [], [], [])
    for selected in (1, *rho):
        for i in range(powers[0]):
            for j in range(powers[1]):
                parts = []
                for mask, k, power in ((masks[0], bits[0], i), (masks[1], bits[1], j)):
                    wrapped = (mask - (mask >> (k - 1) << k)) ** power
                    parts.append((mask**power, (wrapped - mask**power) >> k))
                for variant, rows in enumerate(dealt):
                    of_z, of_w = variant & 1, variant >> 1
                    width = ring - of_z * bits[0] - of_w * bits[1]
                    if i >= of_z and j >= of_w and width > 0:
                        rows.append(parts[0][of_z] * parts[1][of_w] * selected % 2**width)
    del dealt[0][0]
    return dealt


@pytest.mark.parametrize(
    ("bits", "powers", "ring"),
    [
        ((20, 64), (4, 1), 62),
        ((11, 17), (3, 4), 64),
        ((30, 30), (2, 2), 50),
        ((64, 2), (2, 3), 64),
        ((9, 9), (1, 1), 1),
    ],
)
def test_the_shares_sum_to_the_polynomial(
    kernels: Any, bits: tuple[int, int], powers: tuple[int, int], ring: int
) -> None:
    """Two parties and a dealer; values at both ends of what a narrow opening holds."""
    generator = np.random.default_rng(ring)
    n, count = 150, 3
    limits = [1 << (k - 2) for k in bits]
    values = [generator.integers(-limit, limit, n) for limit in limits]
    for value, limit in zip(values, limits, strict=True):
        value[:3] = (-limit, limit - 1, 0)
    masks = [integers(generator, k, n) for k in bits]
    selected, rho = generator.integers(0, 2, (2, count, n), dtype=np.uint8)
    table = generator.integers(-(2**63), 2**63 - 1, (1 + count, *powers), endpoint=True)
    columns = [
        atoms_of([int(m[e]) for m in masks], bits, [int(r) for r in rho[:, e]], powers, ring)
        for e in range(n)
    ]
    dealt = [np.array([c[v] for c in columns], dtype=np.uint64).reshape(n, -1).T.copy() for v in range(4)]
    other = [integers(generator, 64, *d.shape) for d in dealt]
    repeats = np.ones(table.shape, dtype=np.int64)
    repeats[0, 0, 0] = 0
    opened = [
        (v - m.view(np.int64)).view(np.uint64) & np.uint64((1 << k) - 1)
        for v, m, k in zip(values, masks, bits, strict=True)
    ]
    total = np.zeros(n, dtype=np.uint64)
    for party in (0, 1):
        shares = []
        for variant, (whole, share) in enumerate(zip(dealt, other, strict=True)):
            width = max(0, ring - (variant & 1) * bits[0] - (variant >> 1) * bits[1])
            shares.append(
                ((share if party == 0 else whole - share) & np.uint64((1 << width) - 1)).reshape(-1)
            )
        total += kernels.segmented_polynomial(
            *opened, selected ^ rho, table.view(np.uint64), repeats, *shares, n, *bits, ring, party
        )
    for e in range(n):
        z, w = (int(v[e]) for v in values)
        chosen = table[0].astype(object) + np.tensordot(selected[:, e].astype(object), table[1:], axes=1)
        expected = sum(chosen[i, j] * z**i * w**j for i in range(powers[0]) for j in range(powers[1]))
        assert int(total[e]) % 2**ring == expected % 2**ring


def test_wrong_arguments(kernels: Any) -> None:
    args = arguments(10, (2, 3, 2, 20, 24, 50), 0)
    short = np.zeros(9, dtype=np.uint64)
    for position, wrong, match in (
        (0, short, "divide the count"),
        (0, short[:0].copy(), "divide the count"),
        (1, short, "divide the count"),
        (2, args[2][:, :9].copy(), "divide the count"),
        (2, args[2][:1].copy(), "coefficients"),
        (3, args[3][:, :2].copy(), "coefficients"),
        (4, args[4][:, :, :1].copy(), "coefficients"),
        (4, args[4] * -1, "not be negative"),
        (4, args[4] * 3, "divide the count"),
        (4, args[4] * 2, "entries of atoms"),
        (5, args[5][1:].copy(), "entries of atoms"),
        (6, args[6][1:].copy(), "entries of atoms"),
        (7, np.zeros(0, dtype=np.uint64), "entries of atoms"),
        (8, np.zeros(1, dtype=np.uint64), "entries of atoms"),
        (9, -1, "not be negative"),
        (9, 20, "entries of atoms"),
        (10, 1, "2 to 64"),
        (11, 65, "2 to 64"),
        (12, 0, "bits must be"),
        (13, 2, "party"),
    ):
        changed = [*args[:position], wrong, *args[position + 1 :]]
        with pytest.raises(ValueError, match=match):
            kernels.segmented_polynomial(*changed)
    many = arguments(10, (1, 13, 5, 20, 24, 50), 0)
    with pytest.raises(ValueError, match="at most 64"):
        kernels.segmented_polynomial(*many)
    empty = arguments(10, (1, 2, 1, 20, 24, 50), 0)
    for position in (3, 4):
        empty[position] = empty[position][:, :0].copy()
    with pytest.raises(ValueError, match="coefficients"):
        kernels.segmented_polynomial(*empty)
    for position in range(9):
        changed = [*args[:position], args[position].astype(np.float64), *args[position + 1 :]]
        with pytest.raises(TypeError):
            kernels.segmented_polynomial(*changed)
