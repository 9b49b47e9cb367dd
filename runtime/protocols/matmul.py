"""Beaver matrix product of two masked values in the ring of their openings. Local: no message.

Source: Beaver, CRYPTO 1991; one mask a value, shared by all products that read it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

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
    ring_type,
    size,
)
from mpcc.runtime.ring import F64, I64, U64, reduce
from mpcc.runtime.two_party.engine.requests import Making, MatrixProduct
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


@dataclass(frozen=True)
class Merged:
    """A batch of products as one of larger matrices: axes along which only one factor differs become rows of
    the left or columns of the right one.
    """

    left: tuple[int, ...]
    right: tuple[int, ...]

    @cached_property
    def _places(self) -> tuple[list[int], list[int], list[int]]:
        """Axes of the batch, of the rows and of the columns, among those of the result."""
        rank = len(self.left) - 2
        of_rows = [i for i in range(rank) if self.right[i] == 1 and self.left[i] != 1]
        of_columns = [i for i in range(rank) if self.left[i] == 1 and self.right[i] != 1]
        batch = [i for i in range(rank) if i not in of_rows and i not in of_columns]
        return batch, [*of_rows, rank], [*of_columns, rank + 1]

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """batch, m, k, n."""
        batch, rows, columns = self._places
        counts = [math.prod(self.left[i] for i in axes) for axes in (batch, rows)]
        return counts[0], counts[1], self.left[-1], math.prod(self.right[i] for i in columns)

    def rows(self, a: U64) -> U64:
        """The left factor as [batch, m, k]."""
        (batch, rows, columns), (b, m, k, _) = self._places, self.sizes
        return np.ascontiguousarray(a.reshape(self.left).transpose(*batch, *rows, *columns)).reshape(b, m, k)

    def columns(self, a: U64) -> U64:
        """The right factor as [batch, k, n]."""
        (batch, rows, columns), (b, _, k, n) = self._places, self.sizes
        return np.ascontiguousarray(a.reshape(self.right).transpose(*batch, *rows, *columns)).reshape(b, k, n)

    def products(self, c: U64) -> U64:
        """The batch of products, from [batch, m, n]."""
        batch, rows, columns = self._places
        order = (*batch, *rows, *columns)
        whole = (*np.broadcast_shapes(self.left[:-2], self.right[:-2]), self.left[-2], self.right[-1])
        return c.reshape([whole[i] for i in order]).transpose(np.argsort(order))


def merged(a: U64, b: U64) -> Merged:
    rank = max(a.ndim, b.ndim)
    left, right = ((1,) * (rank - x.ndim) + x.shape for x in (a, b))
    return Merged(left, right)


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
    def make(
        cls, operation: Operation, drawn: Mapping[str, Part], masks: list[U64 | None], maker: Maker
    ) -> Making:
        """(a0 + a1)(b0 + b1): what is not a party's own is the products a1 b0 and, transposed, b1 a0."""
        bits, (a, b) = ring_type(operation).ring, masks
        assert a is not None
        assert b is not None
        merging = merged(a, b)
        left, right = merging.rows(reduce(a, bits)), merging.columns(reduce(b, bits))
        turned_left, turned_right = (np.ascontiguousarray(x.transpose(0, 2, 1)) for x in (right, left))
        batch, m, k, n = merging.sizes
        pair = (right, turned_right) if maker.index == 0 else (left, turned_left)
        first, second = yield [
            MatrixProduct(pair[0], (batch, m, k, n), bits, bits),
            MatrixProduct(pair[1], (batch, n, k, m), bits, bits),
        ]
        product = kernels.matmul(left, right, bits) + first + second.transpose(0, 2, 1)
        return {"product": flat(merging.products(reduce(product, bits)))}

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
