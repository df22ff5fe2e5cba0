"""What a detector is fed with from a labelled stream."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anchorstream.data.clip import Stream
from anchorstream.data.motion import AXES_ACCELEROMETER, AXES_GYROSCOPE, SimulatedMotion
from anchorstream.features.logmel import LogMelSettings
from anchorstream.features.motion import motion_frames

_AXES = AXES_ACCELEROMETER + AXES_GYROSCOPE


def motion_of(stream: Stream, channels: Sequence[str], settings: LogMelSettings) -> Tensor | None:
    """The frames of motion of a stream, (T, channels) float32; ``None`` without a motion sensor.

    Args:
        stream: with motion, or without where the sensor is off.
        channels: those of the detector.
        settings: of the front end, whose frames they are.
    """
    if not channels:
        return None
    frames = len(stream.samples) // settings.hop_samples
    if stream.motion is None:
        return torch.zeros(frames, len(channels))
    hop_s = settings.hop_samples / settings.sample_rate_hz
    readings = readings_of(stream.motion, channels)
    return torch.from_numpy(motion_frames(stream.motion.times_s, readings, hop_s, frames))


def readings_of(motion: SimulatedMotion, channels: Sequence[str]) -> NDArray[np.float32]:
    """The readings (n, channels) of some of the channels."""
    return motion.readings[:, [_AXES.index(channel) for channel in channels]]
