"""Arrays of a safetensors file, as the library writes it; damaged files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.stored_arrays import StoredArrays, load_arrays, stored_arrays

ARRAYS: dict[str, np.ndarray] = {
    "matrix": np.arange(12, dtype=np.float32).reshape(3, 4),
    "number": np.array(2.5, dtype=np.float16),
    "none": np.zeros((0, 5), dtype=np.float64),
    "integers": np.array([-(2**63), 2**63 - 1]),
    "bytes": np.array([255], dtype=np.uint8),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_file(ARRAYS, tmp_path / "a.safetensors", metadata={"by": "a test"})
    return tmp_path / "a.safetensors"


def test_every_array_is_as_written(path: Path) -> None:
    for found in (StoredArrays(path), load_arrays(path)):
        assert found.keys() == ARRAYS.keys()
        for name, array in ARRAYS.items():
            assert found[name].shape == array.shape
            assert np.asarray(found[name]).dtype == array.dtype
            assert np.array_equal(found[name], array)


def test_rows_are_read_alone(path: Path) -> None:
    rows = StoredArrays(path)["matrix"][1:3]
    assert rows.dtype == np.float32
    assert rows.tolist() == [[4, 5, 6, 7], [8, 9, 10, 11]]
    assert np.array_equal(StoredArrays(path)["matrix"][2:9], ARRAYS["matrix"][2:9])


def test_loaded_arrays_do_not_need_the_file_any_more(path: Path) -> None:
    loaded = load_arrays(path)
    path.write_bytes(bytes(path.stat().st_size))
    assert np.array_equal(loaded["matrix"], ARRAYS["matrix"])


def test_without_a_file_there_are_no_arrays(tmp_path: Path) -> None:
    assert load_arrays(None) == load_arrays(tmp_path / "none") == stored_arrays(None) == {}


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content[:-1],
        lambda content: content[:40],
        lambda content: b"",
        lambda content: b"\xff" * len(content),
        lambda content: content.replace(b'"F32"', b'"F3x"'),
        lambda content: content.replace(b'"F32"', b'"F64"'),
        lambda content: content.replace(b"[3,4]", b"[4,4]"),
        lambda content: content.replace(b'"shape"', b'"shade"'),
        lambda content: content.replace(b'"dtype":"F32"', b'"dtype":12345'),
    ],
)
def test_a_damaged_file_is_refused(path: Path, change: object) -> None:
    content = path.read_bytes()
    damaged = change(content)  # type: ignore[operator]
    assert damaged != content
    path.write_bytes(damaged)
    with pytest.raises(MpccError) as failure:
        stored_arrays(path)
    assert failure.value.code == "MPC-R043"
