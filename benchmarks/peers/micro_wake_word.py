"""microWakeWord's ``alexa`` (pymicro-wakeword): a quantised MixedNet in TensorFlow Lite, made for microcontrollers."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import NotInstalledError, System


class MicroWakeWordEngine:
    """Features every 10 ms, a posterior for each ``stride`` of them.

    Args:
        features: ``MicroWakeWordFeatures``.
        model: ``MicroWakeWord``.
    """

    block_samples = 160

    def __init__(self, features: Any, model: Any) -> None:  # noqa: ANN401 - a class of the peer's package
        self._features, self._model = features, model
        self._count = 0

    def reset(self) -> None:
        self._features.reset()
        self._model.reset()
        self._count = 0

    def push(self, pcm: NDArray[np.int16]) -> float | None:
        newest = None
        for features in self._features.process_streaming(pcm.tobytes()):
            posterior = self._model.process_streaming_prob(features)
            self._count += 1
            # In between it returns 0, which stands for nothing.
            if self._count % self._model.stride == 0:
                newest = posterior
        return newest


def load() -> System:
    """The model that comes with the package.

    Raises:
        NotInstalledError: if the package is not there.
    """
    try:
        import pymicro_wakeword as package
    except ImportError as error:
        raise NotInstalledError("pip install pymicro-wakeword") from error
    model = package.MicroWakeWord.from_builtin(package.Model.ALEXA)
    settings = json.loads(Path(model.tflite_model).with_suffix(".json").read_text(encoding="utf-8"))["micro"]
    return System(
        name="microWakeWord",
        engine=MicroWakeWordEngine(package.MicroWakeWordFeatures(), model),
        version=f"pymicro-wakeword {version('pymicro-wakeword')}",
        post_processing=f"its own: the mean of the last {settings['sliding_window_size']} posteriors",
        smoothing_s=0.0,
        threshold=settings["probability_cutoff"],
        model_bytes=Path(model.tflite_model).stat().st_size,
    )
