import hashlib
import math
from fractions import Fraction

import numpy as np
import pytest

from mpcc.runtime.kernels import cosine_table, exp_table, wave_table


@pytest.mark.parametrize("p", range(2, 17))
def test_cosine_against_floating_point(p: int) -> None:
    expected = np.cos(2 * np.pi * np.arange(1 << p) / (1 << p)) * (1 << 30)
    assert np.abs(cosine_table(p, 30) - expected).max() <= 0.5 + 1e-5


def test_cosine_is_correctly_rounded_at_full_scale() -> None:
    """Against rational Taylor sums: 60 terms, enough for an angle below 2 pi at 62 bits."""
    pi = Fraction(31415926535897932384626433832795028841971693993751, 10**49)
    for index in (1, 5, 100, 127, 129, 255, 300, 511):
        angle = 2 * pi * index / 512
        value = sum((-1) ** k * angle ** (2 * k) / math.factorial(2 * k) for k in range(60))
        assert cosine_table(9, 62)[index] == round(value * (1 << 62))


def test_cosine_symmetries() -> None:
    table = cosine_table(10, 20)
    assert table[0] == 1 << 20
    assert np.array_equal(table[1:], table[:0:-1])
    assert np.array_equal(table[512:], -table[:512])
    assert np.array_equal(table[256:512], -table[256:0:-1])


def test_waves_are_the_cosine_and_minus_the_sine() -> None:
    for p in (2, 9):
        quarter = 1 << (p - 2)
        cosine, waves = cosine_table(p, 30), wave_table(p, 30)
        assert np.array_equal(waves >> 32, cosine[:quarter])
        angle = 2 * np.pi * np.arange(quarter) / (1 << p)
        assert np.abs(waves.astype(np.int32) + np.sin(angle) * (1 << 30)).max() <= 0.5 + 1e-5
    with pytest.raises(ValueError, match="wave_table"):
        wave_table(9, 31)


@pytest.mark.parametrize(("step_num", "step_log2"), [(1, 0), (3, 4), (1, 12), (300, 2), (0, 3)])
def test_exp_against_floating_point(step_num: int, step_log2: int) -> None:
    step = step_num / 2.0**step_log2
    expected = np.exp(-np.arange(400) * step) * (1 << 30)
    assert np.abs(exp_table(400, step_num, step_log2, 30) - expected).max() <= 0.5 + 1e-5


def test_exp_is_correctly_rounded_at_full_scale() -> None:
    for index in (1, 2, 17):
        value = sum(Fraction(-3 * index, 16) ** k / math.factorial(k) for k in range(80))
        assert exp_table(20, 3, 4, 62)[index] == round(value * (1 << 62))


def test_tables_are_the_same_everywhere() -> None:
    """Both parties use these integers: a change is a change of the protocol."""
    digests = [
        hashlib.sha256(t.astype("<i8").tobytes()).hexdigest()[:16]
        for t in (cosine_table(16, 62), cosine_table(12, 14), exp_table(4096, 1, 8, 62))
    ]
    assert digests == ["54f3ba62a45417dc", "2d5b5bf9dde108b9", "0b864b513c306929"]


def test_tables_are_cached_and_read_only() -> None:
    assert cosine_table(8, 12) is cosine_table(8, 12)
    with pytest.raises(ValueError, match="read-only"):
        cosine_table(8, 12)[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        exp_table(8, 1, 1, 12)[0] = 1


def test_wrong_arguments() -> None:
    for p, scale in ((1, 10), (25, 10), (8, 63), (8, -1)):
        with pytest.raises(ValueError, match="cosine_table"):
            cosine_table(p, scale)
    for arguments in ((-1, 1, 1, 10), (4, -1, 1, 10), (4, 1, -1, 10), (4, 1, 1, 63)):
        with pytest.raises(ValueError, match="exp_table"):
            exp_table(*arguments)
