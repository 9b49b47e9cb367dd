"""Packing: the same ciphertexts however they come, and key switches that threads can share."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pytest

from mpcc.runtime import kernels
from mpcc.runtime.ring import U64
from mpcc.runtime.two_party.rlwe import packing
from mpcc.runtime.two_party.rlwe.layout import Layout, layout
from mpcc.runtime.two_party.rlwe.packing import Packer
from mpcc.runtime.two_party.rlwe.parameters import DEGREE, moduli, switching, tables


def _packed(chosen: Layout, ciphertexts: U64, piece: int) -> U64:
    """What comes of so many ciphertexts at a time, with random keys, the same in each call."""

    def key(exponent: int) -> U64:
        primes = tables(switching(chosen.primes)).moduli
        rows = kernels.uniform_residues(bytes(16), exponent, 2 * chosen.primes, DEGREE, primes)
        return rows.reshape(chosen.primes, 2, chosen.primes + 1, DEGREE)

    packer = Packer(chosen, key)
    count = ciphertexts.shape[1]
    done = [packer.push(ciphertexts[:, start : start + piece].copy()) for start in range(0, count, piece)]
    return np.concatenate([*done, packer.finish()], axis=1)


@pytest.mark.parametrize("together", [1, 4, 64])
def test_pieces_do_not_matter(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = layout((1, 64, 150, 42), 17, 50)
    assert chosen.levels > 1
    assert chosen.products % 2**chosen.levels != 0
    flat = kernels.uniform_residues(bytes(16), 0, 2 * chosen.products, DEGREE, moduli(chosen.primes))
    ciphertexts = flat.reshape(2, chosen.products, chosen.primes, DEGREE)
    whole = _packed(chosen, ciphertexts, chosen.products)
    assert whole.shape[1] == chosen.replies
    monkeypatch.setattr(packing, "_TOGETHER", together)
    for piece in (1, 5, chosen.products):
        np.testing.assert_array_equal(_packed(chosen, ciphertexts, piece), whole)


def test_single_ciphertexts_are_packed_together() -> None:
    """Those of a batch come one by one; switched so, they would keep one thread busy."""
    chosen = layout((128, 768, 8, 1), 18, 18)
    assert chosen.products == 128
    switched: list[int] = []

    def count(pairs: U64, *_: Any) -> U64:
        switched.append(pairs.shape[1] // 2)
        return pairs[:, ::2]

    one = np.zeros((2, 1, chosen.primes, DEGREE), dtype=np.uint64)
    with mock.patch.object(kernels, "merge_pairs", count):
        packer = Packer(chosen, lambda exponent: np.zeros(0, dtype=np.uint64))
        done = sum(packer.push(one).shape[1] for _ in range(chosen.products)) + packer.finish().shape[1]
    assert done == chosen.replies
    assert sum(switched) == chosen.key_switches
    assert min(switched) >= 64 >> chosen.levels
