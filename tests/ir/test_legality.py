"""Legality tables: every registered operation is legal in its stage, and only there."""

from __future__ import annotations

import pytest

from mpcc.ir.diagnostics import MpccErrors
from mpcc.ir.dialects import operations_of
from mpcc.ir.legality import RECOGNISED, STAGE_TABLES, check_legality, is_legal
from mpcc.ir.parser import parse
from mpcc.ir.program import Operation, Stage
from tests.ir.programs import STAGES, TENSOR


@pytest.mark.parametrize("stage", Stage)
def test_programs_are_legal_in_their_own_stage_only(stage: Stage) -> None:
    program = parse(STAGES[stage])
    check_legality(program, STAGE_TABLES[stage])
    for other in set(Stage) - {stage}:
        typed = [o for o in program.operations if o.results]
        shared = (
            stage is Stage.SHARE and other is Stage.PARTY
        )  # a party program holds share-stage operations too
        assert all(is_legal(other, o) for o in typed) == shared
        assert {"tensor", stage} != {"tensor", other} or not any(is_legal(other, o) for o in typed)


@pytest.mark.parametrize("stage", Stage)
def test_a_table_names_the_operations_of_its_stage(stage: Stage) -> None:
    assert STAGE_TABLES[stage].operations == set(operations_of(stage))
    assert not is_legal(stage, Operation("no_such_operation", (), (), {}))


def test_the_recognised_stage_wants_secret_floats() -> None:
    check_legality(parse(TENSOR), RECOGNISED)
    text = TENSOR.replace(
        '  output "mean" = %3\n',
        """\
  %6 = square %w : tensor<party0, float, 4x4>
  %7 = transpose %w {permutation = [1, 0]} : tensor<party0, float, 4x4>
""",
    )
    with pytest.raises(MpccErrors) as caught:
        check_legality(parse(text), RECOGNISED)
    assert [(e.code, e.where, e.message) for e in caught.value.errors] == [
        (
            "MPC-I020",
            "line 10: square",
            "%6: 'square' must yield a secret float, not tensor<party0, float, 4x4>",
        ),
    ]


def test_the_recognised_stage_has_no_mixture_left() -> None:
    program = parse(TENSOR)
    mixture = Operation("moe", (), program.operations[2].results, {})
    program.operations.append(mixture)
    with pytest.raises(MpccErrors, match="'moe' left"):
        check_legality(program, RECOGNISED)
