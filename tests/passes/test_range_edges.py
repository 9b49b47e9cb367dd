"""Arguments at the very ends of what a lowering relies on, and beside thresholds: between both parties."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpcc.ir.range_checks import OUTPUT
from mpcc.ir.types import Range
from mpcc.passes.approximations.candidates import candidates
from mpcc.passes.approximations.catalogue import find
from mpcc.passes.approximations.piecewise import Piecewise
from mpcc.passes.approximations.softmax import ReluSoftmax, SoftmaxForm
from mpcc.passes.lower.polynomial import reached
from mpcc.passes.lower.powers import ROOM
from tests.passes.tensor_programs import Lowered, lowered
from tests.passes.test_elementwise import FIXED_POINT, program
from tests.runtime.protocols.harness import run_program, seed_pair

UNIT, SAFETY, SIZE = 2.0**-13, 2.0, 400
POWERS = {"reciprocal": -1.0, "rsqrt": -0.5, "sqrt": 0.5}


def outputs(case: Lowered, x: np.ndarray, number: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The result in a session with the seeds of that number, and all that party 1 learns."""
    found = run_program(case.program, replace(case, inputs={"x": x}).sources(), seed_pair(number)).outputs[1]
    return found["y"] * 2.0 ** -case.program.outputs["y"].type.fraction, found  # type: ignore[union-attr]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("function", ["gelu_none", "silu", "tanh", "sigmoid", "softplus", "erf"])
def test_ends_and_thresholds_of_segments(function: str, seed: int) -> None:
    """On a random range, by a random candidate with segments: saturated ends, and others."""
    random = np.random.default_rng([seed, len(function)])
    x = random.uniform(-1.0, 1.0, SIZE) * random.choice([0.7, 1.9, 6.0, 25.0]) + random.choice([0.0, -1.5])
    extent = Range(float(x.min()), float(x.max())).widen(SAFETY)
    segmented = [
        c for c in candidates(function, extent.low, extent.high) if isinstance(c, Piecewise) and c.thresholds
    ]
    used = segmented[int(random.integers(len(segmented)))]
    reach = reached(used, extent)
    ends = (reach.low, reach.low + UNIT, reach.high - UNIT, reach.high, extent.low, extent.high)
    beside = [t + k * UNIT for t in used.thresholds for k in (-1, 0, 1)]
    chosen = np.array([v for v in (*ends, *beside) if reach.low <= v <= reach.high])
    rest = random.uniform(reach.low, reach.high, SIZE - len(chosen))
    inputs = np.clip(
        np.rint(np.append(chosen, rest) / UNIT),
        np.ceil(reach.low / UNIT),
        np.floor(reach.high / UNIT),
    )
    inputs *= UNIT
    case = program(function, x, used)
    expected = used.evaluate(inputs)
    for result in (outputs(case, inputs, seed)[0], replace(case, inputs={"x": inputs}).simulated()):
        # beside a threshold either segment counts, and each is as far off as its error
        tolerance = 2 * FIXED_POINT + 2 * used.error
        assert np.abs(result - expected).max() <= tolerance * max(1.0, extent.magnitude / 8)


@pytest.mark.parametrize("high", [7.9, 7.99, 8.0, 8.01, 5.7])
@pytest.mark.parametrize("name", ["segments", "segments-coarse", "segments-fine", "goldschmidt-lookup"])
@pytest.mark.parametrize("kind", POWERS)
def test_powers_hold_an_eighth_beyond_their_range(kind: str, name: str, high: float) -> None:
    """Where the range ends just below a power of two, too: its opening has no bit to spare."""
    case = lowered(lambda b, x: b.emit(kind, x), np.geomspace(0.3, high, 64), using=find("power", name))
    top = SAFETY * high * (ROOM if kind == "reciprocal" else 1.0 + (ROOM - 1.0) / 2)
    x = np.concatenate([np.linspace(SAFETY * high, top - UNIT, 60), np.linspace(0.16, 0.3, 4)])
    result, _ = outputs(case, x, 7)
    assert np.abs(result / x ** POWERS[kind] - 1.0).max() < 1.5e-2  # "segments lose accuracy slowly"


@pytest.mark.parametrize("name", ["2relu", "ode"])
def test_scores_up_to_the_largest_magnitude_of_either_sign(name: str) -> None:
    """Calibration saw large scores of one sign only; checks of ranges let the other sign pass."""
    form = find("softmax", name)
    assert isinstance(form, SoftmaxForm)
    x = np.random.default_rng(8).uniform(-9.95, 1.0, size=(4, 16))
    x[:, 0] = 1.0
    case = lowered(lambda b, v: b.emit("softmax", v, empty_rows="refuse"), x, using=form, check=True)
    far = x.copy()
    far[:, 3] = 18.0
    simulated = replace(case, inputs={"x": far}).simulated()
    for number in range(6):  # an opening that is too narrow errs for some masks only
        result, learned = outputs(case, far, number)
        np.testing.assert_allclose(result, simulated, atol=1e-3)
        if isinstance(form, ReluSoftmax):
            np.testing.assert_allclose(result, form.evaluate(far), atol=1e-3)
        assert not learned[OUTPUT].any()
