"""The pieces that streams are made of: clips before mixing, segments and streams after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from anchorstream.data.motion.simulate import SimulatedMotion

Split = Literal["train", "dev", "test"]
Kind = Literal["keyword", "speech", "digit", "noise"]

SPLITS: tuple[Split, ...] = get_args(Split)
KINDS: tuple[Kind, ...] = get_args(Kind)

#: Every clip and stream is mono at this rate.
SAMPLE_RATE_HZ = 16_000


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """One recording in memory, mono at ``SAMPLE_RATE_HZ``.

    Attributes:
        id: where it comes from: a path, or a name for synthetic speech. Unique within a corpus.
        samples: (N,) float32 in [-1, 1].
        kind: keyword, speech, digit or noise.
        label: the keyword, the digit, the class of noise.
        split: train, dev or test.
        speaker: the speaker, where known; never in more than one split.
        start_s: first moment of speech within the clip, ``None`` for noise.
        end_s: last moment of speech within the clip, ``None`` for noise.
        doubts: why its boundaries or its recording are doubtful; empty where they are not.
    """

    id: str
    samples: NDArray[np.float32]
    kind: Kind
    label: str
    split: Split
    speaker: str | None = None
    start_s: float | None = None
    end_s: float | None = None
    doubts: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class Segment:
    """A clip's speech, where it stands in a stream. Times are seconds from the start of the stream."""

    clip_id: str
    kind: Kind
    label: str
    speaker: str | None
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """A mixed stream: (N,) float32 at ``SAMPLE_RATE_HZ``, and its segments of speech in order of time.

    ``motion`` is what a sensor on the wrist gives at the same time, where a task has one.
    """

    samples: NDArray[np.float32]
    segments: tuple[Segment, ...]
    snr_db: float
    name: str = ""
    motion: SimulatedMotion | None = None

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE_HZ
