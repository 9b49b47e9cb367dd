"""A program around each protocol, with random parameters and inputs, and what its output must be.

`CASES[kind](choices)` gives a case for every kind that the runtime implements; `test_registry` checks that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mpcc.ir.program import Attribute, Attributes, Builder, Program, Stage, Value
from mpcc.ir.types import RingType, Sharing
from mpcc.runtime.ring import reduce, to_ring
from tests.runtime.protocols.choices import Choices
from tests.runtime.protocols.harness import Run, plain, reveal

Check = Callable[[np.ndarray], None]  # of the revealed integers, mod the ring of the result


@dataclass
class Case:
    """`check` looks at the output; without it the output must equal the plain meaning mod 2^ring.
    `check_made` takes its place where the parties made the correlations and rounded on the way.
    """

    program: Program
    arrays: dict[str, np.ndarray]
    ring: int
    check: Check | None = None
    check_made: Check | None = None

    def assert_correct(self, run: Run) -> None:
        learned = [outputs["y"] for outputs in run.outputs if "y" in outputs]
        assert learned
        expected = plain(self.program, self.arrays)["y"]
        for output in learned:
            assert output.shape == expected.shape
            if self.check is None:
                assert np.array_equal(
                    reduce(to_ring(output), self.ring), reduce(to_ring(expected), self.ring)
                )
            else:
                self.check(output)


class Setting:
    """A program under construction, with the arrays of its sources."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.builder = Builder("test", Stage.SHARE)
        self.arrays: dict[str, np.ndarray] = {}

    def source(self, kind: str, x: np.ndarray, fraction: int = 0) -> Value:
        name = f"a{len(self.arrays)}"
        self.arrays[name] = x
        return self.builder.emit(kind, name=name, fraction=fraction, shape=x.shape)

    def share(self, x: np.ndarray, fraction: int = 0, ring: int = 64) -> Value:
        """Uniform additive shares of x mod 2^64, stated as shares mod 2^ring."""
        part = self.choices.values.integers(-(2**63), 2**63 - 1, size=x.shape, dtype=np.int64, endpoint=True)
        other = np.asarray(to_ring(x) - to_ring(part)).view(np.int64)
        u, v = self.source("server_input", part, fraction), self.source("client_input", other, fraction)
        return self.emit("add", u, v, ring=ring)

    def secret(self, x: np.ndarray, fraction: int = 0, ring: int = 64) -> Value:
        """A share, or a value that somebody knows: an opening takes all of them."""
        kind = self.choices.pick(("share", "share", "share", "server_input", "client_input", "constant"))
        return self.share(x, fraction, ring) if kind == "share" else self.source(kind, x, fraction)

    def emit(self, kind: str, *operands: Value, ring: int | None = None, **attributes: Attribute) -> Value:
        """One operation; its result is stated in a narrower `ring` when one is given."""
        value = self.builder.emit(kind, *operands, onnx_nodes=(), hint=None, **attributes)
        if ring is None:
            return value
        stated = RingType(Sharing.SHARE, ring, ring_of(value).fraction, ring_of(value).shape)
        operation = self.builder.program.operations.pop()
        return self.builder.append(operation.kind, operands, operation.attributes, [stated]).result

    def less_than(self, share: Value, bits: int, thresholds: tuple[int, ...], width: int = 4) -> Value:
        """Comparisons from an opening of their own."""
        opened = self.emit("open_masked", share, bits=bits)
        return self.emit("less_than", opened, bits=bits, width=width, thresholds=thresholds)

    def masked(self, x: np.ndarray, bits: int) -> Value:
        return self.emit("open_masked", self.secret(x, 0, self.choices.integer(bits, 64)), bits=bits)

    def bits(self, shape: tuple[int, ...]) -> Value:
        """Random shared bits: the signs of small integers."""
        x = self.share(self.choices.signed(shape, 4), ring=5)
        signs = self.less_than(x, 5, (0,), self.choices.integer(2, 4))
        return self.emit("reshape", signs, shape=shape)

    def end(self, value: Value, check: Check | None = None, to: str | None = None) -> Case:
        """Reveals a share; other sharings are first made one."""
        sharing = ring_of(value).sharing
        if sharing is Sharing.BITS:
            value = self.emit("open_bits", value)
        if sharing in (Sharing.BITS, Sharing.MASKED_BITS):
            flat = self.emit("reshape", value, shape=(1, *ring_of(value).shape))
            value = self.emit("product", flat, factors=("bits",), coefficients=((0, 1),), fractions=(0,))
        elif sharing is Sharing.MASKED:
            value = self.emit("product", value, factors=("value",), coefficients=((),), fractions=(0,))
        elif sharing is Sharing.SERVED:
            last = ring_of(value).shape[-1:]
            matrix = bool(last) and self.choices.flag()
            weight = self.choices.signed((*last, 2), 30) if matrix else np.array(3)
            value = self.emit("linear" if matrix else "gain", value, self.source("weight", weight))
        elif sharing is not Sharing.SHARE:
            zero = np.zeros(ring_of(value).shape, dtype=np.int64)
            value = self.emit("add", value, self.share(zero, ring_of(value).fraction))
        ring = ring_of(value).ring
        to = to or self.choices.pick(("party0", "party1", "public"))
        return Case(reveal(self.builder, value, to=to), self.arrays, ring, check)


def ring_of(value: Value) -> RingType:
    assert isinstance(value.type, RingType)
    return value.type


def faithful(x: np.ndarray, bits: int, ring: int) -> Check:
    """The floor or the ceiling of x / 2^bits, mod 2^ring."""

    def check(output: np.ndarray) -> None:
        above = reduce(to_ring(output) - to_ring(x >> bits), ring)
        exact = x & ((1 << bits) - 1) == 0
        assert (above <= 1).all()
        assert not above[exact].any()

    return check


def close(expected: np.ndarray, bound: float, fraction: int) -> Check:
    """Within `bound` of the real values."""

    def check(output: np.ndarray) -> None:
        error = np.abs(output * 2.0**-fraction - expected)
        assert error.max(initial=0) <= bound, (error.max(), bound)

    return check


CASES: dict[str, Callable[[Choices], Case]] = {}


def case(*kinds: str) -> Callable[[Callable[[Choices, str], Case]], Callable[[Choices, str], Case]]:
    """Decorator: the function builds the cases of these kinds."""

    def register(build: Callable[[Choices, str], Case]) -> Callable[[Choices, str], Case]:
        for kind in kinds:
            CASES[kind] = lambda choices, kind=kind: build(choices, kind)  # type: ignore[misc]
        return build

    return register


def view_attributes(c: Choices, kind: str, shape: tuple[int, ...]) -> Attributes | None:
    """Attributes of a view that fits the shape, None where there is none."""
    if kind == "reshape":
        return {"shape": c.pick(((*shape, 1), (int(np.prod(shape)),), (*shape[::-1],)))}
    if kind == "transpose":
        keys = [(c.integer(0, 9), axis) for axis in range(len(shape))]
        return {"permutation": tuple(axis for _, axis in sorted(keys))}
    if kind == "expand":
        wide = tuple(s if s != 1 else c.integer(1, 4) for s in shape)
        return {"shape": (*((c.integer(0, 3),) if c.flag() else ()), *wide)}
    if kind == "slice":
        starts, stops, steps = [], [], []
        for size in shape:
            backwards = size > 0 and c.flag()
            steps.append(-c.integer(1, 2) if backwards else c.integer(1, 3))
            starts.append(size - 1 if backwards else c.integer(0, size))
            stops.append(-1 if backwards else c.integer(0, size))
        return {"starts": tuple(starts), "stops": tuple(stops), "steps": tuple(steps)}
    if not shape:
        return None
    axis = c.integer(0, len(shape) - 1)
    count = c.integer(0, 4) if shape[axis] else 0
    return {"axis": axis, "indices": tuple(c.integer(0, shape[axis] - 1) for _ in range(count))}
