"""Party 1's part: cut out as a model without weights, its outputs checked and as small as they can be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from tests.compiler.graphs import build, imported, ints, kinds, scalar, weight


def test_positions_from_the_clients_mask(tmp_path: Path) -> None:
    """RoBERTa: position ids are the client's arithmetic, looked up in party 0's table."""
    body = "c = CumSum(mask, axis) m = Mul(c, mask) p = Add(m, one) y = Gather(table, p)"
    model = build(
        "(int64[1,6] mask) => (float[1,6,4] y)", body, axis=np.array(1), one=np.array(1), table=weight(9, 4)
    )
    result = imported(tmp_path, model)
    assert kinds(result) == {"embedding": 1}
    (ids,) = result.local_outputs
    assert (ids.check, ids.max, ids.dtype, ids.shape) == ("ids", 8, "int", (1, 6))
    assert result.local_model is not None
    assert [n.op_type for n in result.local_model.graph.node] == ["CumSum", "Mul", "Add", "Identity"]
    onnx.checker.check_model(result.local_model, full_check=True)


def test_nothing_to_compute_means_no_model(tmp_path: Path) -> None:
    result = imported(
        tmp_path, build("(int64[1,6] ids) => (float[1,6,4] y)", "y = Gather(t, ids)", t=weight(9, 4))
    )
    assert result.local_model is None
    assert [o.name for o in result.local_outputs] == ["ids"]


def test_weights_never_enter_the_local_model(tmp_path: Path) -> None:
    """The client's scaled input meets a weight: the scale by a weight is not the client's to compute."""
    body = "u = Cast<to=1>(n) r = Reshape(u, flat) s = Mul(r, learned) y = MatMul(s, w)"
    weights = {"learned": weight(4), "w": weight(4, 3)}
    model = build("(int32[2,2,2] n) => (float[2,3] y)", body, flat=ints(2, 4), **weights)
    result = imported(tmp_path, model)
    assert result.local_model is not None
    assert {n.op_type for n in result.local_model.graph.node} == {"Cast", "Reshape", "Identity"}
    assert all(t.data_type == onnx.TensorProto.INT64 for t in result.local_model.graph.initializer)


def test_constants_of_mask_arithmetic_may_enter(tmp_path: Path) -> None:
    body = "f = Cast<to=1>(mask) i = Sub(one, f) r = Relu(x) y = Mul(r, i)"
    model = build("(float[1,6] x, int64[1,6] mask) => (float[1,6] y)", body, one=scalar(1.0))
    result = imported(tmp_path, model)
    assert kinds(result) == {"relu": 1, "mul": 1}
    assert [c.reason for c in result.public_scalars] == ["constant in arithmetic on the client's integers"]


def test_factors_are_sent_without_repetition(tmp_path: Path) -> None:
    body = "u = Unsqueeze(mask, last) e = Expand(u, full) f = Cast<to=1>(e) y = Mul(x, f)"
    model = build(
        "(float[1,6,8] x, int64[1,6] mask) => (float[1,6,8] y)", body, last=ints(-1), full=ints(1, 6, 8)
    )
    result = imported(tmp_path, model)
    assert (1, 6, 1) in [o.shape for o in result.local_outputs]
