"""What the gate of an export feeds a detector with: noise, speech, silence and full scale, and a moving wrist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anchorstream.models.detector import StreamingDetector

_Array = NDArray[np.float32]

# The noise of a microphone at -70 dB, below speech. Without it the upper bands would hold float32 rounding of the loud
# lower ones, which comes out differently in every order of summation.
_MICROPHONE = 3e-4


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """What a detector is fed with: samples (B, N) and, with a motion sensor, its frames (B, T, channels)."""

    pcm: _Array
    motion: _Array | None

    def part(self, first: float, last: float) -> Signals:
        """From share ``first`` of the signals up to share ``last``."""
        cut = [
            None if array is None else array[:, round(first * array.shape[1]) : round(last * array.shape[1])]
            for array in (self.pcm, self.motion)
        ]
        return Signals(cast("_Array", cut[0]), cut[1])

    def tensors(self, like: Tensor) -> tuple[Tensor, Tensor | None]:
        """As tensors of the type of ``like``."""
        motion = None if self.motion is None else torch.from_numpy(self.motion).to(like)
        return torch.from_numpy(self.pcm).to(like), motion


def gate_signals(
    detector: StreamingDetector, batch: int, frames: int, speech: NDArray[np.floating[Any]] | None = None
) -> Signals:
    """Four kinds of sound in a row, in another order for every stream; the wrist turns, and the sensor fails.

    Every stream goes on in the speech where the one before has left it, so that together they hear more of it.

    Args:
        detector: that is to be fed.
        batch: streams.
        frames: hops of the detector.
        speech: (N,) samples of speech in [-1, 1]; ``None`` is the voice that :func:`voice` draws.
    """
    rng = np.random.default_rng(0)
    samples = frames * detector.hop_samples
    rate_hz = detector.frontend.settings.sample_rate_hz
    each = -(-samples // 4)
    noise = 0.1 * rng.standard_normal(each)
    microphone = _MICROPHONE * rng.standard_normal(each)
    full_scale = np.where(rng.random(each) < 0.5, -1.0, 1.0)
    drawn = voice(each, rate_hz)
    rows = []
    for row in range(batch):
        spoken = drawn if speech is None else np.take(speech, row * each + np.arange(each), mode="wrap")
        kinds = [noise, spoken + microphone, np.zeros(each), full_scale]
        order = kinds[row % 4 :] + kinds[: row % 4]
        rows.append(np.concatenate(order)[:samples] * 0.9 ** (row // 4))
    pcm = np.stack(rows).astype(np.float32)
    if not detector.motion:
        return Signals(pcm, None)
    shape = (batch, frames * detector.network.stride, len(detector.motion))
    turning = np.sin(np.linspace(0, 20, shape[1])[:, None] + np.arange(shape[2]))
    motion = (turning + 0.1 * rng.standard_normal(shape)).astype(np.float32)
    motion[:, shape[1] // 2 : shape[1] * 2 // 3] = 0.0
    return Signals(pcm, motion)


def voice(samples: int, rate_hz: int) -> NDArray[np.float64]:
    """Harmonics of a gliding pitch, falling in level, in syllables of a quarter of a second."""
    seconds = np.arange(samples) / rate_hz
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.8 * seconds)) / rate_hz
    harmonics = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 30))
    return 0.2 * np.sin(2 * np.pi * 2 * seconds) ** 2 * harmonics
