"""Lowering of sources, views, sums, linear layers and matrix products."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mpcc.ir.dialects.base import VIEW_ATTRIBUTES, integers
from mpcc.ir.program import Operation, Value
from mpcc.ir.types import Range, Visibility
from mpcc.passes.lower.context import UNDECIDED, Context, Lowered, bits_for, lowers, ring_of
from mpcc.passes.lower.products import factor_fraction, known, multiply, relative_fraction, times_public
from mpcc.passes.lower.softmax.weights import WEIGHT_FRACTION

SUM_BITS = 44  # integer and fraction bits above which a sum is taken at fewer fraction bits


@lowers("input")
def lower_input(context: Context, operation: Operation) -> Lowered:
    attributes = operation.attributes
    visibility = Visibility(str(attributes["visibility"]))
    kind = "server_input" if visibility is Visibility.PARTY0 else "client_input"
    shape, name = integers(attributes, "shape"), str(attributes["name"])
    whole = attributes["dtype"] in ("int", "bool")
    fraction = 0 if whole else context.formats.table
    extent = context.range_of(operation.result)
    return Lowered(context.emit(kind, name=name, fraction=fraction, shape=shape, extent=extent))


@lowers("constant")
def lower_constant(context: Context, operation: Operation) -> Lowered:
    array = context.source.constants[str(operation.attributes["name"])]
    fraction = context.formats.activation + context.formats.weight
    return Lowered(encoded(context, operation.result, array, fraction))


def encoded(context: Context, value: Value, array: np.ndarray, fraction: int) -> Value:
    """The array of a tensor-stage constant as a source: public only if the constant is."""
    if context.visibility(value) is Visibility.PUBLIC:
        return context.public(array, fraction)
    return context.weight(array, fraction, context.ranges.get(value.name))


def _lower_view(context: Context, operation: Operation) -> Lowered:
    x = context.values[operation.operands[0]]
    keeps_rows = x.row_factor is None and x.gain is None and x.bias is None
    share = x.share if keeps_rows else context.plain_share(operation.operands[0])
    return Lowered(context.emit(operation.kind, share, extent=None, **operation.attributes))


for _kind in VIEW_ATTRIBUTES:
    lowers(_kind)(_lower_view)


@lowers("concat")
def lower_concat(context: Context, operation: Operation) -> Lowered:
    parts = _at_one_fraction(context, operation)
    return Lowered(
        context.emit("concat", *parts, extent=context.range_of(operation.result), **operation.attributes)
    )


@lowers("add", "sub")
def lower_sum(context: Context, operation: Operation) -> Lowered:
    parts = _at_one_fraction(context, operation)
    return Lowered(context.emit(operation.kind, *parts, extent=context.range_of(operation.result)))


def _at_one_fraction(context: Context, operation: Operation) -> list[Value]:
    """The operands of a sum or a concatenation, with the same fraction bits."""
    parts = [context.plain_share(v) for v in operation.operands]
    fraction = _sum_fraction(context, operation, parts)
    return [_source_or_share(context, v, p, fraction) for v, p in zip(operation.operands, parts, strict=True)]


def _sum_fraction(context: Context, operation: Operation, parts: list[Value]) -> int:
    """The largest fraction of the secret parts, unless range and fraction together grow too wide; then fewer,
    down to the activation's.
    """
    constants = [context.tensor_constant(v) is not None for v in operation.operands]
    fractions = [ring_of(p).fraction for p, c in zip(parts, constants, strict=True) if not c]
    widest = max(fractions, default=context.formats.activation + context.formats.weight)
    least = min(fractions, default=widest)
    return max(
        min(least, context.formats.activation), sum_fraction(context.range_of(operation.result), widest)
    )


def sum_fraction(extent: Range, fraction: int) -> int:
    """Fraction bits of a sum that its range leaves room for."""
    return fraction - max(0, bits_for(extent, fraction) - SUM_BITS)


def _source_or_share(context: Context, value: Value, share: Value, fraction: int) -> Value:
    """A constant encoded afresh at the fraction, or the share brought to it."""
    array = context.tensor_constant(value)
    if array is None or ring_of(share).fraction == fraction:
        return context.at_fraction(share, fraction)
    exact = np.asarray(array, dtype=np.float64)
    return context.once(("constant", value, fraction), lambda: encoded(context, value, exact, fraction))


@lowers("negate")
def lower_negate(context: Context, operation: Operation) -> Lowered:
    share = context.plain_share(operation.operands[0])
    extent = context.range_of(operation.result)
    return Lowered(context.emit("scale", share, factor=-1, fraction=0, extent=extent))


@lowers("reduce_sum", "reduce_mean")
def lower_reduction(context: Context, operation: Operation) -> Lowered:
    share = context.plain_share(operation.operands[0])
    extent = context.range_of(operation.result)
    mean = operation.kind == "reduce_mean"
    count = (
        math.prod(ring_of(share).shape[axis] for axis in integers(operation.attributes, "axes"))
        if mean
        else 1
    )
    whole = Range(extent.low * count, extent.high * count)
    fraction = ring_of(share).fraction
    narrow = context.at_fraction(
        share, max(min(fraction, context.formats.activation), sum_fraction(whole, fraction))
    )
    total = context.emit("sum", narrow, extent=whole, **operation.attributes)
    return Lowered(times_public(context, total, np.asarray(1.0 / count), extent) if mean else total)


@lowers("embedding")
def lower_embedding(context: Context, operation: Operation) -> Lowered:
    ids, table = operation.operands
    array = context.tensor_constant(table)
    assert array is not None
    producer = context.producers[ids]
    depth = array.shape[0]
    shape = (*integers(producer.attributes, "shape"), depth)
    name = str(producer.attributes["name"])
    one_hot = context.once(
        ("one_hot", ids, depth), lambda: context.emit("one_hot_input", name=name, shape=shape)
    )
    served = context.served(one_hot, 0)
    weight = context.weight(array, context.formats.table)
    return Lowered(context.emit("linear", served, weight, extent=context.range_of(operation.result)))


@lowers("linear")
def lower_linear(context: Context, operation: Operation) -> Lowered:
    x, weight, bias = folded(context, operation.operands)
    served = context.served(x, factor_fraction(context, x))
    operands = [served, context.weight(weight, context.formats.weight)]
    if bias is not None:
        operands.append(context.weight(bias, ring_of(served).fraction + context.formats.weight))
    return Lowered(context.emit("linear", *operands, extent=context.range_of(operation.result)))


def folded(context: Context, operands: Sequence[Value]) -> tuple[Value, np.ndarray, np.ndarray | None]:
    """The share of x, the weight [k, n] or [E, k, n], and the bias, if any, with what a normalisation left to
    its readers; a bias that only the normalisation has is [n] or [E, 1, n].
    """
    x = context.values[operands[0]]
    weight = context.tensor_constant(operands[1])
    assert weight is not None
    bias = context.tensor_constant(operands[2]) if len(operands) == 3 else None
    if x.row_factor is not None:
        return context.plain_share(operands[0]), weight, bias
    if x.bias is not None:
        added = _through(x.bias, weight)
        bias = added if bias is None else added.reshape(bias.shape) + bias
    if x.gain is not None:
        scaled = np.empty(weight.shape, dtype=np.float32)  # at once: doubles beside it would be many
        weight = np.multiply(x.gain[:, None], weight, out=scaled, casting="same_kind")
    return x.share, weight, bias


def _through(row: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """A row [k] times a weight [k, n], or times each of a batch [E, k, n], one by one: [E, 1, n]."""
    return row @ weight if weight.ndim == 2 else np.stack([row[None] @ matrix for matrix in weight])


@lowers("matmul")
def lower_matmul(context: Context, operation: Operation) -> Lowered:
    a, b = operation.operands
    extent = context.range_of(operation.result)
    constant = context.tensor_constant(b)
    if constant is not None and context.visibility(b) is Visibility.PUBLIC and constant.ndim == 2:
        share = context.plain_share(a)
        return Lowered(
            context.emit(
                "matmul_public", share, context.public(constant, context.formats.weight), extent=extent
            )
        )
    left = context.values[a]
    if left.row_factor is None:
        # probabilities are small: they need more fraction bits than values of up to 1 else do
        fraction = context.formats.probability if context.producers[a].kind == "softmax" else None
        return Lowered(_matmul(context, context.plain_share(a), context.plain_share(b), extent, fraction))
    # softmax(x) V: the row factor 1 / sum is applied to the few columns of the product
    count = ring_of(left.share).shape[-1]
    bound = context.range_of(b).magnitude * count * known(context, left.share).magnitude
    wide = Range(-bound, bound)
    extra = ring_of(left.share).fraction - WEIGHT_FRACTION
    product = _matmul(context, left.share, context.plain_share(b), wide, context.formats.probability + extra)
    activation = context.formats.activation
    fractions = (activation + 6 + extra, relative_fraction(known(context, left.row_factor), activation + 2))
    return Lowered(multiply(context, product, left.row_factor, extent, fractions))


def _matmul(context: Context, a: Value, b: Value, extent: Range, left_fraction: int | None = None) -> Value:
    wanted = factor_fraction(context, a) if left_fraction is None else left_fraction
    x = opened_at_root(context, a, min(ring_of(a).fraction, wanted))
    y = opened_at_root(context, b, factor_fraction(context, b))
    return context.emit("matmul", x, y, extent=extent)


def opened_at_root(context: Context, share: Value, fraction: int, bits: int = UNDECIDED) -> Value:
    """Opened before it is viewed, so that all views of it are sent once, grouped keys and values too; views
    of an opening are free. For products `bits` say how wide at least.
    """
    chain: list[Operation] = []
    producers = context.builder.program.producers()
    root = share
    while (producer := producers[root]).kind in ("reshape", "transpose", "expand"):
        chain.append(producer)
        root = producer.operands[0]
    value = context.opened(root, fraction, bits)
    for operation in reversed(chain):
        value = context.once(
            (value, "view", operation.result),
            lambda v=value, o=operation: context.emit(o.kind, v, **o.attributes),  # type: ignore[misc]
        )
    return value
