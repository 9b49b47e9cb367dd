"""Random programs mean the same between both parties, in fixed point in the clear, and in floating point."""

from __future__ import annotations

import numpy as np
import pytest

from mpcc.ir.diagnostics import MpccError
from tests.passes.random_programs import RandomProgram, conditioned_error
from tests.passes.tensor_programs import lowered

PROGRAMS, BATCH = 120, 20
TOLERANCE = 5e-3  # of the largest result; ill-conditioned programs are compared with their own condition
TOO_WIDE = {
    "MPC-P012",
    "MPC-P013",
    "MPC-P016",
    "MPC-P017",
    "MPC-P020",
}  # honest refusals of ranges


def wrong(seed: int) -> tuple[bool, bool]:
    """Whether a program's result is wrong, and whether it was run."""
    program = RandomProgram(seed)
    try:
        case = lowered(program.make, program.x, program.others)
    except MpccError as error:
        if error.code not in TOO_WIDE:
            raise
        return False, False
    secure, _ = case.secure()
    assert secure.shape == case.expected.shape
    tolerance = max(
        TOLERANCE * max(1.0, float(np.abs(case.expected).max())),
        20 * conditioned_error(case.tensor, case.inputs, case.expected),
    )
    differences = [np.abs(result - case.expected).max() for result in (secure, case.simulated())]
    return not max(differences) <= tolerance, True


@pytest.mark.parametrize("first", range(0, PROGRAMS, BATCH))
def test_random_programs(first: int) -> None:
    results = {seed: wrong(seed) for seed in range(first, first + BATCH)}
    assert [seed for seed, (is_wrong, _) in results.items() if is_wrong] == []
    assert sum(was_run for _, was_run in results.values()) > BATCH / 2
