"""Where a smoothed posterior fires: threshold, hysteresis and refractory time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Of fewer stretches, one after the other is quicker than all in step.
_SIDE_BY_SIDE = 4


def crossings(
    smoothed: NDArray[np.float64],
    threshold: float,
    refractory_frames: int,
    release: float = 1.0,
    begin: int = 0,
    release_frames: int = 1,
) -> NDArray[np.intp]:
    """The frames at which a label fires.

    Frame t fires if ``smoothed[t] >= threshold`` and the label is armed. It is armed at ``begin``; after a
    detection at d it is armed again from frame ``max(d + refractory_frames, r + 1)`` on, where r is the last of the
    first ``release_frames`` frames in a row after d with ``smoothed < release * threshold``.

    Args:
        smoothed: (T,) smoothed posteriors of one label, finite.
        threshold: positive.
        refractory_frames: smallest distance between two detections.
        release: share of the threshold, in (0, 1].
        begin: no frame before this one fires.
        release_frames: how many frames in a row must be low, at least 1.

    Returns:
        (D,) frame indices, ascending.

    Example:
        >>> import numpy as np
        >>> crossings(np.array([0.1, 0.6, 0.7, 0.1, 0.8]), threshold=0.5, refractory_frames=2).tolist()
        [1, 4]
    """
    high = np.flatnonzero(smoothed >= threshold)
    low = high if release == 1.0 else np.flatnonzero(smoothed >= release * threshold)
    return crossings_at(high, low, refractory_frames, begin, release_frames)


def crossings_at(
    high: NDArray[np.intp],
    low: NDArray[np.intp],
    refractory_frames: int,
    begin: int = 0,
    release_frames: int = 1,
) -> NDArray[np.intp]:
    """`crossings` from index lists: the frames at or above the threshold, and at or above the release.

    Both ascend, and ``high`` is a subset of ``low``. Sweeps over many thresholds keep these lists, which
    are short where a threshold is worth having.
    """
    if begin:
        high = high[np.searchsorted(high, begin) :]
        low = low[np.searchsorted(low, begin) :]
    if not len(high):
        return high

    # A run is a stretch of `low` without a release in it: at most one detection comes out of each.
    ends = np.ones(len(low), dtype=bool)
    np.greater(low[1:] - low[:-1], release_frames, out=ends[:-1])
    run_last = low[ends]
    # Where both lists are one, counting is quicker than searching.
    run_of_high = np.cumsum(ends) - ends if high is low else np.searchsorted(run_last, high)
    is_first = np.ones(len(high), dtype=bool)
    np.greater(run_of_high[1:], run_of_high[:-1], out=is_first[1:])
    first = high[is_first]
    if refractory_frames <= 1 or bool((first[1:] - first[:-1] >= refractory_frames).all()):
        return first

    # The refractory time reaches into a later run: go from detection to detection. A first frame that is far enough
    # from the one before it fires whatever fired before, so that all stretches between such frames go side by side.
    release_after = run_last[run_of_high] + release_frames
    begins = is_first.copy()
    begins[1:] &= high[1:] - high[:-1] >= refractory_frames
    at = np.flatnonzero(begins)
    ends_at = np.append(at[1:], len(high))
    fires = begins
    while len(at) > _SIDE_BY_SIDE:
        at = np.searchsorted(high, np.maximum(high[at] + refractory_frames, release_after[at]))
        inside = at < ends_at
        at, ends_at = at[inside], ends_at[inside]
        fires[at] = True
    for i, end in zip(at.tolist(), ends_at.tolist(), strict=True):
        while (i := int(high.searchsorted(max(high[i] + refractory_frames, release_after[i])))) < end:
            fires[i] = True
    return high[fires]
