"""Dense fixtures without a dealer: the parties make the correlations, then run. Exact bytes and rounds.

Three whose operations differ most; what each operation is made of is tested in runtime/two_party.
"""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest

from mpcc.compiler.both_parties import run_both
from mpcc.compiler.driver import Request, compile_model
from mpcc.compiler.simulate import simulate
from mpcc.ir.correlation_source import CorrelationSource
from mpcc.runtime.events import ScreenEvents
from mpcc.runtime.report import EXACT
from tests.test_end_to_end import MODELS, Fixture, assert_close

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["distilbert.dynamo20", "llama.dynamo20", "vit.legacy17"])
def test_secure_answers_without_a_dealer(name: str, tmp_path: Path) -> None:
    model = MODELS / f"{name}.onnx"
    request = Request(model, tmp_path / "program", correlations=CorrelationSource.TWO_PARTY)
    compiled = compile_model(request, lambda line: None)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    fixture = Fixture(compiled, request.output, session)
    inputs, *_ = fixture.fresh_inputs()
    with ScreenEvents() as events:
        run = run_both(fixture.folder, inputs, set(), events)
    assert_close(run.outputs, fixture.expected(inputs))
    assert_close(run.outputs, simulate(fixture.folder, inputs))
    predicted = compiled.cost.report()
    assert {name: run.report[name] for name in EXACT} == {name: predicted[name] for name in EXACT}
    assert set(predicted["bytes"]["offline"]) == {"party0", "party1"}
