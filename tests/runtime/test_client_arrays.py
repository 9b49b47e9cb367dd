"""What party 1 checks of its own values before they enter the program: nothing that its rings cannot hold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mpcc.compiler.simulate import simulate
from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.sources import client_arrays
from tests.security.sessions import MODELS, compiled
from tests.support import secure_run

NAME = "vit.legacy17"


@pytest.mark.parametrize(
    ("value", "accepted"), [(2.0, True), (-2.0, True), (2.01, False), (-1e30, False), (np.nan, False)]
)
def test_a_value_beyond_the_compiled_magnitude_is_refused(value: float, accepted: bool) -> None:
    arrays = {"x": np.array([0.5, value], dtype=np.float32)}
    entry = {"name": "x", "check": "none", "bound": 2.0}
    if accepted:
        assert client_arrays(None, [entry], arrays) == arrays
        return
    with pytest.raises(MpccError) as caught:
        client_arrays(None, [entry], arrays)
    assert caught.value.code == "MPC-R044"
    assert str(value) not in str(caught.value)


def test_an_input_far_outside_the_calibrated_range_gives_an_error_and_no_answer(tmp_path: Path) -> None:
    program = compiled(MODELS / f"{NAME}.onnx", tmp_path / "program")
    manifest = json.loads((program / "party1" / "manifest.json").read_text())
    (spec,) = manifest["inputs"]
    assert all(entry["bound"] > 0 for entry in manifest["local_outputs"])
    inputs = {spec["name"]: np.full(spec["shape"], 1e6, dtype=spec["dtype"])}
    for run in (simulate, secure_run):
        with pytest.raises(MpccError) as caught:
            run(program, inputs)
        assert caught.value.code in ("MPC-R044", "MPC-R004", "MPC-R008")
