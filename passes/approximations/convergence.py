"""Goldschmidt's iterations for x^-1, x^-1/2 and x^1/2: when they converge, and how fast.

With a public eta and q = eta x, every iteration multiplies by M, which tends to 1 as q does:
    reciprocal   M = 2 - q         q <- q M     r <- r M     converges for q in (0, 2)
    roots        M = (3 - q) / 2   q <- q M^2   r <- r M     converges for q in (0, 3)
Write k for the power of M in q (1 or 2) and p for the exponent. q / r^k never changes (for the root of x, not
its inverse, r starts at a multiple of x), so r is x^p q^(1/k), and right as soon as q is 1.

Proof, with e = 1 - q. Reciprocal: 1 - q (2 - q) = e^2. Roots: f(q) = q (3 - q)^2 / 4 has
f'(q) = 3/4 (3 - q) (1 - q), so on (0, 3) it rises to f(1) = 1 and falls after it: one iteration maps (0, 3)
into (0, 1]; there f rises, and 1 - f(q) = e^2 (3 + e) / 4 < e. So for both, after one iteration q <= 1, the
largest e belongs to an end of the range, and from then on the same e goes on alone: exact recursions.

Sources: Goldschmidt (1964); SecFormer (Findings of ACL 2024) for the deflation by eta; the scaling of each
iteration is that of scaled Newton iterations (Byers and Xu, SIAM J. Matrix Anal. 2008).
"""

from __future__ import annotations

import math

from mpcc.ir.diagnostics import MpccError

MOST_ITERATIONS = 60
NEAREST = 7 / 8  # of the limit: where eta takes the upper end of a range, at most


def multiplier_power(exponent: float) -> int:
    """k: 1 for the reciprocal, 2 for roots. Raises ValueError for another exponent."""
    if exponent not in (-1.0, -0.5, 0.5):
        raise ValueError(f"there is no iteration for the exponent {exponent:g}")
    return 1 if exponent == -1.0 else 2


def classical(exponent: float) -> tuple[float, float]:
    """Coefficients of M in q, from the constant one."""
    return (2.0, -1.0) if multiplier_power(exponent) == 1 else (1.5, -0.5)


def deflation(exponent: float, low: float, high: float) -> float:
    """The eta for which one iteration takes both ends of a positive range to the same q, the largest lowest
    one; for wide ranges a little less, so that M, which is 0 at the limit, keeps some bits at the upper end.
    """
    if multiplier_power(exponent) == 1:
        best = 2.0 / (low + high)
    else:
        best = 3.0 / (low + math.sqrt(low * high) + high)
    return min(best, NEAREST * (multiplier_power(exponent) + 1.0) / high)


def error_after(exponent: float, error: float) -> float:
    """1 - q after an iteration, from 1 - q before it."""
    return error**2 if multiplier_power(exponent) == 1 else error**2 * (3.0 + error) / 4.0


def iterations(exponent: float, low: float, high: float, eta: float, error: float) -> int:
    """The smallest number of iterations, at least 1, after which x^exponent is within `error`, relative, for
    every x in [low, high], in exact arithmetic.

    Raises MPC-P019 where eta * range is not inside (0, 2), or (0, 3) for roots, or rounding would never end.
    """
    limit = multiplier_power(exponent) + 1.0
    if not 0.0 < eta * low <= eta * high < limit:
        raise MpccError(
            "MPC-P019",
            f"Goldschmidt's iteration does not converge: eta * range = [{eta * low:.4g}, {eta * high:.4g}] "
            f"leaves (0, {limit:g})",
            remedy=f"leave eta to the compiler, or state one below {limit / high:.4g}",
        )
    left = max(error_after(exponent, 1.0 - eta * end) for end in (low, high))
    for count in range(1, MOST_ITERATIONS + 1):
        if 1.0 - (1.0 - left) ** (1.0 / multiplier_power(exponent)) <= error:
            return count
        left = error_after(exponent, left)
    raise MpccError(
        "MPC-P019",
        f"Goldschmidt's iteration needs more than {MOST_ITERATIONS} steps from eta * range = "
        f"[{eta * low:.4g}, {eta * high:.4g}]",
        remedy="leave eta to the compiler, or use a recipe with thresholds (steps of 1 or more)",
    )
