"""Every operating point of a detector in one pass over its posteriors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anchorstream.decode import DecoderSettings, smooth
from anchorstream.decode.crossings import crossings_at
from anchorstream.metrics.curve import Curve
from anchorstream.metrics.stream import PosteriorStream
from anchorstream.metrics.thresholds import choose_thresholds
from anchorstream.metrics.windows import EventWindows, MatchWindow


def sweep(
    streams: Sequence[PosteriorStream],
    label: str,
    settings: DecoderSettings,
    window: MatchWindow,
    thresholds: ArrayLike | None = None,
) -> Curve:
    """Decodes and matches at many thresholds; each count equals that of `Decoder` and `match`.

    Args:
        streams: scored one at a time, then summed.
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
        chosen = choose_thresholds(
            np.concatenate([one.event_peaks() for one in scored]),
            np.concatenate([one.background_peaks() for one in scored]),
        )
    else:
        chosen = np.asarray(thresholds, dtype=np.float64).ravel()
        if not np.all(np.isfinite(chosen) & (chosen > 0)):
            raise ValueError(f"thresholds must be positive and finite, got {chosen[~(chosen > 0)].tolist()}")
    chosen = np.unique(np.append(chosen, settings.threshold_of(label)))

    events = tuple(event for one in scored for event in one.events)
    false_alarms = np.zeros(len(chosen), dtype=np.int64)
    latencies_s = np.full((len(events), len(chosen)), np.nan)
    row = 0
    for one in scored:
        rows = slice(row, row + len(one.events))
        one.score(chosen, settings.release, false_alarms, latencies_s[rows])
        row = rows.stop
    return Curve(
        label=label,
        settings=settings,
        window=window,
        thresholds=chosen,
        false_alarms=false_alarms,
        latencies_s=latencies_s,
        events=events,
        hours=sum(one.exposure_s for one in scored) / 3600,
    )


class _Scored:
    """One stream, smoothed, with the windows of its events."""

    def __init__(
        self, stream: PosteriorStream, label: str, settings: DecoderSettings, window: MatchWindow
    ) -> None:
        self.events = [event for event in stream.events if event.label == label]
        self.anchors_s = np.array([event.anchor_s for event in self.events], dtype=np.float64)
        self.windows = EventWindows(self.events, window)
        self.exposure_s = stream.duration_s - self.windows.covered_s(stream.duration_s)
        self.clock = stream.clock
        self.hop_s, self.delay_s = stream.hop_s, stream.delay_s
        self.refractory_frames = settings.refractory_frames(stream.hop_s)
        self.release_frames = settings.release_frames(stream.hop_s)
        self.smoothed: NDArray[np.float64] = smooth(
            stream.posteriors[:, stream.column(label)], settings.smoothing_frames(stream.hop_s)
        )

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

    def background_peaks(self) -> NDArray[np.float64]:
        """(N,) the highest smoothed posteriors while nothing happens, one for each stretch that fires once."""
        if not len(self.smoothed):
            return np.zeros(0)
        outside = self.smoothed.copy()
        for span in self._spans(self.windows.over_s):
            outside[span] = 0.0
        block = max(self.refractory_frames, self.release_frames)
        return np.asarray(np.maximum.reduceat(outside, np.arange(0, len(outside), block)), dtype=np.float64)

    def score(
        self,
        thresholds: NDArray[np.float64],
        release: float,
        false_alarms: NDArray[np.int64],
        latencies_s: NDArray[np.float64],
    ) -> None:
        """Adds this stream's false alarms and fills in its rows of latencies, thresholds ascending."""
        # Frames above a threshold are among those above a lower one: the lists only become shorter.
        high, high_values = np.arange(len(self.smoothed)), self.smoothed
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
            frames = found_at.astype(np.float64)
            times_s = frames * self.hop_s + self.delay_s
            found = self.windows.match(times_s)
            hit = found >= 0
            late = self.windows.late(times_s, found)
            false_alarms[column] += len(times_s) - np.count_nonzero(hit) - len(late)
            latencies_s[hit, column] = times_s[found[hit]] - self.anchors_s[hit]
