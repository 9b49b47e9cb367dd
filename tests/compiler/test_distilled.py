"""Replacements warn unless the model says that it was trained with them."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from mpcc.compiler.distilled import KEY, distilled_for, warnings
from mpcc.passes.approximations.presets import uses_of


def model(stated: str | None) -> onnx.ModelProto:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    proto = helper.make_model(helper.make_graph([], "g", [value], [value]))
    if stated is not None:
        onnx.helper.set_model_props(proto, {KEY: stated})
    return proto


@pytest.mark.parametrize(
    ("stated", "names"), [(None, set()), ("", set()), ("2quad, quad,", {"2quad", "quad"})]
)
def test_a_model_states_what_it_was_distilled_for(
    tmp_path: Path, stated: str | None, names: set[str]
) -> None:
    proto = model(stated)
    assert distilled_for(proto) == names
    onnx.save(proto, tmp_path / "model.onnx")
    assert distilled_for(tmp_path / "model.onnx") == names


def test_replacements_warn_unless_the_model_was_trained_with_them() -> None:
    lines = warnings(uses_of("mpcformer", {}), set())
    assert [line.split(" ")[0] for line in lines] == ["gelu", "softmax"]
    assert "differs by up to 6.5" in lines[0]
    assert KEY in lines[0]
    assert len(warnings(uses_of("mpcformer", {}), {"quad"})) == 1
    assert warnings(uses_of("mpcformer", {}), {"quad", "2quad"}) == []
    assert warnings(uses_of("puma", {"silu": "best"}), set()) == []


def test_how_a_replacement_divides_does_not_matter() -> None:
    assert warnings(uses_of("secformer", {}), {"2quad"}) == []
    assert len(warnings(uses_of("secformer", {}), {"2relu"})) == 1
    assert len(warnings(uses_of("mpcformer", {"softmax": "2relu"}), {"quad", "2quad"})) == 1
