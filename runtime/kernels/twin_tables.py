"""Functions of an opened value from public tables, times dealt factors."""

import numpy as np

from mpcc.runtime.kernels.twin_arrays import I64, U64, check, low_mask

__all__ = ["exponential", "sine_series"]


def sine_series(
    delta: U64,
    shares: U64,
    waves: I64,
    amplitudes: I64,
    harmonics: I64,
    phases: U64,
    j: int,
    shift: int,
    bits: int,
) -> U64:
    """Share of sum_m b_m cos(2 pi (m x - phase_m) / 2^j), x = delta + t mod 2^j.

    `delta`[n] is public. `shares`[2M, n]: this party's shares mod 2^bits of cos(2 pi m t / 2^j) for each of
    the M `harmonics` m, then of the sines. `waves`[2^(p-2)], 2 <= p <= j: a quarter of the cosine's and of
    minus the sine's period 2^p, as `wave_table` packs them; it is read at m delta - `phases`[m] mod 2^j, cut
    to p bits. The public factors are integers, round(amplitude * wave / 2^shift), the same on both sides;
    amplitudes must fit 32 bits. Returns uint64[n], the sum over m of factor(cos) * share_cos + factor(-sin) *
    share_sin.
    """
    check(delta, np.uint64, 1, "sine_series: delta")
    check(shares, np.uint64, 2, "sine_series: shares")
    check(waves, np.int64, 1, "sine_series: waves")
    check(amplitudes, np.int64, 1, "sine_series: amplitudes")
    check(harmonics, np.int64, 1, "sine_series: harmonics")
    check(phases, np.uint64, 1, "sine_series: phases")
    mask = low_mask(bits)
    size, terms = len(waves), len(harmonics)
    p = size.bit_length() + 1
    if size.bit_count() != 1 or not p <= j <= 64 or not 0 <= shift <= 62:
        raise ValueError("sine_series: waves must have 2^(p-2) entries, 2 <= p <= j <= 64, shift 0 to 62")
    if len(amplitudes) != terms or len(phases) != terms or shares.shape != (2 * terms, len(delta)):
        raise ValueError("sine_series: amplitudes [M], harmonics [M], phases [M], shares [2M, n]")
    if np.any(amplitudes != amplitudes.astype(np.int32)):
        raise ValueError("sine_series: amplitudes must fit 32 bits")
    j_mask, down = low_mask(j), np.uint64(j - p)
    result = np.zeros(len(delta), dtype=np.uint64)
    for m in range(terms):
        index = ((delta * harmonics[m].astype(np.uint64) - phases[m]) & j_mask) >> down
        cosine, minus_sine = _wave(waves, index, size)
        result += _round_shift(amplitudes[m] * cosine, shift) * shares[m]
        result += _round_shift(amplitudes[m] * minus_sine, shift) * shares[terms + m]
    return result & mask


def exponential(delta: U64, factors: U64, coarse: I64, fine: I64, j: int, scale: int, bits: int) -> U64:
    """This party's share uint64[n] of exp from its opening, see protocols/exponential.py.

    `delta`[n] is public, mod 2^j. Its top bit chooses the dealt factor, one of the rows of `factors`[2, n];
    its other bits, l of them low, the public one, c + round(c f / 2^scale) with c of `coarse`[2^(j-1-l)] at
    the high bits and f of `fine`[2^l] at the low ones. Returns their product mod 2^bits.
    """
    check(delta, np.uint64, 1, "exponential: delta")
    check(factors, np.uint64, 2, "exponential: factors")
    check(coarse, np.int64, 1, "exponential: coarse")
    check(fine, np.int64, 1, "exponential: fine")
    mask = low_mask(bits)
    low = len(fine).bit_length() - 1
    if not 1 <= j <= 64 or len(fine) != 1 << max(0, low) or len(coarse) << low != 1 << (j - 1):
        raise ValueError("exponential: coarse and fine must have 2^(j-1-l) and 2^l entries, j at most 64")
    if not 1 <= scale <= 63:
        raise ValueError("exponential: scale 1 to 63")
    if factors.shape != (2, len(delta)):
        raise ValueError("exponential: factors must be [2, n]")
    upper = np.uint64(0) - (delta >> np.uint64(j - 1) & np.uint64(1))
    chosen = factors[0] ^ ((factors[0] ^ factors[1]) & upper)
    index = delta & np.uint64((1 << (j - 1)) - 1)
    top = coarse.view(np.uint64)[index >> np.uint64(low)]
    product = top * fine.view(np.uint64)[index & np.uint64((1 << low) - 1)] + np.uint64(1 << (scale - 1))
    share: U64 = chosen * (top + (product >> np.uint64(scale))) & mask
    return share


def _wave(waves: I64, index: U64, size: int) -> tuple[I64, I64]:
    """The cosine and minus the sine anywhere in a period of which `waves` is a quarter: a quarter further the
    cosine is what minus the sine was, and minus the sine minus what the cosine was.
    """
    quarter, wave = index // np.uint64(size), waves[index & np.uint64(size - 1)]
    upper, lower = wave >> np.int64(32), wave.astype(np.int32).astype(np.int64)
    odd, second = (quarter & np.uint64(1)).view(np.int64), (quarter >> np.uint64(1)).view(np.int64)
    cosine, minus_sine = upper + (lower - upper) * odd, lower + (upper - lower) * odd
    return cosine * (1 - 2 * second), minus_sine * (1 - 2 * (odd ^ second))


def _round_shift(values: I64, shift: int) -> U64:
    if shift:
        values = (values + np.int64(1 << (shift - 1))) >> np.int64(shift)
    return values.view(np.uint64)
