"""The streaming decoder: posteriors in chunks of any length, detections out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anchorstream.decode.crossings import crossings
from anchorstream.decode.settings import DecoderSettings
from anchorstream.decode.smoothing import finite, smooth_after
from anchorstream.frames import FrameClock

# Up to so many numbers Python compares faster than numpy is called.
_FEW = 16


@dataclass(frozen=True, slots=True)
class Detection:
    """A label fired.

    Attributes:
        time_s: the moment at which the frame that fired was known, in seconds from the start of the stream.
        label: what was detected.
        score: the smoothed posterior of that frame.
    """

    time_s: float
    label: str
    score: float


class Decoder:
    """Turns the posteriors of one stream into detections, chunk by chunk.

    Any way of cutting the stream into chunks gives the same detections. Labels are independent of each other.

    Args:
        settings: smoothing, thresholds, hysteresis and refractory time.
        labels: the K names of the posteriors' columns.
        clock: when a frame is known.

    Raises:
        ValueError: if labels are missing or not unique, or if thresholds and labels do not agree.

    Example:
        >>> decoder = Decoder(DecoderSettings(threshold=0.5), ["yes"], FrameClock(hop_s=0.01))
        >>> decoder.push([[0.1], [0.2]])
        []
        >>> decoder.push([[0.75], [0.8]])
        [Detection(time_s=0.03, label='yes', score=0.75)]
    """

    def __init__(self, settings: DecoderSettings, labels: Sequence[str], clock: FrameClock) -> None:
        if isinstance(labels, str) or not labels or len(set(labels)) != len(labels):
            raise ValueError(f"labels must be one or more different names, got {labels!r}")
        if isinstance(settings.threshold, Mapping):
            unknown = sorted(set(settings.threshold) - set(labels))
            if unknown:
                raise ValueError(
                    f"thresholds for labels {unknown} that are not there; labels are {list(labels)}"
                )
        self.settings = settings
        self.labels = tuple(labels)
        self.clock = clock
        self._thresholds = [settings.threshold_of(label) for label in self.labels]
        self._smoothing_frames = settings.smoothing_frames(clock.hop_s)
        self._refractory_frames = settings.refractory_frames(clock.hop_s)
        self._release_frames = settings.release_frames(clock.hop_s)
        # An average of what is below this is below every threshold, rounding included.
        self._quiet_below = (1 - 1e-9) * min(self._thresholds)
        self.reset()

    def reset(self) -> None:
        """Goes back to the start of a stream: the next frame is frame 0 and every label is armed."""
        count = len(self.labels)
        self._frame = 0  # an integer: days of audio do not drift
        self._history = np.zeros((self._smoothing_frames - 1, count))
        self._armed_from = [0] * count  # the first frame after the refractory time
        self._released = [True] * count
        self._low_frames = [0] * count  # in a row, up to now, while not released
        self._quiet_frames = self._smoothing_frames  # in a row, up to now; silence came before the stream

    def push(self, posteriors: ArrayLike) -> list[Detection]:
        """Takes the next frames and returns the detections among them, in order of time.

        Args:
            posteriors: (T, K), T >= 0. What is not finite counts as 0.

        Raises:
            ValueError: if the shape is not (T, K).
        """
        chunk = np.asarray(posteriors)
        if chunk.ndim != 2 or chunk.shape[1] != len(self.labels):
            raise ValueError(
                f"posteriors must have shape (frames, {len(self.labels)}) for labels {list(self.labels)}, "
                f"got {chunk.shape}"
            )
        if not len(chunk):
            return []
        if self._is_quiet(chunk):
            self._keep(chunk)
            return []
        # From here on in float64, whatever it came in.
        chunk = finite(chunk)
        smoothed = smooth_after(chunk, self._smoothing_frames, self._history, self._frame)

        fired = [
            (frame, index)
            for index in range(len(self.labels))
            for frame in self._fire(smoothed[:, index], index)
        ]
        detections = [
            Detection(
                self.clock.time_of(self._frame + frame), self.labels[index], float(smoothed[frame, index])
            )
            for frame, index in sorted(fired)
        ]
        self._keep(chunk)
        return detections

    def _is_quiet(self, chunk: NDArray[Any]) -> bool:
        """Whether nothing can fire and no label waits to be released: nearly always, and then nearly nothing to do."""
        before = self._quiet_frames
        quiet = _all_below(chunk, self._quiet_below)
        self._quiet_frames = before + len(chunk) if quiet else 0
        return quiet and before >= self._smoothing_frames - 1 and False not in self._released

    def _keep(self, chunk: NDArray[Any]) -> None:
        history, new = self._history, len(chunk)
        if new >= len(history):
            history[...] = chunk[new - len(history) :]
        else:
            # In place: it takes a fifth of the time of joining the two.
            history[:-new] = history[new:]
            history[-new:] = chunk
        self._frame += new

    def _fire(self, smoothed: np.ndarray[tuple[int], np.dtype[np.float64]], index: int) -> list[int]:
        """The frames of this chunk at which label ``index`` fires; moves its state to the chunk's end."""
        threshold, release = self._thresholds[index], self.settings.release
        begin = max(0, self._armed_from[index] - self._frame)
        if not self._released[index]:
            released_at = self._wait_for_release(smoothed < release * threshold, index)
            if released_at is None:
                return []
            begin = max(begin, released_at + 1)
        frames: list[int] = crossings(
            smoothed, threshold, self._refractory_frames, release, begin, self._release_frames
        ).tolist()
        if frames:
            last = frames[-1]
            self._armed_from[index] = self._frame + last + self._refractory_frames
            self._released[index], self._low_frames[index] = False, 0
            self._wait_for_release(smoothed[last:] < release * threshold, index)
        return frames

    def _wait_for_release(self, low: np.ndarray[tuple[int], np.dtype[np.bool_]], index: int) -> int | None:
        """The first of these frames with which label ``index`` has been low for long enough, if there is one."""
        # Between frames that are not low lie runs of low ones; the first run began before this chunk.
        edges = np.concatenate([[-1 - self._low_frames[index]], np.flatnonzero(~low), [len(low)]])
        runs = np.diff(edges) - 1
        long_enough = np.flatnonzero(runs >= self._release_frames)
        self._released[index] = len(long_enough) > 0
        self._low_frames[index] = 0 if self._released[index] else int(runs[-1])
        return int(edges[long_enough[0]]) + self._release_frames if self._released[index] else None


def _all_below(values: NDArray[Any], limit: float) -> bool:
    """Whether all are in [0, limit); what is not finite is in no range."""
    if values.size > _FEW:
        # As floats: a limit may lie beyond the type of the values.
        return (
            float(np.minimum.reduce(values, axis=None)) >= 0
            and float(np.maximum.reduce(values, axis=None)) < limit
        )
    for value in values.ravel().tolist():  # noqa: SIM110 - a generator takes twice as long
        if not 0 <= value < limit:
            return False
    return True
