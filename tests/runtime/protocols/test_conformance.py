"""Every protocol against its plain meaning and its declared cost, for generated parameters and values."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from mpcc.compiler.backend.split import ticks
from mpcc.ir.verifier import verify
from mpcc.passes.schedule_rounds import operation_levels
from mpcc.runtime.correlations import plan
from mpcc.runtime.protocols import protocols
from tests.runtime.protocols import cases_local, cases_protocols  # noqa: F401
from tests.runtime.protocols.cases import CASES
from tests.runtime.protocols.choices import Choices, choices, seeded
from tests.runtime.protocols.harness import Prepared, predicted, seed_pair

KINDS = sorted(protocols)
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")  # NumPy's, of scalars that wrap


def examine(kind: str, c: Choices) -> None:
    case = CASES[kind](c)
    program = case.program
    assert kind in {o.kind for o in program.operations}
    verify(program)
    prepared = Prepared(program)
    run = prepared.run(case.arrays, seed_pair(int(c.values.integers(2**40))))
    case.assert_correct(run)
    levels = operation_levels(program, ticks)
    assert run.sent == predicted(program)
    assert run.rounds == max(levels[i] + ticks(o) for i, o in enumerate(program.operations))
    for operation in prepared.linked:
        if operation.kind not in protocols:
            continue
        messages = protocols[operation.kind].messages(operation)
        for times in run.times:
            assert times[operation.result.name].bytes == sum(map(sum, messages))
    assert run.payload_bytes == sum(plan.correction_bytes(o) for o in program.operations)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(c=choices())
def test_generated_cases(kind: str, c: Choices) -> None:
    examine(kind, c)


@pytest.mark.parametrize("kind", KINDS)
def test_seeded_cases(kind: str) -> None:
    """Hypothesis prefers small parameters; these are spread evenly."""
    for number in range(30):
        examine(kind, seeded(number, number + 1000))


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_do_not_depend_on_the_values(kind: str) -> None:
    """Obliviousness: other inputs, other seeds, the same sequence of message lengths on both sides."""
    for number in range(5):
        lengths = set()
        for values in (1, 2):
            case = CASES[kind](seeded(number, values))
            run = Prepared(case.program).run(case.arrays, seed_pair(values))
            messages = [tuple(map(len, sent)) for sent in run.transcripts]
            lengths.add((*messages, len(run.setup), run.payload_bytes))
        assert len(lengths) == 1
