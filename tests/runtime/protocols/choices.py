"""Where a case's parameters and values come from: Hypothesis, or a seeded generator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from hypothesis import strategies as st

T = TypeVar("T")
DIMENSIONS = (0, 1, 1, 2, 3, 5, 7, 65)
MAX_SIZE = 420


class Choices:
    """`integer(low, high)` decides parameters (both ends included); `values` fills arrays."""

    def __init__(self, integer: Callable[[int, int], int], values: np.random.Generator) -> None:
        self.integer = integer
        self.values = values

    def pick(self, options: Sequence[T]) -> T:
        return options[self.integer(0, len(options) - 1)]

    def flag(self) -> bool:
        return bool(self.integer(0, 1))

    def shape(self, low: int = 0, high: int = 3) -> tuple[int, ...]:
        """Empty axes, single elements, odd sizes and more than one 64-bit word of elements among them."""
        shape: tuple[int, ...] = ()
        for _ in range(self.integer(low, high)):
            size = self.pick(DIMENSIONS)
            shape += (size if size * int(np.prod(shape)) <= MAX_SIZE else 2,)
        return shape

    def array(self, shape: tuple[int, ...], low: int, high: int) -> np.ndarray:
        """Integers of [low, high], a third of them at an end or next to zero."""
        array = self.values.integers(low, high, size=shape, endpoint=True, dtype=np.int64)
        special = np.array([v for v in (low, high, 0, 1, -1) if low <= v <= high], dtype=np.int64)
        chosen = special[self.values.integers(0, len(special), size=shape)]
        return np.where(self.values.random(shape) < 1 / 3, chosen, array)

    def signed(self, shape: tuple[int, ...], bits: int) -> np.ndarray:
        """Every two's complement integer of `bits` bits."""
        return self.array(shape, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


@st.composite
def choices(draw: st.DrawFn) -> Choices:
    values = np.random.default_rng(draw(st.integers(0, 2**32)))
    return Choices(lambda low, high: draw(st.integers(low, high)), values)


def seeded(parameters: int, values: int) -> Choices:
    """The same `parameters` give the same program, whatever the values."""
    generator = np.random.default_rng(parameters)
    return Choices(lambda low, high: int(generator.integers(low, high + 1)), np.random.default_rng(values))
