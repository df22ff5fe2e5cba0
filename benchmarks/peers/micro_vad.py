"""microVAD (pymicro-vad): a small convolutional network from microWakeWord's workshop."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import NotInstalledError, System


class MicroVadEngine:
    """A posterior every 10 ms, but none until its window of 0.76 s is full for the first time.

    Args:
        new: makes a ``MicroVad``; its ``reset`` leaves the noise estimate as it is.
    """

    block_samples = 160

    def __init__(self, new: Callable[[], Any]) -> None:
        self._new = new
        self.reset()

    def reset(self) -> None:
        self._vad = self._new()

    def push(self, pcm: NDArray[np.int16]) -> float | None:
        posterior = self._vad.process_10ms(pcm.tobytes())
        return None if posterior < 0 else float(posterior)


def load() -> System:
    """The model that comes with the package.

    Raises:
        NotInstalledError: if the package is not there.
    """
    try:
        import pymicro_vad as package
    except ImportError as error:
        raise NotInstalledError("pip install pymicro-vad") from error
    return System(
        name="microVAD",
        engine=MicroVadEngine(package.MicroVad),
        version=f"pymicro-vad {version('pymicro-vad')}",
        post_processing="none of its own; silent for the first 0.77 s of a stream",
        threshold=0.5,
    )
