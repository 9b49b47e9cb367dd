"""How a mixture of experts is computed: the lowerings of docs/mixture_of_experts.md, with their details."""

from __future__ import annotations

from dataclasses import dataclass

ALL, OUTER, DISPATCH, WEIGHTS = "all", "outer", "dispatch", "weights"
KINDS = (ALL, OUTER, DISPATCH, WEIGHTS)


@dataclass(frozen=True)
class Layout:
    """One way to compute a `moe` operation.

    all: every expert on every token, then select the outputs. outer: select, then compute one expert a
    choice; `sides` say for both layers whether inputs or outputs are selected. dispatch: `capacity` slots an
    expert, filled by `claims`; exact only where no expert is chosen more often, or where the model itself has
    that capacity and rule. `group`: the router compares logits in groups of so many.

    Sources: GShard (ICLR 2021) and CryptoMoE (NeurIPS 2025) for dispatch; SecMoE (AAAI 2026) for
    select-then-compute.
    """

    kind: str
    group: int
    sides: tuple[str, str] = ("in", "out")
    capacity: int = 0
    claims: str = "first"

    @property
    def name(self) -> str:
        """As the user reads it."""
        if self.kind == OUTER:
            return f"{OUTER} ({', '.join(self.sides)})"
        return f"{DISPATCH} ({self.capacity} slots)" if self.kind == DISPATCH else self.kind
