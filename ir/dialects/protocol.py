"""Share stage, operations that the runtime's protocols carry out: openings, products, functions."""

from __future__ import annotations

import math

from mpcc.ir.dialects.base import (
    broadcast,
    expect_count,
    integer,
    integers,
    linear_shape,
    register,
    ring,
)
from mpcc.ir.dialects.share import LINEAR, ShareOperation
from mpcc.ir.program import Attributes
from mpcc.ir.types import RingType, Sharing, Type

MAX_CARRY_BLOCKS = 12  # a carry node over L blocks takes 3 * 2^(L-1) products of masks
MAX_EXPONENT_BITS = 28  # both tables of the exponential are computed when a program is loaded
SINE_TABLE_FRACTION = 30
SINE_TABLE_BITS = 18  # index bits of the cosine table; an argument with more goes to the nearest entry
MAX_POWERS = (
    64  # powers z^a of a factor, z^a w^b of a segmented polynomial: (1 + largest a) * (1 + largest b)
)


def _share(types: list[Type], index: int, bits: int) -> RingType:
    """A share operand, or a value that somebody knows, whose ring holds at least `bits` bits."""
    x = ring(types, index, *LINEAR)
    if x.ring < bits:
        raise ValueError(f"operand {index} lives in a ring of {x.ring} bits, {bits} are needed")
    return x


@register
class OpenMasked(ShareOperation):
    """Both parties learn x - a mod 2^bits for a fresh uniform mask a."""

    name = "open_masked"
    required = {"bits": int}
    opens = "masked"

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 1)
        bits = integer(attributes, "bits")
        x = _share(operands, 0, bits)
        return [RingType(Sharing.MASKED, bits, x.fraction, x.shape, x.range)]


@register
class OpenBits(ShareOperation):
    """Both parties learn b xor rho for fresh uniform bits rho."""

    name = "open_bits"
    opens = "masked"

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 1)
        x = ring(operands, 0, Sharing.BITS)
        return [RingType(Sharing.MASKED_BITS, 1, 0, x.shape)]


@register
class Serve(ShareOperation):
    """Party 0 learns x - a mod 2^bits for a fresh uniform mask a that party 1 knows."""

    name = "serve"
    required = {"bits": int}
    opens = "server_masked"

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 1)
        bits = integer(attributes, "bits")
        x = _share(operands, 0, bits)
        return [RingType(Sharing.SERVED, bits, x.fraction, x.shape, x.range)]


@register
class Linear(ShareOperation):
    """Served x [.., k] times party 0's weight [k, n], or x [.., E, m, k] times weights [E, k, n], plus an
    optional bias of the product's fraction that broadcasts to the result.

    `weight_bits`, where stated: every integer of the weight is below 2^weight_bits in magnitude. Parties that
    make correlations themselves profit from the bound; it is public, and not the weight's own.
    """

    name = "linear"
    optional = {"weight_bits": int}

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 2, 3)
        x, w = ring(operands, 0, Sharing.SERVED), ring(operands, 1, Sharing.PRIVATE0)
        _check_weight_bits(attributes)
        return [_with_bias(operands, x, w, linear_shape(x.shape, w.shape))]


@register
class Gain(ShareOperation):
    """Served x times party 0's weight elementwise (broadcast, x keeps its shape), plus an optional bias.
    `weight_bits` as in `linear`.
    """

    name = "gain"
    optional = {"weight_bits": int}

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 2, 3)
        x, w = ring(operands, 0, Sharing.SERVED), ring(operands, 1, Sharing.PRIVATE0)
        if broadcast(x.shape, w.shape) != x.shape:
            raise ValueError(f"gain: {w.shape} does not broadcast to {x.shape}")
        _check_weight_bits(attributes)
        return [_with_bias(operands, x, w, x.shape)]


def _check_weight_bits(attributes: Attributes) -> None:
    if not 1 <= integer({"weight_bits": 64, **attributes}, "weight_bits") <= 64:
        raise ValueError("weight_bits within 1..64")


def _with_bias(operands: list[Type], x: RingType, w: RingType, shape: tuple[int, ...]) -> RingType:
    fraction = x.fraction + w.fraction
    if len(operands) == 3:
        bias = ring(operands, 2, Sharing.PRIVATE0)
        if bias.fraction != fraction or broadcast(bias.shape, shape) != shape:
            raise ValueError("bias does not fit in shape or fraction bits")
    return RingType(Sharing.SHARE, x.ring, fraction, shape)


@register
class MatMul(ShareOperation):
    """Beaver product of masked [.., m, k] and masked [.., k, n] in the ring of their openings."""

    name = "matmul"

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 2)
        a, b = ring(operands, 0, Sharing.MASKED), ring(operands, 1, Sharing.MASKED)
        if min(len(a.shape), len(b.shape)) < 2 or a.shape[-1] != b.shape[-2]:
            raise ValueError(f"cannot multiply {a.shape} by {b.shape}")
        shape = (*broadcast(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
        return [RingType(Sharing.SHARE, min(a.ring, b.ring), a.fraction + b.fraction, shape)]


@register
class Product(ShareOperation):
    """Elementwise product of factors in a wider ring, from narrow openings.

    One entry a factor in `factors`, `coefficients` (integers) and `fractions`:
      `value`       a masked value; coefficients empty; fraction is the value's.
      `polynomial`  sum_i c_i z^i of a masked value z; c_i carries `fraction` - i * (z's fraction) bits.
      `bits`        c_0 + sum_t c_(t+1) b_t of masked bits with leading axis t.
    """

    name = "product"
    required = {"factors": tuple, "coefficients": tuple, "fractions": tuple}

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        kinds, fractions = attributes["factors"], integers(attributes, "fractions")
        rows = _rows(attributes, "coefficients")
        if not isinstance(kinds, tuple):
            raise ValueError("product: factors must be a list")
        if not operands or not len(kinds) == len(rows) == len(fractions) == len(operands):
            raise ValueError("product: one entry a factor is needed")
        shapes = []
        for index, (kind, row, fraction) in enumerate(zip(kinds, rows, fractions, strict=True)):
            if kind == "bits":
                x = ring(operands, index, Sharing.MASKED_BITS)
                if not x.shape or len(row) != 1 + x.shape[0]:
                    raise ValueError(f"product: {len(row)} coefficients for bits of shape {x.shape}")
                shapes.append(x.shape[1:])
            elif kind in ("value", "polynomial"):
                x = ring(operands, index, Sharing.MASKED)
                if (kind == "value") != (len(row) == 0) or (kind == "value" and fraction != x.fraction):
                    raise ValueError(f"product: coefficients or fraction do not fit a {kind}")
                if x.ring < 2:
                    raise ValueError("product: a masked value needs 2 bits at least")
                if len(row) > MAX_POWERS:
                    raise ValueError(f"product: {len(row)} powers, at most {MAX_POWERS}")
                shapes.append(x.shape)
            else:
                raise ValueError(f"product: unknown factor '{kind}'")
        return [RingType(Sharing.SHARE, 64, sum(fractions), broadcast(*shapes))]


@register
class SegmentedPolynomial(ShareOperation):
    """sum_m z^a_m w^b_m (c_m + sum_t d_mt b_t) of masked z and w and masked bits b, in a wider ring.

    Operands (z, bits) or (z, w, bits): bits [T, *S] for z and w of shape S. `monomials`: pairs (a, b);
    `rows`: (c, d_1 .. d_T) for each. The coefficient of z^a w^b carries `fraction` - a * (z's fraction)
    - b * (w's fraction) bits.
    """

    name = "segmented_polynomial"
    required = {"monomials": tuple, "rows": tuple, "fraction": int}

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 2, 3)
        bits = ring(operands, len(operands) - 1, Sharing.MASKED_BITS)
        arguments = [ring(operands, i, Sharing.MASKED) for i in range(len(operands) - 1)]
        if not bits.shape or bits.shape[0] < 1 or any(x.shape != bits.shape[1:] for x in arguments):
            raise ValueError("segmented_polynomial: bits have a leading axis, then the shape of the others")
        if any(x.ring < 2 for x in arguments):
            raise ValueError("segmented_polynomial: a masked value needs 2 bits at least")
        monomials = _exponents(attributes)
        fraction = integer(attributes, "fraction")
        fractions = (*(x.fraction for x in arguments), 0)
        if any(fraction < a * fractions[0] + b * fractions[1] for a, b in monomials):
            raise ValueError("segmented_polynomial: a coefficient has fewer than 0 fraction bits")
        if len(arguments) == 1 and any(b for _, b in monomials):
            raise ValueError("segmented_polynomial: powers of a second value that is not there")
        rows = _rows(attributes, "rows")
        if len(rows) != len(monomials) or any(len(row) != 1 + bits.shape[0] for row in rows):
            raise ValueError("segmented_polynomial: a row of a constant and one integer a bit for a monomial")
        return [RingType(Sharing.SHARE, 64, fraction, bits.shape[1:])]


def _exponents(attributes: Attributes) -> list[tuple[int, int]]:
    """The monomials' pairs of exponents. Raises ValueError for other things, and for too many powers."""
    monomials = attributes["monomials"]
    if not isinstance(monomials, tuple) or not monomials:
        raise ValueError("segmented_polynomial: no monomial")
    pairs = []
    for entry in monomials:
        pair = integers({"monomials": entry}, "monomials")
        if len(pair) != 2 or min(pair) < 0:
            raise ValueError(f"segmented_polynomial: {entry} is no pair of exponents")
        pairs.append((pair[0], pair[1]))
    if len(set(pairs)) != len(pairs):
        raise ValueError("segmented_polynomial: a monomial occurs twice")
    powers = (1 + max(a for a, _ in pairs)) * (1 + max(b for _, b in pairs))
    if powers > MAX_POWERS:
        raise ValueError(f"segmented_polynomial: {powers} powers, at most {MAX_POWERS}")
    return pairs


def _rows(attributes: Attributes, name: str) -> list[tuple[int, ...]]:
    """A list attribute of lists of coefficients. Raises ValueError when it is something else."""
    rows = attributes[name]
    if not isinstance(rows, tuple):
        raise ValueError(f"{name} must be a list")
    result = [integers({name: row}, name) for row in rows]
    if any(not -(2**63) <= c < 2**63 for row in result for c in row):
        raise ValueError(f"{name}: a coefficient exceeds 64 bits")
    return result


@register
class Truncate(ShareOperation):
    """Faithful truncation by `bits`, into any ring: error below one unit, for |x| < 2^(ring - 2)."""

    name = "truncate"
    required = {"bits": int}
    opens = "masked"

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 1)
        x, bits = ring(operands, 0, Sharing.SHARE), integer(attributes, "bits")
        if not 0 <= bits < x.ring - 1:
            raise ValueError(f"cannot truncate a ring of {x.ring} bits by {bits}")
        return [RingType(Sharing.SHARE, 64, x.fraction - bits, x.shape)]


def compared_bits(attributes: Attributes) -> int:
    """Bits of the opening that a `less_than` reads: those that it compares and those that it drops."""
    return integer(attributes, "bits") + integer({"drop": 0, **attributes}, "drop")


@register
class LessThan(ShareOperation):
    """[x < t] for a masked x and integer thresholds t, as bits with a leading axis of thresholds.

    |x - t| < 2^(bits - 1); the opening may be wider. With `drop`, x / 2^drop is compared, rounded up or down
    as by a shift, from an opening of `bits` + `drop` bits at least. Blocks of `width` bits.
    """

    name = "less_than"
    required = {"bits": int, "width": int, "thresholds": tuple}
    optional = {"drop": int}
    opens = "masked"

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 1)
        bits, width, count = (
            integer(attributes, "bits"),
            integer(attributes, "width"),
            len(integers(attributes, "thresholds")),
        )
        x, needed = ring(operands, 0, Sharing.MASKED), compared_bits(attributes)
        if not bits <= needed <= x.ring:
            raise ValueError(f"less_than: bits 0 to {needed} of an opening of {x.ring} bits, {bits} compared")
        if bits < 2 or not 1 <= width <= 6 or bits - 1 > width * MAX_CARRY_BLOCKS:
            raise ValueError(
                f"less_than: bits at least 2, width within 1..6, at most {MAX_CARRY_BLOCKS} blocks"
            )
        if not count:
            raise ValueError("less_than: no threshold")
        return [RingType(Sharing.BITS, 1, 0, (count, *x.shape))]


@register
class RowReaches(ShareOperation):
    """Whether a row (last axis) of integers holds one in [v, low + levels], for v = low+1 .. low+levels.

    Integers are taken mod 2^bits; result shape (levels, .., 1).
    """

    name = "row_reaches"
    required = {"bits": int, "low": int, "levels": int}
    opens = "masked"

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 1)
        bits, levels = integer(attributes, "bits"), integer(attributes, "levels")
        x = _share(operands, 0, bits)
        if not 1 <= bits <= 10 or not 1 <= levels < 2**bits or not x.shape:
            raise ValueError("row_reaches: bits within 1..10, levels below 2^bits, rank at least 1")
        if not 1 <= x.shape[-1] < 2**16:
            raise ValueError("row_reaches: a row has 1 to 65535 elements")
        return [RingType(Sharing.BITS, 1, 0, (levels, *x.shape[:-1], 1))]


@register
class Exponential(ShareOperation):
    """exp(x) for x in [-2^(bits - 1 - f), 0), f the operand's fraction; the result has `fraction` bits."""

    name = "exponential"
    required = {"bits": int, "fraction": int}
    opens = "masked"

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 1)
        bits, fraction = integer(attributes, "bits"), integer(attributes, "fraction")
        x = _share(operands, 0, bits)
        if not 1 <= bits <= MAX_EXPONENT_BITS or x.fraction < 0:
            raise ValueError(f"exponential: bits within 1..{MAX_EXPONENT_BITS}, fraction bits not negative")
        growth = math.ceil(2.0 ** (bits - 1 - x.fraction) * math.log2(math.e))
        if not growth + 2 <= fraction <= 62:
            raise ValueError(
                f"exponential: this domain needs a fraction within {growth + 2}..62, got {fraction}"
            )
        return [RingType(Sharing.SHARE, 64, fraction, x.shape)]


@register
class SineSeries(ShareOperation):
    """sum_m b_m cos(2 pi (m x - phase_m) / 2^bits) for x mod 2^bits; b_m = amplitude / 2^amplitude_fraction.

    One phase within [0, 2^bits) for each harmonic: 0 makes a cosine, 2^(bits-2) a sine. The public factors
    b_m cos(m delta - phase_m) carry `public_fraction` bits, the dealt cosines `secret_fraction` bits; the
    result has the sum of both.
    """

    name = "sine_series"
    required = {
        "bits": int,
        "harmonics": tuple,
        "phases": tuple,
        "amplitudes": tuple,
        "amplitude_fraction": int,
        "public_fraction": int,
        "secret_fraction": int,
    }
    opens = "masked"

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 1)
        bits = integer(attributes, "bits")
        harmonics, phases, amplitudes = (
            integers(attributes, name) for name in ("harmonics", "phases", "amplitudes")
        )
        x = _share(operands, 0, bits)
        if bits < 2 or not harmonics or len(harmonics) != len(amplitudes) or min(harmonics) < 0:
            raise ValueError("sine_series: bits at least 2, one amplitude a harmonic, harmonics not negative")
        if len(phases) != len(harmonics) or not all(0 <= phase < 1 << bits for phase in phases):
            raise ValueError("sine_series: one phase a harmonic, within [0, 2^bits)")
        public, secret = integer(attributes, "public_fraction"), integer(attributes, "secret_fraction")
        cut = integer(attributes, "amplitude_fraction") + SINE_TABLE_FRACTION - public
        if not 0 <= cut <= 62 or not 0 <= secret <= 62 or max(map(abs, amplitudes)) >= 1 << 31:
            raise ValueError("sine_series: amplitudes exceed 32 bits, or fractions 62")
        return [RingType(Sharing.SHARE, 64, public + secret, x.shape)]


@register
class OneHot(ShareOperation):
    """Arithmetic one-hot [.., 2^bits] of a secret index mod 2^bits."""

    name = "one_hot"
    required = {"bits": int}
    opens = "masked"

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 1)
        bits = integer(attributes, "bits")
        if not 1 <= bits <= 16:
            raise ValueError("one_hot: bits within 1..16")
        x = _share(operands, 0, bits)
        return [RingType(Sharing.SHARE, 64, 0, (*x.shape, 2**bits))]


@register
class Reveal(ShareOperation):
    """The party in `to` (`party0`, `party1`, `public` for both) learns x mod 2^ring; `name`: the output's."""

    name = "reveal"
    required = {"name": str, "to": str}
    opens = "reveal"

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 1)
        x = ring(operands, 0, Sharing.SHARE)
        to = {"party0": Sharing.PRIVATE0, "party1": Sharing.PRIVATE1, "public": Sharing.PUBLIC}.get(
            str(attributes["to"])
        )
        if to is None:
            raise ValueError("reveal: 'to' must be party0, party1 or public")
        return [RingType(to, 64, x.fraction, x.shape, x.range)]
