"""Programs with published approximations: what crosses is uniform, and as long for any input and weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mpcc.runtime.correlations import plan
from mpcc.runtime.protocols import protocols
from tests.security.sessions import (
    MODELS,
    View,
    assert_uniform_bytes,
    compiled,
    masked,
    run_session,
    with_other_weights,
)
from tests.security.test_weights_stay_with_party0 import contents

MODEL = MODELS / "bert.legacy17.onnx"
# Thresholds and polynomials, with a limit of the exponential; gated series, squares in place of softmax and
# Goldschmidt's iteration; a differential equation; two replacements.
PRESETS = {
    "puma": {"segmented_polynomial", "row_reaches"},
    "secformer": {"segmented_polynomial", "sine_series"},
    "shaft": {"segmented_polynomial", "sine_series"},
    "mpcformer": {"product"},
}


def inputs(number: int) -> dict[str, np.ndarray]:
    """Another sentence of another length."""
    arrays = {k[3:]: v for k, v in np.load(MODELS / "bert.legacy17.npz").items() if k.startswith("in_")}
    ids = arrays["input_ids"]
    arrays["input_ids"] = np.random.default_rng(number).permutation(ids.reshape(-1)).reshape(ids.shape)
    arrays["attention_mask"] = np.ones_like(arrays["attention_mask"])
    arrays["attention_mask"][:, number + 2 :] = 0
    return arrays


def lengths(view: View) -> tuple[list[int], ...]:
    return (
        [len(message) for message in view.received],
        [len(message) for message in view.sent],
        [len(view.setup), len(view.corrections)],
    )


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_shows_party1_uniform_bytes_of_one_length(tmp_path: Path, preset: str) -> None:
    first = compiled(MODEL, tmp_path / "first", preset=preset)
    ranges = first / "ranges.json"
    other = with_other_weights(first, MODEL, tmp_path / "other", lambda w: w * 0.5)
    second = compiled(other, tmp_path / "second", ranges, preset)
    views = [run_session(first, inputs(1), 1), run_session(first, inputs(2), 1)]
    views.append(run_session(second, inputs(1), 3))
    for view in views:
        assert_uniform_bytes(masked(view, view.received))
        assert_uniform_bytes(masked(view, view.sent))
        assert_uniform_bytes(view.corrections)
        assert_uniform_bytes(view.setup)
        assert lengths(view) == lengths(views[0])
    (answer,) = views[0].outputs
    assert np.abs(views[0].outputs[answer] - views[1].outputs[answer]).max() > 0

    kept = contents(compiled(MODEL, tmp_path / "again", ranges, preset) / "party1")
    assert contents(second / "party1") == kept

    operations = plan.from_json((first / "correlations.json").read_text())
    assert {o.kind for o in operations} >= PRESETS[preset]
    streams = [(o.result.name, slot.name) for o in operations for slot in protocols[o.kind].slots(o)]
    assert len(set(streams)) == len(streams) > 100
