"""Legality tables: what a program may hold at a point of the pipeline. A stage is done when one accepts it.

`STAGE_TABLES` say what belongs to a stage at all: the operation classes registered for it and its types.
`RECOGNISED` is the tensor stage as lowering wants it: public and local subgraphs gone, macros recognised,
mixtures of experts expanded.
"""

from __future__ import annotations

from dataclasses import dataclass

from mpcc.ir.diagnostics import Diagnostics
from mpcc.ir.dialects import operations_of
from mpcc.ir.printer import operation_place, print_type
from mpcc.ir.program import Operation, Program, Stage
from mpcc.ir.types import PendingType, RingType, TensorType, Type, Visibility

# Sources have no operands; views only move elements, so that a constant may be viewed as lowering needs it.
_SOURCES = frozenset({"input", "constant"})
_VIEWS = frozenset({"reshape", "transpose", "expand", "slice", "take"})


@dataclass(frozen=True)
class LegalityTable:
    """What is legal at one point: the stage's operations, but for those that passes before have `rewritten`.

    With `secret_only`, whatever is computed (by other than sources and views) must be a secret float: public
    work and a party's own is done elsewhere.
    """

    name: str
    stage: Stage
    families: tuple[type[Type], ...]
    secret_only: bool = False
    rewritten: frozenset[str] = frozenset()

    @property
    def operations(self) -> frozenset[str]:
        return frozenset(operations_of(self.stage)) - self.rewritten

    def refusals(self, operation: Operation) -> list[str]:
        """Why the operation is illegal here; empty when it is legal."""
        kind = operation.kind
        if kind not in operations_of(self.stage):
            return [f"the {self.stage} stage has no operation '{kind}'"]
        if kind in self.rewritten:
            return [f"{self.name} has no '{kind}' left: a pass before rewrites it"]
        problems = []
        for value in operation.results:
            if not isinstance(value.type, self.families):
                problems.append(
                    f"%{value.name}: {print_type(value.type)} is no type of the {self.stage} stage"
                )
            elif self.secret_only and kind not in _SOURCES | _VIEWS and not _secret_real(value.type):
                problems.append(
                    f"%{value.name}: '{kind}' must yield a secret float, not {print_type(value.type)}"
                )
        return problems


STAGE_TABLES = {
    Stage.TENSOR: LegalityTable("the tensor stage", Stage.TENSOR, (TensorType,)),
    Stage.SHARE: LegalityTable("the share stage", Stage.SHARE, (RingType,)),
    Stage.PARTY: LegalityTable("the party stage", Stage.PARTY, (RingType, PendingType)),
}

RECOGNISED = LegalityTable(
    "the tensor stage after recognition",
    Stage.TENSOR,
    (TensorType,),
    secret_only=True,
    rewritten=frozenset({"moe"}),
)


def is_legal(stage: Stage, operation: Operation) -> bool:
    """Whether the operation belongs to the stage."""
    return not STAGE_TABLES[stage].refusals(operation)


def check_legality(program: Program, table: LegalityTable) -> None:
    """Raises MpccErrors, MPC-I020, listing every operation that the table refuses."""
    with Diagnostics() as diagnostics:
        for index, operation in enumerate(program.operations):
            for problem in table.refusals(operation):
                diagnostics.add("MPC-I020", problem, where=operation_place(index, operation))


def _secret_real(value: Type) -> bool:
    return isinstance(value, TensorType) and value.visibility is Visibility.SECRET and value.dtype == "float"
