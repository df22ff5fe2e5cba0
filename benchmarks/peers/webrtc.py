"""WebRTC's VAD (webrtcvad-wheels): Gaussian mixtures on six bands, four modes, yes or no every 10 ms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import SAMPLE_RATE_HZ, NotInstalledError, System

#: From the one that finds speech most easily to the one that does least.
MODES = (0, 1, 2, 3)


class WebRtcEngine:
    """The share of the four modes that say speech: a mode is to this detector what a threshold is to others.

    Args:
        new: makes a ``Vad`` of the given mode; it cannot be reset.
        modes: which.
    """

    block_samples = 160

    def __init__(self, new: Callable[[int], Any], modes: Sequence[int] = MODES) -> None:
        self._new, self._modes = new, tuple(modes)
        self.reset()

    def reset(self) -> None:
        self._vads = [self._new(mode) for mode in self._modes]

    def push(self, pcm: NDArray[np.int16]) -> float | None:
        block = pcm.tobytes()
        return sum(vad.is_speech(block, SAMPLE_RATE_HZ) for vad in self._vads) / len(self._vads)


def load() -> System:
    """All four modes side by side.

    Raises:
        NotInstalledError: if the package is not there.
    """
    try:
        import webrtcvad as package
    except ImportError as error:
        raise NotInstalledError("pip install webrtcvad-wheels") from error
    return System(
        name="WebRTC VAD",
        engine=WebRtcEngine(package.Vad),
        version=f"webrtcvad-wheels {version('webrtcvad-wheels')}",
        post_processing="the share of its four modes that say speech; CPU time is that of all four",
        # Its strictest mode, without a break for as long as the decoder smooths.
        threshold=1.0,
    )
