"""How well scores put one group above another, threshold or not."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def roc_auc(scores: ArrayLike, positive: ArrayLike) -> float | None:
    """The area under the ROC curve, by ranks.

    It is the share of all pairs of one positive and one negative in which the positive has the higher score; a pair
    with equal scores counts as half (Mann and Whitney 1947).

    Args:
        scores: (N,) finite numbers.
        positive: (N,) bool.

    Returns:
        The area, in [0, 1]; ``None`` without a positive or without a negative.

    Raises:
        ValueError: if the shapes differ, or a score is not finite.

    Example:
        >>> roc_auc([0.1, 0.4, 0.4, 0.9], [False, True, False, True])
        0.875
    """
    values, is_positive = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=np.bool_)
    if values.ndim != 1 or values.shape != is_positive.shape:
        raise ValueError(
            f"scores and positive must have the same shape (N,), got {values.shape} and {is_positive.shape}"
        )
    if not np.isfinite(values).all():
        raise ValueError("scores must be finite, got NaN or infinity")
    positives = int(is_positive.sum())
    negatives = len(values) - positives
    if not positives or not negatives:
        return None
    _, group, size = np.unique(values, return_inverse=True, return_counts=True)
    # Ranks from 1; equal scores share the mean of theirs.
    rank = (np.cumsum(size) - (size - 1) / 2)[group]
    above = float(rank[is_positive].sum()) - positives * (positives + 1) / 2
    return above / (positives * negatives)
