"""Beaver matrix product of two masked values in the ring of their openings. Local: no message.

Source: Beaver, CRYPTO 1991; one mask a value, shared by all products that read it.
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
from mpcc.runtime.ring import F64, I64, U64
from mpcc.runtime.values import Masked, RuntimeValue


def batched_matmul(a: U64, b: U64, bits: int) -> U64:
    """[.., m, k] x [.., k, n] mod 2^bits with broadcasting batch axes."""
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    product = kernels.matmul(batched(a, batch), batched(b, batch), bits)
    return product.reshape(*batch, a.shape[-2], b.shape[-1])


def add_matmul(c: U64, a: U64, b: U64, bits: int) -> None:
    """c = c + a b mod 2^bits, c contiguous [.., m, n]."""
    batch = c.shape[:-2]
    sums = c.reshape(math.prod(batch), *c.shape[-2:])
    kernels.matmul_add(sums, batched(a, batch), batched(b, batch), bits)


def batched(x: U64, batch: tuple[int, ...]) -> U64:
    """[.., m, n] as contiguous [batch, m, n]."""
    whole = np.broadcast_to(x, (*batch, *x.shape[-2:]))
    return np.ascontiguousarray(whole.reshape(math.prod(batch), *x.shape[-2:]))


@implements("matmul")
class MatMul(ProtocolClass):
    """Party 0: (D + a) E + D b + c; party 1: D b + a E + c, with c = a b dealt."""

    @classmethod
    def slots(cls, operation: Operation) -> list[Slot]:
        return [Slot("product", Role.DERIVED, size(operation), ring_type(operation).ring)]

    @classmethod
    def multiplications(cls, operation: Operation) -> int:
        return 2 * size(operation) * ring_type(operation, 0).shape[-1]

    @classmethod
    def deal(
        cls, operation: Operation, drawn: Mapping[str, U64], masks: list[U64 | None], dealer: DealerView
    ) -> Dealt:
        a, b = masks
        assert a is not None
        assert b is not None
        return Dealt({"product": batched_matmul(a, b, ring_type(operation).ring).reshape(-1)})

    @classmethod
    def run(cls, operation: Operation, party: Party, operands: list[RuntimeValue]) -> Step:
        x, y = operands
        assert isinstance(x, Masked)
        assert isinstance(y, Masked)
        ring = ring_type(operation)
        left = x.mask + x.opened if party.index == 0 else x.mask
        product = party.draw(operation)["product"].reshape(ring.shape)
        add_matmul(product, left, y.opened, ring.ring)
        add_matmul(product, x.opened, y.mask, ring.ring)
        return product
        yield

    @classmethod
    def plain(cls, operation: Operation, operands: list[I64]) -> I64:
        return batched_matmul(operands[0].view(np.uint64), operands[1].view(np.uint64), 64).view(np.int64)

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        return np.asarray(np.matmul(operands[0], operands[1]))
