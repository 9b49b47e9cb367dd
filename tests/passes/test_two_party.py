"""What is lowered otherwise for programs whose parties make their correlations themselves."""

from __future__ import annotations

import numpy as np
import pytest

from mpcc.ir.correlation_source import ATTRIBUTE, CorrelationSource
from mpcc.ir.dialects.protocol import MAX_CARRY_BLOCKS
from mpcc.ir.program import Attributes, Builder, Operation, Program, Stage, Value
from mpcc.ir.types import Range, RingType, Sharing
from mpcc.passes.lower import lower
from mpcc.passes.lower.correlation_rules import WIDEST_BLOCK, block_width, switch_error
from mpcc.runtime.two_party.engine.cost import making_cost
from tests.passes.tensor_programs import client, constant

ELEMENTS = 512


def comparison(bits: int, thresholds: int, width: int) -> Operation:
    ring = RingType(Sharing.MASKED, bits, 0, (ELEMENTS,))
    result = RingType(Sharing.BITS, 1, 0, (thresholds, ELEMENTS))
    attributes: Attributes = {"bits": bits, "width": width, "thresholds": tuple(range(thresholds))}
    return Operation("less_than", (Value("x", ring),), (Value("y", result),), attributes)


def sent(bits: int, thresholds: int, width: int) -> int:
    """Bytes, offline and online, but for the mask's bits, which every width needs."""
    steps = making_cost(comparison(bits, thresholds, width), 0.0)
    blocks = -(-(bits - 1) // width)
    return sum(sum(step.sent_in_all) for step in steps) + 2 * thresholds * (2 * blocks - 2) * ELEMENTS // 8


def transfers(bits: int, thresholds: int, width: int) -> int:
    return sum(sum(step.ots) for step in making_cost(comparison(bits, thresholds, width), 0.0))


def widths(bits: int) -> list[int]:
    return [w for w in range(1, min(WIDEST_BLOCK, bits - 1) + 1) if -(-(bits - 1) // w) <= MAX_CARRY_BLOCKS]


@pytest.mark.parametrize("bits", [2, 4, 5, 7, 8, 10, 11, 14, 19, 23, 25, 30])
def test_blocks_of_a_comparison_with_one_threshold_send_little(bits: int) -> None:
    chosen = block_width(CorrelationSource.TWO_PARTY, bits, 1)
    assert sent(bits, 1, chosen) <= 1.25 * min(sent(bits, 1, w) for w in widths(bits))


@pytest.mark.parametrize("thresholds", [2, 6, 40])
@pytest.mark.parametrize("bits", [5, 7, 12, 16, 19, 22, 30])
def test_blocks_of_a_comparison_with_several_thresholds_take_the_fewest_transfers(
    bits: int, thresholds: int
) -> None:
    chosen = block_width(CorrelationSource.TWO_PARTY, bits, thresholds)
    assert chosen == block_width(CorrelationSource.DEALER, bits, thresholds)
    assert transfers(bits, thresholds, chosen) == min(transfers(bits, thresholds, w) for w in widths(bits))


def test_arguments_are_compared_as_finely_as_the_approximation_is() -> None:
    dealt, made = (switch_error(source, 0.01) for source in CorrelationSource)
    assert (dealt, made) == (2.0**-14, 0.005)
    assert switch_error(CorrelationSource.TWO_PARTY, 1e-6) == dealt


def linear(source: CorrelationSource, weight: np.ndarray) -> Program:
    builder = Builder("test", Stage.TENSOR)
    if source is CorrelationSource.TWO_PARTY:
        builder.program.attributes[ATTRIBUTE] = str(source)
    x = builder.emit("add", client(builder, "x", np.ones((2, 4))), constant(builder, np.zeros(1)))
    builder.program.outputs = {"y": builder.emit("linear", x, constant(builder, weight))}
    ranges = {v.name: Range(-8.0, 8.0) for o in builder.program.operations for v in o.results}
    return lower(builder.program, ranges, {}, {})


@pytest.mark.parametrize(("largest", "step"), [(0.1, 4), (15.9, 4), (16.0, 8), (-200.0, 8), (5000.0, 16)])
def test_the_bound_of_a_weight_is_coarse(largest: float, step: int) -> None:
    weight = np.full((4, 3), 0.01, dtype=np.float32)
    weight[1, 2] = largest
    program = linear(CorrelationSource.TWO_PARTY, weight)
    (operation,) = [o for o in program.operations if o.kind == "linear"]
    kind = operation.operands[1].type
    assert isinstance(kind, RingType)
    assert operation.attributes["weight_bits"] == kind.fraction + step
    assert program.attributes[ATTRIBUTE] == "two-party"


def test_with_a_dealer_nothing_is_said_of_weights() -> None:
    program = linear(CorrelationSource.DEALER, np.full((4, 3), 0.5, dtype=np.float32))
    (operation,) = [o for o in program.operations if o.kind == "linear"]
    assert "weight_bits" not in operation.attributes
    assert ATTRIBUTE not in program.attributes
