"""What a compile request says about approximations: a preset, and functions that it names one for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from mpcc.ir.program import Program
from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.catalogue import FAMILIES
from mpcc.passes.approximations.parse import BEST
from mpcc.passes.approximations.presets import used_for, uses_of

# The compiler's own fits, by what the command line calls them.
OWN = {
    "series": ("sine series", "segmented sine series"),
    "segments": ("segmented polynomial",),
    "lookup": ("lookup",),
}
NAMED = ("gelu", "silu", "tanh", "sigmoid", "erf", "softplus", "exp")  # functions that one may be named for

UNUSED = {"exp": " on its own; softmax takes its exponential from a file of kind softmax"}


@dataclass(frozen=True)
class Uses:
    """`named` fixes functions, None leaves one open; `own` leaves a function some kinds of fits only."""

    named: Mapping[str, Approximation | None]
    own: Mapping[str, tuple[str, ...]]

    def fixed(self, kind: str) -> Approximation | None:
        """What was asked for, None where the compiler chooses."""
        return None if kind in self.own else used_for(self.named, kind)

    def allows(self, kind: str, approximation: Approximation) -> bool:
        return kind not in self.own or approximation.kind in self.own[kind]

    def replaced(self, program: Program) -> dict[str, Approximation]:
        """What computes another function than an operation's own, by the results' names."""
        fixed = {o.result.name: self.fixed(o.kind) for o in program.operations}
        return {name: other for name, other in fixed.items() if other is not None and other.changes_model}

    def serving(self, kinds: Collection[str]) -> dict[str, Approximation | None]:
        """What is fixed for operations of these kinds."""
        return {kind: self.fixed(kind) for kind in sorted(kinds)}


def unused(functions: Iterable[str], kinds: Collection[str]) -> list[str]:
    """A line for every function that one was named for and that no operation of these kinds is."""
    served = {name for kind in kinds for name in (kind, *FAMILIES.get(kind, ()))}
    return [
        f"--approximate {function} changes nothing: the model has no {function}{UNUSED.get(function, '')}"
        for function in functions
        if function not in served
    ]


def uses(preset: str = BEST, overrides: Mapping[str, str] | None = None) -> Uses:
    """`overrides` by function: a name of the catalogue, a .toml file, `best`, or for functions of one
    variable `series`, `segments` or `lookup`. Raises MPC-P022, MPC-P023, MPC-P024, all problems at once.
    """
    given = dict(overrides or {})
    own = {f: OWN[name] for f, name in given.items() if f in NAMED and name in OWN}
    return Uses(uses_of(preset, {f: name for f, name in given.items() if f not in own}), own)
