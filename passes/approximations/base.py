"""What every approximation states: what it stands for, where it holds, how far off it is, who found it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from mpcc.passes.approximations.functions import Array


@dataclass(frozen=True, kw_only=True)
class Approximation(ABC):
    """A way to compute one function. Subclasses are the kinds; each is plain data with a meaning in floats.

    `function`: gelu, silu, tanh, .., softmax, inverse_power. `error` bounds |approximation - function| on
    `domain`, which is infinite on a side where the approximation saturates; relative where `kind` says so.
    `source`: paper and section. `changes_model`: it is no approximation, only a model that was trained with
    it keeps its accuracy.
    """

    name: str
    function: str
    domain: tuple[float, float]
    error: float
    source: str
    changes_model: bool = False

    @property
    @abstractmethod
    def kind(self) -> str:
        """As tables show it: segmented polynomial, sine series, ..."""

    @abstractmethod
    def evaluate(self, x: Array) -> Array:
        """The meaning in floating point, elementwise or by rows (last axis)."""

    def __post_init__(self) -> None:
        low, high = self.domain
        if not low < high:
            raise ValueError(f"{self.name}: the domain [{low}, {high}] is empty")
        if not self.error >= 0:
            raise ValueError(f"{self.name}: the error bound {self.error} is no bound")
        if not self.source:
            raise ValueError(f"{self.name}: the source is missing")

    def covers(self, low: float, high: float) -> bool:
        """Whether the domain holds the range. A replacement is used on any: there the domain only says where
        its distance from the function was measured.
        """
        return self.changes_model or (self.domain[0] <= low and high <= self.domain[1])
