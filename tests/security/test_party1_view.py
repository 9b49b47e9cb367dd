"""What crosses between the parties: uniform, new in every session, as long for one input as for another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mpcc.ir.program import Operation
from mpcc.runtime.correlations import plan
from mpcc.runtime.protocols import protocols
from tests.runtime.protocols.uniformity import SMALLEST_P, p_value
from tests.security.sessions import MODELS, View, compiled, run_session, with_other_weights

NAME = "vit.legacy17"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two programs that differ only in party 0's weights."""
    folder = tmp_path_factory.mktemp("programs")
    model = MODELS / f"{NAME}.onnx"
    first = compiled(model, folder / "first")
    other = with_other_weights(first, model, folder / "other", lambda w: w * 0.5)
    return first, compiled(other, folder / "second", first / "ranges.json")


def inputs(number: int) -> dict[str, np.ndarray]:
    image = np.load(MODELS / f"{NAME}.npz")["in_pixel_values"]
    generator = np.random.default_rng(number)
    return {"pixel_values": generator.permutation(image.reshape(-1)).reshape(image.shape)}


@pytest.fixture(scope="module")
def views(programs: tuple[Path, Path]) -> dict[str, View]:
    first, second = programs
    return {
        "one": run_session(first, inputs(1), 1),
        "again": run_session(first, inputs(1), 2),
        "other input": run_session(first, inputs(2), 1),
        "other weights": run_session(second, inputs(1), 3),
    }


def masked(view: View, messages: list[bytes]) -> bytes:
    """All but the last message, which holds the reveal."""
    assert [o.kind for o in plan.link(view.program)].count("reveal") == 1
    return b"".join(messages[:-1])


def assert_uniform_bytes(data: bytes) -> None:
    array = np.frombuffer(data, dtype=np.uint8)
    assert array.size > 50_000
    assert p_value(np.bincount(array, minlength=256)) > SMALLEST_P
    assert p_value(np.bincount(array[1:] ^ array[:-1], minlength=256)) > SMALLEST_P


def test_every_message_is_uniform_whatever_the_weights(views: dict[str, View]) -> None:
    for view in views.values():
        assert_uniform_bytes(masked(view, view.received))
        assert_uniform_bytes(masked(view, view.sent))
        assert_uniform_bytes(view.setup)


def test_party1_draws_uniform_corrections(views: dict[str, View]) -> None:
    for view in views.values():
        assert_uniform_bytes(view.corrections)


def test_sessions_share_no_randomness(views: dict[str, View]) -> None:
    """The same input in another session: every difference is uniform, and nothing repeats."""
    one, again = views["one"], views["again"]
    pairs = [
        (masked(one, one.received), masked(again, again.received)),
        (masked(one, one.sent), masked(again, again.sent)),
        (one.corrections, again.corrections),
        (one.setup, again.setup),
    ]
    for a, b in pairs:
        difference = np.frombuffer(a, dtype=np.uint8) ^ np.frombuffer(b, dtype=np.uint8)
        assert p_value(np.bincount(difference, minlength=256)) > SMALLEST_P


def test_lengths_and_order_do_not_depend_on_input_or_weights(views: dict[str, View]) -> None:
    shapes = {
        (*map(len, v.received), *map(len, v.sent), len(v.setup), len(v.corrections)) for v in views.values()
    }
    assert len(shapes) == 1


def test_sessions_agree_on_the_answer(views: dict[str, View]) -> None:
    """The randomness moves the answer by rounding only; the input moves it visibly."""
    (output,) = views["one"].outputs
    answers = {name: view.outputs[output].astype(np.float64) for name, view in views.items()}
    rounding = np.abs(answers["one"] - answers["again"]).max()
    assert 50 * rounding < np.abs(answers["one"] - answers["other input"]).max()
    assert 50 * rounding < np.abs(answers["one"] - answers["other weights"]).max()


def test_every_correlation_is_drawn_at_most_once(programs: tuple[Path, Path]) -> None:
    """No two operations of a program name the same stream: values differ, and the slots of a value."""
    operations: list[Operation] = plan.from_json((programs[0] / "correlations.json").read_text())
    streams = [(o.result.name, slot.name) for o in operations for slot in protocols[o.kind].slots(o)]
    assert len(set(streams)) == len(streams) > 100
