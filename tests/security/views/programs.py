"""Compiled models of several families, seen by both parties in sessions of any inputs and weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.security.sessions import MODELS, Arrays, compiled, loaded, run_session, with_other_weights
from tests.security.views.collect import View, observing


@dataclass(frozen=True)
class Family:
    """`hidden`: what only the inner sizes of its feed-forward layers are."""

    name: str
    hidden: int
    inputs: Callable[[np.random.Generator], Arrays]

    @property
    def model(self) -> Path:
        return MODELS / f"{self.name}.onnx"


def _sentence(random: np.random.Generator) -> Arrays:
    """Of any length, padded."""
    mask = (np.arange(16) < random.integers(2, 17)).astype(np.int64)[None]
    return {"input_ids": random.integers(1, 100, (1, 16)) * mask, "attention_mask": mask}


def _prompt(random: np.random.Generator) -> Arrays:
    return {"input_ids": random.integers(0, 100, (1, 16))}


def _image(random: np.random.Generator) -> Arrays:
    pixels = np.load(MODELS / "vit.legacy17.npz")["in_pixel_values"]
    return {"pixel_values": random.permutation(pixels.reshape(-1)).reshape(pixels.shape)}


FAMILIES = (
    Family("bert.legacy17", 128, _sentence),
    Family("gpt2.dynamo18", 256, _prompt),
    Family("vit.legacy17", 128, _image),
)


@dataclass(frozen=True)
class Programs:
    """One graph with three sets of weights, compiled with the same ranges: its own, hidden units in another
    order, which compute the same, and others.
    """

    family: Family
    own: Path
    permuted: Path
    others: Path

    @classmethod
    def of(cls, family: Family, folder: Path) -> Programs:
        own = compiled(family.model, folder / "own")

        def under(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Path:
            model = with_other_weights(own, family.model, folder / f"{name} model", change)
            return compiled(model, folder / name, own / "ranges.json")

        order = np.random.default_rng(5).permutation(family.hidden)

        def reordered(weight: np.ndarray) -> np.ndarray:
            for axis in np.flatnonzero(np.array(weight.shape) == family.hidden):
                weight = np.take(weight, order, axis=axis)
            return weight

        return cls(family, own, under("permuted", reordered), under("others", lambda w: w * 0.5))


@dataclass(frozen=True)
class Session:
    """`answer`: what party 1 learns."""

    views: tuple[View, View]
    answer: np.ndarray


def session(program: Path, inputs: Arrays, number: int) -> Session:
    with observing(loaded(program).linked) as seen:
        outputs = run_session(program, inputs, number).outputs
    (answer,) = outputs.values()
    return Session(seen.views, answer)
