"""Estimates, in bits (log2 of bit operations), of the known attacks on LPN with regular noise over bits.

n samples, a secret of k bits, t blocks of n / t samples with one error each. The t sums over whole blocks are
equations without noise, so that attacks face k - t unknowns. All estimates lean towards the attacker: memory
is free, and constants are left out. Formulas as in the authors' own estimators, but for the last attack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import comb, lgamma, log, log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpcc.runtime.kernels.twin_silent import LOCALITY
from mpcc.runtime.two_party.ot.silent_parameters import Parameters

STRASSEN = 2.8  # exponent of dense linear algebra
F = NDArray[np.floating[Any]]


def log2_comb(n: float, k: float) -> float:
    return (lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)) / log(2)


def pooled_gauss(n: int, k: int, t: int) -> float:
    """Guess k - t samples without errors, as many from each block, and solve (Esser, Kübler, May,
    CRYPTO 2017).
    """
    return -t * log2(1 - (k - t) / n) + STRASSEN * log2(k - t)


def information_set(n: int, k: int, t: int) -> float:
    """The same with p errors among the guessed samples and `window` more, found as collisions of two lists
    (regular noise: Esser, Santini, CRYPTO 2024, appendix A.1). Elimination takes the least number of samples.
    """
    best = pooled_gauss(n, k, t)
    for p in range(2, 20, 2):
        for window in range(1, 120):
            share = (k - t + window) / n  # of every block
            list_size = log2_comb(t / 2, p / 2) + log2(share * n / t) * p / 2
            success = 2 * log2_comb(t / 2, p / 2) + p * log2(share) + (t - p) * log2(1 - share)
            lists = window * (2.0 ** (list_size + 1) + 2.0 ** (2 * list_size - window))
            best = min(best, log2((k - t + window) ** STRASSEN + lists) - success)
    return best


def statistical_decoding(n: int, k: int, t: int) -> float:
    """Parity checks of low weight; version 2.0 splits off as many unknowns as a search over them may cost
    (Carrier, Debris-Alazard, Meyer-Hilfiger, Tillich, ASIACRYPT 2022; as in Liu, Wang, Yang, Yu).
    """
    left = k - t - int(pooled_gauss(n, k, t))
    return log2(left + 1) + 2 * t * log2((n - t + 1) / (n - left - t))


def guesses(n: int, k: int, t: int) -> tuple[F, F, F]:
    """Ways to guess: in f of the blocks mu places without the error. Returns f, mu and -log2 of success,
    broadcast against each other.
    """
    block = n // t
    steps = np.linspace(0, block - 2, 150).astype(int)
    mu = np.unique(np.concatenate([np.arange(min(block - 1, 400)), steps]))
    f = np.unique(np.linspace(0, t, 150).astype(int))
    f_column, mu_row = f[:, None].astype(np.longdouble), mu[None, :].astype(np.longdouble)
    bits = -f_column * np.log2(1 - mu_row / block)
    return f_column, mu_row, np.where(f_column * mu_row < k + 1, bits, np.inf)


def linearised(n: int, k: int, t: int, f: F, mu: F) -> Iterator[tuple[int, F, F]]:
    """For degrees 2, 3, 4: the degree, the monomials up to it (at most one variable a block), and how many of
    them are left free by the equations of that degree (Briaud, Øygarden, EUROCRYPT 2023, over two elements).
    """

    def powers(values: F, blocks: F) -> list[F]:
        return [values**d * choose(blocks, d) for d in range(5)]

    block = np.longdouble(n // t)
    guessed, whole = powers(block - mu - 1, f), powers(block - 1 + 0 * mu, t - f)
    checks = np.full_like(mu, n - k)
    inverse = [choose(checks, 0), 1 - checks, *((-1) ** d * choose(checks + d - 2, d) for d in (2, 3, 4))]
    monomials = [convolution(guessed, whole, degree) for degree in range(5)]
    free = [convolution(monomials, inverse, degree) for degree in range(5)]
    for degree in (2, 3, 4):
        yield degree, np.sum(monomials[1 : degree + 1], axis=0), np.sum(free[1 : degree + 1], axis=0)


def choose(x: F, terms: int) -> F:
    """The binomial coefficient."""
    result = np.ones_like(x)
    for i in range(terms):
        result = result * (x - i) / (i + 1)
    return result


def convolution(x: list[F], y: list[F], degree: int) -> F:
    """The coefficient of `degree` in the product of two power series."""
    total = x[0] * y[degree]
    for i in range(1, degree + 1):
        total = total + x[i] * y[degree - i]
    return total


def algebraic(n: int, k: int, t: int) -> float:
    """Guesses, then linear algebra on the monomials with Wiedemann's algorithm (Briaud, Øygarden)."""
    f, mu, bits = guesses(n, k, t)
    row = np.log2(3 * np.maximum(k + 1 - f * mu, 1))
    return min(
        least(np.where(free < 1, bits + 2 * np.log2(monomials) + row, np.inf))
        for _, monomials, free in linearised(n, k, t, f, mu)
    )


def algebraic_in_two_steps(n: int, k: int, t: int) -> float:
    """The same, with the elimination after some of the guesses and the rest of the unknowns after all of them
    ("AGB 2.0", ePrint 2025/1476). Any first guesses go with the cheapest complete ones here.
    """
    f, mu, bits = guesses(n, k, t)
    best = np.inf
    for _, monomials, free in linearised(n, k, t, f, mu):
        if not (free < 1).any():
            continue
        complete = least(np.where(free < 1, bits, np.inf))
        left = np.maximum(free, 1)
        rank = np.maximum(monomials - left, 1)
        sparse = 2 * np.log2(monomials) + np.log2(3 * np.maximum(k + 1 - f * mu, 1))
        dense = np.log2(monomials) + 2 * np.log2(rank) - np.log2(np.maximum(np.log2(rank), 1))
        first = bits + np.minimum(sparse, dense)
        second = complete + log2(5.64) + STRASSEN * np.log2(np.minimum(left, rank))
        best = min(best, least(np.logaddexp2(first.astype(float), second.astype(float))))
    return best


def hybrid(n: int, k: int, t: int) -> float:
    """Guesses and an elimination as before; then all places of the errors in a few more blocks are tried on
    the small system that is left (ePrint 2025/1284, over two elements).
    """
    block = n // t
    u = np.arange(min(block - 2, 1000), dtype=float)[
        :, None
    ]  # guesses in each block, one more in `more` of them
    more = np.unique(np.linspace(0, t - 1, 150).astype(int)).astype(float)[None, :]
    best = np.inf
    for tried in range(12):
        extra = np.minimum(more, t - tried - 1)
        others = t - extra - tried
        bits = -np.log2(1 - (u + 1) / block) * extra - np.log2(1 - u / block) * others
        unknown = k - t - (u + 1) * extra - u * others
        quadratic = (
            others * (block - u - 2) * (block - u - 1) / 2 + extra * (block - u - 2) * (block - u - 3) / 2
        )
        of_tried = (block - 1.0) * tried
        rest = np.maximum(unknown - of_tried, 1)
        samples = n - k - (n - k) // (block - 1) * (block - u - 2)
        solve_linear = np.maximum(samples * (n - k) * (samples + unknown), 1)
        eliminate = rest**4 * np.maximum(unknown, 1) ** 2 / 8 / np.log2(np.maximum(rest**2 / 2, 2))
        small = 1.25 * (2 * rest**2 * of_tried + rest * of_tried**2)
        small += (2.5 * rest) ** 3 / np.log2(np.maximum(2.5 * rest, 2))
        cost = solve_linear + np.where(unknown > 0, eliminate + small * float(block) ** tried, 0)
        enough = (rest <= np.sqrt(np.maximum(2 * quadratic, 0)) - 2) & (unknown >= of_tried)
        possible = (n - t - extra - (t - tried) * u > 0) & ((unknown <= 0) | enough)
        best = min(best, least(np.where(possible, bits + np.log2(cost), np.inf)))
    return best


def sparse_algebraic(n: int, k: int, t: int) -> float:
    """The algebraic attack in the secret's bits, where an equation has (LOCALITY + 1)^2 terms whatever its
    degree: what a local code could give away to Wiedemann's algorithm. Not from the literature.
    """
    f, mu, bits = guesses(n, k, t)
    best = np.inf
    for degree, _, free in linearised(n, k, t, f, mu):
        monomials = sum(comb(k - t, d) for d in range(1, degree + 1))
        cost = log2(3 * (LOCALITY + 1) ** 2) + 2 * log2(monomials)
        best = min(best, least(np.where(free < 1, bits, np.inf)) + cost)
    return best


def least(values: NDArray[np.floating]) -> float:
    return float(values.min())


ATTACKS: tuple[Callable[[int, int, int], float], ...] = (
    pooled_gauss,
    information_set,
    statistical_decoding,
    algebraic,
    algebraic_in_two_steps,
    hybrid,
    sparse_algebraic,
)


def estimates(parameters: Parameters) -> dict[str, float]:
    sizes = (parameters.outputs, parameters.secret, parameters.trees)
    return {attack.__name__: attack(*sizes) for attack in ATTACKS}
