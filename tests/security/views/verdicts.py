"""What all statistics say of one sample, and of two: p-values by name, corrected for the number of tests."""

from __future__ import annotations

import numpy as np

from tests.security.views import statistics
from tests.security.views.samples import Sample, Wire, Wires, columns
from tests.security.views.statistics import RARE

TUPLES, TUPLE_BITS = 64, 6
TRIPLES_OF = 24  # elements: the lowest bits of the first ones of each wire


def uniformity(sample: Sample) -> dict[str, float]:
    """That all of a view but what is revealed is uniform, and independent bit by bit.

    What a party learns follows from what it received and drew, so of the former two either one stands beside
    the latter.
    """
    if not sample.masked:
        return {}
    either = [[*sample.drawn.values(), *part.values()] for part in (sample.received, sample.learned)]
    bits = [columns(wires) for wires in either if wires]
    return {
        "balance": _worst([statistics.balance(w.flat) for w in sample.masked]),
        "groups": _worst([statistics.groups(w.spread) for w in sample.masked]),
        "relation": _worst([statistics.relation(b) for b in bits]),
        "triples": _worst([statistics.triples(lowest_bits(wires)) for wires in either if wires]),
        "next copy": _worst([statistics.repetition(b, 1) for b in bits]),
        "next session": _worst([statistics.repetition(b, sample.each) for b in bits]),
    }


def likeness(one: Sample, other: Sample) -> dict[str, float]:
    """That two views are distributed alike, with what is revealed."""
    pairs = [pair for part in zip(parts(one), parts(other), strict=True) for pair in _pairs(*part)]
    if not pairs:
        return {}
    mine, others = (columns([pair[side] for pair in pairs]) for side in (0, 1))
    generator = np.random.default_rng(1)
    chosen = np.sort(
        generator.permuted(np.tile(np.arange(mine.shape[1]), (TUPLES, 1)), axis=1)[:, :TUPLE_BITS]
    )
    return {
        "difference": statistics.difference(mine, others),
        "tuples": statistics.tuples(mine, others, chosen),
        "smirnov": _worst([statistics.smirnov(a.values, b.values) for a, b in pairs]),
    }


def lowest_bits(wires: list[Wire]) -> np.ndarray:
    each = -(-TRIPLES_OF // len(wires))
    return np.concatenate([wire.spread[:, :each, 0] for wire in wires], axis=1)


def parts(sample: Sample) -> tuple[Wires, ...]:
    return sample.drawn, sample.received, sample.learned, sample.results, sample.revealed


def _pairs(one: Wires, other: Wires) -> list[tuple[Wire, Wire]]:
    assert list(one) == list(other)
    return [(one[key], other[key]) for key in one]


def _worst(p_values: list[float]) -> float:
    return min(p_values) * len(p_values)


def noticed(verdicts: dict[str, float]) -> set[str]:
    """Names of the statistics that raise an alarm."""
    return {name for name, p_value in verdicts.items() if p_value < RARE}


def of_all(verdicts: list[dict[str, float]]) -> dict[str, float]:
    """Of the operations of a program together."""
    names = {name for verdict in verdicts for name in verdict}
    return {name: _worst([verdict[name] for verdict in verdicts if name in verdict]) for name in names}
