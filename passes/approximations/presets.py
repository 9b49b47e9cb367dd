"""Presets: presets/NAME.toml, each the choice of one published system, and what a command line adds to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mpcc.ir.diagnostics import Diagnostics, MpccError
from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.catalogue import FAMILIES, find, named
from mpcc.passes.approximations.fields import Fields, read_toml
from mpcc.passes.approximations.parse import BEST

DATA = Path(__file__).parent / "presets"


@dataclass(frozen=True)
class Preset:
    """`uses` says what computes a function; what it leaves out is the compiler's choice."""

    name: str
    source: str
    summary: str
    uses: dict[str, Approximation]

    @property
    def changes_model(self) -> bool:
        """Whether only a model that was trained with it keeps its accuracy."""
        return any(approximation.changes_model for approximation in self.uses.values())


def presets() -> tuple[str, ...]:
    """The names of all presets, the default first."""
    return (BEST, *sorted(path.stem for path in DATA.glob("*.toml") if path.stem != BEST))


def preset(name: str) -> Preset:
    """Raises MPC-P024 where there is no such preset."""
    if name not in presets():
        raise MpccError(
            "MPC-P024", f"there is no preset {name!r}", remedy=f"the presets are {', '.join(presets())}"
        )
    path = DATA / f"{name}.toml"
    with Diagnostics() as diagnostics:
        fields = Fields(read_toml(path), str(path), diagnostics)
        name, source, summary = (fields.text(key) for key in ("name", "source", "summary"))
        names = fields.table("use").strings()
        fields.finish()
    return Preset(name, source, summary, {function: find(function, used) for function, used in names.items()})


def uses_of(name: str, overrides: Mapping[str, str]) -> dict[str, Approximation | None]:
    """What the preset and the overrides on top of it fix, by function; None is the compiler's choice.

    `overrides`: a bundled name, the path of a .toml file, or `best` by function, which may also be an
    operation computed by powers, such as layer_norm. Raises MPC-P022, MPC-P023, MPC-P024, all problems at
    once.
    """
    with Diagnostics() as diagnostics:
        uses: dict[str, Approximation | None] = {}
        try:
            uses.update(preset(name).uses)
        except MpccError as error:
            diagnostics.collect(error)
        for function, chosen in overrides.items():
            try:
                named(function)
                uses[function] = None if chosen == BEST else find(function, chosen)
            except MpccError as error:
                diagnostics.collect(error)
    return uses


def used_for(uses: Mapping[str, Approximation | None], function: str) -> Approximation | None:
    """What `uses` say about an operation: its own entry, or that of the powers which compute it."""
    for key in (function, *FAMILIES.get(function, ())):
        if key in uses:
            return uses[key]
    return None
