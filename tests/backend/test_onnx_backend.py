"""The ONNX backend: what ONNX asks of one, who holds what, when a program is used again, what is refused."""

from __future__ import annotations

import unittest
from typing import Any

import numpy as np
import onnx
import onnx.backend.base
import pytest

import mpcc.backend
from mpcc.backend import Holder, MpccBackend, Refused
from mpcc.compiler import onnx_backend
from mpcc.compiler.both_parties import BothParties, run_both
from mpcc.compiler.onnx_backend_inputs import divide, usual_holders
from mpcc.ir.diagnostics import MpccError
from tests.compiler.graphs import build, weight

UNITS = 4 * 2.0**-13
SUM = build("(float[2,4] x, float[2,4] y) => (float[2,4] z)", "z = Add(x, y)")


def test_it_is_what_onnx_asks_of_a_backend() -> None:
    assert issubclass(MpccBackend, onnx.backend.base.Backend)
    assert isinstance(mpcc.backend.prepare(SUM), onnx.backend.base.BackendRep)
    assert mpcc.backend.supports_device("CPU")
    assert not mpcc.backend.supports_device("CUDA")
    assert mpcc.backend.is_compatible(SUM)
    assert not mpcc.backend.is_compatible(SUM, "CUDA")
    assert issubclass(Refused, unittest.SkipTest)


def test_a_model_runs_on_arrays_in_order_or_by_name() -> None:
    x, y = weight(2, 4), weight(2, 4, seed=1)
    (z,) = mpcc.backend.run_model(SUM, [x, y])
    np.testing.assert_allclose(z, x + y, atol=UNITS)
    (z,) = mpcc.backend.prepare(SUM).run({"y": y, "x": x})
    np.testing.assert_allclose(z, x + y, atol=UNITS)


@pytest.mark.parametrize(
    ("operation", "opset", "operands", "expected"),
    [
        ("Relu", 13, [weight(3, 4)], np.maximum(weight(3, 4), 0)),
        ("Relu", 6, [weight(3, 4)], np.maximum(weight(3, 4), 0)),  # converted
        ("Transpose", onnx.defs.onnx_opset_version(), [weight(3, 4)], weight(3, 4).T),  # converted
        ("Reshape", 14, [weight(3, 4), np.array([2, 6])], weight(3, 4).reshape(2, 6)),
        ("Neg", 13, [weight(3, 4).astype(np.float64)], -weight(3, 4).astype(np.float64)),
        ("Neg", 13, [weight(3, 4).astype(np.float16)], -weight(3, 4).astype(np.float16)),
        ("Sum", 13, [weight(3, 4), weight(4, seed=1)], weight(3, 4) + weight(4, seed=1)),
    ],
)
def test_a_node_runs(operation: str, opset: int, operands: list[np.ndarray], expected: np.ndarray) -> None:
    names = [f"i{index}" for index in range(len(operands))]
    node = onnx.helper.make_node(operation, names, ["y"])
    (y,) = mpcc.backend.run_node(node, operands, opset_version=opset)
    assert y.dtype == expected.dtype
    np.testing.assert_allclose(y, expected, atol=UNITS)


def test_both_parties_hold_a_part_of_a_float_and_the_sum_is_exact() -> None:
    x, y = weight(2, 4).astype(np.float16), weight(2, 4, seed=1).astype(np.float16)
    model = build("(float16[2,4] x, float16[2,4] y) => (float16[2,4] z)", "z = Add(x, y)")
    division = divide(model, {"x": x, "y": y}, {"x": Holder.BOTH, "y": Holder.CLIENT})
    given = division.of_client({"x": x, "y": y})
    assert [i.name for i in division.model.graph.input] == ["x.client", "y"]
    assert np.all(given["x.client"] != x)
    assert np.array_equal(given["x.client"] + division.server["x.server"], x)
    assert given["y"] is y


def test_what_reads_an_input_decides_who_holds_it() -> None:
    model = build(
        "(float[2,4] x, bool[2,4] keep, int64[n] dims, int64[1] more, float[4,3] w) => (float[2,3] y)",
        "shape = Concat<axis=0>(dims, more) z = Reshape(x, shape) kept = Where(keep, z, x) y = Gemm(kept, w)",
    )
    assert usual_holders(model) == {
        "x": Holder.BOTH,
        "keep": Holder.CLIENT,
        "dims": Holder.SERVER,
        "more": Holder.SERVER,
        "w": Holder.SERVER,
    }


def test_a_program_serves_inputs_within_its_ranges_and_shapes() -> None:
    x, y = weight(2, 4), weight(2, 4, seed=1)
    model = build("(float[n,4] x, float[n,4] y) => (float[n,4] z)", "z = Add(x, y)")
    prepared, programs = mpcc.backend.prepare(model), []
    for left, right in ((x, y), (x * 3 / 4, y), (4 * x, y), (4 * x[:1], y[:1])):
        (z,) = prepared.run([left, right])
        np.testing.assert_allclose(z, left + right, atol=UNITS)
        programs.append(prepared._program)
    assert programs[0] is programs[1]
    assert len({id(program) for program in programs}) == 3


def test_another_constant_of_the_server_is_another_program() -> None:
    prepared = mpcc.backend.prepare(
        build("(float[2,4] x, int64[2] dims) => (float[a,b] y)", "y = Reshape(x, dims)")
    )
    for dims in ((4, 2), (1, 8)):
        assert prepared.run([weight(2, 4), np.array(dims)])[0].shape == dims


def test_a_secret_output_is_computed_by_both_parties(monkeypatch: pytest.MonkeyPatch) -> None:
    reports = []

    def run(*given: Any) -> BothParties:
        result = run_both(*given)
        reports.append(result.report)
        return result

    monkeypatch.setattr(onnx_backend, "run_both", run)
    mpcc.backend.run_model(build("(float[2,4] x) => (float[2,4] y)", "y = Relu(x)"), [weight(2, 4)])
    (report,) = reports
    assert report["rounds"] > 1
    assert min(report["bytes"]["online"].values()) > 0


def test_a_model_without_a_secret_is_refused() -> None:
    model = build("(int64[2] x) => (int64[2] y)", "y = Add(x, x)")
    with pytest.raises(Refused) as refused:
        mpcc.backend.run_model(model, [np.array([1, 2])])
    assert refused.value.code == "MPC-F060"
    with pytest.raises(Refused, match="MPC-F060"):
        mpcc.backend.run_model(SUM, [weight(2, 4)] * 2, holders={"x": Holder.CLIENT, "y": Holder.CLIENT})


def test_what_cannot_be_compiled_is_refused_with_every_reason() -> None:
    model = build("(float[2,4] x) => (float[2,4] y)", "a = Sin(x) b = Cos(x) y = Add(a, b)")
    with pytest.raises(Refused) as refused:
        mpcc.backend.run_model(model, [weight(2, 4)])
    assert [e.code for e in refused.value.errors] == ["MPC-F021", "MPC-F021"]


def test_approximations_are_those_asked_for() -> None:
    model = build("(float[2,4] x) => (float[2,4] y)", "y = Gelu(x)", 20)
    x = 4 * weight(2, 4)
    exact, replaced = (
        mpcc.backend.run_model(model, [x], approximations={"gelu": n})[0] for n in ("puma", "quad")
    )
    np.testing.assert_allclose(replaced, 0.125 * x**2 + 0.25 * x + 0.5, atol=UNITS)
    assert np.abs(exact - replaced).max() > 0.1
    with pytest.raises(Refused, match="MPC-P02"):
        mpcc.backend.run_model(model, [x], approximations={"gelu": "none"})


def test_inputs_that_are_missing_are_named() -> None:
    with pytest.raises(MpccError, match="y") as error:
        mpcc.backend.run_model(SUM, [weight(2, 4)])
    assert error.value.code == "MPC-F040"
