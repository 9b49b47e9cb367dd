"""Calibration: ranges by onnxruntime, insides of nonlinear operations, generated inputs, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mpcc.compiler.calibrate import Calibration, calibrate, generate_samples
from mpcc.compiler.choose.uses import uses
from mpcc.compiler.evaluate import evaluate
from mpcc.compiler.frontend import import_model
from mpcc.compiler.frontend.check import run_local
from mpcc.ir.diagnostics import MpccError
from tests.compiler.graphs import MODELS, build, save, scalar, weight, with_secret_inputs

BERT = MODELS / "bert.legacy17.onnx"


def test_every_value_has_its_range() -> None:
    result = import_model(BERT, {}, {}, {})
    samples = generate_samples(result.inputs, seed=5, count=3)
    found = calibrate(result, BERT, samples)
    assert found.samples == 3
    assert found.warnings == ()
    for sample in samples:
        for value, array in evaluate(result.program, run_local(result, sample)).items():
            low, high = found.ranges[value.name]
            assert low <= array.min() + 1e-4
            assert high >= array.max() - 1e-4
    kinds = {o.result.name: o.kind for o in result.program.operations}
    inside = {kinds[name]: set(quantities) for name, quantities in found.internals.items()}
    rows = {"row_max", "row_max_minus_mean", "row_sum", "row_mean", "row_variance"}
    assert inside["softmax"] == {"scores", "score_minus_max", *rows}
    assert inside["layer_norm"] == {"centred", "variance"}
    assert inside["gelu"] == inside["tanh"] == {"input"}


def test_replaced_functions_move_the_ranges_of_all_that_follows() -> None:
    result = import_model(BERT, {}, {}, {})
    samples = generate_samples(result.inputs, seed=5, count=2)
    replaced = uses("mpcformer").replaced(result.program)
    kinds = {o.result.name: o.kind for o in result.program.operations}
    assert {kinds[name] for name in replaced} == {"gelu", "softmax"}
    found, original = (
        calibrate(result, BERT, samples, replaced=replaced),
        calibrate(result, BERT, samples),
    )
    for sample in samples:
        computed = evaluate(result.program, run_local(result, sample), replaced=replaced)
        for value, array in computed.items():
            low, high = found.ranges[value.name]
            assert low <= array.min()
            assert high >= array.max()
    first = next(iter(replaced))
    assert found.ranges[first] != pytest.approx(original.ranges[first], rel=0.01)
    (logits,) = (v.name for v in result.program.outputs.values())
    assert found.ranges[logits] != pytest.approx(original.ranges[logits], rel=0.01)


def test_softmax_insides_know_the_mask(tmp_path: Path) -> None:
    body = "b = Cast<to=9>(mask) a = Where(b, zero, fill) s = Add(x, a) y = Softmax<axis=-1>(s)"
    model = build(
        "(float[1,4] x, int64[1,4] mask) => (float[1,4] y)", body, zero=scalar(0), fill=scalar(-1e9)
    )
    path = save(tmp_path, with_secret_inputs(model))
    result = import_model(path, {}, {}, {})
    hidden = weight(4, seed=9)
    scores = np.array([[1.0, 2.0, 50.0, 3.0]], np.float32)
    sample = {"x_client": scores - hidden, "mask": np.array([[1, 1, 0, 1]])}
    ((_, inside),) = calibrate(result, path, [sample]).internals.items()
    assert inside["scores"] == pytest.approx((1.0, 50.0), abs=1e-5)
    assert inside["row_max"] == pytest.approx((3.0, 3.0), abs=1e-5)
    assert inside["score_minus_max"] == pytest.approx((-2.0, 0.0), abs=1e-5)
    assert inside["row_max_minus_mean"] == pytest.approx((-11.0, -11.0), abs=1e-5)
    total = 1 + np.exp(-1) + np.exp(-2)
    assert inside["row_sum"] == pytest.approx((total, total), abs=1e-5)


def test_generated_inputs_warn_and_fit() -> None:
    result = import_model(BERT, {}, {}, {})
    found = calibrate(result, BERT, None)
    assert "generated inputs" in found.warnings[0]
    samples = generate_samples(result.inputs, seed=0)
    assert samples[0]["attention_mask"].all()
    for sample in samples:
        assert sample["input_ids"].max() <= 99
        lengths = sample["attention_mask"].sum(axis=-1)
        assert lengths.min() >= 1
        np.testing.assert_array_equal(sample["attention_mask"], np.arange(16) < lengths[:, None])


def test_file_round_trip() -> None:
    result = import_model(BERT, {}, {}, {})
    found = calibrate(result, BERT, None)
    again = Calibration.from_json(found.to_json())
    assert (again.ranges, again.internals, again.samples) == (found.ranges, found.internals, found.samples)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"samples": 1, "ranges": {"a": [2, 1]}, "internals": {}}'])
def test_damaged_file(text: str) -> None:
    with pytest.raises(MpccError) as caught:
        Calibration.from_json(text)
    assert caught.value.code == "MPC-F041"


@pytest.mark.parametrize("change", ["missing", "shape", "dtype"])
def test_sample_that_does_not_fit(change: str) -> None:
    result = import_model(BERT, {}, {}, {})
    (sample,) = generate_samples(result.inputs, seed=0, count=1)
    if change == "missing":
        del sample["attention_mask"]
    elif change == "shape":
        sample["input_ids"] = sample["input_ids"][:, :8]
    else:
        sample["input_ids"] = sample["input_ids"].astype(np.int32)
    with pytest.raises(MpccError) as caught:
        calibrate(result, BERT, [sample])
    assert caught.value.code == "MPC-F040"
