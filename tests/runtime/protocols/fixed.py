"""One program for each communicating operation, one input repeated many times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mpcc.ir.program import Value
from tests.runtime.protocols.cases import Case, Setting
from tests.runtime.protocols.choices import seeded

Build = Callable[[Setting, np.ndarray], Value]


@dataclass(frozen=True)
class Fixed:
    kind: str
    build: Build

    def case(self, x: int, count: int) -> Case:
        setting = Setting(seeded(0, 0))
        return setting.end(self.build(setting, np.full(count, x, dtype=np.int64)), to="party1")


def _open_masked(s: Setting, x: np.ndarray) -> Value:
    return s.emit("open_masked", s.share(x), bits=21)


def _reveal(s: Setting, x: np.ndarray) -> Value:
    return s.emit(
        "product", _open_masked(s, x), ring=40, factors=("value",), coefficients=((),), fractions=(0,)
    )


def _open_bits(s: Setting, x: np.ndarray) -> Value:
    return s.emit("open_bits", s.less_than(s.share(x), 5, (0,)))


def _serve(s: Setting, x: np.ndarray) -> Value:
    return s.emit("serve", s.share(x), bits=29)


def _truncate(s: Setting, x: np.ndarray) -> Value:
    return s.emit("truncate", s.share(x, ring=30), bits=9)


def _less_than(s: Setting, x: np.ndarray) -> Value:
    return s.less_than(s.share(x), 12, (0, -3, 700))


def _row_reaches(s: Setting, x: np.ndarray) -> Value:
    rows = s.share(x.reshape(-1, 4))
    return s.emit("row_reaches", rows, bits=5, low=-9, levels=12)


def _exponential(s: Setting, x: np.ndarray) -> Value:
    return s.emit("exponential", s.share(x, 8), bits=12, fraction=50)


def _sine_series(s: Setting, x: np.ndarray) -> Value:
    constants = {"amplitude_fraction": 28, "public_fraction": 12, "secret_fraction": 12}
    return s.emit(
        "sine_series",
        s.share(x, 6),
        bits=11,
        phases=(1 << 9, 300),
        harmonics=(1, 3),
        amplitudes=(1 << 27, 1 << 25),
        **constants,
    )


def _one_hot(s: Setting, x: np.ndarray) -> Value:
    return s.emit("one_hot", s.share(x), bits=3)


FIXED = (
    Fixed("open_masked", _open_masked),
    Fixed("reveal", _reveal),
    Fixed("open_bits", _open_bits),
    Fixed("serve", _serve),
    Fixed("truncate", _truncate),
    Fixed("less_than", _less_than),
    Fixed("row_reaches", _row_reaches),
    Fixed("exponential", _exponential),
    Fixed("sine_series", _sine_series),
    Fixed("one_hot", _one_hot),
)
