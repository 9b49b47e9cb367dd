"""Whole programs: what each party sees is uniform, and alike for any inputs and weights of the other one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mpcc.runtime.protocols import protocols
from tests.security.sessions import compiled, loaded
from tests.security.test_weights_stay_with_party0 import contents
from tests.security.views.controls import without_masks
from tests.security.views.programs import FAMILIES, Family, Programs, Session, session
from tests.security.views.samples import Views, by_operation, forms
from tests.security.views.verdicts import likeness, noticed, of_all, uniformity

SESSIONS = 5  # so that operations of 16 elements have samples enough
Runs = dict[str, list[Session]]


def runs_of(programs: Programs) -> Runs:
    """Of one input, of another, of new ones all the time; of other weights. No two share their randomness."""
    one, other, *many = (programs.family.inputs(np.random.default_rng(n)) for n in range(2 + SESSIONS))
    plans = {
        "one input": (programs.own, [one] * SESSIONS),
        "another input": (programs.own, [other] * SESSIONS),
        "many inputs": (programs.own, many),
        "permuted weights": (programs.permuted, [one] * SESSIONS),
        "other weights": (programs.others, [one] * SESSIONS),
    }
    return {
        name: [session(program, x, 100 * place + number) for number, x in enumerate(inputs)]
        for place, (name, (program, inputs)) in enumerate(plans.items())
    }


def views(runs: list[Session]) -> Views:
    return [run.views for run in runs]


def compared(one: list[Session], other: list[Session], observer: int, revealed: bool) -> set[str]:
    """What notices a difference between two views of one party."""
    pairs = zip(*(by_operation(views(runs), observer) for runs in (one, other)), strict=True)
    return noticed(
        of_all([likeness(*(a, b) if revealed else (a.unrevealed, b.unrevealed)) for a, b in pairs])
    )


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_views_of_a_program(family: Family, tmp_path: Path) -> None:
    """In one test, as its sessions serve all that is asked."""
    programs = Programs.of(family, tmp_path)
    runs = runs_of(programs)
    assert_uniform(runs)
    assert_party0_sees_no_input(runs)
    assert_party1_sees_no_weights(runs)
    assert_one_form(runs)
    assert_permuted_weights_compute_the_same(programs, runs)


def assert_uniform(runs: Runs) -> None:
    for name, found in runs.items():
        for observer in (0, 1):
            samples = by_operation(views(found), observer)
            assert noticed(of_all([uniformity(sample) for sample in samples])) == set(), (name, observer)


def assert_party0_sees_no_input(runs: Runs) -> None:
    for other in ("another input", "many inputs"):
        assert compared(runs["one input"], runs[other], 0, revealed=True) == set(), other


def assert_party1_sees_no_weights(runs: Runs) -> None:
    """What is revealed is compared where the weights compute the same."""
    assert compared(runs["one input"], runs["permuted weights"], 1, revealed=True) == set()
    assert compared(runs["one input"], runs["other weights"], 1, revealed=False) == set()


def assert_one_form(runs: Runs) -> None:
    """Operations, draws with their places in the store, messages with their lengths: one list for all."""
    expected, *others = (form for found in runs.values() for form in forms(views(found)))
    kinds = {str(event[0]) for events in expected for event in events}
    assert kinds == {"computes", "draws", "sends", "receives"}
    assert all(form == expected for form in others)


def assert_permuted_weights_compute_the_same(programs: Programs, runs: Runs) -> None:
    """Up to the rounding, which differs from session to session; and party 1's folder is one for all."""
    answers = {name: np.stack([run.answer for run in found]) for name, found in runs.items()}
    own, permuted = answers["one input"], answers["permuted weights"]
    spread = np.ptp(own, axis=0).max()
    assert 0 < np.abs(permuted - own.mean(axis=0)).max() < 3 * spread
    assert np.abs(answers["other weights"] - own.mean(axis=0)).max() > 10 * spread
    folders = [contents(p / "party1") for p in (programs.own, programs.permuted, programs.others)]
    assert folders[0] == folders[1] == folders[2]
    held = [(p / "party0" / "weights.safetensors").read_bytes() for p in (programs.own, programs.permuted)]
    assert held[0] != held[1]


def test_one_missing_mask_is_noticed(tmp_path: Path) -> None:
    """Of one operation, by what all of them together say; of every kind in turn."""
    family = FAMILIES[0]
    program = compiled(family.model, tmp_path / "program")
    x = family.inputs(np.random.default_rng(0))
    for kind in ("open_masked", "serve", "sine_series", "less_than", "open_bits", "truncate"):
        operations = (o for o in loaded(program).operations if o.kind == kind)
        name = next(o.result.name for o in operations if protocols[kind].messages(o))
        with without_masks(name.__eq__):
            found = [session(program, x, number) for number in range(SESSIONS)]
        verdict = of_all([uniformity(sample) for sample in by_operation(views(found), 0)])
        assert noticed(verdict) != set(), kind
