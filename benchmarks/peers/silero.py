"""Silero VAD (silero-vad): its ONNX file, run without its package, which wants torch."""

from __future__ import annotations

import importlib.util
import json
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import SAMPLE_RATE_HZ, NotInstalledError, System

_CONTEXT_SAMPLES = 64


class SileroEngine:
    """A posterior for each block of 32 ms, which the network sees behind the last 4 ms of the block before.

    Args:
        session: the ``InferenceSession`` of the model.
    """

    block_samples = 512

    def __init__(self, session: Any) -> None:  # noqa: ANN401 - onnxruntime has no types
        self._session = session
        self._rate = np.array(SAMPLE_RATE_HZ, dtype=np.int64)
        self.reset()

    def reset(self) -> None:
        self._state = np.zeros((2, 1, 128), dtype=np.float32)
        self._context = np.zeros((1, _CONTEXT_SAMPLES), dtype=np.float32)

    def push(self, pcm: NDArray[np.int16]) -> float | None:
        block = pcm[None].astype(np.float32) / np.float32(32768)
        samples = np.concatenate([self._context, block], axis=1)
        posterior, self._state = self._session.run(
            None, {"input": samples, "state": self._state, "sr": self._rate}
        )
        self._context = samples[:, -_CONTEXT_SAMPLES:]
        return float(posterior[0, 0])


def load() -> System:
    """The ONNX file that the package's ``load_silero_vad(onnx=True)`` takes, with one thread.

    Raises:
        NotInstalledError: if the package is not there.
    """
    import onnxruntime

    spec = importlib.util.find_spec("silero_vad")
    if spec is None or not spec.submodule_search_locations:
        raise NotInstalledError("pip install --no-deps silero-vad")
    folder = Path(next(iter(spec.submodule_search_locations))) / "data"
    path = folder / "silero_vad.onnx"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return System(
        name="Silero VAD",
        engine=SileroEngine(session),
        version=f"silero-vad {version('silero-vad')}",
        post_processing="none of its own; its VADIterator releases at 0.35 when it fires at 0.5",
        threshold=0.5,
        parameters=_parameters(folder / "silero_vad_16k.safetensors"),
        model_bytes=path.stat().st_size,
    )


def _parameters(path: Path) -> int | None:
    """How many numbers a safetensors file holds; the ONNX file has those for 8 kHz as well."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
