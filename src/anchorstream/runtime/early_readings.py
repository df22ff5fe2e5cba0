"""Readings of a motion sensor that came before anybody knows where their stream begins."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anchorstream.features.motion import MotionFrames
from anchorstream.runtime.contract import Contract
from anchorstream.runtime.detector import push_motion

# Of a sensor whose clock stands still, the oldest are lost rather than memory.
_MOST_PACKETS = 60_000


class EarlyReadings:
    """Keeps packets of readings, whose times are counted from anywhere.

    Args:
        contract: of the model that they are for.

    Attributes:
        first_s: the earliest time so far, infinite where there is none.
        last_s: the latest.
    """

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._packets: deque[tuple[NDArray[np.float64], NDArray[np.float64]]] = deque(maxlen=_MOST_PACKETS)
        self.first_s, self.last_s = math.inf, -math.inf

    def __len__(self) -> int:
        return len(self._packets)

    def add(self, times_s: NDArray[np.float64], readings: ArrayLike) -> None:
        """Takes a packet, which the caller may write over.

        Args:
            times_s: (n,) finite; n may be 0.
            readings: (n, channels) or more channels, which are left out.

        Raises:
            ValueError: if the model has no motion sensor, and for other shapes.
        """
        channels = len(self._contract.motion)
        # What is no packet must be said now, and not when the stream begins.
        sensor = MotionFrames(channels, self._contract.motion_hop_s) if channels else None
        push_motion(sensor, times_s * 0, readings)
        if times_s.size:
            self._packets.append((times_s.copy(), np.array(readings, dtype=np.float64)[:, :channels]))
            self.first_s = min(self.first_s, float(times_s.min()))
            self.last_s = max(self.last_s, float(times_s.max()))

    def all(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Times (n,) and readings (n, channels) of all packets, of which there must be one."""
        times_s, readings = zip(*self._packets, strict=True)
        return np.concatenate(times_s), np.concatenate(readings)
