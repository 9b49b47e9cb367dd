"""Public and weight-only subgraphs disappear; what they leave has the right owner and shape."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir

from mpcc.ir.diagnostics import Diagnostics
from mpcc.ir.types import Visibility
from mpcc.passes.fold_public import fold_public
from mpcc.passes.recognise.graph import Rewriter, array, shape, visibility
from tests.compiler.graphs import build, ints, scalar, weight


def folded(model: onnx.ModelProto) -> tuple[ir.Graph, Diagnostics]:
    graph = ir.from_proto(model).graph
    for value in graph.inputs:
        value.meta["visibility"] = Visibility.PARTY1
    diagnostics = Diagnostics()
    fold_public(Rewriter(graph, graph.opset_imports[""]), diagnostics)
    return graph, diagnostics


def test_shape_arithmetic_folds() -> None:
    body = (
        "s = Shape(x) d = Gather(s, two) t = Unsqueeze(d, axis) u = Concat<axis=0>(lead, t) y = Reshape(x, u)"
    )
    model = build("(float[2,3,4] x) => (float[?,?] y)", body, two=np.array(2), axis=ints(0), lead=ints(6))
    graph, _ = folded(model)
    (node,) = graph
    assert node.op_type == "Reshape"
    assert shape(node.outputs[0]) == (6, 4)
    assert visibility(node.inputs[1]) is Visibility.PUBLIC


def test_owner_of_what_was_folded() -> None:
    body = (
        "c = Cast<to=1>(n) h = Mul(c, half) w = Mul(a, b) k = Cast<to=1>(n) e = Gather(a, ids) "
        "p = Add(x, h) q = Add(p, w) r = Add(q, k) y = Add(r, e)"
    )
    weights = {
        "n": ints(1, 2),
        "half": scalar(0.5),
        "a": weight(4, 2),
        "b": weight(2),
        "ids": ints(0, 1, 1, 3),
    }
    graph, _ = folded(build("(float[4,2] x) => (float[4,2] y)", body, **weights))
    owners = [visibility(node.inputs[1]) for node in graph]
    party0, public = Visibility.PARTY0, Visibility.PUBLIC
    assert owners == [party0, party0, public, party0]
    np.testing.assert_array_equal(array(list(graph)[3].inputs[1]), weights["a"][[0, 1, 1, 3]])


def test_eight_bit_integers_are_weights() -> None:
    body = "w = DequantizeLinear(q, s) a = Add(x, w) m = Cast<to=9>(q) c = Cast<to=1>(m) y = Mul(a, c)"
    graph, _ = folded(
        build("(float[3] x) => (float[3] y)", body, q=np.array([1, 0, 3], np.int8), s=scalar(0.5))
    )
    assert [visibility(node.inputs[1]) for node in graph] == [Visibility.PARTY0, Visibility.PARTY0]


def test_random_numbers_are_not_folded() -> None:
    graph, _ = folded(
        build("(float[3] x) => (float[3] y)", "r = RandomNormalLike(w) y = Add(x, r)", w=weight(3))
    )
    assert [node.op_type for node in graph] == ["RandomNormalLike", "Add"]


def test_unknown_shapes_are_reported_once() -> None:
    body = "n = NonZero(x) t = Transpose(n) u = Cast<to=1>(t) y = Relu(u)"
    _, diagnostics = folded(build("(float[3] x) => (float[?,?] y)", body))
    assert [(e.code, e.where) for e in diagnostics.errors] == [("MPC-F020", "NonZero_0")]
