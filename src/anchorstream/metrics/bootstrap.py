"""Intervals that respect that the events of one speaker resemble each other."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anchorstream.metrics.permutation import sign_flip_test

# Means over seeds are sums of thirds and the like: a limit this close to 0 is 0.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference between two systems over the same events.

    Attributes:
        estimate: mean of the first system's values minus the mean of the second's.
        low: lower limit of the interval.
        high: upper limit of the interval.
        p_value: two-sided, that the systems are alike: `sign_flip_test` over the clusters.
        clusters: how many there are; `smallest_p_value` says how small ``p_value`` can become with them.
    """

    estimate: float
    low: float
    high: float
    p_value: float
    clusters: int

    @property
    def clear(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > _ROUNDING or self.high < -_ROUNDING


def cluster_bootstrap(
    values: ArrayLike,
    clusters: Sequence[Hashable],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of a mean when whole clusters (speakers) are drawn with replacement.

    Args:
        values: (E,) one number an event; 1 for a miss and 0 for a hit give a miss rate.
        clusters: (E,) the speaker of each event.
        confidence: in (0, 1).
        resamples: how often clusters are drawn.
        seed: the same seed gives the same interval.

    Returns:
        Lower and upper limit. With few clusters (below about 20) it is too narrow rather than too wide.

    Raises:
        ValueError: if the lengths differ or there are fewer than two clusters.
    """
    means = _resampled_means(values, clusters, confidence, resamples, seed)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def paired_cluster_bootstrap(
    first: ArrayLike,
    second: ArrayLike,
    clusters: Sequence[Hashable],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Difference:
    """Difference between two systems over the same events, whole clusters (speakers) at a time.

    The interval draws clusters with replacement, the p-value flips their signs: with few of them the interval is too
    narrow, and the p-value is not.

    Args:
        first: (E,) one number an event for the first system.
        second: (E,) the same events, the second system.
        clusters: (E,) the speaker of each event.
        confidence: in (0, 1).
        resamples: how often clusters are drawn.
        seed: the same seed gives the same interval.

    Raises:
        ValueError: if the lengths differ or there are fewer than two clusters.
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"both systems need the same events, got shapes {first.shape} and {second.shape}")
    difference = first - second
    means = _resampled_means(difference, clusters, confidence, resamples, seed)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Difference(
        estimate=float(difference.mean()),
        low=float(low),
        high=float(high),
        p_value=sign_flip_test(difference, clusters, seed=seed),
        clusters=len(set(clusters)),
    )


def _resampled_means(
    values: ArrayLike, clusters: Sequence[Hashable], confidence: float, resamples: int, seed: int
) -> NDArray[np.float64]:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or len(values) != len(clusters):
        raise ValueError(
            f"each value needs a cluster, got {len(clusters)} for values of shape {values.shape}"
        )
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie in (0, 1), for example 0.95, got {confidence}")
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples}")
    names = {cluster: index for index, cluster in enumerate(dict.fromkeys(clusters))}
    if len(names) < 2:
        raise ValueError(f"a bootstrap over clusters needs at least 2 of them, got {len(names)}")
    index = np.array([names[cluster] for cluster in clusters])
    sums = np.bincount(index, weights=values)
    sizes = np.bincount(index).astype(np.float64)
    drawn = _drawn(len(names), resamples, seed)
    return np.asarray((drawn @ sums) / (drawn @ sizes), dtype=np.float64)


@lru_cache(maxsize=2)
def _drawn(clusters: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """(resamples, clusters) how often each cluster is drawn: all that matters, so that there is no loop.

    A report asks for hundreds of intervals over the same speakers.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=resamples).astype(np.float64)
    drawn.flags.writeable = False
    return drawn
