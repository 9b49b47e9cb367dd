"""Gains of a model whose output is known as a function of the noise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mpcc.compiler.choose.gains import gains, with_noise
from mpcc.compiler.choose.nodes import nodes_of
from mpcc.compiler.frontend import import_model
from mpcc.compiler.frontend.check import session
from tests.compiler.graphs import MODELS, build, save, weight


def test_noise_inputs_are_optional_and_add(tmp_path: Path) -> None:
    model = build(
        "(float[1,4] x) => (float[1,4] y)", "h = Tanh(x) y = Mul(h, two)", two=np.array([2.0], np.float32)
    )
    path = save(tmp_path, model)
    run = session(with_noise(path, ["h", "y"]).SerializeToString()).run
    x = weight(1, 4)
    np.testing.assert_allclose(run(["y"], {"x": x})[0], 2 * np.tanh(x), rtol=1e-6)
    noise = weight(1, 4, seed=1)
    np.testing.assert_allclose(
        run(["y"], {"x": x, "h/noise": noise})[0], 2 * (np.tanh(x) + noise), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        run(["y"], {"x": x, "y/noise": noise})[0], 2 * np.tanh(x) + noise, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("has_tensor", [True, False])
def test_the_gain_before_a_linear_layer_is_that_of_its_worst_column(has_tensor: bool, tmp_path: Path) -> None:
    matrix = np.abs(weight(8, 3, seed=2))  # errors of one sign add up, random ones never reach as far
    model = build(
        "(float[2,8] x) => (float[2,3] y)", "a = MatMul(x, w) h = Tanh(a) y = MatMul(h, v)",
        w=weight(8, 8, seed=3), v=matrix,
    )  # fmt: skip
    path = save(tmp_path, model)
    imported = import_model(path, {}, {}, {})
    (node,) = nodes_of(imported.program)
    if not has_tensor:
        imported = replace(imported, tensor_names={})
    sample = {"x": weight(2, 8, seed=4)}
    found = gains(imported, path, [sample], [node.site.name], turns=1)
    assert found[node.site.name] == pytest.approx(matrix.sum(axis=0).max(), rel=1e-3)


def test_a_model_has_a_gain_for_every_node() -> None:
    path = MODELS / "bert.dynamo20.onnx"
    imported = import_model(path, {}, {}, {})
    with np.load(MODELS / "bert.dynamo20.npz") as archive:
        sample = {k.removeprefix("in_"): archive[k] for k in archive.files if k.startswith("in_")}
    sites = [node.site.name for node in nodes_of(imported.program)]
    found = gains(imported, path, [sample], sites, turns=1)
    assert set(found) == set(sites)
    assert all(0 < gain < 100 for gain in found.values())
