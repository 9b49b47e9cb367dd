"""From an ONNX file to the answer: every dense fixture, compiled, run securely, compared with onnxruntime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from mpcc.compiler.backend.emit import Compiled
from mpcc.compiler.calibrate import generate_samples
from mpcc.compiler.driver import Request, compile_model
from mpcc.compiler.simulate import simulate
from mpcc.runtime.events import ScreenEvents
from mpcc.runtime.local_run import run_local
from tests.compiler.graphs import DENSE
from tests.support import secure_run

MODELS = Path(__file__).parent / "models"
IN_SMOKE = "bert.dynamo20"
FRESH_INPUTS = 5
FRESH_SEED = 123  # not calibration's
CLEAR_LEAD = 0.25  # of the bar: where the largest logit leads by less, another may come out on top


@dataclass(frozen=True)
class Fixture:
    """A compiled fixture with its folder and the model in onnxruntime."""

    compiled: Compiled
    folder: Path
    session: onnxruntime.InferenceSession

    def fresh_inputs(self) -> list[dict[str, np.ndarray]]:
        return generate_samples(self.compiled.imported.inputs, FRESH_SEED, FRESH_INPUTS)

    def expected(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, inputs), strict=True))


def prepare(name: str, folder: Path) -> Fixture:
    model = MODELS / f"{name}.onnx"
    compiled = compile_model(Request(model, folder), lambda line: None)
    return Fixture(compiled, folder, onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]))


def bar(expected: np.ndarray) -> float:
    """The largest error allowed: 1 % of the output's standard deviation or 0.01, whichever is larger."""
    return max(0.01, 0.01 * float(expected.std()))


def assert_close(actual: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert actual.keys() == expected.keys()
    for name, wanted in expected.items():
        assert actual[name].shape == wanted.shape
        assert actual[name].dtype == wanted.dtype
        assert np.abs(actual[name] - wanted).max() <= bar(wanted)


def assert_same_largest(actual: np.ndarray, expected: np.ndarray) -> None:
    ordered = np.sort(expected, axis=-1)
    clear = ordered[..., -1] - ordered[..., -2] > CLEAR_LEAD * bar(expected)
    assert clear.mean() > 0.9
    assert np.array_equal(actual.argmax(-1)[clear], expected.argmax(-1)[clear])


@pytest.mark.parametrize(
    "name", [IN_SMOKE, *(pytest.param(name, marks=pytest.mark.slow) for name in DENSE if name != IN_SMOKE)]
)
def test_secure_answers_are_onnxruntime_s_at_the_predicted_cost(name: str, tmp_path: Path) -> None:
    fixture = prepare(name, tmp_path / "program")
    cost = fixture.compiled.cost
    for number, inputs in enumerate(fixture.fresh_inputs()):
        run = secure_run(fixture.folder, inputs, number=number)
        expected = fixture.expected(inputs)
        assert_close(run.outputs, expected)
        assert_close(run.outputs, simulate(fixture.folder, inputs))
        if "logits" in expected:
            assert_same_largest(run.outputs["logits"], expected["logits"])
        assert [counters.bytes_sent for counters in run.online] == [cost.bytes_party0, cost.bytes_party1]
        assert [counters.rounds for counters in run.online] == [cost.rounds, cost.rounds]
        assert run.setup[0].bytes_sent == cost.setup_bytes


def test_real_processes_give_the_same_answer_at_the_predicted_cost(tmp_path: Path) -> None:
    fixture = prepare("bert.dynamo20", tmp_path / "program")
    [inputs, *_] = fixture.fresh_inputs()
    np.savez(tmp_path / "x.npz", allow_pickle=False, **inputs)
    run = run_local(fixture.folder, tmp_path / "x.npz", ScreenEvents())
    assert_close(run.outputs, fixture.expected(inputs))
    predicted = fixture.compiled.cost.report()
    assert {name: run.report["predicted"][name] for name in predicted} == predicted
    assert run.report["predicted"]["seconds"].keys() == run.report["seconds"].keys()
    assert {name: run.report[name] for name in predicted} == predicted
