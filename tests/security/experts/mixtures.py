"""Mixtures of experts under every layout, and inputs that send their tokens to experts of one's choice."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mpcc.ir.dialects.experts import choose
from mpcc.passes.experts.layout import Layout
from mpcc.runtime.sources import Sources
from tests.passes.experts.models import Mixture
from tests.passes.tensor_programs import Lowered
from tests.runtime.protocols.harness import Prepared, Run

WIDTH, INNER = 3, 4


@dataclass(frozen=True)
class Case:
    """A mixture of `experts` under a layout, for inputs [*lead, tokens, experts + WIDTH]: logits, then x."""

    layout: Layout
    top_k: int
    form: tuple[tuple[str, Any], ...] = ()
    experts: int = 4
    tokens: int = 6
    lead: tuple[int, ...] = ()

    def __str__(self) -> str:
        form = [f"{name} {value}" for name, value in self.form]
        return ", ".join([self.layout.name, self.layout.claims, f"group {self.layout.group}", *form])

    @cached_property
    def lowered(self) -> Lowered:
        mixture = Mixture(self.experts, WIDTH, INNER, top_k=self.top_k, **dict(self.form))
        return mixture.under(self.layout, self.inputs["evenly"])

    @cached_property
    def prepared(self) -> Prepared:
        return Prepared(self.lowered.program)

    def sources(self, x: np.ndarray) -> Sources:
        constants = self.lowered.program.constants
        return Sources({"x": x}, constants, constants)

    @cached_property
    def inputs(self) -> dict[str, np.ndarray]:
        """By where they send their tokens. Further choices follow the first one, the last expert's first."""
        token = np.arange(self.tokens)
        return {
            "all to the first": self.routed(np.zeros_like(token)),
            "all to the last": self.routed(np.full_like(token, self.experts - 1)),
            "evenly": self.routed(token % self.experts),
            "at random": self.routed(np.random.default_rng(8).integers(0, self.experts, self.tokens)),
            "ties": self.input(np.zeros((self.tokens, self.experts))),
            "beyond the calibrated range": 1e3 * self.routed(token[::-1] % self.experts),
        }

    def routed(self, first: np.ndarray) -> np.ndarray:
        """An input whose tokens choose the experts `first` [tokens], then those after them, cyclically."""
        behind = (np.arange(self.experts) - first[:, None]) % self.experts
        return self.input(4.0 - behind * (4.0 / self.experts))

    def input(self, logits: np.ndarray) -> np.ndarray:
        x = np.random.default_rng(9).normal(size=(self.tokens, WIDTH))
        whole = np.concatenate([logits, x], axis=-1)
        return np.broadcast_to(whole, (*self.lead, *whole.shape))

    def answer(self, run: Run) -> np.ndarray:
        """The real values of a run's output."""
        kind = self.lowered.program.outputs["y"].type
        return run.outputs[1]["y"] * 2.0**-kind.fraction  # type: ignore[union-attr]

    def chosen(self, x: np.ndarray) -> np.ndarray:
        """The experts [*lead, tokens, k, experts] that an input chooses."""
        return choose(x[..., : self.experts], self.top_k)


SIDES = (("in", "in"), ("in", "out"), ("out", "in"), ("out", "out"))


def layouts(group: int, capacity: int) -> list[Layout]:
    """All; select-then-compute with each pair of sides; slots, first come and highest scored."""
    return [
        Layout("all", group),
        *(Layout("outer", group, sides=sides) for sides in SIDES),
        *(Layout("dispatch", group, capacity=capacity, claims=claims) for claims in ("first", "scores")),
    ]
