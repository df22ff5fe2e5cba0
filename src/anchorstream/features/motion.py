"""Motion frames: the readings of a wrist sensor on the frame clock of the audio, for training and live alike.

Frame ``t`` stands for the time from ``t * hop_s`` up to ``(t + 1) * hop_s``, as it does for the samples of audio::

    readings inside      their mean
    none                 the latest frame that has any, while it is at most HOLD_S old
    none for longer      exact zeros on all channels: the sensor gives nothing

Zeros are unmistakable, because an accelerometer at rest reads 1 g; a missing sensor is therefore data, never NaN.

**Causal, and how late.** Frame ``t`` uses no reading from ``(t + 1) * hop_s`` on, the moment at which the frame is
known. A reading is thus in the frames at most one hop after it was taken. What is held grows old: a sensor of 100 Hz
and more has a reading in every frame, one of 50 Hz is up to 20 ms old, one of 10 Hz up to 100 ms. Interpolation would
be smoother and never younger: it must wait for the reading that comes next, which is one step of the sensor for every
frame, and for ever in a gap.

The mean is what keeps a fast sensor (400 Hz: four readings a frame) from folding its tremor into the band of the
frames.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anchorstream.frames import ROUNDING_FRAMES

#: A reading stands for the time after it, this long at most: at 10 Hz one may be lost, or late by jitter.
HOLD_S = 0.25

# Whoever counts from the year 0 still fits; a frame index of more would be no whole number of 64 bits.
_MOST_S = 1e11
_LONG_AGO = -(2**62)


def motion_frames(times_s: ArrayLike, readings: ArrayLike, hop_s: float, frames: int) -> NDArray[np.float32]:
    """The motion frames of a whole signal; a reading that is NaN or infinite in any channel is left out.

    Args:
        times_s: (n,) seconds since the start of the signal, in any order.
        readings: (n, channels).
        hop_s: seconds from frame to frame.
        frames: how many to make.

    Returns:
        (frames, channels) float32.

    Raises:
        ValueError: for other shapes, time stamps that are no finite numbers, a hop that is not positive.
    """
    readings = np.asarray(readings)
    stream = MotionFrames(readings.shape[-1] if readings.ndim == 2 else 0, hop_s)
    stream.push(times_s, readings)
    return stream.take(frames)


class MotionFrames:
    """Motion frames of a signal that is still arriving; equal to :func:`motion_frames`, however it is cut.

    Args:
        channels: of the readings.
        hop_s: seconds from frame to frame.

    Attributes:
        frame: the frame that ``take`` gives next.
        late_readings: how many were dropped, because their frame had been taken.
        bad_readings: how many were dropped, because a channel was NaN or infinite.

    Raises:
        ValueError: if one of the arguments is not positive.

    Example:
        >>> frames = MotionFrames(channels=3, hop_s=0.01)
        >>> frames.push([0.000, 0.005, 0.021], [[0, 0, 1.0], [0, 0, 1.5], [0.5, 0, 1]])
        >>> frames.take(3).tolist()
        [[0.0, 0.0, 1.25], [0.0, 0.0, 1.25], [0.5, 0.0, 1.0]]
    """

    def __init__(self, channels: int, hop_s: float) -> None:
        if channels < 1:
            raise ValueError(
                f"expected readings (n, channels) of at least 1 channel, got {channels} channels"
            )
        if not (math.isfinite(hop_s) and hop_s > 0):
            raise ValueError(f"hop_s must be a positive number of seconds, got {hop_s}")
        self.channels, self.hop_s = channels, hop_s
        self._hold_frames = math.floor(HOLD_S / hop_s + ROUNDING_FRAMES)
        self.reset()

    def reset(self) -> None:
        """Begins a new signal at time 0."""
        self.frame = self.late_readings = self.bad_readings = 0
        # What waits for its frame, in order of frames, and the frame that is held.
        self._at = np.zeros(0, dtype=np.int64)
        self._readings = np.zeros((0, self.channels), dtype=np.float32)
        self._held_at = np.full(1, _LONG_AGO, dtype=np.int64)
        self._held = np.zeros((1, self.channels), dtype=np.float32)

    def push(self, times_s: ArrayLike, readings: ArrayLike) -> None:
        """Takes readings, in any order.

        Those from before the signal, with negative times, are held like others, as long as no frame has been taken.

        Args:
            times_s: (n,) seconds since the start of the signal; n may be 0.
            readings: (n, channels).

        Raises:
            ValueError: for other shapes, and for time stamps that are no finite numbers; nothing is taken then.
        """
        times_s = np.asarray(times_s, dtype=np.float64)
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is left out below
            readings = np.asarray(readings).astype(np.float32)
        if times_s.ndim != 1 or readings.shape != (len(times_s), self.channels):
            raise ValueError(
                f"expected times (n,) and readings (n, {self.channels}), "
                f"got shapes {times_s.shape} and {readings.shape}"
            )
        if not (np.abs(times_s) <= _MOST_S).all():  # NaN is in no range
            wrong = times_s[~(np.abs(times_s) <= _MOST_S)][0]
            raise ValueError(f"expected time stamps in seconds, got {wrong:g}")
        at = np.floor(times_s / self.hop_s + ROUNDING_FRAMES).astype(np.int64)
        good = np.isfinite(readings).all(axis=1)
        in_time = (at >= self.frame) | (self.frame == 0)
        self.bad_readings += int(np.sum(~good))
        self.late_readings += int(np.sum(good & ~in_time))
        kept = good & in_time
        at = np.concatenate([self._at, at[kept]])
        readings = np.concatenate([self._readings, readings[kept]])
        # Stable: within a frame they stay as they came, so that sums do not depend on how the signal is cut.
        order = np.argsort(at, kind="stable")
        self._at, self._readings = at[order], readings[order]

    def take(self, count: int) -> NDArray[np.float32]:
        """The next ``count`` frames, (count, channels) float32; what arrives for them later is too late.

        Raises:
            ValueError: if ``count`` is negative.
        """
        if count < 0:
            raise ValueError(f"expected a number of frames from 0 on, got {count}")
        if count == 0:
            return np.zeros((0, self.channels), dtype=np.float32)
        due = int(np.searchsorted(self._at, self.frame + count))
        at, which = np.unique(self._at[:due], return_inverse=True)
        sums = np.zeros((len(at), self.channels))
        np.add.at(sums, which, self._readings[:due])
        means = (sums / np.bincount(which, minlength=len(at))[:, None]).astype(np.float32)
        self._at, self._readings = self._at[due:], self._readings[due:]

        at, means = np.concatenate([self._held_at, at]), np.concatenate([self._held, means])
        frames = np.arange(self.frame, self.frame + count)
        latest = np.searchsorted(at, frames, side="right") - 1
        held = frames - at[latest] <= self._hold_frames
        self.frame += count
        self._held_at, self._held = at[-1:], means[-1:]
        return np.where(held[:, None], means[latest], np.float32(0))
