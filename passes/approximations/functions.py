"""The functions that are approximated: their exact meaning in floating point."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

Array = np.ndarray


@dataclass(frozen=True)
class Function:
    """`evaluate` on arrays; `slope` is a linear part which a fit leaves out: f(x) - slope * x is even or odd,
    and tends to a constant or to |x| times one.

    `positive`: only positive arguments have a value.
    """

    name: str
    evaluate: Callable[[Array], Array]
    slope: float = 0.0
    positive: bool = False


def gelu(x: Array) -> Array:
    """GELU by erf."""
    return np.asarray(x * special.ndtr(x))


def gelu_tanh(x: Array) -> Array:
    """GELU by tanh, as GPT-2 has it."""
    return np.asarray(0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3))))


def softplus(x: Array) -> Array:
    """log(1 + exp(x)), without overflow."""
    return np.asarray(np.logaddexp(0.0, x))


FUNCTIONS = {
    f.name: f
    for f in (
        Function("gelu_none", gelu, slope=0.5),
        Function("gelu_tanh", gelu_tanh, slope=0.5),
        Function("silu", lambda x: x * special.expit(x), slope=0.5),
        Function("softplus", softplus, slope=0.5),
        Function("tanh", np.tanh),
        Function("sigmoid", special.expit),
        Function("erf", special.erf),
        Function("exp", np.exp),
        Function("reciprocal", np.reciprocal, positive=True),
        Function("rsqrt", lambda x: 1.0 / np.sqrt(x), positive=True),
        Function("sqrt", np.sqrt, positive=True),
    )
}
