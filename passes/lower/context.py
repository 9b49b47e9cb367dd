"""What every lowering uses: values with their fraction bits and ranges, openings made once, public and
private constants.

Rings are not decided here: every result has the widest ring, `assign_rings` narrows them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mpcc.ir.correlation_source import CorrelationSource, source_attributes, source_of
from mpcc.ir.diagnostics import MpccError
from mpcc.ir.dialects import definition
from mpcc.ir.dialects.base import VIEW_ATTRIBUTES, apply_view
from mpcc.ir.program import Attribute, Attributes, Builder, Operation, Program, Stage, Value
from mpcc.ir.types import Range, RingType, Sharing, Visibility
from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.plan import Plan, Used
from mpcc.passes.lower.correlation_rules import state_weights
from mpcc.passes.lower.reliance import Reliance, Reliances

UNDECIDED = 64  # width of an opening that assign_rings decides
SLACK = 1  # an opening or a truncation needs |x| < 2^(k-2): one bit beyond two's complement


@dataclass(frozen=True)
class Formats:
    """Fraction bits: activations, weights, embedding tables, probabilities; `safety` multiplies calibrated
    ranges.
    """

    activation: int = 13
    weight: int = 16
    table: int = 16
    probability: int = 16
    safety: float = 2.0


@dataclass
class Lowered:
    """A tensor-stage value at the share stage.

    `share` times the factors still to be applied: `row_factor` (a share broadcast over the last axis, from
    softmax), or `gain` and `bias` (party 0's arrays, from a normalisation), which consumers fold where they
    can.
    """

    share: Value
    row_factor: Value | None = None
    gain: np.ndarray | None = None
    bias: np.ndarray | None = None


@dataclass(frozen=True)
class ShareOf:
    """Which share-stage value stands for a tensor-stage value, by name, and what is still to be applied to
    it: `row_factor`, a share, or with `affine` the gain and bias of a normalisation. For reports of errors by
    layer.
    """

    share: str
    row_factor: str | None
    affine: bool


Rule = Callable[["Context", Operation], Lowered]
rules: dict[str, Rule] = {}


def lowers(*kinds: str) -> Callable[[Rule], Rule]:
    """Decorator: the lowering of tensor-stage operations."""

    def decorate(rule: Rule) -> Rule:
        for kind in kinds:
            rules[kind] = rule
        return rule

    return decorate


def ring_of(value: Value) -> RingType:
    if not isinstance(value.type, RingType):
        raise TypeError(f"%{value.name} is no share-stage value")
    return value.type


def bits_for(extent: Range, fraction: int) -> int:
    """Bits of an opening that holds the range with slack."""
    scaled = extent.magnitude * 2.0**fraction
    return max(2, math.ceil(math.log2(scaled + 1)) + 1) + SLACK


def emit_widest(
    builder: Builder,
    kind: str,
    operands: Sequence[Value],
    attributes: Attributes,
    extent: Range | None = None,
    nodes: Sequence[str] = (),
) -> Value:
    """Append an operation at its widest ring; `extent` is the range of the real value."""
    cls = definition(Stage.SHARE, kind)
    cls.check_attributes(attributes)
    (inferred,) = cls.infer([o.type for o in operands], attributes)
    assert isinstance(inferred, RingType)
    # rings are undecided until assign_rings: a shift is shown as if it did not narrow
    width = UNDECIDED if inferred.sharing is Sharing.SHARE else inferred.ring
    kept = replace(inferred, ring=width, range=extent if extent is not None else inferred.range)
    return builder.append(kind, operands, attributes, [kept], nodes).result


@dataclass
class Context:
    """The program under construction. `ranges` gives a tensor value's range by name, `internals` a range
    inside its operation by (name, key); both calibrated and already widened by the safety factor.
    """

    source: Program
    ranges: dict[str, Range]
    internals: dict[tuple[str, str], Range]
    formats: Formats = field(default_factory=Formats)
    reliances: Reliances = field(default_factory=Reliances)
    plan: Plan = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.used: list[Used] = []
        self.builder = Builder(self.source.name, Stage.SHARE)
        self.values: dict[Value, Lowered] = {}
        self.producers = self.source.producers()
        self.correlations = source_of(self.source.attributes)
        self.nodes: tuple[str, ...] = ()
        self._cache: dict[tuple[object, ...], Value] = {}
        self._constants = 0

    @property
    def place(self) -> str | None:
        """The ONNX nodes being lowered, as errors name them."""
        return ", ".join(self.nodes) or None

    # ---- emission

    def emit(
        self, kind: str, *operands: Value, extent: Range | None = None, **attributes: Attribute
    ) -> Value:
        """Append an operation at its widest ring; `extent` is the range of the real value."""
        return emit_widest(self.builder, kind, operands, attributes, extent, self.nodes)

    def once(self, key: tuple[object, ...], make: Callable[[], Value]) -> Value:
        """A value made at most once for its key."""
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]

    # ---- constants

    def public(self, array: np.ndarray, fraction: int) -> Value:
        """A public constant, rounded to `fraction` bits."""
        encoded = np.rint(np.asarray(array, dtype=np.float64) * 2.0**fraction).astype(np.int64)
        name = self._store(encoded)
        extent = Range(float(np.min(array)), float(np.max(array))) if encoded.size else None
        return self.emit("constant", name=name, fraction=fraction, shape=encoded.shape, extent=extent)

    def weight(self, array: np.ndarray, fraction: int, extent: Range | None = None) -> Value:
        """Party 0's array, kept in floating point and rounded when the program is loaded.

        `extent` is its calibrated range, never taken from the array: widths of openings follow it and are
        public.
        """
        kept = np.asarray(array, dtype=np.float32)
        name = self._store(kept)
        return self.emit("weight", name=name, fraction=fraction, shape=kept.shape, extent=extent)

    def _store(self, array: np.ndarray) -> str:
        name = f"c{self._constants}"
        self._constants += 1
        self.builder.program.constants[name] = array
        return name

    def tensor_constant(self, value: Value) -> np.ndarray | None:
        """The array of a tensor-stage constant or of a view of one, else None."""
        producer = self.producers[value]
        if producer.kind in VIEW_ATTRIBUTES:
            array = self.tensor_constant(producer.operands[0])
            return None if array is None else apply_view(producer.kind, array, producer.attributes)
        return (
            self.source.constants[str(producer.attributes["name"])] if producer.kind == "constant" else None
        )

    def visibility(self, value: Value) -> Visibility:
        visibility: Visibility = value.type.visibility  # type: ignore[union-attr]
        return visibility

    # ---- ranges

    def range_of(self, value: Value) -> Range:
        """The widened range of a tensor-stage value. Raises MPC-P010 when calibration has none."""
        return self._known(self.ranges.get(value.name), value.name)

    def internal(self, value: Value, key: str) -> Range:
        return self._known(self.internals.get((value.name, key)), f"{value.name}/{key}")

    def _known(self, extent: Range | None, what: str) -> Range:
        if extent is None:
            raise MpccError(
                "MPC-P010",
                f"no calibrated range for %{what}",
                where=self.place,
                remedy="give inputs with --calibrate, or a complete file with --ranges",
            )
        return extent

    def rely(self, share: Value, extent: Range) -> None:
        """The operation under way is right only where the share lies in `extent`: for `--check-ranges`."""
        self.reliances.checked.append(Reliance(share, extent, self.nodes))

    # ---- approximations

    def use(self, operation: Operation, approximation: Approximation, low: float, high: float) -> None:
        """Note what computes the operation, and for which arguments: shown by `mpcc inspect`."""
        self.used.append(Used(operation.result.name, operation.kind, self.nodes, approximation, low, high))

    # ---- shares of tensor-stage values

    def plain_share(self, value: Value) -> Value:
        """The value as a share (or private or public value) with every pending factor applied."""
        lowered = self.values[value]
        if lowered.row_factor is not None:
            return self.once(("factor", value), lambda: self._apply_row_factor(value, lowered))
        if lowered.gain is not None or lowered.bias is not None:
            return self.once(("gain", value), lambda: self._apply_gain(value, lowered))
        return lowered.share

    def _apply_row_factor(self, value: Value, lowered: Lowered) -> Value:
        from mpcc.passes.lower.products import known, multiply, relative_fraction

        factor = lowered.row_factor
        assert factor is not None
        fractions = (ring_of(lowered.share).fraction, relative_fraction(known(self, factor)))
        return multiply(self, lowered.share, factor, self.range_of(value), fractions)

    def _apply_gain(self, value: Value, lowered: Lowered) -> Value:
        served = self.served(lowered.share, self.formats.activation)
        shape = ring_of(lowered.share).shape
        gain = lowered.gain if lowered.gain is not None else np.ones(shape[-1])
        operands = [served, self.weight(gain, self.formats.weight)]
        if lowered.bias is not None:
            operands.append(self.weight(lowered.bias, self.formats.activation + self.formats.weight))
        return self.emit("gain", *operands, extent=self.range_of(value))

    def at_fraction(self, share: Value, fraction: int) -> Value:
        """The share with exactly `fraction` fraction bits: a shift down or a multiple up, made once."""
        ring = ring_of(share)
        if ring.fraction == fraction:
            return share
        if ring.fraction > fraction:
            bits = ring.fraction - fraction
            return self.once(
                (share, fraction), lambda: self.emit("shift", share, bits=bits, extent=ring.range)
            )
        bits = fraction - ring.fraction
        return self.once(
            (share, fraction),
            lambda: self.emit("scale", share, factor=1 << bits, fraction=bits, extent=ring.range),
        )

    def opened(self, share: Value, fraction: int, bits: int) -> Value:
        """The share opened under a mask at `fraction` bits, once; at least `bits` wide, or as wide as
        `UNDECIDED` leaves it.
        """
        narrow = self.at_fraction(share, fraction)
        return self.once(
            (narrow, "opened", bits),
            lambda: self.emit("open_masked", narrow, bits=bits),
        )

    def served(self, share: Value, fraction: int) -> Value:
        """The share served to party 0 at `fraction` bits, once; assign_rings sets the width."""
        narrow = self.at_fraction(share, fraction)
        return self.once((narrow, "served"), lambda: self.emit("serve", narrow, bits=UNDECIDED))


def lower(
    source: Program,
    ranges: dict[str, Range],
    internals: dict[tuple[str, str], Range],
    reveals: dict[str, str],
    formats: Formats | None = None,
    shares: dict[str, ShareOf] | None = None,
    reliances: Reliances | None = None,
    plan: Plan | None = None,
    used: list[Used] | None = None,
) -> Program:
    """The share-stage program, at the widest rings. `reveals` maps output names to party0, party1 or public.

    `shares`, if given, is filled by names of tensor-stage values, `reliances` with what the protocols count
    on, `used` with the approximations; `plan` says what computes which operation. Raises MpccError: MPC-P010
    (no range), MPC-P011 (no lowering), and what the rules raise.
    """
    context = Context(source, ranges, internals, formats or Formats(), reliances or Reliances(), plan or {})
    for operation in source.operations:
        context.nodes = operation.onnx_nodes
        rule = rules.get(operation.kind)
        if rule is None:
            raise MpccError(
                "MPC-P011",
                f"no protocol computes '{operation.kind}' on secret values",
                where=context.place,
                remedy="replace it in the model by a supported function (see docs/operations.md)",
            )
        try:
            context.values[operation.result] = rule(context, operation)
        except ValueError as error:  # an operation class refused its operands or attributes
            raise MpccError(
                "MPC-P017",
                f"'{operation.kind}' does not fit the protocols: {error}",
                where=context.place,
                remedy="check the calibration inputs: its calibrated range may be too wide for fixed point",
            ) from error
    for name, value in source.outputs.items():
        _reveal(context, name, value, reveals.get(name, "party1"))
    if shares is not None:
        shares.update((value.name, _share_of(lowered)) for value, lowered in context.values.items())
    if used is not None:
        used.extend(context.used)
    program = context.builder.program
    program.attributes = {
        "reveals": tuple(f"{n}={reveals.get(n, 'party1')}" for n in source.outputs),
        **source_attributes(context.correlations),
    }
    if context.correlations is CorrelationSource.TWO_PARTY:
        state_weights(program)
    return program


def _share_of(lowered: Lowered) -> ShareOf:
    factor = lowered.row_factor.name if lowered.row_factor is not None else None
    return ShareOf(lowered.share.name, factor, lowered.gain is not None or lowered.bias is not None)


def _reveal(context: Context, name: str, value: Value, to: str) -> None:
    context.nodes = context.producers[value].onnx_nodes
    share = context.plain_share(value)
    extent = context.range_of(value)
    if ring_of(share).sharing is not Sharing.SHARE:
        zero = context.public(np.zeros(()), ring_of(share).fraction)
        share = context.builder.append(
            "add", [share, zero], {}, [replace(ring_of(share), sharing=Sharing.SHARE, ring=64)], context.nodes
        ).result
    fraction = min(ring_of(share).fraction, context.formats.activation + 4)
    narrow = context.at_fraction(share, fraction)
    result = context.emit("reveal", narrow, name=name, to=to, extent=extent)
    context.builder.program.outputs[name] = result
