"""Ways to compute exp(x) for x <= 0, inside softmax."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.functions import Array


@dataclass(frozen=True, kw_only=True)
class ExponentialProtocol(Approximation):
    """exp of an opened argument times a dealt exp of the mask; 0 below `clip`."""

    clip: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not -15.0 <= self.clip < 0:
            raise ValueError(f"{self.name}: a clip within [-15, 0); the protocol is less accurate below")

    @property
    def kind(self) -> str:
        return "exponential protocol"

    def evaluate(self, x: Array) -> Array:
        return np.where(x < self.clip, 0.0, np.exp(np.maximum(x, self.clip)))


@dataclass(frozen=True, kw_only=True)
class Limit(Approximation):
    """(1 + x / 2^squarings)^(2^squarings), 0 below `clip`: exp by repeated squaring."""

    squarings: int
    clip: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.squarings <= 12 or not -(2.0**self.squarings) <= self.clip < 0:
            raise ValueError(f"{self.name}: 1 to 12 squarings, and a clip within [-2^squarings, 0)")

    @property
    def kind(self) -> str:
        return "limit"

    def evaluate(self, x: Array) -> Array:
        scale = 2.0**self.squarings
        return np.where(x < self.clip, 0.0, (1.0 + np.maximum(x, self.clip) / scale) ** scale)


EXPONENTIAL = ExponentialProtocol(
    name="protocol",
    function="exp",
    domain=(-float("inf"), 0.0),
    error=4e-7,
    source="Kelkar et al., Secure Poisson Regression (USENIX Security 2022); dealer form: docs/protocols",
    clip=-15.0,
)
