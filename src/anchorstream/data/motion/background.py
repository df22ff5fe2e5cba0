"""What the arm and the trunk do besides gestures: keep still, work at a desk, walk, drive."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anchorstream.data.motion.noise import band_noise
from anchorstream.data.motion.settings import MotionSettings
from anchorstream.data.motion.wearer import Wearer

# Of what the arm does besides, this share is left while it makes a gesture.
_LEFT_IN_GESTURE = 0.25
_DEGREE = np.pi / 180
_TREMOR_HZ = (8.0, 12.0)
_SWAY_HZ = (0.2, 1.0)

#: Simulated backgrounds, and the postures in which the arm may rest in them.
BACKGROUNDS = {
    "still": ("hanging", "lap", "desk"),
    "walk": ("hanging",),
    "desk": ("desk",),
    "drive": ("wheel",),
}


@dataclass(frozen=True, slots=True, eq=False)
class Unrest:
    """Attributes: ``joints`` (5, n) in rad, added to the path; ``trunk_m_s2`` (3, n), in the world."""

    joints: NDArray[np.float64]
    trunk_m_s2: NDArray[np.float64]


def draw_background(settings: MotionSettings, rng: np.random.Generator) -> tuple[str, str]:
    """Name of a background, and of a posture that goes with it."""
    shares = np.cumsum([settings.walk_share, settings.desk_share, settings.drive_share])
    name = ("walk", "desk", "drive", "still")[int(np.searchsorted(shares, rng.random(), side="right"))]
    postures = BACKGROUNDS[name]
    return name, postures[rng.integers(len(postures))]


def unrest(
    name: str, wearer: Wearer, gate: NDArray[np.float64], step_s: float, rng: np.random.Generator
) -> Unrest:
    """Draws what happens besides gestures.

    Args:
        name: one of ``BACKGROUNDS``.
        wearer: whose arm it is.
        gate: (n,) from 0 where the arm rests to 1 where it is in a gesture: it then swings less, and trembles and
            sways more, because muscles hold it.
        step_s: between moments.
        rng: where chance comes from.
    """
    count = len(gate)
    joints, trunk_m_s2 = np.zeros((5, count)), np.zeros((3, count))
    if name == "walk":
        _walk(joints, trunk_m_s2, step_s, rng)
    elif name == "desk":
        bursts = np.clip(band_noise(1, count, (0.05, 0.5), step_s, rng), 0.0, None)
        size = np.array([0.5, 0.3, 1.5, 1.5, 2.5]) * rng.uniform(0.3, 1.2) * _DEGREE
        joints += size[:, None] * bursts * band_noise(5, count, (0.5, 3.0), step_s, rng)
    elif name == "drive":
        size = np.array([1.5, 0.7, 1.0, 1.0, 1.0]) * rng.uniform(0.3, 1.5) * _DEGREE
        joints += size[:, None] * band_noise(5, count, (0.1, 1.0), step_s, rng)
        size = np.array([0.4, 0.5, 1.0]) * rng.uniform(0.1, 0.8)
        trunk_m_s2 += size[:, None] * band_noise(3, count, (1.0, 20.0), step_s, rng)
    joints *= 1 - (1 - _LEFT_IN_GESTURE) * gate
    sway = rng.uniform(0.3, 1.2) * _DEGREE * (0.2 + 0.8 * gate)
    joints += sway * band_noise(5, count, _SWAY_HZ, step_s, rng)
    rate_rad_s = 2 * np.pi * np.mean(_TREMOR_HZ)
    tremor = wearer.tremor_m_s2 / (wearer.sensor_m * rate_rad_s**2) * (0.3 + 0.7 * gate)
    joints[[0, 3]] += tremor * band_noise(2, count, _TREMOR_HZ, step_s, rng) / np.sqrt(2)
    return Unrest(joints, trunk_m_s2)


def _walk(
    joints: NDArray[np.float64],
    trunk_m_s2: NDArray[np.float64],
    step_s: float,
    rng: np.random.Generator,
) -> None:
    """Adds walking: arms swing once in two steps, the trunk bounces once a step, heels strike."""
    count = joints.shape[1]
    cadence_hz = rng.uniform(1.6, 2.2)
    # Steps are not of equal length: the phase wanders.
    stride = np.pi * cadence_hz * step_s * np.arange(count) + rng.uniform(0, 2 * np.pi)
    stride += rng.uniform(0.05, 0.25) * band_noise(1, count, (0.1, 0.6), step_s, rng)[0]
    swing = np.sin(stride)
    lagging = np.sin(stride - rng.uniform(0.2, 0.8))
    joints[0] += rng.uniform(6.0, 20.0) * _DEGREE * swing
    joints[3] += rng.uniform(3.0, 10.0) * _DEGREE * (lagging + 0.2 * np.cos(2 * stride))
    joints[4] += rng.uniform(0.0, 5.0) * _DEGREE * lagging
    joints[1] += rng.uniform(0.0, 2.0) * _DEGREE * np.sin(2 * stride)
    up, forward, sideways = rng.uniform((1.2, 0.4, 0.3), (3.0, 1.2, 0.8))
    bounce = np.cos(2 * stride)
    trunk_m_s2[0] += forward * np.sin(2 * stride)
    trunk_m_s2[1] += sideways * swing
    trunk_m_s2[2] += up * (bounce + 0.3 * (2 * bounce**2 - 1))
    # A heel strikes at the lowest point of the trunk, where it is accelerated upwards most.
    steps = np.flatnonzero(np.diff(np.floor(stride / np.pi)) > 0)
    after_s = step_s * np.arange(round(0.15 / step_s))
    ring = np.exp(-after_s / rng.uniform(0.02, 0.04)) * np.sin(2 * np.pi * rng.uniform(12.0, 25.0) * after_s)
    strength = rng.uniform(0.5, 4.0) * np.exp(0.25 * rng.standard_normal(len(steps)))
    for at, one in zip(steps, strength, strict=True):
        trunk_m_s2[2, at : at + len(ring)] += one * ring[: count - at]
