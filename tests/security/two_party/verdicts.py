"""What statistics say of numbers that must be uniform below a modulus, and of two samples that must be alike:
p-values by name, corrected for the number of tests, as in `tests.security.views.statistics`.

Residues are tested as numbers below their prime, not as bits: their place among 256 intervals, and their
lowest byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from scipy.stats import chi2, norm

from mpcc.runtime.ring import F64, U64
from tests.security.two_party.observed import Numbers, Received
from tests.security.views.statistics import CELL, corrected, smirnov

LARGE = 1 << 20  # moduli for which the lowest byte is uniform up to 2^-12
LAGS = (1, 8, 64)  # neighbours: elements, words of planes
TAIL = 1 / 64
MOST = 1 << 16  # numbers of one kind in a session


def uniformity(numbers: Iterable[Numbers]) -> dict[str, float]:
    """That numbers are uniform, and so is what they differ by from their neighbours."""
    values: dict[str, list[float]] = {"uniform": [], "neighbours": []}
    for each in numbers:
        values["uniform"] += _uniform(each)
        pairs = [(each.values[lag:], each.values[:-lag]) for lag in LAGS if lag < each.values.size]
        for one, other in pairs:
            values["neighbours"] += _uniform(_difference(one, other, each))
    return {name: corrected(np.array(found)) for name, found in values.items() if found}


def repetition(one: Sequence[Numbers], other: Sequence[Numbers]) -> float:
    """That what two sessions differ by, place by place, is uniform."""
    pairs = zip(one, other, strict=True)
    values = [p for a, b in pairs for p in _uniform(_difference(a.values, b.values, a))]
    return corrected(np.array(values))


def of_sessions(sessions: Sequence[Received]) -> dict[str, float]:
    """Of all messages of each, and of sessions that follow one another, by kind of message."""
    found: dict[str, list[float]] = {}
    for session in sessions:
        for numbers in session.numbers.values():
            for name, p_value in uniformity(_joined(numbers)).items():
                found.setdefault(name, []).append(p_value)
    for one, other in pairwise(sessions):
        for label in one.numbers.keys() & other.numbers.keys():
            alike = [_shape(view.numbers[label]) for view in (one, other)]
            if alike[0] == alike[1]:
                pair = one.numbers[label], other.numbers[label]
                found.setdefault("sessions", []).append(repetition(*pair))
    return {name: corrected(np.array(values)) for name, values in found.items()}


def likeness(one: F64, other: F64) -> dict[str, float]:
    """That two samples of one size, of the same distribution, are alike."""
    count, both = len(one), np.concatenate([one, other])
    low, high = np.quantile(both, (TAIL, 1 - TAIL))
    values = {"mean": [both], "variance": [(both - both.mean()) ** 2], "tails": [both < low, both > high]}
    found = {
        name: corrected(np.array([_normal(part.astype(np.float64), count) for part in parts]))
        for name, parts in values.items()
    }
    ranks = np.unique(both, return_inverse=True)[1].astype(np.uint64)[:, None]
    return found | {"smirnov": smirnov(ranks[:count], ranks[count:])}


def _normal(values: F64, count: int) -> float:
    """That the first `count` and the others have the same mean."""
    difference = values[:count].mean() - values[count:].mean()
    deviation = values.std() * (1 / count + 1 / (len(values) - count)) ** 0.5
    return float(2 * norm.sf(abs(difference) / deviation)) if deviation else float(difference == 0)


def _joined(numbers: Sequence[Numbers]) -> list[Numbers]:
    """Messages of one domain as one."""
    groups: dict[tuple[int, int], list[U64]] = {}
    for each in numbers:
        groups.setdefault((each.modulus, each.step), []).append(each.values)
    return [Numbers(np.concatenate(parts), *domain) for domain, parts in groups.items()]


def _shape(numbers: Sequence[Numbers]) -> list[tuple[int, int]]:
    return [(each.values.size, each.modulus) for each in numbers]


def _difference(one: U64, other: U64, domain: Numbers) -> Numbers:
    """Modulo what they are below, in the steps that both are in: of numbers uniform but for the last step,
    which is shorter.
    """
    steps, step = -(-domain.modulus // domain.step), np.uint64(domain.step)
    difference = one[:MOST] // step + np.uint64(steps) - other[:MOST] // step
    return Numbers(difference % np.uint64(steps), steps)


def _uniform(numbers: Numbers) -> list[float]:
    """Chi-square on as many intervals as there are samples for, and on the lowest byte."""
    steps = -(-numbers.modulus // numbers.step)
    values = numbers.values[:MOST]
    if numbers.step > 1:
        values = values // np.uint64(numbers.step)
    count = len(values)
    if count < 2 * CELL:
        return []
    cells = min(256, steps, count // CELL)
    width = steps // cells  # the last interval has what is left, too
    edges = [*(width * numbers.step * place for place in range(cells)), numbers.modulus]
    places = np.minimum(values // np.uint64(width), np.uint64(cells - 1))
    found = [_chi_square(places, np.diff(edges) / numbers.modulus)]
    if steps > LARGE:
        found.append(_chi_square(values % np.uint64(cells), np.full(cells, 1 / cells)))
    return found


def _chi_square(places: U64, shares: F64) -> float:
    expected = shares * len(places)
    counts = np.bincount(places.astype(np.int64), minlength=len(shares))
    return float(chi2.sf(((counts - expected) ** 2 / expected).sum(), len(shares) - 1))
