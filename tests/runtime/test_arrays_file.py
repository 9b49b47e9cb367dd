"""The client's input file: every problem is reported, all at once, without a value in the message."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mpcc.ir.diagnostics import MpccError, MpccErrors
from mpcc.runtime.arrays_file import check_writable, read_inputs, write_outputs
from mpcc.runtime.program_folder import TensorSpec

SPECS = (
    TensorSpec("ids", (1, 4), "int64", 0, 99),
    TensorSpec("image", (2, 3), "float32", -1.5, 1.5),
    TensorSpec("mask", (1, 4), "bool"),
)
GOOD = {
    "ids": np.array([[0, 1, 2, 99]]),
    "image": np.full((2, 3), 1.5, np.float32),
    "mask": np.ones((1, 4), bool),
}


def codes(path: Path, **changes: object) -> list[str]:
    np.savez(path / "x.npz", **{**GOOD, **changes})  # type: ignore[arg-type]
    with pytest.raises(MpccErrors) as caught:
        read_inputs(path / "x.npz", SPECS)
    return [error.code for error in caught.value.errors]


def test_good_inputs(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **GOOD)  # type: ignore[arg-type]
    arrays = read_inputs(tmp_path / "x.npz", SPECS)
    assert all(np.array_equal(arrays[name], GOOD[name]) for name in GOOD)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("ids", np.zeros((1, 5), np.int64), ["MPC-R033"]),
        ("ids", np.zeros(4, np.int64), ["MPC-R033"]),
        ("ids", np.zeros((1, 4), np.int32), ["MPC-R034"]),
        ("ids", np.zeros((1, 4)), ["MPC-R034"]),
        ("ids", np.array([["a", "b", "c", "d"]]), ["MPC-R034"]),
        ("ids", np.array([[0, 1, 2, 100]]), ["MPC-R036"]),
        ("ids", np.array([[0, 1, -1, 9]]), ["MPC-R036"]),
        ("image", np.full((2, 3), np.nan, np.float32), ["MPC-R035"]),
        ("image", np.full((2, 3), np.inf, np.float32), ["MPC-R035"]),
        ("image", np.full((2, 3), -1.6, np.float32), ["MPC-R036"]),
        ("image", np.array([[np.nan, 9, 0], [0, 0, 0]], np.float32), ["MPC-R035", "MPC-R036"]),
        ("image", np.zeros((2, 3), np.complex64), ["MPC-R034"]),
        ("mask", np.ones((1, 4), np.uint8), ["MPC-R034"]),
        ("surplus", np.ones(1), ["MPC-R032"]),
    ],
)
def test_one_problem(tmp_path: Path, name: str, value: object, expected: list[str]) -> None:
    assert codes(tmp_path, **{name: value}) == expected


def test_all_problems_at_once(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", image=np.full((3, 3), np.nan), idz=np.zeros(1))
    with pytest.raises(MpccErrors) as caught:
        read_inputs(tmp_path / "x.npz", SPECS)
    found = [error.code for error in caught.value.errors]
    assert found == ["MPC-R031", "MPC-R033", "MPC-R034", "MPC-R035", "MPC-R031", "MPC-R032"]


def test_messages_hold_no_value(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **{**GOOD, "ids": np.array([[0, 1, 2, 31337]])})  # type: ignore[arg-type]
    with pytest.raises(MpccError) as caught:
        read_inputs(tmp_path / "x.npz", SPECS)
    assert "31337" not in caught.value.render()


def write_pickle(path: Path) -> None:
    np.savez(path, ids=np.array([{}], dtype=object))


def write_truncated(path: Path) -> None:
    np.savez(path, **GOOD)  # type: ignore[arg-type]
    os.truncate(path, path.stat().st_size // 2)


def write_flipped(path: Path) -> None:
    np.savez(path, **GOOD)  # type: ignore[arg-type]
    contents = bytearray(path.read_bytes())
    contents[contents.index(b"NUMPY") + 130] ^= 1
    path.write_bytes(contents)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: None,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not an archive"),
        lambda path: path.mkdir(),
        lambda path: np.save(path.open("wb"), np.zeros(3)),
        write_pickle,
        write_truncated,
        write_flipped,
    ],
)
def test_not_an_archive(tmp_path: Path, write: Callable[[Path], object]) -> None:
    write(tmp_path / "x.npz")
    with pytest.raises(MpccError) as caught:
        read_inputs(tmp_path / "x.npz", SPECS)
    assert caught.value.code == "MPC-R030"


def test_outputs_are_whole_or_absent(tmp_path: Path) -> None:
    write_outputs(tmp_path / "y.npz", {"y": np.arange(3)})
    before = (tmp_path / "y.npz").read_bytes()

    class Interrupting:
        def __array__(self, *_: object, **__: object) -> object:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_outputs(tmp_path / "y.npz", {"y": np.zeros(9), "z": Interrupting()})  # type: ignore[dict-item]
    assert (tmp_path / "y.npz").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["y.npz"]


def test_a_device_is_not_replaced() -> None:
    with pytest.raises(MpccError) as caught:
        check_writable(Path("/dev/null"))
    assert caught.value.code == "MPC-R037"


def test_unwritable_outputs(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "no/such/folder/y.npz"):
        for action in (check_writable, lambda path: write_outputs(path, {})):
            with pytest.raises(MpccError) as caught:
                action(path)
            assert caught.value.code == "MPC-R037"
