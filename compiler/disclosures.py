"""Every opening under a mask: what is shown, under how many mask bits, and why that reveals nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mpcc.ir.dialects import definition
from mpcc.ir.program import Operation, Program
from mpcc.runtime.correlations.slots import Role
from mpcc.runtime.protocols import protocols


@dataclass(frozen=True)
class Disclosure:
    """What an opening shows, under which mask, and why that reveals nothing."""

    shown: str
    mask: str
    reason: str


_BEAVER = "the mask is drawn for this opening only, so the difference is uniform whatever the value is"
DISCLOSURES = {
    "open_masked": Disclosure("x - a mod 2^k", "a, k uniform bits an element, nobody knows it", _BEAVER),
    "open_bits": Disclosure("b xor r", "r, one uniform bit a bit, nobody knows it", _BEAVER),
    "truncate": Disclosure(
        "one bit of each party's own share, to the other party",
        "one uniform bit an element that only the sender knows",
        "the receiver sees a one-time pad; the shares themselves stay",
    ),
    "less_than": Disclosure(
        "the bits that enter its carry, xor r (x itself was opened under its mask before)",
        "r, one fresh uniform bit for each bit opened, nobody knows it",
        "the bits are one-time pads; the result stays shared",
    ),
    "row_reaches": Disclosure(
        "q - a mod 2^j, then the counts minus c",
        "a and c, uniform in the rings that they are opened in",
        "both are one-time pads; which levels are reached stays shared",
    ),
    "exponential": Disclosure("x - t mod 2^j", "t, j uniform bits an element, nobody knows it", _BEAVER),
    "sine_series": Disclosure(
        "x - t mod 2^j, one period",
        "t, j uniform bits an element, nobody knows it",
        "the mask is uniform over the whole period, so the difference is too",
    ),
    "one_hot": Disclosure("i - r mod 2^j", "r, j uniform bits an index, nobody knows it", _BEAVER),
    "serve": Disclosure(
        "x - a mod 2^k, to party 0 only",
        "a, k uniform bits an element that only party 1 knows",
        "party 0 does not know a, and a masks nothing else that party 0 sees",
    ),
}


@dataclass
class Opening:
    """All openings of one operation kind. `sent` and `masked` are (party 0's, party 1's) bits."""

    kind: str
    disclosure: Disclosure
    operations: int = 0
    sent: tuple[int, int] = (0, 0)
    masked: tuple[int, int] = (0, 0)


def openings(program: Program) -> list[Opening]:
    """Every opening under a mask, by kind, with its bits: of the messages, and of the masks as drawn."""
    found: dict[str, Opening] = {}
    for operation in program.operations:
        if getattr(definition(program.stage, operation.kind), "opens", None) in (None, "reveal"):
            continue
        entry = found.setdefault(operation.kind, Opening(operation.kind, DISCLOSURES[operation.kind]))
        sent, masked = mask_balance(operation)
        entry.operations += 1
        entry.sent = (entry.sent[0] + sent[0], entry.sent[1] + sent[1])
        entry.masked = (entry.masked[0] + masked[0], entry.masked[1] + masked[1])
    return list(found.values())


def mask_balance(operation: Operation) -> tuple[tuple[int, int], tuple[int, int]]:
    """Bits that each party sends in an opening, and bits of the masks over them, padding to bytes included.

    A mask that neither party knows (`uniform`) covers both parties' messages, one that a party knows covers
    its own.
    """
    protocol = protocols[operation.kind]
    messages = protocol.messages(operation)
    masked = [0, 0]
    for slot in protocol.slots(operation):
        bits = 8 * math.ceil(slot.count * slot.bits / 8)
        masked[0] += bits if slot.role in (Role.UNIFORM, Role.PARTY0) else 0
        masked[1] += bits if slot.role in (Role.UNIFORM, Role.PARTY1) else 0
    return (8 * sum(m[0] for m in messages), 8 * sum(m[1] for m in messages)), (masked[0], masked[1])
