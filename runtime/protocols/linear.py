"""Linear layers with the server's private weights: one message (the `serve` opening), one product.

With e = x1 - a known to party 0: y0 = (x0 + e) W + c0; y1 = a F + c1 was computed offline; c0 + c1 = a B,
and F = W - B went to party 1 once. Party 1 learns F, which is uniform because B is; B is bound to one
version of the weights. Sources: SecureML (S&P 2017), Delphi (USENIX Security 2020), ABY2.0 (USENIX Security
2021).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.dialects.base import integer
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
    flat,
    implements,
    packed_bytes,
    ring_type,
    size,
)
from mpcc.runtime.ring import F64, I32, I64, U64, reduce, to_ring
from mpcc.runtime.two_party.engine.requests import Making, MatrixProduct, Multiply
from mpcc.runtime.values import RuntimeValue, Served
from mpcc.runtime.weight_pieces import Piece, pieces

Weight = U64 | I32  # ring elements, or integers that fit 32 bits


def weight_pieces(operation: Operation) -> list[Piece]:
    """The pieces in which B and F are worked through."""
    return pieces(ring_type(operation, 1).shape)


def difference_sizes(operation: Operation) -> list[int]:
    """Bytes of F = W - B, piece by piece."""
    return [packed_bytes(piece.count, ring_type(operation).ring) for piece in weight_pieces(operation)]


def weight_bits(operation: Operation) -> int:
    """The public bound 2^bits of the weight's integers; the ring of the result where none is stated."""
    ring = ring_type(operation).ring
    return min(ring, integer({"weight_bits": ring, **operation.attributes}, "weight_bits"))


def bounded_weight(operation: Operation, maker: Maker) -> U64 | I64 | I32:
    """Party 0's weight within `weight_bits`, as integers, or as elements of the ring of the result where the
    bound is no smaller. Raises MPC-R046.
    """
    weight, bits, ring = maker.weight(operation), weight_bits(operation), ring_type(operation).ring
    if bits == ring:
        return reduce(to_ring(weight.astype(np.int64, copy=False)), ring)
    if max(int(weight.max(initial=0)), -int(weight.min(initial=0))) >= 1 << bits:
        raise MpccError(
            "MPC-R046",
            f"the weight of %{operation.result.name} has integers of {bits} bits and more",
            remedy="compile the model again with these weights",
        )
    return weight


class ServerLinear(ProtocolClass):
    """Shared by `linear` and `gain`: only the product differs."""

    @classmethod
    def product(cls, operation: Operation, x: U64, weight: Weight, bits: int) -> U64:
        """x times the whole weight, mod 2^bits."""
        raise NotImplementedError

    @classmethod
    def product_of_pieces(cls, operation: Operation, x: U64, rows: Iterable[U64], bits: int) -> U64:
        """The same from `weight_pieces`, each given as [rows, columns]."""
        raise NotImplementedError

    @classmethod
    def slots(cls, operation: Operation) -> list[Slot]:
        return [Slot("product", Role.DERIVED, size(operation), ring_type(operation).ring)]

    @classmethod
    def deal(
        cls, operation: Operation, drawn: Mapping[str, U64], masks: list[U64 | None], dealer: DealerView
    ) -> Dealt:
        mask = masks[0]
        assert mask is not None
        rows, bits = dealer.weight_mask(operation), ring_type(operation).ring
        product = cls.product_of_pieces(operation, mask, rows, bits)
        return Dealt({"product": product.reshape(-1)})

    @classmethod
    def offline(cls, operation: Operation, party: Party, mask: U64, differences: Iterable[U64] | None) -> U64:
        """Party 1's whole share of the result: a F + c1, from the pieces of F; None where F = 0."""
        ring = ring_type(operation)
        c = party.draw(operation)["product"].reshape(ring.shape)
        if differences is None:
            return c
        return reduce(cls.product_of_pieces(operation, mask, differences, ring.ring) + c, ring.ring)

    @classmethod
    def run(cls, operation: Operation, party: Party, operands: list[RuntimeValue]) -> Step:
        if party.index == 1:
            return party.prepared(operation)
        ring, x, w = ring_type(operation), operands[0], operands[1]
        assert isinstance(x, Served)
        assert isinstance(w, np.ndarray)
        c = party.draw(operation)["product"].reshape(ring.shape)
        y = cls.product(operation, x.data, w if w.dtype == np.int32 else w.view(np.uint64), ring.ring) + c
        if len(operands) == 3:
            assert isinstance(operands[2], np.ndarray)
            y = y + operands[2].view(np.uint64)
        return reduce(y, ring.ring)
        yield

    @classmethod
    def plain(cls, operation: Operation, operands: list[I64]) -> I64:
        x, w = operands[0].view(np.uint64), operands[1].view(np.uint64)
        y = cls.product(operation, x, w, 64).view(np.int64)
        return y + operands[2] if len(operands) == 3 else y


def _by_expert(operation: Operation, x: U64) -> U64:
    """Served rows as [E, rows, k]; E is 1 where the weight is one matrix."""
    weight = ring_type(operation, 1).shape
    if len(weight) == 3:
        x = np.moveaxis(x, -3, 0)
    rows = math.prod(x.shape[len(weight) - 2 : -1])
    return np.ascontiguousarray(x).reshape(math.prod(weight[:-2]), rows, weight[-2])


def _by_token(operation: Operation, y: U64) -> U64:
    """The opposite, for the result."""
    shape = ring_type(operation).shape
    if len(ring_type(operation, 1).shape) == 2:
        return y.reshape(shape)
    by_expert = y.reshape(shape[-3], *shape[:-3], *shape[-2:])
    return np.ascontiguousarray(np.moveaxis(by_expert, 0, -3))


@implements("linear")
class Linear(ServerLinear):
    """Matrix product over the last axis, of each expert's rows with its matrix where weights are a batch."""

    @classmethod
    def make(
        cls, operation: Operation, drawn: Mapping[str, Part], masks: list[U64 | None], maker: Maker
    ) -> Making:
        """a W for party 1's mask a and party 0's weight W, which is the fixed mask here."""
        *_, k, n = ring_type(operation, 1).shape
        bits, batch = ring_type(operation).ring, math.prod(ring_type(operation, 1).shape[:-2])
        if maker.index == 1:
            assert masks[0] is not None
            own: np.ndarray = _by_expert(operation, reduce(masks[0], bits))
        else:
            own = bounded_weight(operation, maker).reshape(batch, k, n)
        leading = ring_type(operation, 0).shape[:-1]
        rows = math.prod(leading if len(ring_type(operation, 1).shape) == 2 else (*leading[:-2], leading[-1]))
        [product] = yield [MatrixProduct(own, (batch, rows, k, n), weight_bits(operation), bits)]
        return {"product": flat(_by_token(operation, product))}

    @classmethod
    def multiplications(cls, operation: Operation) -> int:
        return size(operation) * ring_type(operation, 1).shape[-2]

    @classmethod
    def product(cls, operation: Operation, x: U64, weight: Weight, bits: int) -> U64:
        matrices = weight if weight.flags.c_contiguous else weight.copy()
        matrices = matrices.reshape(*weight.shape[:-2] or (1,), *weight.shape[-2:])
        return _by_token(operation, kernels.matmul(_by_expert(operation, x), matrices, bits))

    @classmethod
    def product_of_pieces(cls, operation: Operation, x: U64, rows: Iterable[U64], bits: int) -> U64:
        height, columns = ring_type(operation, 1).shape[-2:]
        factors = _by_expert(operation, x)
        sums = np.zeros((*factors.shape[:2], columns), dtype=np.uint64)
        for piece, w in zip(weight_pieces(operation), rows, strict=True):
            for expert, of_matrix, of_piece in piece.by_matrix(height):
                part = np.ascontiguousarray(factors[expert : expert + 1, :, of_matrix])
                kernels.matmul_add(sums[expert : expert + 1], part, w[None, of_piece], bits)
        return _by_token(operation, sums)

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        y = np.matmul(operands[0], operands[1])
        return np.asarray(y + operands[2] if len(operands) == 3 else y)


@implements("gain")
class Gain(ServerLinear):
    """Elementwise product: a LayerNorm's gain on a residual path."""

    @classmethod
    def make(
        cls, operation: Operation, drawn: Mapping[str, Part], masks: list[U64 | None], maker: Maker
    ) -> Making:
        """a w for party 1's mask a and party 0's weight w, to which 2^`weight_bits` is added, as products are
        of unsigned numbers.
        """
        bits, bound, shape = ring_type(operation).ring, weight_bits(operation), ring_type(operation).shape
        offset = np.uint64(1 << bound if bound < bits - 1 else 0)
        if maker.index == 1:
            assert masks[0] is not None
            own = flat(reduce(masks[0], bits))
        else:
            weight = to_ring(bounded_weight(operation, maker).astype(np.int64)) + offset
            own = flat(np.broadcast_to(reduce(weight, bits), shape))
        [product] = yield [Multiply(own, (min(bound + 1, bits), bits), bits)]
        return {"product": reduce(product - own * offset, bits) if maker.index == 1 else product}

    @classmethod
    def multiplications(cls, operation: Operation) -> int:
        return size(operation)

    @classmethod
    def product(cls, operation: Operation, x: U64, weight: Weight, bits: int) -> U64:
        return reduce(x * weight.view(np.uint64), bits)

    @classmethod
    def product_of_pieces(cls, operation: Operation, x: U64, rows: Iterable[U64], bits: int) -> U64:
        weight = np.empty(ring_type(operation, 1).shape, dtype=np.uint64)
        for piece, w in zip(weight_pieces(operation), rows, strict=True):
            piece.of(weight)[:] = w
        return cls.product(operation, x, weight, bits)

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        y = operands[0] * operands[1]
        return y + operands[2] if len(operands) == 3 else y
