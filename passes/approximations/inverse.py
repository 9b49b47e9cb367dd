"""Ways to compute x^p (p = -1, -1/2, 1/2) for x in a positive range that is known when a node is lowered.

A recipe says how; `instance` makes of it what is computed for one exponent and range.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.functions import Array
from mpcc.passes.approximations.goldschmidt import GoldschmidtPower, goldschmidt_power
from mpcc.passes.approximations.powers import SegmentedPower, segmented_power

POWERS = {"reciprocal": -1.0, "rsqrt": -0.5, "sqrt": 0.5}
WIDE_RECIPROCAL = 2.0**14  # ratio of a range above which a reciprocal is the square of an inverse root
SQUARED_BITS = 16  # significant bits of that root where it is squared


@dataclass(frozen=True, kw_only=True)
class InversePower(Approximation):
    """Base: `function` is `power`, `error` is relative. What is computed depends on exponent and range."""

    def evaluate(self, x: Array) -> Array:
        raise TypeError(f"{self.name} has a meaning for one exponent and one range only: see `instance`")


@dataclass(frozen=True, kw_only=True)
class PowerSegments(InversePower):
    """`steps` thresholds an octave scale x to [1, 2^(1/steps)), a quadratic there.

    `error` is that of the fit, with coefficients and table as they are rounded for ten octaves; the bound of
    an instance counts all other roundings too, and wider ranges have less room for fraction bits.
    """

    steps: int

    @property
    def kind(self) -> str:
        return "segmented polynomial"


@dataclass(frozen=True, kw_only=True)
class Goldschmidt(InversePower):
    """Iterated products, as many as are proven to bring the relative error below `error`, roundings included.

    Start: with `steps` = 0 a public `eta` (None: the best for the range), so that eta * x is in (0, 2), or
    (0, 3) for roots; else a table of 2^-e/steps looked up by `steps` thresholds an octave. With `rescale`
    every iteration is multiplied by the eta that is best for what the one before it reaches, which halves
    their number. SecFormer (Findings of ACL 2024); rescaling: Byers and Xu (SIAM J. Matrix Anal. 2008).
    """

    steps: int
    eta: float | None = None
    rescale: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.error == 0:
            raise ValueError(f"{self.name}: no number of iterations has an error of 0")
        if self.eta is not None and not 0 < self.eta < float("inf"):
            raise ValueError(f"{self.name}: eta must be positive")

    @property
    def kind(self) -> str:
        return "Goldschmidt iteration"


@dataclass(frozen=True, kw_only=True)
class SquaredPower(Approximation):
    """1 / x as the square of an inverse root, which spans half as many octaves."""

    root: SegmentedPower | GoldschmidtPower
    exponent: float = -1.0

    @property
    def kind(self) -> str:
        return self.root.kind

    def evaluate(self, x: Array) -> Array:
        return np.asarray(np.square(self.root.evaluate(x)))


PowerInstance = SegmentedPower | GoldschmidtPower | SquaredPower


@lru_cache(maxsize=256)
def instance(recipe: InversePower, exponent: float, low: float, high: float) -> PowerInstance:
    """What computes x^exponent for x in [low, high]: integers and formats, and a meaning in floating point.

    Its `error` is a relative bound that counts all roundings but that of the argument as it arrives. Raises
    ValueError if low <= 0; MPC-P019 where Goldschmidt's iteration does not converge; MPC-P016 where the range
    is too wide.
    """
    if exponent == -1.0 and high >= WIDE_RECIPROCAL * low:
        root = instance(recipe, -0.5, low, high)
        assert not isinstance(root, SquaredPower)
        error = 2.0 * (root.error + 2.0**-SQUARED_BITS) + (root.error + 2.0**-SQUARED_BITS) ** 2
        return SquaredPower(
            name=recipe.name,
            function="power",
            domain=(low, high),
            error=error,
            source=recipe.source,
            root=root,
        )
    if isinstance(recipe, PowerSegments):
        return segmented_power(recipe.name, recipe.source, exponent, low, high, recipe.steps)
    if isinstance(recipe, Goldschmidt):
        return goldschmidt_power(
            recipe.name,
            recipe.source,
            exponent,
            low,
            high,
            error=recipe.error,
            steps=recipe.steps,
            eta=recipe.eta,
            rescale=recipe.rescale,
        )
    raise TypeError(f"{recipe.name} is no recipe for a power")


SEGMENTS = PowerSegments(
    name="segments",
    function="power",
    domain=(0.0, float("inf")),
    error=3.8e-5,
    source="own fit: quadratics by octave",
    steps=8,
)
