"""Tests that samples are uniform, independent and distributed alike.

Every function gives the smallest p-value of its tests times their number (Bonferroni), by the tests'
asymptotic distributions. Below `RARE` it fails: with fewer than 10,000 results in all tests of secrecy, a
false alarm in any has a probability below 1e-9. Seeds are fixed, so a test passes always or never.

Power: with n samples and m tests in a call, a bit that is 1 with a probability of 1/2 + d is found in all but
one of a thousand draws of seeds from d = (z + 3.1) / (2 sqrt(n)) on, where z = 9.3 for m = 100,000: 0.07 for
the 8248 samples of a protocol's view. `test_controls` shows each statistic what it is there to find.

Samples come as bits [samples, columns], as elements' bits [samples, elements, bits], the lowest first, or as
ring elements [samples, elements].
"""

from __future__ import annotations

import itertools

import numpy as np
from scipy.special import kolmogorov
from scipy.stats import chi2, norm

from mpcc.runtime.ring import U64

RARE = 1e-13
CELL = 32  # samples that a cell of a chi-square test is to have


def corrected(p_values: np.ndarray) -> float:
    return float(p_values.min(initial=1.0)) * p_values.size


def balance(bits: np.ndarray) -> float:
    """That as many bits are 1 as 0, column by column."""
    samples = len(bits)
    excess = 2.0 * bits.sum(axis=0, dtype=np.int64) - samples
    return corrected(2 * norm.sf(np.abs(excess) / samples**0.5))


def groups(wire: np.ndarray) -> float:
    """That the top bits and the lowest ones of each element are uniform together: chi-square, on a byte where
    there are samples enough.
    """
    count = min(8, wire.shape[2], max(1, (len(wire) // CELL).bit_length() - 1))
    values = []
    for part in (wire[..., :count], wire[..., -count:]):
        counts = _counts(_codes(part.transpose(1, 2, 0)), 1 << count)
        expected = len(wire) / (1 << count)
        values.append(chi2.sf(((counts - expected) ** 2).sum(axis=1) / expected, (1 << count) - 1))
    return corrected(np.concatenate(values))


def relation(bits: np.ndarray) -> float:
    """That no two columns agree, or differ, too often."""
    signs = _signs(bits)
    agreement = np.abs(signs.T @ signs)
    np.fill_diagonal(agreement, 0)
    tests = agreement.size / 2
    return float(2 * tests * norm.sf(float(agreement.max()) / len(bits) ** 0.5))


def triples(bits: np.ndarray) -> float:
    """That no column agrees, or differs, too often with the xor of two others."""
    signs = _signs(bits)
    pairs = np.array(list(itertools.combinations(range(signs.shape[1]), 2)))
    if signs.shape[1] < 3:
        return 1.0
    agreement = np.abs((signs[:, pairs[:, 0]] * signs[:, pairs[:, 1]]).T @ signs)
    agreement[np.arange(len(pairs)), pairs[:, 0]] = agreement[np.arange(len(pairs)), pairs[:, 1]] = 0
    return corrected(2 * norm.sf(agreement / len(bits) ** 0.5))


def repetition(bits: np.ndarray, lag: int) -> float:
    """That no column agrees, or differs, too often with itself `lag` samples later."""
    signs = _signs(bits)
    agreement = np.abs((signs[lag:] * signs[:-lag]).sum(axis=0))
    return corrected(2 * norm.sf(agreement / (len(bits) - lag) ** 0.5))


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """That the columns of two samples of one size have the same share of ones."""
    ones = one.sum(axis=0, dtype=np.int64) - other.sum(axis=0, dtype=np.int64)
    return corrected(2 * norm.sf(np.abs(ones) / (len(one) / 2) ** 0.5))


def distribution(one: np.ndarray, other: np.ndarray) -> float:
    """That the columns of two samples of one size, integers from 0, are distributed alike: chi-square on
    eight intervals.
    """
    top = np.maximum(one.max(axis=0), other.max(axis=0)).astype(np.int64) + 1
    first, second = (sample.astype(np.int64).T * 8 // top[:, None] for sample in (one, other))
    return _alike(first, second, 8)


def tuples(one: np.ndarray, other: np.ndarray, chosen: np.ndarray) -> float:
    """That tuples of bits are distributed alike in two samples of one size: chi-square. `chosen`[tests, k]
    names the columns of each.
    """
    first, second = (_codes(np.ascontiguousarray(sample.T)[chosen]) for sample in (one, other))
    return _alike(first, second, 1 << chosen.shape[1])


def smirnov(one: U64, other: U64) -> float:
    """That ring elements [samples, elements] of two samples of one size are distributed alike:
    Kolmogorov-Smirnov.
    """
    values = []
    for mine, others in zip(np.sort(one, axis=0).T, np.sort(other, axis=0).T, strict=True):
        every = np.concatenate([mine, others])
        steps = np.searchsorted(mine, every, "right") - np.searchsorted(others, every, "right")
        values.append(kolmogorov(float(np.abs(steps).max()) / (2 * len(mine)) ** 0.5))
    return corrected(np.array(values))


def _signs(bits: np.ndarray) -> np.ndarray:
    return np.asarray(2 * bits.astype(np.float32) - 1)


def _codes(bits: np.ndarray) -> np.ndarray:
    """Integers from bits [.., bits, samples], at most 8."""
    places = np.arange(bits.shape[-2], dtype=np.uint8)[:, None]
    return np.asarray(np.bitwise_or.reduce(bits << places, axis=-2))


def _counts(codes: np.ndarray, cells: int) -> np.ndarray:
    """How often each number below `cells` comes in each row."""
    return np.stack([np.bincount(row, minlength=cells) for row in codes])


def _alike(one: np.ndarray, other: np.ndarray, cells: int) -> float:
    """That the rows of two samples of one size, below `cells`, are distributed alike."""
    first, second = _counts(one, cells), _counts(other, cells)
    both = first + second
    statistic = ((first - second) ** 2 / np.maximum(both, 1)).sum(axis=1)
    return corrected(chi2.sf(statistic, np.maximum((both > 0).sum(axis=1) - 1, 1)))
