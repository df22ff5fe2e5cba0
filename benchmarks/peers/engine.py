"""What every detector looks like to the benchmark: blocks of samples in, now and then a posterior out.

When a posterior is *known* is not declared by anybody but counted: at the end of the block whose ``push`` returned it.
Whatever an engine waits for, the rest of its window, a stride, a look-ahead, is therefore part of its latency.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000


class NotInstalledError(Exception):
    """An engine that cannot run here; the message is what installs it."""


class Engine(Protocol):
    """A detector of one label on one stream at a time, 16 kHz mono."""

    block_samples: int

    def reset(self) -> None:
        """Begins a new stream."""

    def push(self, pcm: NDArray[np.int16]) -> float | None:
        """Takes the next block and returns the posterior that it completed, ``None`` if it completed none.

        Args:
            pcm: (block_samples,).
        """


@dataclass(frozen=True)
class System:
    """An engine and what is to be said of it.

    Attributes:
        name: what the table calls it.
        engine: the detector.
        version: of its package, or of what wrote the file.
        post_processing: what happens to its posteriors before they are compared with a threshold.
        smoothing_s: the moving average of the decoder; ``None`` for that of the task, 0 where the engine has its own.
        threshold: the one that it comes with; ``None`` where it has none.
        parameters: numbers that were learnt, where that is known.
        model_bytes: size of its model files, or of the library that holds its model; ``None`` where there is no model.
        ours: whether it was trained with this project.
    """

    name: str
    engine: Engine
    version: str
    post_processing: str
    smoothing_s: float | None = None
    threshold: float | None = None
    parameters: int | None = None
    model_bytes: int | None = None
    ours: bool = False


@dataclass(frozen=True, eq=False)
class Fed:
    """What an engine made of one stream.

    Attributes:
        posteriors: (T,) in [0, 1].
        hop_s: seconds from one posterior to the next.
        delay_s: posterior t is known at ``t * hop_s + delay_s``.
        cpu_s: processor time of this process, the calls from Python included.
    """

    posteriors: NDArray[np.float64]
    hop_s: float
    delay_s: float
    cpu_s: float


def as_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """The samples that every engine gets, (N,), from floats in [-1, 1]."""
    return np.clip(np.round(samples * 32768.0), -32768, 32767).astype(np.int16)


def feed(engine: Engine, pcm: NDArray[np.int16]) -> Fed:
    """Runs ``engine`` over one stream; samples beyond the last whole block are left out.

    Args:
        engine: is reset first, which is not timed.
        pcm: (N,).

    Raises:
        ValueError: if posteriors do not come at a constant rate, or fewer than two came.
    """
    engine.reset()
    block = engine.block_samples
    values: list[float] = []
    blocks: list[int] = []
    start_s = time.process_time()
    for number in range(len(pcm) // block):
        value = engine.push(pcm[number * block : (number + 1) * block])
        if value is not None:
            values.append(value)
            blocks.append(number + 1)
    cpu_s = time.process_time() - start_s
    steps = np.unique(np.diff(blocks))
    if len(steps) != 1:
        raise ValueError(
            f"{type(engine).__name__} gave {len(values)} posteriors in {len(pcm) / SAMPLE_RATE_HZ:g} s, "
            f"{steps.tolist()} blocks apart; expected two or more, the same number of blocks apart"
        )
    return Fed(
        posteriors=np.clip(np.array(values, dtype=np.float64), 0.0, 1.0),
        hop_s=int(steps[0]) * block / SAMPLE_RATE_HZ,
        delay_s=blocks[0] * block / SAMPLE_RATE_HZ,
        cpu_s=cpu_s,
    )
