"""Tensor stage, mixtures of experts: one operation as a model means it, and the ones it is computed with.

Shapes: T tokens (with any leading axes), E experts, k choices a token, widths d and h. A *selection*
[.., T, k, E] holds a row of 0 and 1 for each choice of a token, with a 1 at the chosen expert; a row of zeros
is a choice that was dropped.
"""

from __future__ import annotations

import math

import numpy as np

from mpcc.ir.dialects.base import expect_count, integer, joined_visibility, register, tensor
from mpcc.ir.dialects.tensor import Arrays, Gelu, TensorOperation, sigmoid
from mpcc.ir.program import Attributes
from mpcc.ir.types import TensorType, Type

ACTIVATIONS = ("relu", "gelu", "gelu_tanh", "silu", "identity")
CLAIMS = ("first", "scores")
SIDES = ("in", "out")


def activation(name: str, x: np.ndarray) -> np.ndarray:
    """One of ACTIVATIONS of x."""
    if name in ("gelu", "gelu_tanh"):
        return Gelu.evaluate([x], {"approximate": "tanh" if name == "gelu_tanh" else "none"})
    if name == "relu":
        return np.asarray(np.maximum(x, 0.0))
    return x if name == "identity" else np.asarray(x * sigmoid(x))


def choose(logits: np.ndarray, count: int) -> np.ndarray:
    """The selection [.., count, E] of the largest logits [.., E], the largest first, equal ones by index."""
    order = np.argsort(-logits, axis=-1, kind="stable")[..., :count]
    return np.asarray(order[..., None] == np.arange(logits.shape[-1]), dtype=np.float64)


def positions(selection: np.ndarray, scores: np.ndarray | None) -> np.ndarray:
    """How many claims on the same expert come before each choice: [.., T, k], undefined for dropped ones.

    Claims are in order of choice, then of token (all first choices come before the second ones, as in GShard,
    section 2.2); with `scores` [.., T, k] the higher score comes first, equal ones in that order.
    """
    *lead, tokens, count, experts = selection.shape
    claims = np.swapaxes(selection, -3, -2).reshape(*lead, count * tokens, experts)
    if scores is None:
        before = np.cumsum(claims, axis=-2) - claims
    else:
        score = np.swapaxes(scores, -2, -1).reshape(*lead, count * tokens)
        later = np.arange(count * tokens)
        ahead = (score[..., None, :] > score[..., :, None]) | (
            (score[..., None, :] == score[..., :, None]) & (later[None, :] < later[:, None])
        )
        before = np.matmul(ahead.astype(np.float64), claims)
    place = (before * claims).sum(axis=-1)
    return np.asarray(np.swapaxes(place.reshape(*lead, count, tokens), -2, -1))


def through_experts(
    selection: np.ndarray, x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None
) -> np.ndarray:
    """sum_e selection[.., k, e] (x W_e + b_e): [.., T, k, h] for x [.., T, k, d]; experts nobody chose are
    skipped.
    """
    result = np.zeros((*x.shape[:-1], weight.shape[-1]))
    for expert in np.flatnonzero(selection.any(axis=tuple(range(selection.ndim - 1)))):
        rows = selection[..., expert] != 0
        y = x[rows] @ weight[expert]
        result[rows] += selection[..., expert][rows][:, None] * (y if bias is None else y + bias[expert])
    return result


def gate_numbers(attributes: Attributes) -> tuple[float, float, float]:
    """alpha, beta and limit of a gated expert's activation."""
    alpha, beta, limit = (
        float(attributes.get(name, usual))  # type: ignore[arg-type]
        for name, usual in (("alpha", 1.0), ("beta", 0.0), ("limit", 0.0))
    )
    return alpha, beta, limit


@register
class Moe(TensorOperation):
    """Mixture of experts: logits [.., T, E] and x [.., T, d] to [.., T, d].

    Further operands: w_in [E, d, h] (gated: [E, d, 2h], the gate's columns first) and w_out [E, h, d], then,
    with biases, b_in [E, h] (2h) and b_out [E, d]. The gates are the softmax of all logits at the `top_k`
    largest, divided by their sum if `normalised`. An expert computes f(x w_in + b_in) w_out + b_out with
    f = `activation`, or `gated` f = activation(alpha g) / alpha * (u + beta) for halves g and u, which
    `limit` cuts off (g above, u on both sides) unless it is 0. With a `capacity` an expert takes so many
    choices (0: all), the `first` or those with the highest `scores` (its gates), and the others yield 0;
    leading axes count apart.

    Sources: Shazeer et al. (ICLR 2017); GShard (ICLR 2021) and Switch Transformers (JMLR 2022) for capacity.
    """

    name = "moe"
    required = {
        "top_k": int,
        "activation": str,
        "gated": bool,
        "normalised": bool,
        "capacity": int,
        "claims": str,
    }
    optional = {"alpha": float, "beta": float, "limit": float}

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        if len(operands) not in (4, 6):
            raise ValueError(f"moe: got {len(operands)} operands, expected 4 or 6")
        logits, x, w_in, w_out = (tensor(operands, i).shape for i in range(4))
        if len(w_in) != 3 or len(w_out) != 3 or len(x) < 2 or (*x[:-1], w_in[0]) != logits:
            raise ValueError(f"moe: logits {logits}, x {x} and weights {w_in}, {w_out} do not fit")
        inner = w_out[1] * (2 if attributes["gated"] else 1)
        if w_in != (logits[-1], x[-1], inner) or w_out != (logits[-1], w_out[1], x[-1]):
            raise ValueError(f"moe: weights {w_in} and {w_out} do not fit x {x}")
        if len(operands) == 6 and (
            tensor(operands, 4).shape != (logits[-1], inner)
            or tensor(operands, 5).shape != (logits[-1], x[-1])
        ):
            raise ValueError("moe: biases do not fit the weights")
        if not 1 <= integer(attributes, "top_k") <= logits[-1] or integer(attributes, "capacity") < 0:
            raise ValueError("moe: top_k within 1..E, capacity not negative")
        if attributes["activation"] not in ACTIVATIONS or attributes["claims"] not in CLAIMS:
            raise ValueError(f"moe: activation one of {ACTIVATIONS}, claims one of {CLAIMS}")
        return [TensorType(joined_visibility(operands), "float", x)]

    @classmethod
    def evaluate(cls, operands: Arrays, attributes: Attributes) -> np.ndarray:
        logits, x = (o.astype(np.float64) for o in operands[:2])
        w_in, w_out = operands[2:4]  # large; only the chosen experts' are converted, in the products
        b_in, b_out = operands[4:] or (None, None)
        selection = choose(logits, integer(attributes, "top_k"))
        weight = np.exp(logits - logits.max(axis=-1, keepdims=True))
        gates = (selection * (weight / weight.sum(axis=-1, keepdims=True))[..., None, :]).sum(axis=-1)
        if attributes["normalised"]:
            gates = gates / gates.sum(axis=-1, keepdims=True)
        if capacity := integer(attributes, "capacity"):
            place = positions(selection, gates if attributes["claims"] == "scores" else None)
            selection = selection * (place < capacity)[..., None]
        copies = np.repeat(x[..., None, :], selection.shape[-2], axis=-2)
        hidden = cls.hidden(through_experts(selection, copies, w_in, b_in), attributes)
        return np.asarray((gates[..., None] * through_experts(selection, hidden, w_out, b_out)).sum(axis=-2))

    @staticmethod
    def hidden(y: np.ndarray, attributes: Attributes) -> np.ndarray:
        """f of the first layer's result."""
        name = str(attributes["activation"])
        if not attributes["gated"]:
            return activation(name, y)
        gate, up = np.split(y, 2, axis=-1)
        alpha, beta, limit = gate_numbers(attributes)
        if limit:
            gate, up = np.minimum(gate, limit), np.clip(up, -limit, limit)
        return activation(name, alpha * gate) / alpha * (up + beta)


@register
class TopK(TensorOperation):
    """The selection [.., k, E] of the k largest logits [.., E], the largest first, equal ones by index.

    `group`: logits are compared in groups of so many, then the best of the groups; E compares all at once.
    """

    name = "top_k"
    required = {"k": int, "group": int}

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 1)
        logits, count = tensor(operands, 0), integer(attributes, "k")
        if not logits.shape or not 1 <= count <= logits.shape[-1] or integer(attributes, "group") < 2:
            raise ValueError("top_k: k within 1..E, group at least 2")
        return [TensorType(logits.visibility, "float", (*logits.shape[:-1], count, logits.shape[-1]))]

    @classmethod
    def evaluate(cls, operands: Arrays, attributes: Attributes) -> np.ndarray:
        return choose(operands[0], integer(attributes, "k"))


class Claims(TensorOperation):
    """On the `capacity` places of each expert, by a selection [.., T, k, E]: those of the highest scores
    [.., T, k] if these are given, else the first ones (see `positions`).
    """

    required = {"capacity": int}

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 1, 2)
        selection = tensor(operands, 0)
        if len(selection.shape) < 3:
            raise ValueError(f"{cls.name}: a selection has rank 3 at least")
        choices = selection.shape[-3] * selection.shape[-2]
        if not 1 <= integer(attributes, "capacity") <= choices:
            raise ValueError(f"{cls.name}: a capacity within 1..{choices}")
        if len(operands) == 2 and tensor(operands, 1).shape != selection.shape[:-1]:
            raise ValueError(f"{cls.name}: scores do not fit the selection")
        return [TensorType(joined_visibility(operands), "float", cls.shape(selection.shape, attributes))]

    @classmethod
    def shape(cls, selection: tuple[int, ...], attributes: Attributes) -> tuple[int, ...]:
        """Of the result."""
        return selection


@register
class KeepWithin(Claims):
    """The selection without the choices beyond an expert's capacity: [.., T, k, E]."""

    name = "keep_within"

    @classmethod
    def evaluate(cls, operands: Arrays, attributes: Attributes) -> np.ndarray:
        place = positions(operands[0], operands[1] if len(operands) == 2 else None)
        return np.asarray(operands[0] * (place < integer(attributes, "capacity"))[..., None])


@register
class AssignSlots(Claims):
    """For each choice a 1 at its place among the slots of its expert, nothing beyond the capacity C:
    [.., T, k, E, C].
    """

    name = "assign_slots"

    @classmethod
    def shape(cls, selection: tuple[int, ...], attributes: Attributes) -> tuple[int, ...]:
        return (*selection, integer(attributes, "capacity"))

    @classmethod
    def evaluate(cls, operands: Arrays, attributes: Attributes) -> np.ndarray:
        place = positions(operands[0], operands[1] if len(operands) == 2 else None)
        slots = place[..., None, None] == np.arange(integer(attributes, "capacity"))
        return np.asarray(operands[0][..., None] * slots)


@register
class Select(TensorOperation):
    """Rows of y [.., n, d] chosen by rows of 0 and at most one 1, [.., m, n]: [.., m, d]."""

    name = "select"

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 2)
        rows, y = tensor(operands, 0).shape, tensor(operands, 1).shape
        if min(len(rows), len(y)) < 2 or rows[:-2] != y[:-2] or rows[-1] != y[-2]:
            raise ValueError(f"select: {rows} does not choose from {y}")
        return [TensorType(joined_visibility(operands), "float", (*rows[:-1], y[-1]))]

    @classmethod
    def evaluate(cls, operands: Arrays, attributes: Attributes) -> np.ndarray:
        return np.asarray(np.matmul(operands[0], operands[1]))


class ExpertLinear(TensorOperation):
    """A selection [.., T, k, E], x, the experts' weights [E, d, h] and, optionally, biases [E, h]."""

    @classmethod
    def checked(cls, operands: list[Type]) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Shapes of selection, x and weights. Raises ValueError where they do not fit."""
        expect_count(operands, 3, 4)
        selection, x, weight = (tensor(operands, i).shape for i in range(3))
        if len(weight) != 3 or len(selection) < 3 or selection[-1] != weight[0] or x[-1:] != weight[1:2]:
            raise ValueError(f"{cls.name}: selection {selection}, x {x} and weights {weight} do not fit")
        if len(operands) == 4 and tensor(operands, 3).shape != (weight[0], weight[2]):
            raise ValueError(f"{cls.name}: biases do not fit the weights")
        return selection, x, weight


@register
class RoutedLinear(ExpertLinear):
    """The chosen experts' linear layers: x [.., T, d], or one x a choice [.., T, k, d], to [.., T, k, h].

    `side` says where the selection is made: `in` multiplies x by it and computes one layer of E*d inputs,
    `out` computes every expert's layer and selects from the E*h results.
    """

    name = "routed_linear"
    required = {"side": str}

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        selection, x, weight = cls.checked(operands)
        if x[:-1] not in (selection[:-2], selection[:-1]):
            raise ValueError(f"routed_linear: x {x} does not fit selection {selection}")
        if attributes["side"] not in SIDES:
            raise ValueError(f"routed_linear: side is none of {', '.join(SIDES)}")
        return [TensorType(joined_visibility(operands), "float", (*selection[:-1], weight[2]))]

    @classmethod
    def evaluate(cls, operands: Arrays, attributes: Attributes) -> np.ndarray:
        selection, x, weight = operands[:3]
        if x.ndim < selection.ndim:
            x = np.repeat(x[..., None, :], selection.shape[-2], axis=-2)
        return through_experts(selection, x, weight, operands[3] if len(operands) == 4 else None)


@register
class MixtureLinear(ExpertLinear):
    """Sum over choices and experts of c (x W_e + b_e), c real: x [.., T, k, d] to [.., T, h]."""

    name = "mixture_linear"

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        selection, x, weight = cls.checked(operands)
        if x[:-1] != selection[:-1]:
            raise ValueError(f"mixture_linear: x {x} does not fit weights of choices {selection}")
        return [TensorType(joined_visibility(operands), "float", (*selection[:-2], weight[2]))]

    @classmethod
    def evaluate(cls, operands: Arrays, attributes: Attributes) -> np.ndarray:
        bias = operands[3] if len(operands) == 4 else None
        return np.asarray(through_experts(operands[0], operands[1], operands[2], bias).sum(axis=-2))


def slots(tokens: int, top_k: int, experts: int, factor: float) -> int:
    """Places of each expert for `factor` times an even load: GShard's capacity, section 3.2."""
    return max(1, math.ceil(factor * tokens * top_k / experts))
