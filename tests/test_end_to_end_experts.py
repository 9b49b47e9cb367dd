"""Mixtures of experts from an ONNX file to the answer: every layout gives the model's answer at the predicted
cost.

A logit's fixed-point error can turn a choice that is nearly tied; such inputs are left out, as they say
nothing about the rest.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from mpcc.compiler.backend.emit import Compiled
from mpcc.compiler.calibrate import generate_samples
from mpcc.compiler.choose.experts.request import experts_request
from mpcc.compiler.driver import Request, compile_model
from mpcc.compiler.evaluate import evaluate
from mpcc.compiler.frontend.check import run_local, session
from mpcc.compiler.frontend.imported import Imported
from mpcc.ir.correlation_source import CorrelationSource
from mpcc.ir.dialects.base import integer
from tests.support import secure_run
from tests.test_end_to_end import assert_same_largest

MODELS = Path(__file__).parent / "models"
FIXTURES = ("moe_contrib", "moe_dense_top1.legacy17", "mixtral.dynamo20")
LAYOUTS = {
    "chosen": (None, None),
    "all": ("all", None),
    "outer": ("outer", None),
    "dispatch": ("dispatch", "1000"),  # as many slots as tokens: nothing is dropped
}
CLEAR = 5e-3  # logits that are nearer than this are a tie
DIGITS = Path(__file__).parents[1] / "examples/digits_moe"


def clear_inputs(imported: Imported, seed: int) -> Iterator[dict[str, np.ndarray]]:
    """Generated inputs without a near tie in any router."""
    for inputs in generate_samples(imported.inputs, seed, 40):
        values = evaluate(imported.program, run_local(imported, inputs))
        mixtures = [o for o in imported.program.operations if o.kind == "moe"]
        assert mixtures
        if all(_gap(values[o.operands[0]], integer(o.attributes, "top_k")) > CLEAR for o in mixtures):
            yield inputs


def _gap(logits: np.ndarray, count: int) -> float:
    ordered = -np.sort(-logits, axis=-1)
    return float((ordered[..., :count] - ordered[..., 1 : count + 1]).min())


def check(
    model: Path,
    folder: Path,
    layout: str,
    inputs: int,
    bar: float,
    source: CorrelationSource = CorrelationSource.DEALER,
) -> None:
    request = Request(model, folder, experts=experts_request(*LAYOUTS[layout]), correlations=source)
    compiled = compile_model(request, lambda line: None)
    found = list(itertools.islice(clear_inputs(compiled.imported, 5), inputs))
    assert len(found) == inputs
    assert_right(compiled, folder, found, bar)


def assert_right(
    compiled: Compiled, folder: Path, inputs: Iterable[dict[str, np.ndarray]], bar: float
) -> None:
    """No error is above `bar` standard deviations of the output; bytes and rounds are as predicted."""
    runner, cost = session(str(compiled.model_path)), compiled.cost
    for sample in inputs:
        run = secure_run(folder, sample)
        for name, expected in zip(run.outputs, runner.run(list(run.outputs), sample), strict=True):
            assert np.abs(run.outputs[name] - expected).max() <= bar * expected.std()
            if name == "logits":
                assert_same_largest(run.outputs[name], expected)
        assert [c.bytes_sent for c in run.online] == [cost.bytes_party0, cost.bytes_party1]
        assert [c.rounds for c in run.online] == [cost.rounds, cost.rounds]
        made = (cost.made.party0, cost.made.party1, cost.made.rounds) if cost.made else (0, 0, 0)
        assert (*(c.bytes_sent for c in run.preparation), run.preparation[1].rounds) == made


def test_a_fixture_as_it_is_chosen(tmp_path: Path) -> None:
    check(MODELS / "moe_dense_top1.legacy17.onnx", tmp_path / "program", "chosen", 1, 0.01)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", FIXTURES)
def test_fixtures(name: str, layout: str, tmp_path: Path) -> None:
    """The largest error is below 1 % of the output's standard deviation."""
    check(MODELS / f"{name}.onnx", tmp_path / "program", layout, 2, 0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layout"),
    [*((name, "chosen") for name in FIXTURES), ("moe_contrib", "all"), ("moe_contrib", "dispatch")],
)
def test_fixtures_without_a_dealer(name: str, layout: str, tmp_path: Path) -> None:
    model = MODELS / f"{name}.onnx"
    check(model, tmp_path / "program", layout, 1, 0.01, CorrelationSource.TWO_PARTY)


@pytest.mark.slow
def test_the_digits_example_without_a_dealer(tmp_path: Path) -> None:
    """Its held-out sample, with its own calibration inputs. `make demo` is the one with a dealer."""
    with np.load(DIGITS / "digits_moe_calibration.npz") as images, np.load(DIGITS / "sample.npz") as sample:
        calibration, inputs = dict(images), dict(sample)
    model, folder = DIGITS / "digits_moe_top2.onnx", tmp_path / "program"
    request = Request(model, folder, samples=[calibration], correlations=CorrelationSource.TWO_PARTY)
    assert_right(compile_model(request, lambda line: None), folder, [inputs], 0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    "form",
    [
        "masked loop, legacy 13",
        "gates scattered, dynamo 23",
        "weights gathered, dynamo 18",
        "capacity, legacy 17",
        "highest scored, dynamo 18",
        "slots by one-hot products, legacy 13",
    ],
)
def test_written_forms(form: str, tmp_path: Path) -> None:
    """4 to 9 experts, 1 to 8 for a token, with capacities of the model's own."""
    mixtures = pytest.importorskip("tests.compiler.mixtures")
    from tests.compiler.test_mixtures import FORMS

    mixture, (exporter, opset), _ = FORMS[form]
    model = mixtures.write(tmp_path, mixture, exporter, opset)
    check(model, tmp_path / "program", "chosen", 2, 0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "implementation", "exporter", "opset"),
    [
        ("mixtral", "dense", "legacy", 17),
        ("qwen2", "batched_mm", "dynamo", 20),
        ("olmoe", "batched_mm", "legacy", 17),
        ("gpt_oss", "batched_mm", "dynamo", 18),
        ("switch", "dense", "dynamo", 18),
    ],
)
@pytest.mark.parametrize("layout", ["chosen", "all"])
def test_families(
    family: str, implementation: str, exporter: str, opset: int, layout: str, tmp_path: Path
) -> None:
    mixtures = pytest.importorskip("tests.compiler.mixtures")
    from tests.compiler.test_mixtures import blocks

    block = mixtures.Residual(blocks(family, implementation))
    check(mixtures.write(tmp_path, block, exporter, opset), tmp_path / "program", layout, 2, 0.01)
