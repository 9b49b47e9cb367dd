"""Programs with products of every kind, of enough elements for statistics of their correlations."""

from __future__ import annotations

import numpy as np

from tests.runtime.protocols.cases import Case, Setting
from tests.runtime.protocols.choices import seeded


def products() -> Case:
    """Elementwise, matrix and server products of masked values."""
    s = Setting(seeded(1, 1))
    x = np.ones((8, 8, 48), dtype=np.int64)
    one, two = s.emit("open_masked", s.share(x), bits=30), s.emit("open_masked", s.share(x), bits=33)
    turned = s.emit("transpose", two, permutation=(0, 2, 1))
    served = s.emit("serve", s.share(x), bits=41)
    rows = s.emit("linear", served, s.source("weight", np.ones((48, 48), dtype=np.int64)))
    gained = s.emit("gain", served, s.source("weight", np.ones(48, dtype=np.int64)))
    bits = s.emit("open_bits", s.bits((2, *x.shape)))
    product = s.emit(
        "product",
        one,
        two,
        bits,
        ring=64,
        factors=("polynomial", "value", "bits"),
        coefficients=((1, 2, 3), (), (0, 1, 1)),
        fractions=(0, 0, 0),
    )
    segmented = s.emit(
        "segmented_polynomial",
        one,
        two,
        bits,
        ring=64,
        monomials=((2, 1), (0, 0)),
        rows=((0, 1, 0), (1, 0, 1)),
        fraction=0,
    )
    square = s.emit("matmul", one, turned)
    total = s.emit("sum", s.emit("add", rows, gained), axes=(0, 1, 2), keepdims=False)
    for value in (product, segmented, square):
        total = s.emit("add", total, s.emit("sum", value, axes=(0, 1, 2), keepdims=False))
    return s.end(total)


def nested() -> Case:
    """A product of more factors than one masked polynomial has."""
    s = Setting(seeded(1, 1))
    ones = np.ones(2048, dtype=np.int64)
    masked = [s.emit("open_masked", s.share(ones), bits=k) for k in (20, 13, 17)]
    bits = s.emit("open_bits", s.bits((1, *ones.shape)))
    product = s.emit(
        "product",
        *masked,
        bits,
        ring=60,
        factors=("value", "value", "value", "bits"),
        coefficients=((), (), (), (1, 2)),
        fractions=(0,) * 4,
    )
    return s.end(product)
