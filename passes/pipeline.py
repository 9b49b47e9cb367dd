"""The passes from the tensor stage to the share stage, in order, each with the reason it stands there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mpcc.ir.legality import RECOGNISED, check_legality
from mpcc.ir.program import Program
from mpcc.ir.types import Range
from mpcc.ir.verifier import verify
from mpcc.passes.approximations.plan import Plan, Used
from mpcc.passes.assign_rings import assign_rings
from mpcc.passes.check_domains import check_domains
from mpcc.passes.check_ranges import check_ranges
from mpcc.passes.lower import Formats, lower
from mpcc.passes.lower.context import ShareOf
from mpcc.passes.lower.reliance import Reliances
from mpcc.passes.remove_dead import remove_dead


@dataclass(frozen=True)
class Lower:
    """Tensor to share stage. `ranges` and `internals` are calibrated and widened; `reveals` says who gets
    which output.

    `plan` says what computes which operation. `shares` collects which share stands for which tensor-stage
    value, `reliances` what protocols count on, `used` the approximations.
    """

    ranges: dict[str, Range]
    internals: dict[tuple[str, str], Range]
    reveals: dict[str, str]
    formats: Formats = field(default_factory=Formats)
    shares: dict[str, ShareOf] = field(default_factory=dict)
    reliances: Reliances = field(default_factory=Reliances)
    plan: Plan = field(default_factory=dict)
    used: list[Used] = field(default_factory=list)
    name: str = "lower"

    def __call__(self, program: Program) -> Program:
        check_legality(program, RECOGNISED)
        check_domains(program, self.plan, self.internals, self.formats.safety)
        lowered = lower(
            program,
            self.ranges,
            self.internals,
            self.reveals,
            self.formats,
            self.shares,
            self.reliances,
            self.plan,
            self.used,
        )
        verify(lowered, rings_assigned=False)
        return lowered


@dataclass(frozen=True)
class RemoveDead:
    """Drops what no output depends on."""

    name: str = "remove-dead"

    def __call__(self, program: Program) -> Program:
        return remove_dead(program)


@dataclass(frozen=True)
class CheckRanges:
    """A bit a layer that tells whether a value left its range; `reliances` are what lowering collected."""

    reliances: Reliances
    name: str = "check-ranges"

    def __call__(self, program: Program) -> Program:
        checked = check_ranges(program, self.reliances)
        verify(checked, rings_assigned=False)
        return checked


@dataclass(frozen=True)
class AssignRings:
    """Ring widths and truncations."""

    name: str = "assign-rings"

    def __call__(self, program: Program) -> Program:
        assigned = assign_rings(program)
        verify(assigned)
        return assigned


Pass = Lower | RemoveDead | CheckRanges | AssignRings


def pipeline(lowering: Lower, check: bool = False) -> list[Pass]:
    """The list, in the order of mpcc.passes.reasons; with `check` the program also checks its ranges.

    Scheduling and the split into party programs follow in the backend, which writes what they make.
    """
    return [
        lowering,
        RemoveDead(),
        *([CheckRanges(lowering.reliances)] if check else []),
        AssignRings(),
    ]


def run(passes: list[Pass], program: Program, watch: Callable[[str, Program], None]) -> Program:
    """The program after all passes; `watch` sees each result. Raises MpccError of the passes and the
    verifier.
    """
    for step in passes:
        program = step(program)
        watch(step.name, program)
    return program
