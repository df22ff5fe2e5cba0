"""A real recording of a wrist as the background of simulated gestures."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Simulated motion, and what it is mixed with, has this rate.
GRID_HZ = 200.0
# The end of a recording fades into its beginning.
_SEAM_S = 0.25
# Gravity is the average over this time; below this size it is none.
_SLOW_S = 1.0
_LEAST_GRAVITY_G = 0.5
_SHORTEST_S = 2.0


class MotionBackground:
    """A recording brought to an even grid of 200 Hz, and made endless. Make it once, use it for many streams.

    Args:
        times_s: (n,) ascending; of any rate.
        readings: (n, 3) accelerometer in g, or (n, 6) with a gyroscope in rad/s.
        gravity: whether the accelerometer's readings hold gravity, as those of a sensor do (1 g at rest). Many
            programs for watches take it away; the simulated arm then adds its own.

    Attributes:
        gravity: as given.
        loop: (3 or 6, m) readings.
        slow: (3, m) gravity; zeros where the recording has none.
        quick: (3 or 6, m) what changes: ``loop`` less ``slow``.

    Raises:
        ValueError: for other shapes, readings that are not finite, times that do not ascend, less than 2 s,
            or if gravity is asked for and not there.
    """

    def __init__(self, times_s: ArrayLike, readings: ArrayLike, gravity: bool = True) -> None:
        times_s = np.asarray(times_s, dtype=np.float64)
        values = np.asarray(readings, dtype=np.float64)
        if (
            times_s.ndim != 1
            or values.ndim != 2
            or len(values) != len(times_s)
            or values.shape[1] not in (3, 6)
        ):
            raise ValueError(
                f"expected times_s (n,) and readings (n, 3) or (n, 6), got {times_s.shape} and {values.shape}"
            )
        if not (np.isfinite(values).all() and np.isfinite(times_s).all()):
            raise ValueError("expected finite times and readings; leave out or interpolate the others")
        if len(times_s) < 2 or not (np.diff(times_s) > 0).all():
            raise ValueError("expected at least 2 times, each after the one before; sort them")
        length_s = float(times_s[-1] - times_s[0])
        if length_s < _SHORTEST_S:
            raise ValueError(f"expected a recording of at least {_SHORTEST_S} s, got {length_s:.2f} s")
        grid_s = times_s[0] + np.arange(int(length_s * GRID_HZ) + 1) / GRID_HZ
        even = np.stack([np.interp(grid_s, times_s, column) for column in values.T])
        seam = round(_SEAM_S * GRID_HZ)
        ramp = np.linspace(0.0, 1.0, seam, endpoint=False)
        self.gravity = gravity
        self.loop: NDArray[np.float64] = even[:, :-seam].copy()
        self.loop[:, :seam] = ramp * even[:, :seam] + (1 - ramp) * even[:, -seam:]
        self.slow: NDArray[np.float64] = (
            _round_mean(self.loop[:3]) if gravity else np.zeros_like(self.loop[:3])
        )
        mean_g = float(np.median(np.linalg.norm(self.slow, axis=0)))
        if gravity and mean_g < _LEAST_GRAVITY_G:
            raise ValueError(
                f"expected an accelerometer in g with gravity, got {mean_g:.2f} g on average over a second; "
                "give gravity=False if it was taken away"
            )
        self.quick: NDArray[np.float64] = self.loop.copy()
        self.quick[:3] -= self.slow


def _round_mean(loop: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means over a second around each moment of a loop (3, m)."""
    width = min(round(_SLOW_S * GRID_HZ), loop.shape[1] - 1)
    before = width // 2
    padded = np.concatenate([loop[:, -before - 1 :], loop, loop[:, : width - before]], axis=1)
    sums = np.cumsum(padded, axis=1)
    return np.asarray((sums[:, width:] - sums[:, :-width])[:, : loop.shape[1]] / width)
