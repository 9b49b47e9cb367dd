"""The linear layers of chosen experts: the selection goes in, with the values, or is made of all results.

in: selection times x, [.., E*d], then one layer with the stacked weights: E*d elements to party 0. out: all
experts' layers of one served x, then a selection from E*h results. Source: SecMoE (AAAI 2026) for
select-then-compute; selecting values is cheaper than selecting weights.
"""

from __future__ import annotations

import numpy as np

from mpcc.ir.program import Operation, Value
from mpcc.ir.types import Range
from mpcc.passes.lower.context import UNDECIDED, Context, Lowered, bits_for, lowers, ring_of
from mpcc.passes.lower.correlation_rules import outer_by_matmul
from mpcc.passes.lower.experts.bits import UNIT, swapped_axes
from mpcc.passes.lower.experts.select import select
from mpcc.passes.lower.linear import folded, opened_at_root
from mpcc.passes.lower.products import factor_fraction, known, product_of


@lowers("routed_linear")
def lower_routed_linear(context: Context, operation: Operation) -> Lowered:
    selection = context.plain_share(operation.operands[0])
    x, weight, bias = folded(context, operation.operands[1:])
    extent = context.range_of(operation.result)
    if operation.attributes["side"] == "out":
        return Lowered(_select_results(context, selection, x, weight, bias, extent))
    *lead, count, experts = ring_of(selection).shape
    width = ring_of(x).shape[-1]
    if len(ring_of(x).shape) == len(lead) + 1:
        x = context.emit("reshape", x, shape=(*lead, 1, width))
    fraction = factor_fraction(context, x)
    matrices = outer_by_matmul(context.correlations)
    # a matrix product opens in the result's ring; of elements, openings may be narrower than that
    known_widths = (bits_for(UNIT, 0), bits_for(known(context, x), fraction))
    widths = (UNDECIDED, UNDECIDED) if matrices else known_widths
    chooser = opened_at_root(context, selection, 0, widths[0])
    chooser = context.emit("reshape", chooser, shape=(*lead, count, experts, 1))
    values = opened_at_root(context, x, fraction, widths[1])
    values = context.emit("reshape", values, shape=(*ring_of(x).shape[:-1], 1, width))
    routed_extent = known(context, x).join(Range(0.0, 0.0))
    if matrices:
        routed = context.emit("matmul", chooser, values, extent=routed_extent)
    else:
        routed = product_of(context, chooser, values, routed_extent)
    return Lowered(_stacked(context, routed, selection, weight, bias, extent))


@lowers("mixture_linear")
def lower_mixture_linear(context: Context, operation: Operation) -> Lowered:
    mixture = context.plain_share(operation.operands[0])
    x, weight, bias = folded(context, operation.operands[1:])
    *lead, count, _ = ring_of(mixture).shape
    shares = context.at_fraction(mixture, min(ring_of(mixture).fraction, context.formats.probability))
    opened = context.opened(shares, ring_of(shares).fraction, UNDECIDED)
    swapped = context.emit("transpose", opened, permutation=swapped_axes(len(lead) + 2, -2, -1))
    values = opened_at_root(context, x, factor_fraction(context, x))
    bound = known(context, x).magnitude * known(context, mixture).magnitude * count
    mixed = context.emit("matmul", swapped, values, extent=Range(-bound, bound))
    extent = context.range_of(operation.result)
    routed = context.at_fraction(mixed, factor_fraction(context, x))
    routed = context.emit("reshape", routed, shape=(*lead, 1, *ring_of(routed).shape[-2:]))
    total = context.emit("sum", shares, axes=(len(lead),), keepdims=True, extent=Range(0.0, float(count)))
    y = _stacked(context, routed, total, weight, bias, extent)
    return Lowered(context.emit("reshape", y, shape=(*lead, ring_of(y).shape[-1])))


def _stacked(
    context: Context,
    routed: Value,
    selection: Value,
    weight: np.ndarray,
    bias: np.ndarray | None,
    extent: Range,
) -> Value:
    """routed [.., k, E, d] times weights [E, d, h], plus selection [.., k, E] times biases [E, h]:
    [.., k, h].
    """
    experts, width, results = weight.shape
    flat = context.emit("reshape", routed, shape=(*ring_of(routed).shape[:-2], experts * width))
    served = context.served(flat, ring_of(flat).fraction)
    stacked = context.weight(weight.reshape(experts * width, results), context.formats.weight)
    y = context.emit("linear", served, stacked, extent=extent)
    if bias is None:
        return y
    fraction = ring_of(y).fraction - ring_of(selection).fraction
    chosen = context.emit(
        "linear",
        context.served(selection, ring_of(selection).fraction),
        context.weight(bias.reshape(experts, results), fraction),
        extent=extent,
    )
    return context.emit("add", y, chosen, extent=extent)


def _select_results(
    context: Context,
    selection: Value,
    x: Value,
    weight: np.ndarray,
    bias: np.ndarray | None,
    extent: Range,
) -> Value:
    experts, width, results = weight.shape
    *lead, count, _ = ring_of(selection).shape
    served = context.served(x, factor_fraction(context, x))
    wide = weight.transpose(1, 0, 2).reshape(width, experts * results)
    operands = [served, context.weight(wide, context.formats.weight)]
    if bias is not None:
        fraction = ring_of(served).fraction + context.formats.weight
        operands.append(context.weight(bias.reshape(-1), fraction))
    y = context.emit("linear", *operands, extent=extent)
    if len(ring_of(x).shape) == len(lead) + 1:
        y = context.emit("reshape", y, shape=(*lead, experts, results))
        return select(context, selection, y, extent)
    y = context.emit("reshape", y, shape=(*lead, count, experts, results))
    rows = context.emit("reshape", selection, shape=(*lead, count, 1, experts))
    chosen = select(context, rows, y, extent)
    return context.emit("reshape", chosen, shape=(*lead, count, results))
