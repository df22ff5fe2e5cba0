"""Whether a paired difference could be chance: signs of whole speakers, flipped."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

# 2^16 sums are exact and take a millisecond; beyond, as many flips are drawn.
_EXACT_CLUSTERS = 17
_FLIPS = 2**16
_CHUNK = 2**12
_ROUNDING = 1e-9


def sign_flip_test(differences: ArrayLike, clusters: Sequence[Hashable], *, seed: int = 0) -> float:
    """Two-sided p-value that paired differences are centred on 0, whole clusters (speakers) at a time.

    If two systems were alike, each speaker's difference could as well have come out with the other sign. The p-value is
    the share of all choices of signs that give a mean at least as far from 0 as the one that was seen. It is exact up
    to 17 speakers; beyond, 65,536 choices are drawn, and the one that was seen is counted with them (Phipson and Smyth
    2010). See `smallest_p_value` for how small it can become.

    Args:
        differences: (E,) one number an event, first system less second.
        clusters: (E,) the speaker of each event.
        seed: the same seed gives the same p-value; of no effect where it is exact.

    Raises:
        ValueError: if the lengths differ, or there is no cluster.

    Example:
        Both speakers favour the second system, which one choice of signs in two does, to either side:

        >>> sign_flip_test([1.0, 0.0, 1.0], ["ann", "ann", "bob"])
        0.5
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or len(values) != len(clusters) or not len(values):
        raise ValueError(
            f"each difference needs a cluster, got {len(clusters)} for differences of shape {values.shape}"
        )
    names = {cluster: index for index, cluster in enumerate(dict.fromkeys(clusters))}
    # Events are pooled: the mean is the sum of the speakers' sums over the number of events, whatever the signs.
    index = [names[cluster] for cluster in clusters]
    sums = np.asarray(np.bincount(index, weights=values), dtype=np.float64)
    least = abs(float(sums.sum())) - _ROUNDING * float(np.abs(sums).sum())
    if len(sums) <= _EXACT_CLUSTERS:
        return float((np.abs(_all_sums(sums)) >= least).mean())
    rng = np.random.default_rng(seed)
    further = 0
    for _ in range(_FLIPS // _CHUNK):
        signs = rng.integers(0, 2, size=(_CHUNK, len(sums)), dtype=np.int8) * 2.0 - 1.0
        further += int((np.abs(signs @ sums) >= least).sum())
    return (further + 1) / (_FLIPS + 1)


def smallest_p_value(clusters: int) -> float:
    """The least that `sign_flip_test` can give: that all ``clusters`` agree, which two choices of signs do.

    Example:
        >>> smallest_p_value(5) == 2 / 32
        True
    """
    return 2.0 ** (1 - clusters) if clusters <= _EXACT_CLUSTERS else 1 / (_FLIPS + 1)


def _all_sums(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum for every choice of signs but the first, which stays: the other half are the same to the other side."""
    found = sums[:1]
    for value in sums[1:].tolist():
        found = np.concatenate([found + value, found - value])
    return found
