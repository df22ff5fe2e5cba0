"""Every operating point of a detector in one pass over its posteriors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anchorstream.decode import DecoderSettings, smooth
from anchorstream.decode.crossings import crossings_at
from anchorstream.metrics.curve import Curve
from anchorstream.metrics.event import Event
from anchorstream.metrics.stream import PosteriorStream
from anchorstream.metrics.thresholds import choose_thresholds, thresholds_between
from anchorstream.metrics.windows import EventWindows, MatchWindow

#: Streams are visited together up to about this many frames, an hour of 10 ms: more are no quicker, and take memory.
_FRAMES_TOGETHER = 400_000


def sweep(
    streams: Sequence[PosteriorStream],
    label: str,
    settings: DecoderSettings,
    window: MatchWindow,
    thresholds: ArrayLike | None = None,
) -> Curve:
    """Decodes and matches at many thresholds; each count equals that of `Decoder` and `match`.

    Args:
        streams: each scored for itself, then summed.
        label: which label; events of other labels are background to it.
        settings: smoothing, refractory time, release and its length. Its threshold is one of those visited.
        window: how far from an event a detection may lie to be its hit.
        thresholds: (S,) positive; ``None`` chooses about two hundred from the peaks of the posteriors, up
            to one at which nothing fires.

    Returns:
        Misses, false alarms and latencies at each threshold, thresholds ascending.

    Raises:
        ValueError: if there is no stream, one lacks the label, or a threshold is not positive.
    """
    if not streams:
        raise ValueError("there is no stream to score")
    scored = [_Scored(stream, label, settings, window) for stream in streams]
    if thresholds is None:
        event_peaks = np.concatenate([one.event_peaks() for one in scored])
        background_peaks = np.concatenate([one.background_peaks() for one in scored])
        shared_peaks = np.concatenate([one.shared_peaks() for one in scored])
        chosen = choose_thresholds(event_peaks, background_peaks, shared_peaks)
    else:
        chosen = np.asarray(thresholds, dtype=np.float64).ravel()
        if not np.all(np.isfinite(chosen) & (chosen > 0)):
            raise ValueError(f"thresholds must be positive and finite, got {chosen[~(chosen > 0)].tolist()}")
    chosen = np.unique(np.append(chosen, settings.threshold_of(label)))
    false_alarms, latencies_s = _visited(scored, window, chosen, settings.release)
    if thresholds is None:
        repeats = np.concatenate([one.repeat_peaks() for one in scored])
        others = np.concatenate([event_peaks, background_peaks, shared_peaks])
        between = thresholds_between(chosen, false_alarms, repeats, others)
        more_false_alarms, more_latencies_s = _visited(scored, window, between, settings.release)
        order = np.argsort(np.append(chosen, between))
        chosen = np.append(chosen, between)[order]
        false_alarms = np.append(false_alarms, more_false_alarms)[order]
        latencies_s = np.concatenate([latencies_s, more_latencies_s], axis=1)[:, order]
    return Curve(
        label=label,
        settings=settings,
        window=window,
        thresholds=chosen,
        false_alarms=false_alarms,
        latencies_s=latencies_s,
        events=tuple(event for one in scored for event in one.events),
        hours=sum(one.exposure_s for one in scored) / 3600,
    )


def _visited(
    scored: Sequence[_Scored], window: MatchWindow, thresholds: NDArray[np.float64], release: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(S,) false alarms and (E, S) latencies at thresholds, which ascend."""
    false_alarms = np.zeros(len(thresholds), dtype=np.int64)
    latencies_s = np.full((sum(len(one.events) for one in scored), len(thresholds)), np.nan)
    row = 0
    for joined in (_Joined(together, window) for together in _in_groups(scored)):
        rows = slice(row, row + len(joined.anchors_s))
        joined.score(thresholds, release, false_alarms, latencies_s[rows])
        row = rows.stop
    return false_alarms, latencies_s


class _Scored:
    """One stream, smoothed, with the windows of its events."""

    def __init__(
        self, stream: PosteriorStream, label: str, settings: DecoderSettings, window: MatchWindow
    ) -> None:
        self.events = [event for event in stream.events if event.label == label]
        self.anchors_s = np.array([event.anchor_s for event in self.events], dtype=np.float64)
        self.windows = EventWindows(self.events, window)
        self.exposure_s = self.windows.exposure_s(stream.duration_s)
        self.clock = stream.clock
        self.refractory_frames = settings.refractory_frames(stream.hop_s)
        self.release_frames = settings.release_frames(stream.hop_s)
        self.smoothed: NDArray[np.float64] = smooth(
            stream.posteriors[:, stream.column(label)], settings.smoothing_frames(stream.hop_s)
        )

    def reach_s(self) -> tuple[float, float]:
        """From when to when there is a frame or a window."""
        last_frame_s = self.clock.time_of(len(self.smoothed))
        return self.windows.starts_s.min(initial=0.0), self.windows.ends_s.max(initial=last_frame_s)

    def _spans(self, ends_s: NDArray[np.float64]) -> list[slice]:
        """The frames of each event, from the start of its window."""
        return [
            slice(self.clock.frame_at(start), self.clock.frame_at(end) + 1)
            for start, end in zip(self.windows.starts_s, ends_s, strict=True)
        ]

    def event_peaks(self) -> NDArray[np.float64]:
        """(E,) the highest smoothed posterior in each event's window, 0 where there is no frame."""
        return np.array(
            [self.smoothed[span].max(initial=0.0) for span in self._spans(self.windows.ends_s)],
            dtype=np.float64,
        )

    def shared_peaks(self) -> NDArray[np.float64]:
        """(N,) the peaks in windows that overlap, where the second highest may be the hit of the second event."""
        spans = self._spans(self.windows.ends_s)
        found = [np.zeros(0)]
        for values in (self.smoothed[spans[event]] for event in self.windows.shared):
            # Within the window alone: a rise that goes on beyond it is a peak at its end.
            rises, falls = np.diff(values, prepend=-np.inf) >= 0, np.diff(values, append=-np.inf) < 0
            found.append(values[rises & falls])
        return np.concatenate(found)

    def background_peaks(self) -> NDArray[np.float64]:
        """(N,) the highest smoothed posteriors while nothing happens, one for each stretch that fires once."""
        if not len(self.smoothed):
            return np.zeros(0)
        outside = np.where(self._is_peak, self.smoothed, 0.0)
        for span in self._spans(self.windows.over_s):
            outside[span] = 0.0
        block = max(self.refractory_frames, self.release_frames)
        return np.asarray(np.maximum.reduceat(outside, np.arange(0, len(outside), block)), dtype=np.float64)

    def repeat_peaks(self) -> NDArray[np.float64]:
        """(N,) where the smoothed posterior is highest for a second time, or oftener, while an event happens."""
        found = [np.zeros(0)]
        for span in self._spans(self.windows.over_s):
            peaks = self.smoothed[span][self._is_peak[span]]
            found.append(np.sort(peaks)[:-1])
        return np.concatenate(found)

    @cached_property
    def _is_peak(self) -> NDArray[np.bool_]:
        """(T,) whether a frame is no lower than its neighbours; of equal ones in a row the last counts."""
        rises = np.diff(self.smoothed, prepend=-np.inf) >= 0
        return rises & (np.diff(self.smoothed, append=-np.inf) < 0)


def _in_groups(scored: Sequence[_Scored]) -> Iterator[list[_Scored]]:
    """Streams in a row with one clock, as many as are worth the memory of visiting them together."""
    group: list[_Scored] = []
    frames = 0
    for one in scored:
        if group and (one.clock != group[0].clock or frames + len(one.smoothed) > _FRAMES_TOGETHER):
            yield group
            group, frames = [], 0
        group.append(one)
        frames += len(one.smoothed)
    if group:
        yield group


class _Joined:
    """Streams of one clock one after the other, so far apart that nothing in one touches another.

    A threshold is then visited once for all of them: what a visit costs is mostly the same for ten frames and for ten
    thousand.
    """

    def __init__(self, streams: Sequence[_Scored], window: MatchWindow) -> None:
        self.clock = streams[0].clock
        self.refractory_frames, self.release_frames = streams[0].refractory_frames, streams[0].release_frames
        lengths = [len(one.smoothed) for one in streams]
        gap = self.refractory_frames + self.release_frames
        #: (N,) where the frames of each stream begin among all, and where its time does.
        self.first_frames = np.cumsum([0, *(length + gap for length in lengths[:-1])])
        reach_s = [one.reach_s() for one in streams]
        self.begins_s = np.cumsum([0.0, *(last - first + 1.0 for (_, last), (first, _) in pairwise(reach_s))])
        self.frames = np.concatenate(
            [first + np.arange(length) for first, length in zip(self.first_frames, lengths, strict=True)]
        )
        self.smoothed = np.concatenate([one.smoothed for one in streams])
        self.anchors_s = np.concatenate([one.anchors_s for one in streams])
        moved = [
            _later(event, float(begins_s), last_s)
            for one, begins_s, (_, last_s) in zip(streams, self.begins_s, reach_s, strict=True)
            for event in one.events
        ]
        self.windows = EventWindows(moved, window)

    def score(
        self,
        thresholds: NDArray[np.float64],
        release: float,
        false_alarms: NDArray[np.int64],
        latencies_s: NDArray[np.float64],
    ) -> None:
        """Adds the false alarms of these streams and fills in their rows of latencies, thresholds ascending."""
        # Frames above a threshold are among those above a lower one: the lists only become shorter.
        high, high_values = self.frames, self.smoothed
        low, low_values = high, high_values
        for column, threshold in enumerate(thresholds.tolist()):
            keep = high_values >= threshold
            high, high_values = high[keep], high_values[keep]
            if release == 1.0:
                low = high
            else:
                keep = low_values >= release * threshold
                low, low_values = low[keep], low_values[keep]
            found_at = crossings_at(high, low, self.refractory_frames, release_frames=self.release_frames)
            stream = np.searchsorted(self.first_frames, found_at, side="right") - 1
            times_s = self.clock.times_of(found_at - self.first_frames[stream])
            joined_s = times_s + self.begins_s[stream]
            found = self.windows.match(joined_s)
            hit = found >= 0
            late = self.windows.late(joined_s, found)
            false_alarms[column] += len(times_s) - np.count_nonzero(hit) - len(late)
            latencies_s[hit, column] = times_s[found[hit]] - self.anchors_s[hit]


def _later(event: Event, by_s: float, last_s: float) -> Event:
    """``event`` moved by so much, over at ``last_s`` of its stream at the latest."""
    over_s = event.goes_on_until_s
    return replace(
        event,
        start_s=event.start_s + by_s,
        anchor_s=event.anchor_s + by_s,
        goes_on_until_s=None if over_s is None else min(over_s, last_s) + by_s,
    )
