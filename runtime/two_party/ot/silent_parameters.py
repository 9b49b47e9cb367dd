"""How many OTs an iteration of silent OT makes of how many, and what it sends.

An iteration is one instance of learning parity with noise (LPN): a public code with 10 entries a row takes
`secret` bits to `outputs` bits, and `trees` errors are added, one at a random place of each `trees`-th part
(regular noise). docs/two_party/silent_ot.md has the estimates of every known attack: at least 2^128 steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, pairwise, repeat

SEED_BYTES = BLOCK_BYTES = 16


@dataclass(frozen=True)
class Parameters:
    """`trees` (t in the literature) of 2^`depth` leaves each; `secret` (k)."""

    depth: int
    trees: int
    secret: int

    @property
    def outputs(self) -> int:
        """n in the literature."""
        return self.trees << self.depth

    @property
    def needed(self) -> int:
        """OTs that an iteration takes: the secret, and one a level of every tree."""
        return self.secret + self.trees * self.depth

    @property
    def message_bytes(self) -> int:
        """From the sender: the public seed, and a sum a level of every tree. Nothing goes back."""
        return SEED_BYTES + BLOCK_BYTES * self.trees * self.depth


SMALL = Parameters(depth=9, trees=1024, secret=45056)
LARGE = Parameters(depth=12, trees=2560, secret=425984)

Stages = tuple[Parameters, ...]
"""Of the first iterations, in order; the last is repeated."""

SHORT: Stages = (SMALL,)
LONG: Stages = (SMALL, LARGE)  # the first iteration makes what the large one takes


def iterations(stages: Stages) -> Iterator[tuple[Parameters, int]]:
    """Without end: each iteration, and how many OTs it has beside those that the next one takes."""
    for this, following in pairwise(chain(stages, repeat(stages[-1]))):
        yield this, this.outputs - following.needed


def begun(stages: Stages, count: int) -> list[Parameters]:
    """The iterations that the first `count` OTs come from."""
    made: list[Parameters] = []
    for this, free in iterations(stages):
        if count <= 0:
            return made
        made.append(this)
        count -= free
    raise AssertionError("iterations never end")


def silent_bytes(stages: Stages, before: int, count: int) -> int:
    """Bytes that the sender sends for `count` OTs after the first `before`. With the first OTs of all, the
    base extension makes `stages[0].needed` OTs, once.
    """
    done = len(begun(stages, before))
    return sum(this.message_bytes for this in begun(stages, before + count)[done:])
