"""The time in which a detection may hit an event, and the time in which it is a false alarm."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anchorstream.metrics.event import Event

#: Times are sums of decimal fractions: a detection this close to a window's edge is on it.
ROUNDING_S = 1e-6


@dataclass(frozen=True, slots=True)
class MatchWindow:
    """A detection hits an event if it lies in ``[start_s - pre_s, anchor_s + post_s]``, ends included.

    Raises:
        ValueError: if one of them is negative or not finite.
    """

    pre_s: float
    post_s: float

    def __post_init__(self) -> None:
        for name, value in (("pre_s", self.pre_s), ("post_s", self.post_s)):
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be at least 0 seconds, got {value}")

    def contains(self, time_s: float, event: Event) -> bool:
        """Whether a detection at ``time_s`` lies in the window of ``event``."""
        opens_s, closes_s = event.start_s - self.pre_s, event.anchor_s + self.post_s
        return opens_s - ROUNDING_S <= time_s <= closes_s + ROUNDING_S


class EventWindows:
    """The windows of the events of one label in one stream, ready to be matched many times.

    Args:
        events: in any order.
        window: how far a window reaches before the start and after the anchor.
    """

    def __init__(self, events: Sequence[Event], window: MatchWindow) -> None:
        starts = np.array([event.start_s for event in events], dtype=np.float64) - window.pre_s
        ends = np.array([event.anchor_s for event in events], dtype=np.float64) + window.post_s
        self.starts_s: NDArray[np.float64] = starts
        self.ends_s: NDArray[np.float64] = ends
        go_on = [-np.inf if event.goes_on_until_s is None else event.goes_on_until_s for event in events]
        #: (E,) where what happens is over: no earlier than the window.
        self.over_s: NDArray[np.float64] = np.maximum(ends, np.array(go_on, dtype=np.float64))
        self._go_on = bool(np.any(self.over_s > ends))
        order = np.lexsort((ends, starts))
        starts, ends = starts[order] - ROUNDING_S, ends[order] + ROUNDING_S
        overlaps_next = np.zeros(len(events), dtype=bool)
        overlaps_next[:-1] = np.maximum.accumulate(ends)[:-1] >= starts[1:]
        # Windows that overlap share detections and are matched together; all others look for their own
        # first one.
        shared = overlaps_next | np.roll(overlaps_next, 1)
        self._alone = order[~shared]
        self._alone_start, self._alone_end = starts[~shared], ends[~shared]
        #: The events whose windows overlap with others, in the order in which they begin.
        self.shared: list[int] = order[shared].tolist()
        self._shared_start, self._shared_end = starts[shared], ends[shared]
        self._shared_reach = np.maximum.accumulate(self._shared_end)

    def __len__(self) -> int:
        return len(self.starts_s)

    def match(self, times_s: NDArray[np.float64]) -> NDArray[np.intp]:
        """The largest one-to-one matching between events and detections.

        Detections are taken in order of time, and each one is given to that event still without a detection
        whose window contains it and ends first. No matching has more hits (Glover 1967), and an event whose
        window overlaps with no other is hit by the first detection in it.

        Args:
            times_s: (D,) detection times, ascending.

        Returns:
            (E,) for each event the index of its detection, -1 for a miss.
        """
        hit = np.full(len(self), -1, dtype=np.intp)
        if not len(times_s):
            return hit
        candidate = np.searchsorted(times_s, self._alone_start)
        found = candidate < len(times_s)
        found[found] = times_s[candidate[found]] <= self._alone_end[found]
        hit[self._alone[found]] = candidate[found]
        if self.shared:
            self._match_shared(times_s, hit)
        return hit

    def late(self, times_s: NDArray[np.float64], found: NDArray[np.intp]) -> NDArray[np.intp]:
        """The detections that are late: the first one after the window of a missed event that still goes on.

        Args:
            times_s: (D,) detection times, ascending.
            found: what :meth:`match` returned for them.

        Returns:
            Indices of detections, ascending; none of them hit an event.
        """
        if not self._go_on:
            return np.zeros(0, dtype=np.intp)
        missed = found < 0
        first = np.searchsorted(times_s, self.ends_s[missed] + ROUNDING_S, side="right")
        inside = first < len(times_s)
        inside[inside] = times_s[first[inside]] <= self.over_s[missed][inside] + ROUNDING_S
        return np.setdiff1d(first[inside], found[~missed])

    def _match_shared(self, times_s: NDArray[np.float64], hit: NDArray[np.intp]) -> None:
        opened_last = np.searchsorted(self._shared_start, times_s, side="right") - 1
        inside = np.flatnonzero((opened_last >= 0) & (times_s <= self._shared_reach[opened_last]))
        starts, ends = self._shared_start.tolist(), self._shared_end.tolist()
        waiting: list[tuple[float, int]] = []  # (end, position) of the windows that are open
        opened = 0
        for detection, time_s in zip(inside.tolist(), times_s[inside].tolist(), strict=True):
            while opened < len(starts) and starts[opened] <= time_s:
                heapq.heappush(waiting, (ends[opened], opened))
                opened += 1
            while waiting and waiting[0][0] < time_s:
                heapq.heappop(waiting)
            if waiting:
                hit[self.shared[heapq.heappop(waiting)[1]]] = detection

    def exposure_s(self, duration_s: float) -> float:
        """Seconds of ``[0, duration_s]`` in which nothing happens: before a window starts and after it is over."""
        order = np.argsort(self.starts_s, kind="stable")
        starts = np.clip(self.starts_s[order], 0.0, duration_s)
        ends = np.clip(self.over_s[order], 0.0, duration_s)
        reached = np.concatenate([[0.0], np.maximum.accumulate(ends)])[:-1]
        left_s = duration_s - float(np.maximum(0.0, ends - np.maximum(starts, reached)).sum())
        # What rounding leaves of a stream full of windows would be a rate of false alarms beyond all measure.
        return left_s if left_s > ROUNDING_S else 0.0


def exposure_s(events: Sequence[Event], duration_s: float, window: MatchWindow) -> float:
    """Seconds of a stream in which nothing happens, outside every event's window: what false alarms are counted over.

    Args:
        events: the events of one label; those of another label are background to it.
        duration_s: length of the stream.
        window: the matching window.

    Example:
        >>> events = [Event("yes", 1.0, 1.5), Event("yes", 2.0, 2.5)]
        >>> exposure_s(events, duration_s=10.0, window=MatchWindow(pre_s=0.0, post_s=0.75))
        7.75
    """
    return EventWindows(events, window).exposure_s(duration_s)
