"""The one place where seconds become frames and frames become seconds.

Frame ``t`` of a stream is *known* at ``t * hop_s + delay_s``: the moment at which its last sample has arrived and a
detector may act on it. For a causal front end ``delay_s`` equals one hop; look-ahead and strides add to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Times are sums and products of decimal fractions; this much of a frame is rounding, not time.
ROUNDING_FRAMES = 1e-6

#: The target of a frame at which no answer is asked for: it counts in no loss and in no score of frames. It is the
#: ``ignore_index`` of PyTorch's losses and of ours.
IGNORED = -100


@dataclass(frozen=True, slots=True)
class FrameClock:
    """Converts between times in seconds and frame indices.

    Args:
        hop_s: seconds from one frame to the next, positive.
        delay_s: seconds from the start of a frame's hop until the frame is known; ``None`` means one hop (causal,
            without look-ahead).

    Raises:
        ValueError: if ``hop_s`` is not positive or ``delay_s`` is negative.

    Example:
        >>> clock = FrameClock(hop_s=0.01)
        >>> clock.frame_at(0.25), clock.time_of(24)
        (24, 0.25)
    """

    hop_s: float
    delay_s: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.hop_s) and self.hop_s > 0):
            raise ValueError(f"hop_s must be a positive number of seconds, got {self.hop_s}")
        if self.delay_s is None:
            object.__setattr__(self, "delay_s", self.hop_s)
        elif not (math.isfinite(self.delay_s) and self.delay_s >= 0):
            raise ValueError(f"delay_s must be at least 0 seconds, got {self.delay_s}")

    @property
    def _delay_s(self) -> float:
        return self.hop_s if self.delay_s is None else self.delay_s

    def time_of(self, frame: int) -> float:
        """The time in seconds at which ``frame`` is known."""
        return round(frame * self.hop_s + self._delay_s, 9)

    def times_of(self, frames: NDArray[np.integer]) -> NDArray[np.float64]:
        """(N,) the times at which (N,) frames are known, each that of :meth:`time_of`."""
        return np.round(frames * self.hop_s + self._delay_s, 9)

    def frame_at(self, time_s: float) -> int:
        """The first frame (from 0 on) that is known at ``time_s`` or later."""
        return max(0, math.ceil((time_s - self._delay_s) / self.hop_s - ROUNDING_FRAMES))
