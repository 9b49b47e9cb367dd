"""A program around each protocol, as one party sees it: many copies, in which all that it holds is fixed.

The other party's numbers are the secret: one of two fixed ones, the same for every copy, or new numbers for
every copy. The observer's share of every value is one constant, so no randomness of the inputs hides what a
mask should.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from mpcc.ir.program import Value
from mpcc.runtime.ring import to_ring
from tests.runtime.protocols.cases import Case, Setting, ring_of
from tests.runtime.protocols.choices import seeded
from tests.runtime.protocols.harness import Prepared

COPIES = 1031  # prime, so that no other axis is taken for the copies
OWN = 0x1E3779B97F4A7C15  # the observer's share of everything
Secret = tuple[int, ...] | None  # the numbers of every copy; None: random ones


class Held(Setting):
    """A program under construction, with the arrays of both parties where the first is the observer."""

    def __init__(self, observer: int, secret: Secret, session: int, weights: bool) -> None:
        super().__init__(seeded(0, 0))
        self._observer = observer
        self._secret = secret
        self._random = np.random.default_rng(session)
        self._weights = weights and observer == 1  # are the secret, instead of the shared values

    def shares(self, *shape: int, fraction: int = 0, ring: int = 64) -> Value:
        """Shares [COPIES, *shape] of the secret, repeated as often as it takes."""
        secret = (1,) if self._weights else self._secret
        own = np.full((COPIES, *shape), OWN, dtype=np.int64)
        if secret is None:
            other = self._random.integers(-(2**63), 2**63 - 1, own.shape, endpoint=True)
        else:
            x = np.resize(np.array(secret, dtype=np.int64), own.shape)
            other = (to_ring(x) - to_ring(own)).view(np.int64)
        parts = (own, other) if self._observer == 0 else (other, own)
        names = ("server_input", "client_input")
        sources = [self.source(name, part, fraction) for name, part in zip(names, parts, strict=True)]
        return self.emit("add", *sources, ring=ring)

    def weights(self, *shape: int) -> Value:
        if self._weights and self._secret is None:
            array = self._random.integers(-(2**20), 2**20, shape)
        else:
            array = np.resize(np.array(self._secret if self._weights else 1, dtype=np.int64), shape)
        return self.source("weight", array)

    def opened(self, bits: int, *shape: int) -> Value:
        return self.emit("open_masked", self.shares(*shape), bits=bits)

    def signs(self, thresholds: tuple[int, ...], *shape: int) -> Value:
        """Opened bits [thresholds, COPIES, *shape]: whether the secret is below."""
        return self.emit("open_bits", self.less_than(self.shares(*shape), 5, thresholds))

    def total(self, value: Value) -> Value:
        """Of a copy: the order of the secret's numbers does not show in it."""
        axes = tuple(range(1, len(ring_of(value).shape)))
        return self.emit("sum", value, axes=axes, keepdims=False)

    def product(self, ring: int, *operands: Value, **attributes: Any) -> Value:
        count = len(operands)
        stated = {"factors": ("value",) * count, "coefficients": ((),) * count, **attributes}
        return self.emit("product", *operands, ring=ring, fractions=(0,) * count, **stated)


@dataclass(frozen=True)
class Subject:
    """`secrets` are two with the same output: what is revealed must not tell them apart, either.

    `weights`: party 0's weights are what party 1 must not learn.
    """

    kind: str
    name: str
    build: Callable[[Held], Value]
    secrets: tuple[tuple[int, ...], tuple[int, ...]]
    weights: bool = False

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"

    def case(self, observer: int, secret: Secret, session: int = 0) -> Case:
        setting = Held(observer, secret, session, self.weights)
        return setting.end(self.build(setting), to="public")

    @property
    def prepared(self) -> Prepared:
        return _prepared(self)


@lru_cache(maxsize=64)
def _prepared(subject: Subject) -> Prepared:
    return Prepared(subject.case(0, subject.secrets[0]).program)


def _square(s: Held, bits: int, ring: int) -> Value:
    return s.product(ring, s.opened(bits), factors=("polynomial",), coefficients=((0, 0, 1),))


def _serve(s: Held, bits: int) -> Value:
    return s.emit("serve", s.shares(2), bits=bits)


def _linear(s: Held) -> Value:
    return s.emit("linear", _serve(s, 37), s.weights(2, 3), ring=35)


def _experts(s: Held) -> Value:
    served = s.emit("serve", s.shares(2, 1, 2), bits=44)
    return s.total(s.emit("linear", served, s.weights(2, 2, 1)))


def _gain(s: Held) -> Value:
    return s.total(s.emit("gain", _serve(s, 64), s.weights(2)))


def _matmul(s: Held) -> Value:
    left, right = s.opened(31, 1, 2), s.opened(34, 2, 1)
    return s.emit("matmul", left, right, ring=31)


def _chosen_square(s: Held) -> Value:
    """Two openings of one value and two bits: three factors, two of them with wraps."""
    bits = s.signs((5, -5))
    factors = {"factors": ("value", "value", "bits"), "coefficients": ((), (), (3, 5, -7))}
    return s.product(60, s.opened(16), s.opened(18), bits, **factors)


def _segments(s: Held) -> Value:
    bits = s.signs((5, -5))
    rows = ((3, 1, -2), (7, 0, 5), (1, 1, 1))
    operands = (s.opened(14), s.opened(15), bits)
    monomials = ((0, 0), (1, 1), (2, 0))
    return s.emit("segmented_polynomial", *operands, ring=50, monomials=monomials, rows=rows, fraction=0)


def _truncate(s: Held, ring: int, bits: int, wide: int) -> Value:
    short = s.emit("truncate", s.shares(fraction=bits, ring=ring), ring=wide, bits=bits)
    opened = s.emit("open_masked", short, bits=min(wide, 20))
    return s.product(40, opened, factors=("polynomial",), coefficients=((0, 0, 1),))


def _less_than(s: Held, bits: int, width: int, drop: int, thresholds: tuple[int, ...]) -> Value:
    opened = s.opened(min(64, bits + drop))
    return s.emit("less_than", opened, bits=bits, width=width, drop=drop, thresholds=thresholds)


def _row_reaches(s: Held) -> Value:
    return s.emit("row_reaches", s.shares(4), bits=4, low=-9, levels=12)


def _exponential(s: Held, bits: int, fraction: int) -> Value:
    return s.total(s.emit("exponential", s.shares(2, fraction=fraction), bits=bits, fraction=50))


def _sine_series(s: Held, bits: int) -> Value:
    attributes: dict[str, Any] = {"amplitude_fraction": 28, "public_fraction": 12, "secret_fraction": 12}
    attributes |= {"phases": (1 << (bits - 2), 300), "harmonics": (1, 3), "amplitudes": (1 << 27, 1 << 25)}
    return s.total(s.emit("sine_series", s.shares(2, fraction=6), bits=bits, **attributes))


def _one_hot(s: Held) -> Value:
    rows = s.emit("one_hot", s.shares(2), ring=9, bits=3)
    return s.emit("sum", rows, axes=(1,), keepdims=False)


SUBJECTS = (
    Subject("open_masked", "21 bits", lambda s: _square(s, 21, 40), ((700,), (-700,))),
    Subject("open_masked", "64 bits", lambda s: _square(s, 64, 64), ((-3,), (3,))),
    Subject(
        "open_masked", "a value twice", lambda s: s.product(40, s.opened(16), s.opened(16)), ((9,), (-9,))
    ),
    Subject("open_bits", "two bits", lambda s: s.signs((0,), 2), ((1, 0), (7, 3))),
    Subject(
        "reveal", "a sum", lambda s: s.total(s.shares(2, ring=33)), ((5, -(2**30)), (-(2**29), 5 - 2**29))
    ),
    Subject(
        "serve", "29 bits", lambda s: s.total(s.emit("gain", _serve(s, 29), s.weights(1))), ((0, 9), (4, 5))
    ),
    Subject("linear", "a matrix", _linear, ((1, 3), (1, 3)[::-1]), weights=True),
    Subject("linear", "a matrix an expert", _experts, ((0, 0, 7, 1), (2, 2, 2, 2)), weights=True),
    Subject("gain", "64 bits", _gain, ((1, 2**19), (2**18 + 1, 2**18)), weights=True),
    Subject("matmul", "two shared matrices", _matmul, ((1, 3), (3, -1))),
    Subject("product", "two values and bits", _chosen_square, ((2,), (-2,))),
    Subject("segmented_polynomial", "two openings", _segments, ((3,), (-3,))),
    Subject("truncate", "into a wider ring", lambda s: _truncate(s, 30, 9, 40), ((3 << 9,), (-3 << 9,))),
    Subject(
        "truncate", "into a narrower ring", lambda s: _truncate(s, 64, 20, 20), ((1 << 27,), (-1 << 27,))
    ),
    Subject("less_than", "three blocks", lambda s: _less_than(s, 12, 4, 0, (0, 200, 700)), ((300,), (600,))),
    Subject("less_than", "low bits dropped", lambda s: _less_than(s, 9, 3, 6, (0,)), ((64,), (64 * 99,))),
    Subject("less_than", "one block", lambda s: _less_than(s, 7, 6, 0, (-3, 20)), ((0,), (19,))),
    Subject("row_reaches", "four in a row", _row_reaches, ((3, -9, 0, 1), (-2, 3, 3, -4))),
    Subject("exponential", "12 bits", lambda s: _exponential(s, 12, 8), ((-1, -2000), (-2000, -1))),
    Subject("exponential", "21 bits", lambda s: _exponential(s, 21, 16), ((-9, -(2**20)), (-(2**20), -9))),
    Subject("sine_series", "11 bits", lambda s: _sine_series(s, 11), ((0, 1000), (1000, 0))),
    Subject("sine_series", "20 bits", lambda s: _sine_series(s, 20), ((-(2**19), 7), (7, -(2**19)))),
    Subject("one_hot", "eight entries", _one_hot, ((5, 2), (2, 5))),
)
