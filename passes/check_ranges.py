"""Range checks: one bit a layer, whether a value left the range that protocols count on.

Each value that a lowering relies on, and each operand of a truncation, is compared with both ends of its
range, before it is narrowed. Low bits are dropped first, for free: a range is 32 to 64 units wide on each
side, so a comparison takes about 11 bits, HEADROOM of them above the range. The bits of a layer are counted,
the count is compared with 0, and the resulting bit is revealed: how many values left their range, and which,
stays secret.

Detected for certain: values beyond the range by a factor of up to 2^HEADROOM - 1; further out the comparison
comes round, an element escapes with a chance of about 2^-HEADROOM. Never reported: values two units inside
the range.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from mpcc.ir.dialects.base import VIEW_ATTRIBUTES
from mpcc.ir.program import Attribute, Builder, Program, Stage, Value
from mpcc.ir.range_checks import ATTRIBUTE, OUTPUT
from mpcc.ir.types import Range, Sharing
from mpcc.passes.assign_rings import limits_of, truncations
from mpcc.passes.lower.context import bits_for, emit_widest, ring_of
from mpcc.passes.lower.reliance import Reliance, Reliances

HEADROOM = 4  # bits above the range
RESOLUTION = 5  # the range's magnitude has this many bits before the last unit
WIDEST_BLOCK = 6  # of a comparison


def check_ranges(program: Program, reliances: Reliances) -> Program:
    """The program with its checks and their reveal, at the widest rings.

    Outputs get HEADROOM bits more: they are right that far beyond their range, and need no check.
    """
    program = _with_wider_outputs(program)
    values = (v for o in program.operations for v in o.results)
    secret = {v for v in values if ring_of(v).sharing is not Sharing.PUBLIC}
    wanted = [r for r in reliances.checked if r.share in secret]
    while True:
        checked = _Checks(program, wanted).program
        missing = _truncated(program, checked, reliances.proven, {r.share for r in wanted})
        if not missing:
            return checked
        wanted += missing  # checks take bits, and bits can make more shifts truncations


def _with_wider_outputs(program: Program) -> Program:
    builder = _builder(program)
    for operation in program.operations:
        if operation.kind == "reveal":
            (share,) = operation.operands
            extent = ring_of(share).range
            if extent is not None:
                wide = Range(extent.low * 2**HEADROOM, extent.high * 2**HEADROOM).symmetric()
                attributes: dict[str, Attribute] = {"fraction": ring_of(share).fraction}
                share = emit_widest(builder, "reinterpret", [share], attributes, wide, operation.onnx_nodes)
            operation = replace(operation, operands=(share,))
        builder.program.operations.append(operation)
    return builder.program


def _truncated(program: Program, checked: Program, proven: set[Value], known: set[Value]) -> list[Reliance]:
    """What the truncations of the checked program rely on, where that is neither proven nor checked yet."""
    producers, missing = program.producers(), {}
    for operation in truncations(checked):
        share = operation.operands[0]
        root = producers[share]
        while root.kind in VIEW_ATTRIBUTES:
            root = producers[root.operands[0]]
        extent = ring_of(share).range
        if root.result not in proven and not {share, root.result} & known and extent is not None:
            missing[root.result] = Reliance(root.result, extent.symmetric(), root.onnx_nodes)
    return list(missing.values())


def _builder(program: Program) -> Builder:
    """A builder for a copy of the program, whose names it knows."""
    builder = Builder(program.name, Stage.SHARE)
    for operation in program.operations:
        for value in operation.results:
            builder.fresh_name(value.name)
    builder.program.attributes = dict(program.attributes)
    builder.program.constants = program.constants
    builder.program.outputs = dict(program.outputs)
    return builder


@dataclass(frozen=True)
class _Comparison:
    """x in units of 2^(dropped - fraction) is compared with [low, high) in `bits` bits, blocks of `width`."""

    dropped: int
    low: int
    high: int
    bits: int

    @property
    def width(self) -> int:
        """The narrowest blocks among the fewest: a block deals 2^width bits, and more blocks open more."""
        blocks = math.ceil((self.bits - 1) / WIDEST_BLOCK)
        return math.ceil((self.bits - 1) / blocks)


def plan(extent: Range, fraction: int, limit: int) -> _Comparison:
    """The comparison of a share of `fraction` fraction bits whose ring has `limit` bits.

    A shift is off by less than a unit, so the ends are moved inwards: what lies outside is always found.
    """
    finest = extent.low if extent.low > 0 else extent.magnitude
    dropped = max(0, fraction + math.floor(math.log2(finest)) - RESOLUTION)
    unit = 2.0 ** (dropped - fraction)
    low, high = extent.low / unit, extent.high / unit
    ends = (math.ceil(low) + 1, math.floor(high)) if dropped else (math.ceil(low), math.floor(high) + 1)
    bits = max(map(abs, ends)).bit_length() + 1 + HEADROOM
    room = max(limit, bits_for(extent, fraction)) - dropped
    return _Comparison(dropped, *ends, min(bits, room))


class _Checks:
    """The copy of a program with checks beside the values they read; the counts and the reveal come last."""

    def __init__(self, program: Program, wanted: list[Reliance]) -> None:
        self._builder = _builder(program)
        self._limits = limits_of(program)
        self._nodes: tuple[str, ...] = ()
        self._counts: dict[tuple[str, ...], Value] = {}
        self._sizes: dict[tuple[str, ...], int] = {}
        by_share: dict[Value, dict[Reliance, None]] = {}
        for reliance in wanted:
            by_share.setdefault(reliance.share, {})[reliance] = None
        for operation in program.operations:
            self._builder.program.operations.append(operation)
            for value in operation.results:
                for reliance in by_share.get(value, ()):
                    self._nodes = reliance.onnx_nodes
                    self._count(reliance)
        if self._counts:
            self._reveal()

    @property
    def program(self) -> Program:
        return self._builder.program

    def _emit(
        self, kind: str, *operands: Value, extent: Range | None = None, **attributes: Attribute
    ) -> Value:
        return emit_widest(self._builder, kind, operands, attributes, extent, self._nodes)

    def _count(self, reliance: Reliance) -> None:
        """Adds the number of the share's elements outside of their range to the layer's."""
        share, ring = reliance.share, ring_of(reliance.share)
        comparison = plan(reliance.extent, ring.fraction, self._limits[share])
        if ring.range is None:
            share = self._emit("reinterpret", share, fraction=ring.fraction, extent=reliance.extent)
        if comparison.dropped:
            share = self._emit("shift", share, bits=comparison.dropped)
        below = self._emit(
            "less_than",
            self._emit("open_masked", share, bits=comparison.bits),
            bits=comparison.bits,
            width=comparison.width,
            thresholds=(comparison.low, comparison.high),
        )
        outside = self._number(below, (1, 1, -1))
        axes = tuple(range(len(ring.shape)))
        count = self._emit("reshape", self._emit("sum", outside, axes=axes, keepdims=False), shape=(1,))
        layer = reliance.onnx_nodes or (f"%{reliance.share.name}",)
        known = self._counts.get(layer)
        self._counts[layer] = count if known is None else self._emit("add", known, count)
        self._sizes[layer] = self._sizes.get(layer, 0) + ring.size

    def _number(self, bits: Value, row: tuple[int, ...], extent: Range | None = None) -> Value:
        """row[0] + sum_t row[t+1] b_t as a share."""
        opened = self._emit("open_bits", bits)
        return self._emit(
            "product", opened, factors=("bits",), coefficients=(row,), fractions=(0,), extent=extent
        )

    def _reveal(self) -> None:
        """One bit a layer, exact: as an integer 0 or 1 its share says nothing else in a ring of any width."""
        counts = self._emit("concat", *self._counts.values(), axis=0)
        bits = max(self._sizes.values()).bit_length() + 1
        width = _Comparison(0, 0, 1, bits).width
        opened = self._emit("open_masked", counts, bits=bits)
        none = self._emit("less_than", opened, bits=bits, width=width, thresholds=(1,))
        some = self._number(none, (1, -1), Range(0.0, 1.0))
        program = self.program
        reveals = program.attributes["reveals"]
        assert isinstance(reveals, tuple)
        receivers = {str(request).rpartition("=")[2] for request in reveals}
        to = receivers.pop() if len(receivers) == 1 else "public"
        program.outputs[OUTPUT] = self._emit("reveal", some, name=OUTPUT, to=to)
        program.attributes["reveals"] = (*reveals, f"{OUTPUT}={to}")
        program.attributes[ATTRIBUTE] = tuple(layer[-1] for layer in self._counts)
