"""Polynomials in masked values, coefficients selected by masked bits."""

from collections.abc import Iterator

import numpy as np

from mpcc.runtime.kernels.twin_arrays import I64, U8, U64, check, low_mask

__all__ = ["segmented_polynomial"]

MAX_POWERS = 64  # of a segmented polynomial, (A + 1) * (B + 1)


def segmented_polynomial(
    z: U64,
    w: U64,
    bits: U8,
    coefficients: U64,
    repeats: I64,
    atoms: U64,
    wraps_z: U64,
    wraps_w: U64,
    wraps_zw: U64,
    count: int,
    z_bits: int,
    w_bits: int,
    ring: int,
    party: int,
) -> U64:
    """Shares uint64[count] of the sum over a, b of z^a w^b (c_0ab + sum over t of c_tab b_t), mod 2^ring
    (docs/protocols/segmented_polynomial.md).

    `z` and `w`: public openings E of masked values with |z| < 2^(z_bits - 2), mod 2^z_bits; w does not count
    where its degree B is 0. `bits`[T, ..], 0 or 1 (the lowest bit counts): the opened d_t of
    b_t = d_t + (1 - 2 d_t) rho_t. `coefficients`[1+T, A+1, B+1], mod 2^64. Each of z, w and the rows of bits
    has `count` / r entries, any r, one for r neighbouring elements.

    With k = z_bits, E' = E + 2^(k-2) mod 2^k and its top bit v: z = P + s_v, P = E' - 2^k v - 2^(k-2), where
    s_1 is the mask as an unsigned and s_0 as a signed integer; likewise w. The dealt arrays are shares: for
    each entry r > 0 of `repeats`[1+T, A+1, B+1] at (t, i, j), in their order, a row of `count` / r shares,
    one for r neighbouring elements. `atoms`: of s_1^i s_1^j rho_t (t = 0: without rho); in `wraps_z` (rows
    with i > 0) s_1^i is replaced by (s_0^i - s_1^i) / 2^k, in `wraps_w` (j > 0) s_1^j likewise, in `wraps_zw`
    (i, j > 0) both. Where 2^k, or both factors 2^k together, vanish mod 2^ring there are no wraps: no rows.
    A coefficient of a power without a row does not count, but for the constant (0, 0, 0), which is public and
    belongs to party 0.
    """
    for array, dtype, dimensions, name in (
        (z, np.uint64, 1, "z"),
        (w, np.uint64, 1, "w"),
        (bits, np.uint8, 2, "bits"),
        (coefficients, np.uint64, 3, "coefficients"),
        (repeats, np.int64, 3, "repeats"),
        (atoms, np.uint64, 1, "atoms"),
        (wraps_z, np.uint64, 1, "wraps_z"),
        (wraps_w, np.uint64, 1, "wraps_w"),
        (wraps_zw, np.uint64, 1, "wraps_zw"),
    ):
        check(array, dtype, dimensions, f"segmented_polynomial: {name}")
    mask = low_mask(ring)
    columns = len(bits) + 1
    if not 2 <= z_bits <= 64 or not 2 <= w_bits <= 64:
        raise ValueError("segmented_polynomial: z_bits and w_bits 2 to 64")
    if party not in (0, 1):
        raise ValueError("party must be 0 or 1")
    if coefficients.shape != repeats.shape or len(repeats) != columns or 0 in repeats.shape:
        raise ValueError("segmented_polynomial: coefficients and repeats must be [1+T, A+1, B+1]")
    if coefficients[0].size > MAX_POWERS:
        raise ValueError(f"segmented_polynomial: at most {MAX_POWERS} powers")
    if count < 0:
        raise ValueError("segmented_polynomial: count must not be negative")
    if (repeats < 0).any():
        raise ValueError("segmented_polynomial: repeats must not be negative")
    if (count % np.maximum(repeats, 1)).any():
        raise ValueError("segmented_polynomial: repeats must divide the count")
    kept = (
        (atoms, repeats),
        (wraps_z, repeats[:, 1:] * (z_bits < ring)),
        (wraps_w, repeats[:, :, 1:] * (w_bits < ring)),
        (wraps_zw, repeats[:, 1:, 1:] * (z_bits + w_bits < ring)),
    )
    if any(len(array) != (count // every[every > 0]).sum() for array, every in kept):
        raise ValueError("segmented_polynomial: the entries of atoms and wraps must be those of repeats")
    z, w = _repeated(z, count), _repeated(w, count)
    opened = (bits & np.uint8(1)).astype(np.uint64)
    opened = _repeated(opened, count) if columns > 1 else np.zeros((0, count), dtype=np.uint64)
    (public_z, step_z), (public_w, step_w) = _unmasked(z, z_bits), _unmasked(w, w_bits)
    rows = [_rows(array, every[every > 0], count) for array, every in kept]
    total = np.zeros(count, dtype=np.uint64)
    for t in range(columns):
        powers = np.broadcast_to(coefficients[t][..., None], (*coefficients[t].shape, count)).copy()
        if t == 0:
            powers += np.tensordot(coefficients[1:], opened, axes=(0, 0))
        _move(powers, public_z)
        _move(powers.swapaxes(0, 1), public_w)
        part = powers[0, 0] if t == 0 and party == 0 else np.zeros(count, dtype=np.uint64)
        for i, j in np.argwhere(repeats[t]):
            share = next(rows[0])
            if i and z_bits < ring:
                share = share + step_z * next(rows[1])
            if j and w_bits < ring:
                share = share + step_w * next(rows[2])
            if i and j and z_bits + w_bits < ring:
                share = share + step_z * step_w * next(rows[3])
            part = part + powers[i, j] * share
        total += part if t == 0 else (np.uint64(1) - np.uint64(2) * opened[t - 1]) * part
    return total & mask


def _repeated(entries: U64, count: int) -> U64:
    """Along the last axis: the entry of each of `count` elements."""
    size = entries.shape[-1]
    if (count % size if size else count) != 0:
        raise ValueError("segmented_polynomial: the entries of z, w and each bit must divide the count")
    return np.repeat(entries, count // max(1, size), axis=-1)


def _rows(shares: U64, repeats: I64, count: int) -> Iterator[U64]:
    start = 0
    for repeat in repeats.tolist():
        end = start + count // repeat
        yield np.repeat(shares[start:end], repeat)
        start = end


def _unmasked(opened: U64, bits: int) -> tuple[U64, U64]:
    """The public part P of a value, and what its wraps count: 2^bits where the top bit v is 0, else 0."""
    quarter = np.uint64(1 << (bits - 2))
    shifted = (opened + quarter) & low_mask(bits)
    step = np.uint64((1 << bits) & 0xFFFFFFFFFFFFFFFF)
    top = shifted >> np.uint64(bits - 1)
    return shifted - step * top - quarter, step * (np.uint64(1) - top)


def _move(coefficients: U64, offset: U64) -> None:
    """In place, along the first axis: coefficients of a polynomial in x become those in s, x = offset + s."""
    degree = len(coefficients) - 1
    for done in range(degree):
        for power in range(degree - 1, done - 1, -1):
            coefficients[power] += offset * coefficients[power + 1]
