"""Which thresholds a sweep visits: dense where false alarms and misses change, few elsewhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FEW_FALSE_ALARMS = 200  # every one of the highest background peaks, where one false alarm matters
_MANY_FALSE_ALARMS, _FINE_STEPS = 5000, 160  # from there to here in steps of 2%, since more than one does
_BACKGROUND_STEPS = 120  # beyond them geometric ranks, since false alarms are read on a logarithmic axis
_REPEAT_STEPS = 400  # peaks of second firings, at the most
_EVENT_STEPS = 96  # quantiles of the peaks at events
# Posteriors closer to 0 or 1 than this are alike; float32 resolves 6e-8 below 1.
_SMALLEST = 1e-15


def choose_thresholds(
    event_peaks: NDArray[np.float64],
    background_peaks: NDArray[np.float64],
    shared_peaks: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Thresholds that separate peaks, from one at which nearly everything fires to one at which nothing does.

    Each lies midway between two neighbouring peaks on the scale ``log(p / (1 - p))``: there a saturated
    network's posteriors just below 1 are as far apart as others, and a posterior that comes out a rounding
    error different on another machine stays on its side.

    Args:
        event_peaks: (E,) highest smoothed posterior within each event's window.
        background_peaks: (N,) highest smoothed posteriors outside, one for each stretch that can fire once.
        shared_peaks: (M,) all peaks in windows that overlap, any of which may hit. No threshold is there for them, but
            none is placed beyond the next of them: it would miss what that one hits.

    Returns:
        (S,) different thresholds, ascending.
    """
    peaks = np.unique(np.concatenate([event_peaks, background_peaks, shared_peaks, [0.0]]))
    silent = _between(peaks[-1:], np.ones(1))[0] if peaks[-1] < 1 else np.nextafter(peaks[-1], 2.0)
    above = np.append(_between(peaks[:-1], peaks[1:]), silent)  # above[i] parts peaks[i] from the next one

    background = np.sort(background_peaks)[::-1]
    ranks = np.unique(
        np.concatenate(
            [
                np.arange(_FEW_FALSE_ALARMS),
                np.geomspace(_FEW_FALSE_ALARMS, _MANY_FALSE_ALARMS, _FINE_STEPS),
                np.geomspace(1, max(1, len(background)), _BACKGROUND_STEPS) - 1,
            ]
        ).astype(np.intp)
    )
    silenced = background[ranks[ranks < len(background)]]
    events = np.sort(event_peaks)
    kept = events[np.unique(np.linspace(0, len(events) - 1, min(_EVENT_STEPS, len(events))).astype(np.intp))]
    return np.unique(
        np.concatenate(
            [
                above[np.searchsorted(peaks, silenced)],
                above[np.searchsorted(peaks, kept[kept > 0]) - 1],
                [silent],
            ]
        )
    )


def thresholds_between(
    thresholds: NDArray[np.float64],
    false_alarms: NDArray[np.int64],
    repeat_peaks: NDArray[np.float64],
    other_peaks: NDArray[np.float64],
) -> NDArray[np.float64]:
    """More thresholds, where false alarms are few and change from one threshold to the next.

    A second firing in the window of an event is a false alarm, too. Which of the many peaks there fire so, the counts
    tell: where they change, the peaks in between are parted, so that the change lies next to the one that made it.

    Args:
        thresholds: (S,) those visited, ascending.
        false_alarms: (S,) at each.
        repeat_peaks: (N,) peaks while an event happens, but for the highest of each.
        other_peaks: (M,) those of :func:`choose_thresholds`.

    Returns:
        (R,) different ones, ascending, none of them visited yet.
    """
    # Below where most fire they become fewer again, because everything runs together: nobody operates there.
    many = np.flatnonzero(false_alarms >= min(_FEW_FALSE_ALARMS, false_alarms.max()))[-1]
    changes = (np.diff(false_alarms) != 0) & (np.arange(len(thresholds) - 1) >= many)
    peaks = np.unique(repeat_peaks)
    after = np.searchsorted(thresholds, peaks, side="right")  # the first threshold at which it does not fire
    inside = (after > 0) & (after < len(thresholds))
    peaks, after = peaks[inside], after[inside]
    changing = changes[after - 1]
    peaks, after = peaks[changing], after[changing]
    kept = np.unique(np.linspace(0, len(peaks) - 1, min(_REPEAT_STEPS, len(peaks))).astype(np.intp))
    known = np.unique(np.concatenate([repeat_peaks, other_peaks, thresholds]))
    next_higher = known[np.searchsorted(known, peaks, side="right")]
    return np.asarray(np.setdiff1d(_between(peaks, next_higher)[kept], thresholds), dtype=np.float64)


def _between(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    """Thresholds t with ``low < t <= high``, midway on the scale of log odds."""
    middle = (_log_odds(low) + _log_odds(high)) / 2
    # exp of the negative magnitude on either side keeps the digits near 0 and near 1.
    small = np.exp(-np.abs(middle)) / (1 + np.exp(-np.abs(middle)))
    threshold = np.where(middle < 0, small, 1 - small)
    return np.where((threshold > low) & (threshold <= high), threshold, high)


def _log_odds(posteriors: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.clip(posteriors, _SMALLEST, None)
    return np.asarray(np.log(inside) - np.log(np.clip(1 - posteriors, _SMALLEST, None)), dtype=np.float64)
