"""TEN VAD (ten-vad): a closed library with its model inside."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import NotInstalledError, System


class TenEngine:
    """A posterior for each block of 16 ms, the package's default.

    With blocks of 10 ms it repeats posteriors: it computes one in 16 ms all the same.

    Args:
        new: makes a ``TenVad`` for blocks of the given number of samples; it cannot be reset.
    """

    block_samples = 256

    def __init__(self, new: Callable[[int], Any]) -> None:
        self._new = new
        self.reset()

    def reset(self) -> None:
        self._vad = self._new(self.block_samples)

    def push(self, pcm: NDArray[np.int16]) -> float | None:
        posterior, _ = self._vad.process(pcm)
        return float(posterior)


def load() -> System:
    """The library that comes with the package.

    Raises:
        NotInstalledError: if the package, or the C++ library that it needs, is not there, or is for another machine.
    """
    try:
        import ten_vad as package
    except ImportError as error:
        raise NotInstalledError("pip install ten-vad") from error
    library = Path(package.__file__).parent / "lib" / "Linux" / "x64" / "libten_vad.so"
    if sys.platform == "linux":
        # The package would load it as well, and complain twice.
        try:
            ctypes.CDLL(str(library))
        except OSError as error:
            raise NotInstalledError(f"apt-get install libc++1 ({error})") from error
    return System(
        name="TEN VAD",
        engine=TenEngine(package.TenVad),
        version=f"ten-vad {version('ten-vad')}",
        post_processing="none of its own",
        threshold=0.5,
        model_bytes=library.stat().st_size,
    )
