"""Tables: a function's value at the middle of the cell that an argument lies in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.functions import FUNCTIONS, Array

MAX_BITS = 12
CELL_POINTS = 17  # of two cells, where the error is measured


@dataclass(frozen=True, kw_only=True)
class Lookup(Approximation):
    """Entry i, i < 2^bits, is the function at the middle of [low + i step, low + (i + 1) step), step =
    2^step_log2.

    The lowering's index, rounded to either side, may be a neighbour's where the argument is nearer to its
    cell than half a step: `error` allows for that, and the domain leaves half a step at both ends.
    """

    low: float
    step_log2: int
    bits: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.function not in FUNCTIONS:
            raise ValueError(f"{self.name}: there is no function '{self.function}'")
        if not 1 <= self.bits <= MAX_BITS:
            raise ValueError(f"{self.name}: a table has 2 to 2^{MAX_BITS} entries")
        if not (self.low + self.step / 2 <= self.domain[0] and self.domain[1] <= self.high - self.step / 2):
            raise ValueError(f"{self.name}: the table does not hold its domain and half a step beyond it")
        if not np.all(np.isfinite(self.table)):
            raise ValueError(f"{self.name}: the function has no value in the middle of a cell")

    @property
    def kind(self) -> str:
        return "lookup"

    @property
    def step(self) -> float:
        return math.ldexp(1.0, self.step_log2)

    @property
    def high(self) -> float:
        return self.low + (1 << self.bits) * self.step

    @cached_property
    def table(self) -> Array:
        """The entries."""
        middles = self.low + (np.arange(2**self.bits) + 0.5) * self.step
        with np.errstate(over="ignore"):  # refused where a table is made
            return np.asarray(FUNCTIONS[self.function].evaluate(middles))

    def evaluate(self, x: Array) -> Array:
        """By the cell that x lies in; those at the ends go on beyond them."""
        index = np.floor((np.asarray(x, dtype=np.float64) - self.low) / self.step)
        return np.asarray(self.table[np.clip(index, 0, 2**self.bits - 1).astype(np.int64)])


def lookup(function: str, low: float, high: float, bits: int) -> Lookup:
    """The finest table of 2^bits entries for arguments in [low, high], with its error on a dense grid.

    Raises ValueError for an empty range, and where the function overflows in a cell.
    """
    step_log2 = int(np.ceil(np.log2((high - low) / (2**bits - 1))))
    step = 2.0**step_log2
    first = low - step / 2
    middles = first + (np.arange(2**bits) + 0.5) * step
    exact = FUNCTIONS[function].evaluate
    x = middles[:, None] + np.linspace(-step, step, CELL_POINTS)
    with np.errstate(over="ignore"):
        off = np.abs(exact(np.clip(x, low, high)) - exact(middles)[:, None])
    error = float(off[(middles >= low) & (middles <= high)].max())
    return Lookup(
        name=f"table{2**bits}",
        function=function,
        domain=(low, high),
        error=error,
        source="own table",
        low=first,
        step_log2=step_log2,
        bits=bits,
    )
