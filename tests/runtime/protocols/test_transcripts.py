"""What the parties send and open is uniform, whatever the input; what a party draws is uniform on its own."""

from __future__ import annotations

import numpy as np
import pytest

from mpcc.runtime.protocols.base import unpack
from mpcc.runtime.ring import U64, reduce
from tests.runtime.protocols.cases import Setting
from tests.runtime.protocols.choices import seeded
from tests.runtime.protocols.fixed import FIXED, Fixed
from tests.runtime.protocols.harness import Prepared, seed_pair
from tests.runtime.protocols.uniformity import assert_independent, assert_uniform

COUNT = 2048
SESSIONS = 4


def opened(fixed: Fixed, x: int, session: int) -> list[tuple[U64, int]]:
    """Of every tick: what each party sent and what both together open, with the element width in bits."""
    case = fixed.case(x, COUNT)
    run = Prepared(case.program).run(case.arrays, seed_pair(session))
    result = []
    for tick, (bits, how) in enumerate(fixed.opened):
        sides = [unpack(sent[tick], len(sent[tick]) * 8 // bits, bits) for sent in run.transcripts]
        if how in ("party0", "party1"):
            sides = [sides[int(how[-1])]]
        elif how == "add":
            sides.append(reduce(sides[0] + sides[1], bits))
        elif how == "xor":
            sides.append(sides[0] ^ sides[1])
        result += [(side, bits) for side in sides]
    return result


@pytest.mark.parametrize("fixed", FIXED, ids=lambda f: f.kind)
def test_opened_values_are_uniform_for_every_input(fixed: Fixed) -> None:
    for x in fixed.inputs:
        sessions = [opened(fixed, x, number) for number in range(SESSIONS)]
        for parts in zip(*sessions, strict=True):
            bits = parts[0][1]
            samples = np.stack([side for side, _ in parts])
            assert_uniform(samples, bits)
            assert_independent(samples[1:], samples[:-1], bits)  # sessions share no mask


def test_two_openings_share_no_mask() -> None:
    """The same value opened twice, in the same tick and ring."""
    setting = Setting(seeded(0, 0))
    x = setting.share(np.full(COUNT, 5, dtype=np.int64))
    first, second = (setting.emit("open_masked", x, bits=16) for _ in range(2))
    product = setting.emit(
        "product", first, second, factors=("value",) * 2, coefficients=((), ()), fractions=(0, 0)
    )
    case = setting.end(product)
    run = Prepared(case.program).run(case.arrays)
    sent = [unpack(t[0], 2 * COUNT, 16).reshape(2, COUNT) for t in run.transcripts]
    for side in (*sent, reduce(sent[0] + sent[1], 16)):
        assert_independent(side[0], side[1], 16)


def test_the_masked_weights_are_uniform() -> None:
    """F = W - B, the only message that a weight enters: for a constant weight, another B for each use."""
    setting = Setting(seeded(0, 0))
    served = setting.emit("serve", setting.share(np.ones((1, 64), dtype=np.int64)), bits=37)
    weight = setting.source("weight", np.full((64, 64), 3, dtype=np.int64))
    total = setting.emit("add", *(setting.emit("linear", served, weight) for _ in range(2)))
    case = setting.end(total)
    run = Prepared(case.program).run(case.arrays)
    half = len(run.setup) // 2
    sent = [unpack(part, 64 * 64, 37) for part in (run.setup[:half], run.setup[half:])]
    for differences in sent:
        assert_uniform(differences, 37)
    assert_independent(sent[0], sent[1], 37)
