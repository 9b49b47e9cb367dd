"""Integer tables of the cosine and the exponential, from integer arithmetic alone: the same on every machine.

Both parties multiply shares by these numbers, so one differing unit would be a wrong answer; libm is not used
because its last bit depends on the machine. Values are computed with `GUARD` bits more than asked. A table
entry could be rounded the wrong way only if the true value lay within 2^-60 of a half; ties do not exist
(Niven; Lindemann).
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

GUARD = 96


@lru_cache(maxsize=16)
def cosine_table(p: int, scale_bits: int) -> NDArray[np.int64]:
    """int64[2^p], read only: round(2^scale_bits * cos(2 pi i / 2^p)). 2 <= p <= 24, scale_bits 0 to 62."""
    if not (2 <= p <= 24 and 0 <= scale_bits <= 62):
        raise ValueError("cosine_table: p must be 2 to 24, scale_bits 0 to 62")
    precision = scale_bits + GUARD
    step_cos, step_sin = _cos_sin(2 * _pi(precision) >> p, precision)
    cos, sin = 1 << precision, 0
    eighth = max(1, (1 << p) // 8)
    cosines, sines = [cos], [sin]
    for _ in range(eighth):
        cos, sin = (
            (cos * step_cos - sin * step_sin) >> precision,
            (sin * step_cos + cos * step_sin) >> precision,
        )
        cosines.append(cos)
        sines.append(sin)
    # The second octant is the first with sine and cosine exchanged; for p = 2 one step is the quarter itself.
    quarter = cosines + sines[-2::-1] if p > 2 else [1 << precision, 0]
    first = np.array([_round(value, GUARD) for value in quarter], dtype=np.int64)
    half = np.concatenate([first, -first[-2:0:-1]])
    table = np.concatenate([half, -half])
    table.setflags(write=False)
    return table


@lru_cache(maxsize=16)
def wave_table(p: int, scale_bits: int) -> NDArray[np.int64]:
    """int64[2^(p-2)], read only: the first quarter of `cosine_table` in the upper 32 bits, minus the sine in
    the lower, both signed.
    """
    if scale_bits > 30:
        raise ValueError("wave_table: scale_bits 0 to 30")
    cosine, minus_sine = cosine_table(p, scale_bits).reshape(4, -1)[:2]  # the cosine a quarter later
    table: NDArray[np.int64] = (cosine << np.int64(32)) | (minus_sine & np.int64(0xFFFFFFFF))
    table.setflags(write=False)
    return table


@lru_cache(maxsize=16)
def exp_table(count: int, step_num: int, step_log2: int, scale_bits: int) -> NDArray[np.int64]:
    """int64[count], read only: round(2^scale_bits * exp(-i * step)), step = step_num / 2^step_log2 >= 0."""
    if not (0 <= count <= 1 << 24 and step_num >= 0 and step_log2 >= 0 and 0 <= scale_bits <= 62):
        raise ValueError("exp_table: count 0 to 2^24, step not negative, scale_bits 0 to 62")
    precision = scale_bits + GUARD
    factor = _exp_minus(step_num, step_log2, precision)
    value, table = 1 << precision, np.empty(count, dtype=np.int64)
    for i in range(count):
        table[i] = _round(value, GUARD)
        value = (value * factor) >> precision
    table.setflags(write=False)
    return table


def _round(value: int, shift: int) -> int:
    return (value + (1 << (shift - 1))) >> shift


def _pi(precision: int) -> int:
    """pi * 2^precision, by Machin's formula."""
    extra = precision + 16
    return (16 * _arctan_inverse(5, extra) - 4 * _arctan_inverse(239, extra)) >> 16


def _arctan_inverse(n: int, precision: int) -> int:
    power, total, k = (1 << precision) // n, 0, 1
    while power:
        total += power // k if k % 4 == 1 else -(power // k)
        power //= n * n
        k += 2
    return total


def _cos_sin(angle: int, precision: int) -> tuple[int, int]:
    """Taylor series of cosine and sine of angle / 2^precision, at most pi/2."""
    sums, term, k = [0, 0, 0, 0], 1 << precision, 0
    while term:
        sums[k % 4] += term
        k += 1
        term = (term * angle >> precision) // k
    return sums[0] - sums[2], sums[1] - sums[3]


def _exp_minus(step_num: int, step_log2: int, precision: int) -> int:
    """exp(-step_num / 2^step_log2) * 2^precision: the series of exp(x / 2^n) with x / 2^n < 1, squared n
    times.
    """
    halvings = max(0, step_num.bit_length() - step_log2)
    extra = precision + 2 * halvings + 16
    angle = (step_num << extra) >> (step_log2 + halvings)
    total, term, k = 0, 1 << extra, 0
    while term:
        total += -term if k % 2 else term
        k += 1
        term = (term * angle >> extra) // k
    for _ in range(halvings):
        total = total * total >> extra
    return total >> (extra - precision)
