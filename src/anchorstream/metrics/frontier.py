"""What latency buys what miss rate, false alarms being equal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anchorstream.metrics.curve import Curve
from anchorstream.metrics.windows import ROUNDING_S, MatchWindow

_STEP_S = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Frontier:
    """The fewest events that are missed by each deadline, at a false-alarm rate. Made by `frontier`.

    Attributes:
        rate: the false alarms per hour that no threshold may exceed.
        deadlines_s: (D,) seconds after the anchor, ascending.
        missed: (D, E) the share of the seeds that have not found an event by a deadline.
    """

    rate: float
    deadlines_s: NDArray[np.float64]
    missed: NDArray[np.float64]

    @property
    def miss_rate(self) -> NDArray[np.float64]:
        """(D,) share of the events that are missed by each deadline, mean over seeds; NaN without events."""
        if not self.missed.shape[1]:
            return np.full(len(self.deadlines_s), np.nan)
        return np.asarray(self.missed.mean(axis=1), dtype=np.float64)

    @property
    def of_events(self) -> NDArray[np.float64]:
        """(E,) the share of deadlines and seeds by which each event is missed: its part in the area."""
        return np.asarray(self.missed.mean(axis=0), dtype=np.float64)

    @property
    def area(self) -> float | None:
        """The mean of `miss_rate` over the deadlines, in [0, 1]: less is better; ``None`` without events."""
        return float(self.missed.mean()) if self.missed.size else None


def deadlines_of(window: MatchWindow) -> NDArray[np.float64]:
    """The deadlines of a task: from the anchor to the end of the window, evenly, at most 10 ms apart.

    Example:
        >>> deadlines_of(MatchWindow(pre_s=0.1, post_s=0.05)).tolist()
        [0.0, 0.01, 0.02, 0.03, 0.04, 0.05]
    """
    steps = math.ceil(window.post_s / _STEP_S - ROUNDING_S)
    return np.linspace(0.0, window.post_s, steps + 1, dtype=np.float64)


def frontier(curves: Sequence[Curve], rate: float, deadlines_s: ArrayLike | None = None) -> Frontier:
    """Misses by deadline at the best threshold that keeps to a false-alarm rate.

    By a deadline an event is found if it was hit with no more latency. For each deadline, each seed has that one of
    its thresholds with at most ``rate`` false alarms per hour that has found the most events by then; of several the
    one with the fewest false alarms, then the lowest. A detector that fires sooner at the price of misses, or has fewer
    misses for firing later, shows both. No deadline has more misses than one before it, and at the end of the window
    they are those of `Curve.at_false_alarms_per_hour`.

    Args:
        curves: one for each seed, over the same events.
        rate: false alarms per hour.
        deadlines_s: seconds after the anchor, negative before it; ``None`` is `deadlines_of` the window.

    Raises:
        ValueError: if there is no curve, events differ, deadlines do not ascend, the rate is negative, or no threshold
            that was visited keeps to it.

    Example:
        >>> from anchorstream.decode import DecoderSettings
        >>> from anchorstream.metrics import Event, PosteriorStream, sweep
        >>> posteriors = np.zeros((3600, 1))
        >>> posteriors[102] = 0.9
        >>> stream = PosteriorStream(posteriors, 1.0, 0.0, ["yes"], [Event("yes", 99.0, 100.0)], 3600.0)
        >>> curve = sweep([stream], "yes", DecoderSettings(), MatchWindow(pre_s=0.0, post_s=3.0))
        >>> frontier([curve], rate=1.0, deadlines_s=[0.0, 1.0, 2.0, 3.0]).miss_rate.tolist()
        [1.0, 1.0, 0.0, 0.0]
    """
    if not curves:
        raise ValueError("a frontier needs at least one curve")
    if any(curve.events != curves[0].events for curve in curves):
        raise ValueError("a frontier is over the same events with every seed")
    given = deadlines_of(curves[0].window) if deadlines_s is None else deadlines_s
    deadlines = np.asarray(given, dtype=np.float64)
    if deadlines.ndim != 1 or not len(deadlines) or not (np.diff(deadlines) > 0).all():
        raise ValueError(f"deadlines_s must be one or more seconds that ascend, got {given}")
    missed = np.mean([_missed(curve, rate, deadlines) for curve in curves], axis=0)
    return Frontier(rate, deadlines, missed)


def frontier_indices(curve: Curve, rate: float, deadlines_s: NDArray[np.float64]) -> NDArray[np.int64]:
    """(D,) indices in ``curve.thresholds`` of the thresholds that a frontier has at each deadline.

    A curve of these thresholds alone has the same frontier.
    """
    allowed = curve.indices_within(rate)
    allowed = allowed[np.lexsort((curve.thresholds[allowed], curve.false_alarms[allowed]))]
    # The first deadline by which each event is found; NaN sorts behind them all.
    first = np.searchsorted(deadlines_s + ROUNDING_S, curve.latencies_s[:, allowed])
    columns = np.arange(len(allowed))
    bins = len(deadlines_s) + 1
    counts = np.bincount((first + bins * columns).ravel(), minlength=bins * len(allowed))
    found = counts.reshape(len(allowed), bins)[:, :-1].cumsum(axis=1)
    # The first of several: they are in the order in which they are preferred.
    return np.asarray(allowed[found.argmax(axis=0)], dtype=np.int64)


def _missed(curve: Curve, rate: float, deadlines_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(D, E) whether an event is missed by a deadline, each at its best threshold."""
    latencies_s = curve.latencies_s[:, frontier_indices(curve, rate, deadlines_s)]
    by_s = (deadlines_s + ROUNDING_S)[:, None]
    found: NDArray[np.bool_] = np.less_equal(latencies_s.T, by_s)
    return ~found
