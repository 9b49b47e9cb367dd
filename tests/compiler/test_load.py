"""Reading files: containment of external data, malformed files, opsets, symbolic dimensions, options."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import onnx
import pytest

from mpcc.compiler.frontend import import_model
from mpcc.compiler.frontend.check import check_against_onnxruntime
from mpcc.ir.diagnostics import MpccError, MpccErrors
from tests.compiler.graphs import MODELS, build, imported, save, weight

SIGNATURE = "(float[2,4] x) => (float[2,5] y)"


def error(path: Path, **dims: int) -> MpccError:
    with pytest.raises(MpccError) as caught:
        import_model(path, dims, {}, {})
    return caught.value


def test_missing_file(tmp_path: Path) -> None:
    assert error(tmp_path / "none.onnx").code == "MPC-F001"


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x08"])
def test_not_a_model(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    assert error(path).code == "MPC-F002"


def test_invalid_graph(tmp_path: Path) -> None:
    model = build(SIGNATURE, "y = MatMul(x, absent)")
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    assert error(path).code == "MPC-F002"


@pytest.mark.parametrize("opset", [11, 12, 25])
def test_opset_out_of_range(tmp_path: Path, opset: int) -> None:
    model = build(SIGNATURE, "y = MatMul(x, w)", opset, w=weight(4, 5))
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    assert error(path).code == "MPC-F004"


@pytest.mark.parametrize("opset", range(13, 25))
def test_every_opset(tmp_path: Path, opset: int) -> None:
    imported(tmp_path, build(SIGNATURE, "m = MatMul(x, w) y = Relu(m)", opset, w=weight(4, 5)))


def external(folder: Path, location: str, **entries: int) -> Path:
    """A model whose weight lies at `location`."""
    model = build(SIGNATURE, "y = MatMul(x, w)", w=weight(4, 5))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_external_data_in_the_models_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "w.bin").write_bytes(b"\0" * 16 + weight(4, 5).tobytes())
    path = external(tmp_path, "data/w.bin", offset=16, length=80)
    result = import_model(path, {}, {}, {})
    x = weight(2, 4, seed=2)
    assert check_against_onnxruntime(result, path, {"x": x}) < 1e-6


@pytest.mark.parametrize(
    "location", ["../w.bin", "/etc/hostname", "a/../../w.bin", "C:\\w.bin", "\\w.bin", "", "absent.bin", "."]
)
def test_external_data_elsewhere_is_refused(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "w.bin").write_bytes(weight(4, 5).tobytes())
    assert error(external(folder, location)).code == "MPC-F003"


def test_external_data_through_a_link_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "w.bin").write_bytes(weight(4, 5).tobytes())
    (folder / "w.bin").symlink_to(tmp_path / "w.bin")
    assert error(external(folder, "w.bin")).code == "MPC-F003"
    (folder / "sub").symlink_to(tmp_path)
    assert error(external(folder, "sub/w.bin")).code == "MPC-F003"


@pytest.mark.parametrize(
    "entries", [{"offset": 0, "length": 81}, {"offset": 8, "length": 80}, {"offset": -8}]
)
def test_external_data_beyond_its_file_is_refused(tmp_path: Path, entries: dict[str, int]) -> None:
    (tmp_path / "w.bin").write_bytes(weight(4, 5).tobytes())
    assert error(external(tmp_path, "w.bin", **entries)).code == "MPC-F003"


def symbolic(folder: Path) -> Path:
    return save(
        folder, build("(float[batch,seq,4] x) => (float[batch,seq,5] y)", "y = MatMul(x, w)", w=weight(4, 5))
    )


def test_symbolic_dimensions_are_bound(tmp_path: Path) -> None:
    result = import_model(symbolic(tmp_path), {"batch": 2, "seq": 3}, {}, {})
    assert result.inputs[0].shape == (2, 3, 4)
    assert result.outputs[0].shape == (2, 3, 5)


def test_unbound_dimensions_are_named(tmp_path: Path) -> None:
    found = error(symbolic(tmp_path), batch=1)
    assert found.code == "MPC-F006"
    assert "'seq'" in found.message
    assert found.remedy == "bind it with --dim seq=N"
    assert isinstance(error(symbolic(tmp_path)), MpccErrors)


def test_unknown_dimension(tmp_path: Path) -> None:
    found = error(symbolic(tmp_path), batch=1, seq=1, sequence=3)
    assert found.code == "MPC-F007"
    assert "batch, seq" in found.remedy


def test_dimension_must_be_positive(tmp_path: Path) -> None:
    assert error(symbolic(tmp_path), batch=0, seq=1).code == "MPC-F005"


def test_owners_and_reveals(tmp_path: Path) -> None:
    path = save(tmp_path, build(SIGNATURE, "m = MatMul(x, w) y = Relu(m)", w=weight(4, 5)))
    result = import_model(path, {}, {"x": "0"}, {"y": "both"})
    assert result.inputs[0].owner == "party0"
    assert result.outputs[0].reveal == "both"
    (source,) = [o for o in result.program.operations if o.kind == "input"]
    assert source.attributes["visibility"] == "party0"
    assert result.local_model is None
    for owners, reveals, code in (
        ({"z": "0"}, {}, "MPC-F008"),
        ({"x": "2"}, {}, "MPC-F009"),
        ({}, {"x": "1"}, "MPC-F008"),
        ({}, {"y": "public"}, "MPC-F009"),
    ):
        with pytest.raises(MpccError) as caught:
            import_model(path, {}, owners, reveals)
        assert caught.value.code == code


def test_local_functions_are_inlined(tmp_path: Path) -> None:
    text = """
    <ir_version: 8, opset_import: ["" : 17, "own" : 1]>
    g (float[2,4] x) => (float[2,4] y) { a = Add(x, w) y = own.Double(a) }
    <domain: "own", opset_import: ["" : 17]> Double (v) => (r) { r = Add(v, v) }
    """
    model = onnx.parser.parse_model(text)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight(4), "w"))
    result = import_model(save(tmp_path, model), {}, {}, {})
    assert [o.kind for o in result.program.operations if o.kind not in ("input", "constant")] == [
        "add",
        "add",
    ]


@pytest.mark.parametrize("name", ["t5enc.legacy17", "llama.dynamo23"])
def test_damaged_files_give_coded_errors_or_import(name: str, tmp_path: Path) -> None:
    """Bytes of the graph part flipped at random: an MpccError or a program, never another exception."""
    model = onnx.load(MODELS / f"{name}.onnx")
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) > 256:
            tensor.raw_data = bytes(len(tensor.raw_data))
    data = model.SerializeToString()
    generator = random.Random(1)
    path = tmp_path / "model.onnx"
    outcomes = set()
    for _ in range(40):
        damaged = bytearray(data)
        damaged[generator.randrange(len(data) // 8)] ^= 1 << generator.randrange(8)
        path.write_bytes(bytes(damaged[: generator.choice([len(data), len(data), len(data) // 2])]))
        try:
            import_model(path, {}, {}, {})
            outcomes.add("imported")
        except MpccError as caught:
            outcomes.add(caught.code)
    assert len(outcomes) > 1


def test_initializers_listed_as_inputs(tmp_path: Path) -> None:
    """Old exporters list weights among the inputs; they are no inputs of the program."""
    model = build(SIGNATURE, "y = MatMul(x, w)", w=weight(4, 5))
    model.graph.input.append(onnx.helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, [4, 5]))
    result = import_model(save(tmp_path, model), {}, {}, {})
    assert [s.name for s in result.inputs] == ["x"]


def test_outputs_that_are_no_results(tmp_path: Path) -> None:
    """An output that is an input, a constant, party 1's own value, or the same value twice."""
    body = "a = Identity(x) c = Identity(w) m = MatMul(x, w) p = Identity(m) q = Identity(m) i = Add(n, n)"
    signature = (
        "(float[2,4] x, int64[3] n) => (float[2,4] a, float[4,5] c, float[2,5] p, float[2,5] q, int64[3] i)"
    )
    path = save(tmp_path, build(signature, body, w=weight(4, 5)))
    result = import_model(path, {}, {}, {})
    inputs = {"x": weight(2, 4), "n": np.array([1, 2, 3])}
    assert check_against_onnxruntime(result, path, inputs) < 1e-6
    assert [o.name for o in result.outputs] == ["a", "c", "p", "q", "i"]
