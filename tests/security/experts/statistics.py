"""Tests on bits [samples, columns]: each is fair, an element's are uniform together, none tells another.

Every function gives the smallest p-value of its tests times their number (Bonferroni): below `RARE` once in a
million times for uniform bits, and with the fixed seeds of the tests always or never.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2, norm

RARE = 1e-6
GROUP = 4


def corrected(p_values: np.ndarray) -> float:
    return float(p_values.min()) * p_values.size


def balance(bits: np.ndarray) -> float:
    """That as many bits are 1 as 0, column by column."""
    samples = len(bits)
    excess = 2.0 * bits.sum(axis=0, dtype=np.int64) - samples
    return corrected(2 * norm.sf(np.abs(excess) / samples**0.5))


def groups(wire: np.ndarray) -> float:
    """That the top bits and the lowest ones of each element, [samples, elements, bits], are uniform together:
    chi-square.
    """
    count = min(GROUP, wire.shape[2])
    values = []
    for part in (wire[..., :count], wire[..., -count:]):
        codes = (part.astype(np.int64) << np.arange(count)).sum(axis=2)
        counts = np.stack([(codes == code).sum(axis=0) for code in range(1 << count)])
        expected = len(wire) / (1 << count)
        values.append(chi2.sf(((counts - expected) ** 2).sum(axis=0) / expected, (1 << count) - 1))
    return corrected(np.concatenate(values))


def relation(bits: np.ndarray) -> float:
    """That no two columns agree, or differ, too often."""
    signs = 2 * bits.astype(np.float32) - 1
    agreement = np.abs(signs.T @ signs)
    np.fill_diagonal(agreement, 0)
    tests = agreement.size / 2
    return float(2 * tests * norm.sf(float(agreement.max()) / len(bits) ** 0.5))


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """That the columns of two samples of one size have the same share of ones."""
    ones = one.sum(axis=0, dtype=np.int64) - other.sum(axis=0, dtype=np.int64)
    return corrected(2 * norm.sf(np.abs(ones) / (len(one) / 2) ** 0.5))


def distribution(one: np.ndarray, other: np.ndarray) -> float:
    """That the columns of two samples of one size, integers from 0, are distributed alike: chi-square on
    eight intervals.
    """
    top = np.maximum(one.max(axis=0), other.max(axis=0)).astype(np.int64) + 1
    codes = (sample.astype(np.int64) * 8 // top for sample in (one, other))
    first, second = (np.stack([(code == n).sum(axis=0) for n in range(8)]) for code in codes)
    both = first + second
    statistic = ((first - second) ** 2 / np.maximum(both, 1)).sum(axis=0)
    return corrected(chi2.sf(statistic, np.maximum((both > 0).sum(axis=0) - 1, 1)))
