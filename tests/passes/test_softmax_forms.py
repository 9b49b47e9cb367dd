"""Every form of softmax against its own meaning, between both parties: masks, empty rows, costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mpcc.compiler.cost.model import cost_of
from mpcc.compiler.driver import Request, compile_model
from mpcc.compiler.frontend.check import session
from mpcc.compiler.simulate import simulate
from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Builder, Program, Stage, Value
from mpcc.passes.approximations.catalogue import find
from mpcc.passes.approximations.exponentials import Limit
from mpcc.passes.approximations.piecewise import Piecewise
from mpcc.passes.approximations.softmax import EXACT, ExactSoftmax, OdeSoftmax, SoftmaxForm
from mpcc.runtime.sources import Sources
from tests.passes.tensor_programs import Lowered, client, constant, lowered
from tests.passes.test_check_ranges import exceeded
from tests.runtime.protocols.harness import Run
from tests.support import secure_run

MODELS = Path(__file__).parents[1] / "models"
BAR = 1e-3  # of the error in 12 x 128 x 128


def form(name: str) -> SoftmaxForm:
    found = find("softmax", name)
    assert isinstance(found, SoftmaxForm)
    return found


MEAN = replace(EXACT, name="mean", centre="mean")
TOURNAMENT = replace(EXACT, name="tournament", centre="tournament")
# Forms, and the largest error. A quantised maximum moves the arguments of an approximated exponential by up
# to an eighth, which a limit's shape shows.
FORMS: dict[str, tuple[SoftmaxForm, float]] = {
    "exact": (EXACT, 2e-4),
    "mean": (MEAN, 2e-4),
    "tournament": (TOURNAMENT, 2e-4),
    "limit": (form("puma"), 4e-3),
    "quadratics": (form("bolt"), 2e-3),
    "2quad": (form("2quad"), 2e-4),
    "2relu": (form("2relu"), 2e-4),
    "ode": (form("ode"), 4e-4),
}
LENGTHS = (1, 2, 17, 128)


def scores(name: str, *shape: int) -> np.ndarray:
    """As far apart as the form takes them: around the mean that is not far."""
    return np.random.default_rng(shape).normal(size=shape) * (0.25 if name == "mean" else 2.0)


def lowered_form(
    used: SoftmaxForm,
    x: np.ndarray,
    keep: np.ndarray | None = None,
    who: str = "client",
    meaning: str = "refuse",
) -> Lowered:
    """A softmax of secret scores; `who` knows the mask."""

    def make(b: Builder, v: Value) -> Value:
        if keep is None:
            return b.emit("softmax", v, empty_rows=meaning)
        mask = client(b, "keep", keep) if who == "client" else constant(b, keep, who)
        return b.emit("softmax", v, mask, empty_rows=meaning)

    others = {"keep": keep} if keep is not None and who == "client" else {}
    return lowered(make, x, others, using=used)


def check(case: Lowered, expected: np.ndarray, tolerance: float, zero: np.ndarray | None = None) -> Run:
    """Both results are near what is expected; exactly 0 where `zero` says so."""
    secure, run = case.secure()
    for result in (secure, case.simulated()):
        assert np.abs(result - expected).max() <= tolerance
        if zero is not None:
            assert not result[zero].any()
    return run


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", FORMS)
def test_a_form_without_a_mask(name: str, length: int) -> None:
    used, tolerance = FORMS[name]
    x = scores(name, 2, 3, length)
    check(lowered_form(used, x), used.evaluate(x), tolerance)


@pytest.mark.parametrize("who", ["client", "public", "party0"])
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", FORMS)
def test_masked_positions_weigh_exactly_nothing(name: str, length: int, who: str) -> None:
    used, tolerance = FORMS[name]
    x = scores(name, 2, 3, length)
    keep = (np.random.default_rng(length).random((3, length)) < 0.7).astype(np.float64)
    keep[:, 0] = 1.0
    masked = np.broadcast_to(keep == 0, x.shape)
    check(lowered_form(used, x, keep, who), used.evaluate_masked(x, keep), tolerance, masked)


@pytest.mark.parametrize("meaning", ["zero", "uniform", "scores"])
@pytest.mark.parametrize("who", ["client", "public", "party0"])
@pytest.mark.parametrize("name", FORMS)
def test_empty_rows(name: str, who: str, meaning: str) -> None:
    """Of a mask by position, and of one that has one value a row."""
    used, tolerance = FORMS[name]
    x = scores(name, 2, 4, 17)
    for width in (17, 1):
        keep = np.ones((4, width))
        keep[0, : width // 2], keep[1] = 0.0, 0.0
        kept = np.broadcast_to(keep != 0, x.shape)
        empty = ~kept.any(axis=-1, keepdims=True)
        expected = used.evaluate_masked(x, kept | empty if meaning == "scores" else kept)
        if meaning == "uniform":
            expected = np.where(empty, 1 / 17, expected)
        zero = ~kept if meaning == "zero" else ~(kept | empty)
        check(lowered_form(used, x, keep, who, meaning), expected, tolerance, zero)


@pytest.mark.parametrize("meaning", ["zero", "uniform", "scores"])
@pytest.mark.parametrize("name", FORMS)
def test_range_checks_are_silent_about_empty_rows(name: str, meaning: str) -> None:
    x, keep = scores(name, 2, 4, 9), np.ones((4, 9))
    keep[1], keep[2, 4:] = 0.0, 0.0

    def make(b: Builder, v: Value) -> Value:
        return b.emit("softmax", v, client(b, "keep", keep), empty_rows=meaning)

    case = lowered(make, x, {"keep": keep}, check=True, using=FORMS[name][0])
    assert exceeded(case, {"x": x, "keep": keep}) == ((), ())
    assert all(exceeded(case, {"x": 20 * x, "keep": keep}))


@pytest.mark.parametrize("exporter", ["legacy17", "dynamo20"])
def test_fully_masked_inputs_of_real_exports(exporter: str, tmp_path: Path) -> None:
    """Fills of -3.4e38 added or in place of scores, -1e4 added, and -inf under a guard."""
    model, program = MODELS / f"empty_rows.{exporter}.onnx", tmp_path / "program"
    x = np.random.default_rng(4).normal(size=(1, 6, 8)).astype(np.float32)
    inputs: list[dict[str, np.ndarray]] = [
        {"x": x, "attention_mask": np.array([m], np.int64)} for m in ([1] * 6, [1, 0, 1, 1, 0, 0], [0] * 6)
    ]
    compile_model(Request(model, program, samples=inputs[:1]), lambda line: None)
    runner = session(str(model))
    for given in inputs:
        expected = dict(zip([o.name for o in runner.get_outputs()], runner.run(None, given), strict=True))
        for outputs in (simulate(program, given), secure_run(program, given).outputs):
            for name, array in expected.items():
                np.testing.assert_allclose(outputs[name], array, rtol=0, atol=2e-3, err_msg=name)


def attention(used: SoftmaxForm, x: np.ndarray) -> tuple[Lowered, np.ndarray]:
    """Probabilities of scores times the scores, which are square."""
    case = lowered(lambda b, v: b.emit("matmul", b.emit("softmax", v, empty_rows="refuse"), v), x, using=used)
    return case, used.evaluate(x) @ x


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("name", FORMS)
def test_dividing_before_or_after_the_product(name: str, first: bool) -> None:
    used, tolerance = FORMS[name]
    case, expected = attention(replace(used, divide_first=first), scores(name, 2, 32, 32))
    check(case, expected, 8 * tolerance)
    (product,) = [o for o in case.program.operations if o.kind == "matmul"]
    producer = case.program.producers()
    opened = producer[product.operands[0]]
    assert opened.kind == "open_masked"
    later = case.program.operations[case.program.operations.index(product) + 1 :]
    assert any(o.kind == "product" for o in later) == (not first and name != "ode")


def rounds_and_bytes(program: Program) -> tuple[int, int]:
    """Without revealing the result."""
    (output,) = program.outputs.values()
    revealed = program.producers()[output]
    kind = revealed.operands[0].type
    cost = cost_of(program)
    return cost.rounds - 1, cost.bytes_party0 + cost.bytes_party1 - (kind.size * kind.ring + 7) // 8  # type: ignore[union-attr]


# Rounds and bytes in both directions for 12 x 128 x 128.
COSTS = {"exact": (35, 25e6), "mean": (10, 6e6), "2quad": (12, 8e6), "2relu": (10, 6e6), "ode": (34, 21e6)}


@pytest.mark.parametrize("name", COSTS)
def test_costs_of_a_softmax_of_twelve_heads(name: str) -> None:
    used, _ = FORMS[name]
    x = scores(name, 12, 128, 128)
    case = lowered_form(used, x)
    rounds, moved = rounds_and_bytes(case.program)
    assert rounds <= COSTS[name][0]
    assert moved <= COSTS[name][1]
    check(case, used.evaluate(x), BAR)


def test_a_mask_is_opened_once_for_all_layers() -> None:
    keep = np.array([[1.0, 0.0, 1.0, 1.0]])

    def make(b: Builder, v: Value) -> Value:
        mask = client(b, "keep", keep)
        for _ in range(3):
            v = b.emit("softmax", v, mask, empty_rows="refuse")
        return v

    used, _ = FORMS["2quad"]
    case = lowered(make, scores("2quad", 2, 3, 4), {"keep": keep}, using=used)
    producers = case.program.producers()
    opened = [o for o in case.program.operations if o.kind == "open_masked"]
    assert [producers[o.operands[0]].kind for o in opened].count("client_input") == 1


def test_a_row_far_from_its_mean_is_refused_by_name() -> None:
    x = np.zeros((2, 16))
    x[1, 3] = 12.0
    with pytest.raises(MpccError) as caught:
        lowered_form(MEAN, x)
    assert caught.value.code == "MPC-P021"
    assert "22.5" in str(caught.value)  # 12 less the mean, with the safety factor
    check(lowered_form(EXACT, x), EXACT.evaluate(x), 2e-4)
    with pytest.raises(MpccError) as caught:
        lowered_form(MEAN, 1e4 * x)
    assert caught.value.code == "MPC-P021"
    assert "off by 1, " in str(caught.value)  # no more than that


def test_forms_that_cannot_be_computed_are_refused() -> None:
    puma = form("puma")
    assert isinstance(puma, ExactSoftmax)
    assert isinstance(puma.exponential, Limit)
    with pytest.raises(ValueError, match="only the exponential protocol"):
        replace(puma, centre="mean")
    with pytest.raises(ValueError, match="one of max, tournament, mean"):
        replace(EXACT, centre="median")
    with pytest.raises(ValueError, match="steps need"):
        OdeSoftmax(name="x", function="softmax", domain=(-1.0, 1.0), error=1.0, source="x", steps=8)
    bolt = form("bolt")
    assert isinstance(bolt, ExactSoftmax)
    assert isinstance(bolt.exponential, Piecewise)
    unsaturated = replace(bolt.exponential, rows=((0.5,), *bolt.exponential.rows[1:]))
    with pytest.raises(MpccError, match="0 for low arguments"):
        lowered_form(replace(bolt, exponential=unsaturated), scores("bolt", 2, 4))


def test_a_client_computes_functions_of_its_mask() -> None:
    keep = np.array([[1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    builder = Builder("test", Stage.SHARE)
    operations = [
        builder.emit("client_input", name="keep", fraction=8, scale=0.75, offset=0.25, **more)
        for more in (
            {"shape": (2, 4)},
            {"shape": (2, 4), "function": "row_fraction"},
            {"shape": (2, 1), "function": "row_empty"},
        )
    ]
    sources = Sources({"keep": keep}, {}, {})
    found = [sources(builder.program.producers()[v]) / 256 for v in operations]
    np.testing.assert_array_equal(found[0], keep * 0.75 + 0.25)
    np.testing.assert_array_equal(found[1], [[0.5, 0.25, 0.5, 0.5], [0.25] * 4])
    np.testing.assert_array_equal(found[2], [[0.25], [1.0]])
    with pytest.raises(ValueError, match="unknown function"):
        builder.emit("client_input", name="keep", fraction=8, shape=(2, 4), function="row_sum")
