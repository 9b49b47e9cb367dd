"""Weights as integers: 32 bits where all fit, 64 where one does not, and the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mpcc.ir.program import Builder, Operation, Stage
from mpcc.runtime.ring import encode, encode_narrow
from mpcc.runtime.sources import Sources
from mpcc.runtime.stored_arrays import StoredArrays


def weight(name: str, fraction: int, shape: tuple[int, ...]) -> Operation:
    builder = Builder("test", Stage.SHARE)
    builder.emit("weight", name=name, fraction=fraction, shape=shape)
    return builder.program.operations[-1]


@pytest.mark.parametrize(
    ("largest", "dtype"),
    [(2**31 - 2, np.int32), (2**31 - 1, np.int64), (-(2**31) + 2, np.int32), (-(2**31), np.int64)],
)
def test_the_largest_integer_decides(largest: int, dtype: type) -> None:
    x = np.array([0.0, largest / 2**10, 0.25])
    found = encode_narrow(x, 10)
    assert found.dtype == dtype
    assert found.tolist() == encode(x, 10).tolist() == [0, largest, 256]


def test_many_numbers_are_rounded_as_one() -> None:
    x = np.random.default_rng(0).standard_normal((3, 700_001)).astype(np.float32)
    for found in (encode(x, 16), encode_narrow(x, 16)):
        assert np.array_equal(found, np.rint(x.astype(np.float64) * 2**16))


@pytest.mark.parametrize(
    "shape", [(), (1,), (0, 3), (3, 0), (70_001,), (3, 70_001), (700, 200), (1, 3, 40_000)]
)
@pytest.mark.parametrize("largest", [1.0, 1e8])
def test_a_stored_weight_is_encoded_by_rows(tmp_path: Path, shape: tuple[int, ...], largest: float) -> None:
    x = np.asarray(np.random.default_rng(0).standard_normal(shape) * largest, np.float32)
    save_file({"w": x}, tmp_path / "weights")
    expected = np.rint(x.astype(np.float64) * 2**16)
    for given in (x, StoredArrays(tmp_path / "weights")["w"]):
        found = encode_narrow(given, 16)
        assert found.shape == shape
        assert np.array_equal(found, expected)


def test_a_weight_is_encoded_once_for_each_fraction() -> None:
    sources = Sources({}, {"w": np.array([[0.5, -1.5]], np.float32)}, {})
    four, eight = weight("w", 4, (1, 2)), weight("w", 8, (1, 2))
    assert sources.narrow(four) is sources.narrow(four)
    assert sources.narrow(four).tolist() == [[8, -24]]
    assert sources.narrow(eight).tolist() == sources(eight).tolist() == [[128, -384]]
    assert sources.narrow(four).dtype == np.int32
    assert sources(four).dtype == np.int64
