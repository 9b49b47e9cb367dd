"""Local operations: no message, no correlation. Shares are linear, so each party works on its own."""

from __future__ import annotations

import math

import numpy as np

from mpcc.ir.dialects.base import VIEW_ATTRIBUTES, apply_view, integer, integers
from mpcc.ir.program import Operation
from mpcc.ir.types import RingType, Sharing
from mpcc.runtime import kernels
from mpcc.runtime.protocols.base import (
    Party,
    ProtocolClass,
    Step,
    as_share,
    flat,
    implements,
    protocols,
    ring_type,
)
from mpcc.runtime.ring import F64, I64, U64, constant, reduce, to_ring
from mpcc.runtime.values import Masked, MaskedBits, RuntimeValue, Served

HOLDERS = {Sharing.PRIVATE0: (0,), Sharing.PRIVATE1: (1,), Sharing.PUBLIC: (0, 1)}


def linear_operand(operation: Operation, party: Party, value: RuntimeValue, index: int) -> U64:
    """An operand as this party needs it for a linear combination whose result has the operation's sharing."""
    result = ring_type(operation)
    if result.sharing is Sharing.SHARE:
        return as_share(party, value, ring_type(operation, index))
    if not isinstance(value, np.ndarray):
        raise TypeError(f"operand {index} of {operation.kind} has no array at party {party.index}")
    return value.view(np.uint64)


def absent(operation: Operation, party: Party) -> bool:
    """Whether the result is a private value of the other party."""
    return party.index not in HOLDERS.get(ring_type(operation).sharing, (0, 1))


class Local(ProtocolClass):
    """A local operation on arrays: subclasses say what it does to each party's uint64 arrays, and to openings
    and masks alike.
    """

    @classmethod
    def compute(cls, operation: Operation, arrays: list[U64]) -> U64:
        raise NotImplementedError

    @classmethod
    def run(cls, operation: Operation, party: Party, operands: list[RuntimeValue]) -> Step:
        if absent(operation, party):
            return None
        masked = [v for v in operands if isinstance(v, Masked)]
        if masked:
            opened = cls.compute(operation, [v.opened for v in masked])
            mask = cls.compute(operation, [v.mask for v in masked])
            bits = ring_type(operation).ring
            return Masked(reduce(opened, bits), reduce(mask, bits))
        arrays = [linear_operand(operation, party, v, i) for i, v in enumerate(operands)]
        return cls.compute(operation, arrays)
        yield  # a generator without ticks

    @classmethod
    def plain(cls, operation: Operation, operands: list[I64]) -> I64:
        return cls.compute(operation, [to_ring(x) for x in operands]).view(np.int64)


class SourceProtocol(ProtocolClass):
    """Inputs, weights and constants come from the party's own files."""

    @classmethod
    def run(cls, operation: Operation, party: Party, operands: list[RuntimeValue]) -> Step:
        return None if absent(operation, party) else party.source(operation)
        yield


for _kind in ("client_input", "server_input", "one_hot_input", "weight", "constant"):
    implements(_kind)(type(_kind, (SourceProtocol,), {"__doc__": SourceProtocol.__doc__}))


@implements("add")
class Add(Local):
    """Sum."""

    @classmethod
    def compute(cls, operation: Operation, arrays: list[U64]) -> U64:
        return arrays[0] + arrays[1]

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        return operands[0] + operands[1]


@implements("sub")
class Sub(Local):
    """Difference."""

    @classmethod
    def compute(cls, operation: Operation, arrays: list[U64]) -> U64:
        return arrays[0] - arrays[1]

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        return operands[0] - operands[1]


@implements("scale")
class Scale(Local):
    """Public integer multiple."""

    @classmethod
    def compute(cls, operation: Operation, arrays: list[U64]) -> U64:
        return arrays[0] * constant(integer(operation.attributes, "factor"))

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        attributes = operation.attributes
        return operands[0] * (integer(attributes, "factor") / 2.0 ** integer(attributes, "fraction"))


@implements("reinterpret")
class Reinterpret(Local):
    """Another fraction, the same integers."""

    @classmethod
    def compute(cls, operation: Operation, arrays: list[U64]) -> U64:
        return arrays[0]

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        return operands[0] * 2.0 ** (ring_type(operation, 0).fraction - ring_type(operation).fraction)


@implements("widen")
class Widen(Local):
    """The same integers: their ring is wide enough."""

    @classmethod
    def compute(cls, operation: Operation, arrays: list[U64]) -> U64:
        return arrays[0]

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        return operands[0]


@implements("sum")
class Sum(Local):
    """Sum over axes."""

    @classmethod
    def compute(cls, operation: Operation, arrays: list[U64]) -> U64:
        axes, keepdims = integers(operation.attributes, "axes"), bool(operation.attributes["keepdims"])
        return np.asarray(arrays[0].sum(axis=axes, keepdims=keepdims, dtype=np.uint64))

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        axes, keepdims = integers(operation.attributes, "axes"), bool(operation.attributes["keepdims"])
        return np.asarray(operands[0].sum(axis=axes, keepdims=keepdims))


@implements("concat")
class Concat(Local):
    """Concatenation."""

    @classmethod
    def compute(cls, operation: Operation, arrays: list[U64]) -> U64:
        return np.concatenate(arrays, axis=integer(operation.attributes, "axis"))

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        return np.concatenate(operands, axis=integer(operation.attributes, "axis"))


class PublicFactor(Local):
    """Product with a public second operand, which both parties hold whole."""

    @classmethod
    def run(cls, operation: Operation, party: Party, operands: list[RuntimeValue]) -> Step:
        if absent(operation, party):
            return None
        factor = operands[1]
        assert isinstance(factor, np.ndarray)
        return cls.compute(
            operation, [linear_operand(operation, party, operands[0], 0), factor.view(np.uint64)]
        )
        yield


@implements("mul_public")
class MulPublic(PublicFactor):
    """Elementwise product with a public array."""

    @classmethod
    def compute(cls, operation: Operation, arrays: list[U64]) -> U64:
        return arrays[0] * arrays[1]

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        return operands[0] * operands[1]


@implements("matmul_public")
class MatMulPublic(PublicFactor):
    """Matrix product with a public matrix."""

    @classmethod
    def multiplications(cls, operation: Operation) -> int:
        return math.prod(ring_type(operation).shape) * ring_type(operation, 1).shape[0]

    @classmethod
    def compute(cls, operation: Operation, arrays: list[U64]) -> U64:
        x, c = arrays
        rows = np.ascontiguousarray(x).reshape(1, math.prod(x.shape[:-1]), c.shape[0])
        product = kernels.matmul(rows, np.ascontiguousarray(c)[None], 64)
        return product.reshape(*x.shape[:-1], c.shape[1])

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        return np.asarray(np.matmul(operands[0], operands[1]))


@implements("shift")
class Shift(ProtocolClass):
    """Free truncation into the narrower ring (docs/protocols/truncate.md): floor of each party's own share.

    The result differs from x / 2^bits by less than one unit: party 0 adds 2^bits - 1 first, so multiples of
    2^bits stay exact and the rounding is stochastic and unbiased.
    """

    @classmethod
    def run(cls, operation: Operation, party: Party, operands: list[RuntimeValue]) -> Step:
        bits, source = integer(operation.attributes, "bits"), ring_type(operation, 0)
        if source.sharing is not Sharing.SHARE:
            value = operands[0]
            return cls.plain(operation, [value.view(np.int64)]) if isinstance(value, np.ndarray) else None
        share = as_share(party, operands[0], source)
        offset = (1 << bits) - 1 if party.index == 0 else 0
        return kernels.shift_right(flat(share), offset, source.ring, bits).reshape(share.shape)
        yield

    @classmethod
    def plain(cls, operation: Operation, operands: list[I64]) -> I64:
        return rounded_shift(operands[0], integer(operation.attributes, "bits"))

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        return operands[0]


def rounded_shift(x: I64, bits: int) -> I64:
    """x / 2^bits to the nearest integer: what a shift yields on average."""
    return x if bits == 0 else (x + (1 << (bits - 1))) >> bits


class ViewProtocol(ProtocolClass):
    """Views move elements, whatever the sharing; the dealer moves the mask the same way."""

    @classmethod
    def run(cls, operation: Operation, party: Party, operands: list[RuntimeValue]) -> Step:
        (value,) = operands
        if isinstance(value, Masked | MaskedBits | Served):
            return value.view(cls.kind, operation.attributes)
        return None if value is None else apply_view(cls.kind, value, operation.attributes)
        yield

    @classmethod
    def plain(cls, operation: Operation, operands: list[I64]) -> I64:
        return apply_view(cls.kind, operands[0], operation.attributes)

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        return apply_view(cls.kind, operands[0], operation.attributes)


for _kind in VIEW_ATTRIBUTES:
    implements(_kind)(type(_kind, (ViewProtocol,), {"__doc__": ViewProtocol.__doc__}))


def moves_mask(operation: Operation) -> bool:
    """Whether the operation is local and its result has a mask that follows from the operands', as the dealer
    knows them: a view of a masked value, a sum or difference of two.
    """
    masked = (Sharing.MASKED, Sharing.MASKED_BITS, Sharing.SERVED)
    first = operation.operands[0].type if operation.operands else None
    local = issubclass(protocols[operation.kind], Local | ViewProtocol)
    return local and isinstance(first, RingType) and first.sharing in masked
