"""A sensor on the wrist of whoever speaks in a stream."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from anchorstream.data.clip import Stream
from anchorstream.data.motion.recording import MotionBackground
from anchorstream.data.motion.settings import MotionSettings
from anchorstream.data.motion.simulate import simulate_motion

#: What a detector perceives with.
Modality = Literal["audio", "motion"]

#: Adds to a stream what mixing sound cannot know of.
Accompaniment = Callable[[Stream, np.random.Generator], Stream]


@dataclass(frozen=True, slots=True, eq=False)
class WornSensor:
    """Adds the simulated motion of a wrist to a stream, whose speech its gestures follow.

    Args:
        settings: how motion is made.
        backgrounds: recordings of wrists to simulate over.
        absent: modalities that are always missing: a microphone that is muted, a sensor that is off.
        dropout: share of the streams in which one of the others is missing.
    """

    settings: MotionSettings
    backgrounds: Sequence[MotionBackground] = ()
    absent: Collection[Modality] = ()
    dropout: float = 0.0

    def __call__(self, stream: Stream, rng: np.random.Generator) -> Stream:
        """The stream with its motion."""
        motion = simulate_motion(
            speech_of(stream), stream.duration_s, self.settings, rng, backgrounds=self.backgrounds
        )
        stream = replace(stream, motion=motion)
        present: list[Modality] = [item for item in ("audio", "motion") if item not in self.absent]
        absent = set(self.absent)
        if rng.random() < self.dropout:
            absent.add(present[int(rng.integers(len(present)))])
        return without(stream, absent)


def without(stream: Stream, modalities: Collection[Modality]) -> Stream:
    """The stream as a detector perceives it whose microphone is muted, or whose sensor is off; events stay."""
    if "audio" in modalities:
        stream = replace(stream, samples=np.zeros_like(stream.samples))
    if "motion" in modalities and stream.motion is not None:
        silent = replace(
            stream.motion, times_s=stream.motion.times_s[:0], readings=stream.motion.readings[:0]
        )
        stream = replace(stream, motion=silent)
    return stream


def speech_of(stream: Stream) -> list[tuple[float, float]]:
    """(start_s, end_s) of the utterances of a stream, in order of time; those that touch or overlap are one."""
    spoken: list[tuple[float, float]] = []
    for segment in sorted(stream.segments, key=lambda segment: segment.start_s):
        if segment.kind == "noise":
            continue
        if spoken and segment.start_s <= spoken[-1][1]:
            spoken[-1] = (spoken[-1][0], max(spoken[-1][1], segment.end_s))
        else:
            spoken.append((segment.start_s, segment.end_s))
    return spoken
