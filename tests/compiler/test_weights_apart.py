"""A model with its weights in a file of their own: equal, small, and gone afterwards."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import onnx
import pytest

from mpcc.compiler.frontend.apart import weights_apart
from mpcc.compiler.frontend.check import session
from mpcc.ir.diagnostics import MpccError
from tests.compiler.graphs import build, save, weight


def model(folder: Path) -> Path:
    return save(folder, build("(float[2,64] x) => (float[2,64] y)", "y = MatMul(x, w)", w=weight(64, 64)))


def test_it_computes_the_same(tmp_path: Path) -> None:
    path, x = model(tmp_path), weight(2, 64, seed=1)
    (expected,) = session(str(path)).run(["y"], {"x": x})
    with weights_apart(path) as apart:
        assert apart.stat().st_size < path.stat().st_size / 4
        (found,) = session(str(apart)).run(["y"], {"x": x})
    assert np.array_equal(found, expected)
    assert not apart.parent.exists()


def test_weights_that_lie_apart_stay_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "apart.onnx"
    onnx.save(onnx.load(model(tmp_path)), path, save_as_external_data=True, location="weights")
    with weights_apart(path) as apart:
        assert apart == path
    assert path.exists()


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "weights")

    path = model(tmp_path)
    monkeypatch.setattr(onnx, "save", full)
    with pytest.raises(MpccError) as caught, weights_apart(path):
        pass
    assert caught.value.code == "MPC-C013"
    assert "No space left" in caught.value.message
