"""What making a session takes of party 0's memory at its most, about: the shares are measured, rounded up."""

from __future__ import annotations

from mpcc.ir.program import Operation
from mpcc.runtime.correlations.slots import Role
from mpcc.runtime.memory import ELEMENT_BYTES, most_alive
from mpcc.runtime.protocols import protocols
from mpcc.runtime.two_party.engine.cost import Cost
from mpcc.runtime.two_party.rlwe.layout import layout
from mpcc.runtime.two_party.rlwe.parameters import DEGREE
from mpcc.runtime.two_party.schedule import Window, derived, schedule, window_cost

EXTENSION_BYTES = 96 << 20  # OTs of a batch at both ends, and what they are made of
MATRIX_BYTES = 176 << 20  # keys, and a matrix product under way besides its left factor
BYTES_PER_OT = 16  # of a step: what is asked for and its shares
BYTES_PER_RESIDUE = 24  # of a step's products in slots
COPIES = 2  # of a window's correlations, as parts and packed


def making_memory(operations: list[Operation], extension_bits: float) -> int:
    """In bytes, of a program's operations, `plan.correlated`; but for weights, which sessions share."""
    windows = [_window(operations, window, extension_bits) for window in schedule(operations)]
    return most_alive(operations) * ELEMENT_BYTES + max(windows, default=0)


def _window(operations: list[Operation], window: Window, extension_bits: float) -> int:
    made = [operations[place] for place in window.operations if derived(operations[place])]
    parts = sum(
        slot.expanded_bytes
        for o in made
        for slot in protocols[o.kind].slots(o)
        if slot.role is not Role.PARTY1
    )
    steps = [step for steps in window_cost(operations, window, extension_bits) for step in steps]
    extension = EXTENSION_BYTES if any(sum(step.ots) for step in steps) else 0
    return extension + COPIES * parts + max(map(_step, steps), default=0)


def _step(step: Cost) -> int:
    residues = sum(p.ciphertexts(n) * p.degree * len(p.moduli) for p, n in step.products.items())
    layouts = [layout(*sizes) for sizes in step.matrices]
    left = [2 * of.row_blocks * of.inner_blocks * of.primes * DEGREE * ELEMENT_BYTES for of in layouts]
    matrices = MATRIX_BYTES + COPIES * max(left) if left else 0
    return BYTES_PER_OT * sum(step.ots) + BYTES_PER_RESIDUE * residues + matrices
