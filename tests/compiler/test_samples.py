"""Calibration files: one sample, or several stacked along the first axis."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mpcc.compiler.frontend.imported import InputSpec
from mpcc.compiler.samples import read_samples, split_samples
from mpcc.ir.diagnostics import MpccError

SPECS = (
    InputSpec("ids", (2, 3), "int64", 0, 9, "party1"),
    InputSpec("scale", (), "float32", None, None, "party1"),
)


def arrays(rows: int) -> dict[str, np.ndarray]:
    return {"ids": np.arange(3 * rows).reshape(rows, 3), "scale": np.array(0.5, np.float32)}


def test_stacked_samples_are_split_in_order() -> None:
    samples = split_samples(SPECS, [arrays(2), arrays(6)])
    assert [s["ids"].tolist() for s in samples] == [
        [[0, 1, 2], [3, 4, 5]],
        [[0, 1, 2], [3, 4, 5]],
        [[6, 7, 8], [9, 10, 11]],
        [[12, 13, 14], [15, 16, 17]],
    ]
    assert all(s["scale"] == np.float32(0.5) for s in samples)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"scale": np.float32(1)}, "'ids' is missing"),
        (arrays(3), "has shape [3, 3]"),
        (arrays(0), "has shape [0, 3]"),
        ({"ids": np.zeros((2, 4)), "scale": np.float32(1)}, "has shape [2, 4]"),
        ({**arrays(2), "mask": np.zeros(2)}, "no input 'mask'"),
        ({**arrays(2), "scale": np.zeros(2)}, "'scale' has shape [2]"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(given: dict[str, np.ndarray], named: str) -> None:
    with pytest.raises(MpccError) as caught:
        split_samples(SPECS, [arrays(2), given])
    assert caught.value.code == "MPC-C021"
    assert named in caught.value.render()


def test_inputs_stacked_different_numbers_of_times_are_refused() -> None:
    specs = (SPECS[0], InputSpec("mask", (2, 3), "int64", 0, 1, "party1"))
    with pytest.raises(MpccError, match="ids 1, mask 2") as caught:
        split_samples(specs, [{"ids": np.zeros((2, 3)), "mask": np.zeros((4, 3))}])
    assert caught.value.code == "MPC-C021"


def test_unreadable_files_are_listed_all_at_once(tmp_path: Path) -> None:
    good, text = tmp_path / "good.npz", tmp_path / "text.npz"
    np.savez(good, x=np.zeros(2))
    text.write_text("no archive")
    with pytest.raises(MpccError) as caught:
        read_samples([good, text, tmp_path / "none.npz"])
    assert caught.value.code == "MPC-C020"
    assert str(text) in caught.value.render()
    assert "none.npz" in caught.value.render()
    assert str(good) not in caught.value.render()
