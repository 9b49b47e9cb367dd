"""Cases of the operations with correlations: openings, products, truncation, comparison, functions."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from mpcc.ir.program import Value
from tests.runtime.protocols.cases import Case, Setting, case, close, faithful
from tests.runtime.protocols.choices import Choices


@case("open_masked", "reveal")
def open_masked(c: Choices, kind: str) -> Case:
    s = Setting(c)
    bits = c.integer(2, 64)
    value = s.masked(c.signed(c.shape(), bits - 1), bits)
    product = s.emit(
        "product", value, ring=c.integer(1, 64), factors=("value",), coefficients=((),), fractions=(0,)
    )
    return s.end(product)


@case("open_bits")
def open_bits(c: Choices, kind: str) -> Case:
    s = Setting(c)
    return s.end(s.emit(kind, s.bits(c.shape())))


@case("serve", "linear")
def linear(c: Choices, kind: str) -> Case:
    """One weight, or one for each expert of the third last axis."""
    s = Setting(c)
    batch = c.flag()
    shape, bits = (*c.shape(0, 1), *c.shape(3, 3)) if batch else c.shape(1), c.integer(1, 64)
    experts, columns = shape[-3:-2] if batch else (), c.integer(0, 5)
    served = s.emit("serve", s.secret(c.signed(shape, 64), 0, c.integer(bits, 64)), bits=bits)
    size = c.integer(1, 30)
    weight = s.source("weight", c.signed((*experts, shape[-1], columns), size))
    each = (*experts, 1, columns) if batch else (columns,)
    bias = [s.source("weight", c.signed(each, 40))] if c.flag() else []
    stated = {"weight_bits": size} if c.flag() else {}
    result = s.emit("linear", served, weight, *bias, ring=c.integer(1, bits), **stated)
    again = s.emit("linear", served, weight, ring=1)  # two results of one opening and one weight
    return s.end(s.emit("add", result, again))


@case("gain")
def gain(c: Choices, kind: str) -> Case:
    s = Setting(c)
    shape, bits = c.shape(), c.integer(1, 64)
    served = s.emit("serve", s.secret(c.signed(shape, 64), 0, c.integer(bits, 64)), bits=bits)
    operands = [
        s.source("weight", c.signed(shape[c.integer(0, len(shape)) :], 30)) for _ in range(c.integer(1, 2))
    ]
    stated = {"weight_bits": c.integer(30, 64)} if c.flag() else {}
    return s.end(s.emit(kind, served, *operands, ring=c.integer(1, bits), **stated))


@case("matmul")
def matmul(c: Choices, kind: str) -> Case:
    s = Setting(c)
    batch = c.shape(0, 2)
    other = tuple(1 if c.flag() else n for n in batch)[c.integer(0, len(batch)) :]
    m, k, n = (c.pick((0, 1, 2, 3, 7)) for _ in range(3))
    bits = [c.integer(1, 64), c.integer(1, 64)]
    left = s.masked(c.signed((*batch, m, k), 64), bits[0])
    right = s.masked(c.signed((*other, n, k), 64), bits[1])
    turned = s.emit("transpose", right, permutation=(*range(len(other)), len(other) + 1, len(other)))
    return s.end(s.emit(kind, left, turned, ring=c.integer(1, min(bits))))


@case("product")
def product(c: Choices, kind: str) -> Case:
    """Up to three factors that broadcast against each other; one opened value may serve in two factors."""
    s = Setting(c)
    shape = c.shape(0, 2)
    operands: list[Value] = []
    kinds, rows = [], []
    for _ in range(c.integer(1, 3)):
        factor = c.pick(("value", "polynomial", "bits"))
        own = tuple(1 if c.flag() else n for n in shape)[c.integer(0, len(shape)) :]
        row: tuple[int, ...] = ()
        if factor == "bits":
            count = c.integer(1, 3)
            operands.append(s.emit("open_bits", s.bits((count, *own))))
            row = tuple(c.integer(-(2**40), 2**40) for _ in range(count + 1))
        else:
            bits = c.integer(2, 64)
            operands.append(s.masked(c.signed(own, bits - 1), bits))
            if factor == "polynomial":
                row = tuple(c.integer(-(2**62), 2**62) for _ in range(c.pick((1, 2, 3, 5, 12))))
        kinds.append(factor)
        rows.append(row)
    if c.flag() and kinds[0] != "bits" and len(kinds) < 3:
        operands, kinds, rows = [*operands, operands[0]], [*kinds, kinds[0]], [*rows, rows[0]]
    result = s.emit(
        kind,
        *operands,
        ring=c.integer(1, 64),
        factors=tuple(kinds),
        coefficients=tuple(rows),
        fractions=(0,) * len(kinds),
    )
    return s.end(result)


@case("segmented_polynomial")
def segmented_polynomial(c: Choices, kind: str) -> Case:
    """One or two arguments, perhaps the same; sparse rows; openings narrower and wider than the result."""
    s = Setting(c)
    shape, count, second = c.shape(0, 2), c.integer(1, 4), c.flag()
    widths = [c.integer(2, 64), c.integer(2, 64)]
    arguments = [s.masked(c.signed(shape, k - 1), k) for k in widths[: 1 + (second and c.flag())]]
    arguments = (arguments * 2)[: 1 + second]
    every = [(a, b) for a in range(5) for b in range(4 if second else 1)]
    monomials = sorted({c.pick(every) for _ in range(c.integer(1, 4))})
    rows = tuple(
        tuple(c.integer(-(2**62), 2**62) if c.flag() else 0 for _ in range(count + 1)) for _ in monomials
    )
    result = s.emit(
        kind,
        *arguments,
        s.emit("open_bits", s.bits((count, *shape))),
        ring=c.integer(1, 64),
        monomials=tuple(monomials),
        rows=rows,
        fraction=0,
    )
    return s.end(result)


@case("truncate")
def truncate(c: Choices, kind: str) -> Case:
    s = Setting(c)
    ring, wide = c.integer(2, 64), c.integer(1, 64)
    bits = c.integer(0, ring - 2)
    x = c.signed(c.shape(), ring - 1)
    return s.end(s.emit(kind, s.share(x, bits, ring), ring=wide, bits=bits), faithful(x, bits, wide))


@case("less_than")
def less_than(c: Choices, kind: str) -> Case:
    """Thresholds anywhere, and x everywhere within 2^(bits - 1) of all of them, opened in more bits.

    Low bits are dropped of multiples: there nothing is rounded.
    """
    s = Setting(c)
    bits = c.pick((2, 3, 4, 5, 6, 7, 8, 13, 20, 33, 64))
    width = c.integer(max(1, -(-(bits - 1) // 7)) if bits < 64 else 6, 6)
    half = 1 << (bits - 1)
    first = c.integer(-half // 2, half // 2)
    thresholds = tuple(
        c.integer(first, first + half // 2 - 1 if half > 2 else first) for _ in range(c.integer(1, 4))
    )
    low, high = max(max(thresholds) - half, -(2**63)), min(min(thresholds) + half - 1, 2**63 - 1)
    drop = c.integer(0, max(0, 62 - bits)) if c.flag() else 0
    x = c.array(c.shape(), low, high) << drop
    masked = s.masked(x, c.integer(bits + drop, 64))
    return s.end(s.emit(kind, masked, bits=bits, width=width, drop=drop, thresholds=thresholds))


@case("row_reaches")
def row_reaches(c: Choices, kind: str) -> Case:
    s = Setting(c)
    bits = c.integer(1, 10)
    levels = c.integer(1, min(2**bits - 1, 70))
    low = c.integer(-200, 200)
    length = c.pick((1, 2, 3, 8, 31, 64, 255, 256, 257)) if bits <= 6 else c.integer(1, 9)
    top = low + levels
    wild = c.flag()  # integers are taken mod 2^bits
    x = (
        c.signed((*c.shape(0, 1)[:1], length), 64)
        if wild
        else c.array((c.integer(0, 4), length), top - 2**bits + 1, top)
    )
    return s.end(s.emit(kind, s.secret(x, 0, c.integer(bits, 64)), bits=bits, low=low, levels=levels))


@case("exponential")
def exponential(c: Choices, kind: str) -> Case:
    """Domains [-2^octaves, 0); both factors are rounded, by half of 2^-s0 (of the public one) at most."""
    s = Setting(c)
    octaves, f = c.integer(-2, 4), c.integer(0, 18)
    bits = octaves + f + 1
    if bits < 1:
        bits, f = bits + 3, f + 3
    growth = math.ceil(2.0**octaves * math.log2(math.e))
    fraction = c.integer(growth + 2, 62)
    x = c.array(c.shape(), -(1 << (bits - 1)), -1)
    value = s.emit(
        kind,
        s.secret(x, f, c.integer(bits, 64)),
        ring=c.integer(min(fraction + 3, 64), 64),
        bits=bits,
        fraction=fraction,
    )
    unit, exact = 2.0 ** -((fraction - growth) // 2), np.exp(x * 2.0**-f)
    case = s.end(value, close(exact, 3 * unit, fraction))
    return replace(case, check_made=close(exact, 7 * unit, fraction))


@case("sine_series")
def sine_series(c: Choices, kind: str) -> Case:
    s = Setting(c)
    bits, count = c.integer(2, 26), c.integer(1, 4)
    public, secret, amplitude_fraction = c.integer(8, 20), c.integer(8, 20), 28
    harmonics = tuple(c.integer(0, 60) for _ in range(count))
    phases = tuple(c.integer(0, (1 << bits) - 1) for _ in range(count))
    amplitudes = tuple(c.integer(-(2**30), 2**30) for _ in range(count))
    x = c.signed(c.shape(), 64)
    value = s.emit(
        kind,
        s.secret(x, 3, c.integer(bits, 64)),
        bits=bits,
        harmonics=harmonics,
        phases=phases,
        amplitudes=amplitudes,
        amplitude_fraction=amplitude_fraction,
        public_fraction=public,
        secret_fraction=secret,
    )
    b = np.array(amplitudes) * 2.0**-amplitude_fraction
    turned = np.multiply.outer(np.array(harmonics), (x % (1 << bits)).astype(np.float64))
    turned -= np.array(phases).reshape(-1, *[1] * x.ndim)
    exact = np.tensordot(b, np.cos(turned * (2 * np.pi / 2.0**bits)), axes=1)
    cut = np.pi / 2**18 if bits > 18 else 0  # the table of cosines has 2^18 entries
    total = np.abs(b).sum()
    checks = []
    for units in (0.5, 2):  # of the secret waves' last bit, by which they are off
        error = count * 2.0**-public / 2 + total * (units * 2.0**-secret + cut) + total * 2.0**-30
        checks.append(close(exact, 1.5 * error, public + secret))
    return replace(s.end(value, checks[0]), check_made=checks[1])


@case("one_hot")
def one_hot(c: Choices, kind: str) -> Case:
    s = Setting(c)
    bits = c.integer(1, 8)
    x = s.secret(c.signed(c.shape(0, 2), 64), 0, c.integer(bits, 64))
    return s.end(s.emit(kind, x, ring=c.integer(1, 64), bits=bits))
