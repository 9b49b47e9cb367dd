"""Chi-square tests that samples are uniform and independent of each other, with fixed seeds: never flaky."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2

from mpcc.runtime.ring import U64

SMALLEST_P = 1e-6
GROUP_BITS = 4
STRIDE = 512  # thresholds, planes, levels and harmonics of the tested programs lie a multiple of this apart


def p_value(counts: np.ndarray) -> float:
    """Of equally likely outcomes being counted so unevenly."""
    expected = counts.sum() / counts.size
    return float(chi2.sf(((counts - expected) ** 2 / expected).sum(), counts.size - 1))


def assert_uniform(samples: U64, bits: int) -> None:
    """`samples`[.., n] of `bits` bits, independent along the last axis.

    Tested: every bit, the top and the lowest bits together, and what lies one or a multiple of `STRIDE`
    elements apart, where a mask used twice shows.
    """
    assert samples.shape[-1] > 1000
    assert int(samples.max()) >> bits == 0
    for bit in range(bits):
        ones = int(np.bitwise_count(samples >> np.uint64(bit) & np.uint64(1)).sum())
        assert p_value(np.array([ones, samples.size - ones])) > SMALLEST_P, f"bit {bit}"
    group = min(bits, GROUP_BITS)
    low = samples & np.uint64((1 << group) - 1)
    for name, values in (("top", samples >> np.uint64(bits - group)), ("low", low)):
        assert p_value(np.bincount(values.reshape(-1).astype(np.int64), minlength=1 << group)) > SMALLEST_P, (
            name
        )
    for lag in (1, *range(STRIDE, samples.shape[-1], STRIDE)):
        assert_independent(samples[..., lag:], samples[..., :-lag], bits)


def assert_independent(one: U64, other: U64, bits: int) -> None:
    """The xor and the difference of two uniform arrays are uniform: they share no mask."""
    group = min(bits, GROUP_BITS)
    reduced = np.uint64((1 << bits) - 1)
    for values in (one ^ other, (one - other) & reduced):
        top = (values >> np.uint64(bits - group)).reshape(-1).astype(np.int64)
        assert p_value(np.bincount(top, minlength=1 << group)) > SMALLEST_P, "two samples are related"
