"""What the client holds and sees of a mixture of experts: nothing of the experts, nothing of the routing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mpcc.compiler.choose.experts.request import experts_request
from mpcc.compiler.evaluate import evaluate
from mpcc.compiler.frontend import import_model
from mpcc.ir.dialects.experts import choose
from tests.security.sessions import (
    MODELS,
    assert_uniform_bytes,
    compiled,
    masked,
    run_session,
    with_other_weights,
)
from tests.security.test_presets_view import lengths
from tests.security.test_weights_stay_with_party0 import contents

MODEL = MODELS / "moe_contrib.onnx"


def one_expert_alone(weights: np.ndarray) -> np.ndarray:
    """Layers [E, ..] of which all but the first are 0; what has two axes stays."""
    return weights * (np.arange(len(weights)) == 0)[:, None, None] if weights.ndim == 3 else weights


def input_with(expert: int) -> np.ndarray:
    """A token of the model's own sample that chooses the expert first, for all tokens."""
    x = np.load(MODELS / "moe_contrib.npz")["in_x"]
    program = import_model(MODEL, {}, {}, {}).program
    (moe,) = (o for o in program.operations if o.kind == "moe")
    logits = evaluate(program, {"x": x})[moe.operands[0]]
    rows = choose(logits, 1)[:, 0, expert] != 0
    assert rows.any()
    return np.broadcast_to(x[rows][:1], x.shape).copy()


@pytest.mark.parametrize(("layout", "capacity"), [("all", None), ("outer", None), ("dispatch", "2x")])
def test_the_client_sees_uniform_bytes_of_one_length(
    tmp_path: Path, layout: str, capacity: str | None
) -> None:
    experts = experts_request(layout, capacity)
    program = compiled(MODEL, tmp_path / "program", experts=experts)
    changed = with_other_weights(program, MODEL, tmp_path / "other", one_expert_alone)
    other = compiled(changed, tmp_path / "changed", program / "ranges.json", experts=experts)
    views = [run_session(program, {"x": input_with(expert)}, number) for number, expert in enumerate((0, 3))]
    views.append(run_session(other, {"x": input_with(0)}, 2))
    for view in views:
        assert_uniform_bytes(masked(view, view.received) + masked(view, view.sent))
        assert_uniform_bytes(view.setup)
        assert_uniform_bytes(view.corrections)
        assert lengths(view) == lengths(views[0])
    again = compiled(MODEL, tmp_path / "again", program / "ranges.json", experts=experts)
    assert contents(other / "party1") == contents(again / "party1")
    assert contents(other / "party0") != contents(again / "party0")
