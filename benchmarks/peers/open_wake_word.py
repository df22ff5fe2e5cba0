"""openWakeWord's ``alexa`` (pyopen-wakeword): a small network on a large frozen speech embedding, TensorFlow Lite."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import NotInstalledError, System


class OpenWakeWordEngine:
    """A posterior every 80 ms, from blocks of 10 ms as the package's page has them.

    With blocks of 80 ms the package's buffer lags 50 ms behind, because of how it fills it up at the start.

    Args:
        features: ``OpenWakeWordFeatures``.
        model: ``OpenWakeWord``.
    """

    block_samples = 160

    def __init__(self, features: Any, model: Any) -> None:  # noqa: ANN401 - a class of the peer's package
        self._features, self._model = features, model
        self._first = True

    def reset(self) -> None:
        self._features.reset()
        self._model.reset()
        self._first = True

    def push(self, pcm: NDArray[np.int16]) -> float | None:
        newest = None
        for embedding in self._features.process_streaming(pcm.tobytes()):
            for posterior in self._model.process_streaming(embedding):
                newest = posterior
        if self._first:
            # Of the 8 s of silence that the package puts before every stream.
            self._first, newest = False, None
        return newest


def load() -> System:
    """The models that come with the package.

    Raises:
        NotInstalledError: if the package is not there.
    """
    try:
        import pyopen_wakeword as package
    except ImportError as error:
        raise NotInstalledError("pip install pyopen-wakeword") from error
    model = package.OpenWakeWord.from_builtin(package.Model.ALEXA)
    features = package.OpenWakeWordFeatures.from_builtin()
    files = (model.tflite_model, features.mel_path, features.emb_path)
    return System(
        name="openWakeWord",
        engine=OpenWakeWordEngine(features, model),
        version=f"pyopen-wakeword {version('pyopen-wakeword')}",
        post_processing="none of its own",
        threshold=0.5,
        model_bytes=sum(Path(file).stat().st_size for file in files),
    )
