"""Augmentation of training streams: the settings, and what is done to the samples of a whole stream."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anchorstream.data.mix_settings import Range

# Slower or faster than this is another sound, not another speaker.
_SPEED_LIMITS = (0.5, 2.0)
_MU = 255
# Seven bits and a sign.
_STEPS = 127


@dataclass(frozen=True, slots=True)
class AugmentSettings:
    """What is done to training streams beyond mixing; by default nothing. Streams that are scored never pass here.

    A pair is the least and the greatest value of a uniform draw.

    Attributes:
        speed: speed perturbation: each utterance is resampled to this many times its speed, and its pitch.
        noise_speed: the same for each piece of the noise: a bark is a larger dog's or a smaller one's.
        coloured_noise_share: share of the pieces of noise that are coloured noise, from white to brown.
        clipping_probability: share of the streams that are clipped.
        clipping_db: where: relative to the stream's peak, which is then what it was before.
        mu_law_probability: share of the streams that pass through 8-bit mu-law companding.
        freq_masks: SpecAugment: masks over bands in each stream.
        freq_mask_width: the greatest width of one, in bands.
        time_masks: SpecAugment: masks over frames in each stream.
        time_mask_width: the greatest width of one, in frames.

    Raises:
        ValueError: if a value lies outside its range; the message lists all that do.
    """

    speed: Range = (1.0, 1.0)
    noise_speed: Range = (1.0, 1.0)
    coloured_noise_share: float = 0.0
    clipping_probability: float = 0.0
    clipping_db: Range = (-12.0, -3.0)
    mu_law_probability: float = 0.0
    freq_masks: int = 0
    freq_mask_width: int = 8
    time_masks: int = 0
    time_mask_width: int = 20

    def __post_init__(self) -> None:
        problems = []
        for name in ("speed", "noise_speed", "clipping_db"):
            least, greatest = getattr(self, name)
            if not (math.isfinite(least) and math.isfinite(greatest) and least <= greatest):
                problems.append(
                    f"{name} must be two finite numbers, the lower one first, got {(least, greatest)}"
                )
        for name in ("speed", "noise_speed"):
            slowest, fastest = getattr(self, name)
            if not _SPEED_LIMITS[0] <= slowest <= fastest <= _SPEED_LIMITS[1]:
                problems.append(f"{name} must lie in {list(_SPEED_LIMITS)}, got {(slowest, fastest)}")
        if self.clipping_db[1] > 0:
            problems.append(
                f"clipping_db above 0 lies over the peak and clips nothing, got {self.clipping_db}"
            )
        for name in ("coloured_noise_share", "clipping_probability", "mu_law_probability"):
            if not 0 <= getattr(self, name) <= 1:
                problems.append(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        for name in ("freq_masks", "time_masks"):
            if getattr(self, name) < 0:
                problems.append(f"{name} must be at least 0, got {getattr(self, name)}")
        for name in ("freq_mask_width", "time_mask_width"):
            if getattr(self, name) < 1:
                problems.append(f"{name} must be at least 1, got {getattr(self, name)}")
        if problems:
            raise ValueError("; ".join(problems))

    @property
    def has_masks(self) -> bool:
        """Whether features are masked."""
        return self.freq_masks > 0 or self.time_masks > 0


def distort(
    samples: NDArray[np.float32], settings: AugmentSettings, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Clips and compands a stream, each with its probability; no sample moves.

    Args:
        samples: (N,) float32 in [-1, 1]; not changed.
        settings: how often, and how much.
        rng: where chance comes from.

    Returns:
        (N,) float32 with about the same peak.
    """
    # All are drawn every time, so that switching one on leaves the draws of the other as they were.
    clips, compands = rng.random(2) < (settings.clipping_probability, settings.mu_law_probability)
    level_db = rng.uniform(*settings.clipping_db)
    if clips:
        level = np.float32(10 ** (level_db / 20))
        peak = max(float(samples.max()), -float(samples.min()))
        samples = np.clip(samples, -level * peak, level * peak) / level
    return mu_law(samples) if compands else samples


def mu_law(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """What 8-bit mu-law companding (after ITU-T G.711) leaves of a signal.

    ``F(x) = sgn(x) ln(1 + 255 |x|) / ln 256`` is rounded to a sign and seven bits and undone: fine steps for
    faint sounds, coarse ones for loud sounds. The band of a telephone is not imitated.

    Args:
        samples: (N,) float32; beyond [-1, 1] they are clipped.

    Example:
        >>> mu_law(np.array([0.0, 0.5, -1.0], dtype=np.float32)).round(3).tolist()
        [0.0, 0.497, -1.0]
    """
    magnitude = np.minimum(np.abs(samples), np.float32(1))
    code = np.rint(np.log1p(_MU * magnitude) * np.float32(_STEPS / math.log1p(_MU)))
    return np.asarray(np.copysign(_EXPANDED[code.astype(np.int16)], samples))


_EXPANDED = (np.expm1(np.arange(_STEPS + 1) / _STEPS * math.log1p(_MU)) / _MU).astype(np.float32)
