"""Confidence intervals for counts and shares."""

from __future__ import annotations

import math
from statistics import NormalDist

# Enough for full double precision: the terms shrink by a constant factor within about sqrt(a) of them.
_MAX_TERMS = 100_000
_EPSILON = 1e-15


def garwood(count: float, exposure_h: float, confidence: float = 0.95) -> tuple[float, float]:
    """Exact Poisson interval for a rate: Garwood (1936).

    ``[chi2(alpha / 2, 2 n) / 2, chi2(1 - alpha / 2, 2 n + 2) / 2] / exposure_h`` with ``alpha = 1 -
    confidence``.

    Args:
        count: events that were counted, n; a mean of counts need not be whole.
        exposure_h: hours over which they were counted.
        confidence: in (0, 1).

    Returns:
        Lower and upper limit, events per hour. Without exposure nothing is known: ``(0, inf)``.

    Raises:
        ValueError: if the count or the exposure is negative, or the confidence lies outside (0, 1).

    Example:
        >>> low, high = garwood(0, exposure_h=0.5)
        >>> low, round(high, 2)
        (0.0, 7.38)
    """
    _check_confidence(confidence)
    if count < 0 or exposure_h < 0:
        raise ValueError(f"count and exposure_h must be at least 0, got {count} and {exposure_h}")
    if exposure_h == 0:
        return 0.0, math.inf
    tail = (1 - confidence) / 2
    low = chi_square_quantile(tail, 2 * count) / 2 if count else 0.0
    high = chi_square_quantile(1 - tail, 2 * count + 2) / 2
    return low / exposure_h, high / exposure_h


def rate_below(exposure_h: float, confidence: float = 0.95) -> float:
    """Where nothing was counted, the rate above which something would have been, with ``confidence``.

    With nothing below zero, all of the 5% lie above: ``-ln(1 - confidence) / exposure_h``.

    Example:
        >>> round(rate_below(0.5), 2)
        5.99
    """
    _check_confidence(confidence)
    if exposure_h < 0:
        raise ValueError(f"exposure_h must be at least 0, got {exposure_h}")
    return -math.log(1 - confidence) / exposure_h if exposure_h else math.inf


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval for a share: Wilson (1927).

    ``(p + z^2 / 2n ± z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)`` with ``p = successes / n`` and z
    the normal quantile at ``(1 + confidence) / 2``.

    Returns:
        Lower and upper limit in [0, 1]. Without a trial nothing is known: ``(0, 1)``.

    Raises:
        ValueError: if not ``0 <= successes <= n``, or the confidence lies outside (0, 1).

    Example:
        >>> [round(limit, 4) for limit in wilson(81, 263)]
        [0.2553, 0.3662]
    """
    _check_confidence(confidence)
    if not 0 <= successes <= n:
        raise ValueError(f"successes must lie between 0 and n, got {successes} of {n}")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / n
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # At the ends the formula gives 0 and 1 but for rounding.
    low = 0.0 if successes == 0 else (centre - half) / scale
    high = 1.0 if successes == n else (centre + half) / scale
    return low, high


def chi_square_quantile(probability: float, degrees: float) -> float:
    """The value below which a chi-square variable lies with ``probability``.

    Bisection on the regularised incomplete gamma function, which is monotone: it cannot miss the root.

    Args:
        probability: in (0, 1).
        degrees: degrees of freedom, positive.

    Example:
        >>> round(chi_square_quantile(0.975, 2), 3)
        7.378
    """
    low, high = 0.0, degrees + 10.0
    while _gamma_p(degrees / 2, high / 2) < probability:
        low, high = high, 2 * high
    while True:
        middle = (low + high) / 2
        if high - low <= _EPSILON * high or middle in (low, high):
            return middle
        if _gamma_p(degrees / 2, middle / 2) < probability:
            low = middle
        else:
            high = middle


def _gamma_p(a: float, x: float) -> float:
    """Regularised lower incomplete gamma function (Abramowitz and Stegun 6.5.29 and 6.5.31)."""
    if x <= 0:
        return 0.0
    scale = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:  # the series converges fast here, the continued fraction beyond
        term = total = 1 / a
        for n in range(1, _MAX_TERMS):
            term *= x / (a + n)
            total += term
            if term < total * _EPSILON:
                break
        return scale * total
    # Continued fraction by Lentz's method.
    b = x + 1 - a
    c, d = math.inf, 1 / b
    fraction = d
    for n in range(1, _MAX_TERMS):
        numerator = -n * (n - a)
        b += 2
        d = 1 / (numerator * d + b)
        c = b + numerator / c
        step = c * d
        fraction *= step
        if abs(step - 1) < _EPSILON:
            break
    return 1 - scale * fraction


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie in (0, 1), for example 0.95, got {confidence}")
