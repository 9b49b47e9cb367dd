"""Sine series: a smooth function of one variable in one tick, without a comparison.

t uniform mod 2^j, delta = x - t mod 2^j opened; cos(m x - p) = cos(m delta - p) cos(m t) - sin(m delta - p)
sin(m t) with the dealer's shares of cos(m t) and sin(m t). The public factors are integers from an integer
table, the same on both sides. Opened: x - t mod the period, uniform. Sources: Zheng et al., Sine
approximation for MPC (ICML 2023); SecFormer (Findings of ACL 2024).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from mpcc.ir.dialects.base import integer, integers
from mpcc.ir.dialects.protocol import SINE_TABLE_BITS, SINE_TABLE_FRACTION
from mpcc.ir.program import Operation
from mpcc.runtime import kernels
from mpcc.runtime.correlations.slots import Part, Role, Slot
from mpcc.runtime.protocols.base import (
    DealerView,
    Dealt,
    Maker,
    Party,
    ProtocolClass,
    Step,
    as_share,
    implements,
    masked_difference,
    packed_bytes,
    ring_type,
    size,
)
from mpcc.runtime.protocols.private_products import truncated
from mpcc.runtime.ring import F64, I64, U64, reduce, to_ring
from mpcc.runtime.two_party.engine.requests import InnerProduct, Making
from mpcc.runtime.values import RuntimeValue

MOST_WAVE_BITS = 30  # of a private cosine: products of two, and what a truncation needs, fit a word


def waves(operation: Operation) -> I64:
    """The kernel's table of cosines and sines."""
    bits = integer(operation.attributes, "bits")
    return kernels.wave_table(min(bits, SINE_TABLE_BITS), SINE_TABLE_FRACTION)


def _waves(index: U64, bits: int, scale: int, ring: int) -> U64:
    """Cosine and sine of 2 pi index / 2^bits with `scale` bits after the point, mod 2^ring."""
    angle = index.astype(np.float64) * (2 * np.pi / 2.0**bits)
    values = np.rint(np.stack([np.cos(angle), np.sin(angle)]) * 2.0**scale).astype(np.int64)
    return reduce(to_ring(values), ring)


def private_waves(index: U64, bits: int, scale: int) -> U64:
    """This party's cosine and sine, with `scale` bits after the point, plus 2^scale: below 2^(scale + 1)."""
    angle = index.astype(np.float64) * (2 * np.pi / 2.0**bits)
    values = np.rint(np.stack([np.cos(angle), np.sin(angle)]) * 2.0**scale)
    return np.minimum(values + 2.0**scale, 2.0 ** (scale + 1) - 1).astype(np.uint64)


@lru_cache(maxsize=4)
def _turn(bits: int, scale: int, ring: int) -> U64:
    """`_waves` of every index."""
    return _waves(np.arange(1 << bits, dtype=np.uint64), bits, scale, ring)


@implements("sine_series")
class SineSeries(ProtocolClass):
    """One tick, `bits` bits an element each way; 2M ring elements dealt an element."""

    @classmethod
    def slots(cls, operation: Operation) -> list[Slot]:
        count, harmonics = size(operation), len(integers(operation.attributes, "harmonics"))
        return [
            Slot("mask", Role.UNIFORM, count, integer(operation.attributes, "bits")),
            Slot("harmonics", Role.DERIVED, 2 * harmonics * count, ring_type(operation).ring),
        ]

    @classmethod
    def messages(cls, operation: Operation) -> list[tuple[int, int]]:
        count = packed_bytes(size(operation), integer(operation.attributes, "bits"))
        return [(count, count)]

    @classmethod
    def make_tables(cls, operation: Operation) -> None:
        waves(operation)

    @classmethod
    def multiplications(cls, operation: Operation) -> int:
        return 2 * size(operation) * len(integers(operation.attributes, "harmonics"))

    @classmethod
    def deal(
        cls, operation: Operation, drawn: Mapping[str, U64], masks: list[U64 | None], dealer: DealerView
    ) -> Dealt:
        bits, scale = integer(operation.attributes, "bits"), integer(operation.attributes, "secret_fraction")
        harmonics = np.array(integers(operation.attributes, "harmonics"), dtype=np.uint64)
        index = (harmonics[:, None] * drawn["mask"][None, :]) & np.uint64((1 << bits) - 1)
        meaning = bits, scale, ring_type(operation).ring
        if index.size < 1 << bits:
            values = _waves(index, *meaning)
        else:
            values = np.take(_turn(*meaning), index.view(np.int64), axis=1)
        return Dealt({"harmonics": values.reshape(-1)})

    @classmethod
    def make(
        cls, operation: Operation, drawn: Mapping[str, Part], masks: list[U64 | None], maker: Maker
    ) -> Making:
        """cos and sin of m (t0 + t1) from each party's own, by the addition theorem.

        Both are rounded to S = `secret_fraction` + 2 bits, 30 at most, with an error of at most 2^-S: the two
        products of a cosine or a sine add up to less than 2.9 such errors, and their truncation to
        `secret_fraction` bits errs by less than a unit. 1.8 units in all, where S is not 30.
        """
        attributes = operation.attributes
        bits, fraction = integer(attributes, "bits"), integer(attributes, "secret_fraction")
        harmonics = np.array(integers(attributes, "harmonics"), dtype=np.uint64)
        index = reduce(harmonics[:, None] * drawn["mask"][None, :], bits).reshape(-1)
        scale, ring = min(fraction + 2, MOST_WAVE_BITS), ring_type(operation).ring
        offset = np.uint64(1 << scale)
        cosine, sine = private_waves(index, bits, scale)
        if maker.index == 0:
            flipped = np.minimum(2 * offset - sine, 2 * offset - np.uint64(1))
            terms = [np.stack([cosine, flipped]), np.stack([sine, cosine])]
        else:
            terms = [np.stack([cosine, sine])] * 2
        width = 2 * scale + 4
        products = yield [InnerProduct(own, (scale + 1, scale + 1), width) for own in terms]
        # (u - o)(v - o) = u v - o (u - o) - o v; party 0 subtracts its part, party 1 the other
        crossed = [
            product - offset * (own - (offset if maker.index == 0 else np.uint64(0))).sum(axis=0)
            for product, own in zip(products, terms, strict=True)
        ]
        excess = 2 * scale - fraction
        waves = np.concatenate(crossed)
        result = yield from truncated(waves, width, max(0, excess), ring, maker.index)
        return {"harmonics": reduce(result << np.uint64(max(0, -excess)), ring)}

    @classmethod
    def run(cls, operation: Operation, party: Party, operands: list[RuntimeValue]) -> Step:
        attributes, ring = operation.attributes, ring_type(operation)
        bits = integer(attributes, "bits")
        harmonics = np.array(integers(attributes, "harmonics"), dtype=np.int64)
        phases = np.array(integers(attributes, "phases"), dtype=np.uint64)
        if bits > SINE_TABLE_BITS:  # half an entry more: the kernel cuts the angle down to the table's index
            phases -= np.uint64(1 << (bits - SINE_TABLE_BITS - 1))
        drawn = party.draw(operation)
        share = as_share(party, operands[0], ring_type(operation, 0)).reshape(-1)
        delta = yield from masked_difference(share, drawn["mask"], bits)
        cut = (
            integer(attributes, "amplitude_fraction")
            + SINE_TABLE_FRACTION
            - integer(attributes, "public_fraction")
        )
        result = kernels.sine_series(
            delta,
            drawn["harmonics"].reshape(2 * len(harmonics), -1),
            waves(operation),
            np.array(integers(attributes, "amplitudes"), dtype=np.int64),
            harmonics,
            phases,
            bits,
            cut,
            ring.ring,
        )
        return result.reshape(ring.shape)

    @classmethod
    def plain(cls, operation: Operation, operands: list[I64]) -> I64:
        attributes = operation.attributes
        fraction = integer(attributes, "public_fraction") + integer(attributes, "secret_fraction")
        x, mask = operands[0].view(np.uint64), np.uint64((1 << integer(attributes, "bits")) - 1)
        turn = 2 * np.pi / 2.0 ** integer(attributes, "bits")
        total = np.zeros(operands[0].shape)
        terms = (integers(attributes, name) for name in ("harmonics", "phases", "amplitudes"))
        for m, phase, amplitude in zip(*terms, strict=True):
            index = (x * np.uint64(m) - np.uint64(phase)) & mask
            total += amplitude * np.cos(index.astype(np.float64) * turn)
        total *= 2.0 ** -integer(attributes, "amplitude_fraction")
        return np.rint(total * 2.0**fraction).astype(np.int64)

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        attributes = operation.attributes
        turns = operands[0] * 2.0 ** (ring_type(operation, 0).fraction - integer(attributes, "bits"))
        total = np.zeros(turns.shape)
        terms = (integers(attributes, name) for name in ("harmonics", "phases", "amplitudes"))
        for m, phase, amplitude in zip(*terms, strict=True):
            angle = m * turns - phase * 2.0 ** -integer(attributes, "bits")
            total += amplitude * np.cos(2 * np.pi * angle)
        return np.asarray(total * 2.0 ** -integer(attributes, "amplitude_fraction"))
