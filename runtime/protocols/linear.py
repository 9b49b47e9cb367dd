"""Linear layers with the server's private weights: one message (the `serve` opening), one product.

With e = x1 - a known to party 0: y0 = (x0 + e) W + c0; y1 = a F + c1 was computed offline; c0 + c1 = a B,
and F = W - B went to party 1 once. Party 1 learns F, which is uniform because B is; B is bound to one
version of the weights. Sources: SecureML (S&P 2017), Delphi (USENIX Security 2020), ABY2.0 (USENIX Security
2021).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mpcc.ir.program import Operation
from mpcc.runtime import kernels
from mpcc.runtime.correlations.slots import Role, Slot
from mpcc.runtime.protocols.base import (
    DealerView,
    Dealt,
    Party,
    ProtocolClass,
    Step,
    implements,
    ring_type,
    size,
)
from mpcc.runtime.ring import F64, I64, U64, reduce
from mpcc.runtime.values import RuntimeValue, Served


class ServerLinear(ProtocolClass):
    """Shared by `linear` and `gain`: only the product differs."""

    @classmethod
    def product(cls, x: U64, w: U64, bits: int) -> U64:
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
        product = cls.product(mask, dealer.weight_mask(operation), ring_type(operation).ring)
        return Dealt({"product": product.reshape(-1)})

    @classmethod
    def offline(cls, operation: Operation, party: Party, mask: U64, weight_difference: U64) -> U64:
        """Party 1's whole share of the result: a F + c1."""
        ring = ring_type(operation)
        c = party.draw(operation)["product"].reshape(ring.shape)
        return reduce(cls.product(mask, weight_difference, ring.ring) + c, ring.ring)

    @classmethod
    def run(cls, operation: Operation, party: Party, operands: list[RuntimeValue]) -> Step:
        if party.index == 1:
            return party.prepared(operation)
        ring, x, w = ring_type(operation), operands[0], operands[1]
        assert isinstance(x, Served)
        assert isinstance(w, np.ndarray)
        c = party.draw(operation)["product"].reshape(ring.shape)
        y = cls.product(x.data, w.view(np.uint64), ring.ring) + c
        if len(operands) == 3:
            assert isinstance(operands[2], np.ndarray)
            y = y + operands[2].view(np.uint64)
        return reduce(y, ring.ring)
        yield


@implements("linear")
class Linear(ServerLinear):
    """Matrix product over the last axis."""

    @classmethod
    def multiplications(cls, operation: Operation) -> int:
        return size(operation) * ring_type(operation, 1).shape[0]

    @classmethod
    def product(cls, x: U64, w: U64, bits: int) -> U64:
        rows = np.ascontiguousarray(x).reshape(1, math.prod(x.shape[:-1]), w.shape[0])
        columns = np.ascontiguousarray(w)[None]  # the kernel reduces
        return kernels.matmul(rows, columns, bits).reshape(*x.shape[:-1], w.shape[1])

    @classmethod
    def plain(cls, operation: Operation, operands: list[I64]) -> I64:
        y = cls.product(operands[0].view(np.uint64), operands[1].view(np.uint64), 64).view(np.int64)
        return y + operands[2] if len(operands) == 3 else y

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        y = np.matmul(operands[0], operands[1])
        return np.asarray(y + operands[2] if len(operands) == 3 else y)


@implements("gain")
class Gain(ServerLinear):
    """Elementwise product: a LayerNorm's gain on a residual path."""

    @classmethod
    def multiplications(cls, operation: Operation) -> int:
        return size(operation)

    @classmethod
    def product(cls, x: U64, w: U64, bits: int) -> U64:
        return reduce(x * w, bits)

    @classmethod
    def plain(cls, operation: Operation, operands: list[I64]) -> I64:
        y = operands[0] * operands[1]
        return y + operands[2] if len(operands) == 3 else y

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        y = operands[0] * operands[1]
        return y + operands[2] if len(operands) == 3 else y
