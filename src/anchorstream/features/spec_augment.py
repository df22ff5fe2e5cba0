"""SpecAugment (Park et al., Interspeech 2019): masks over frames and bands of features, for training alone.

Warping in time is left out: it would move anchors. A mask is filled with the band's mean in the training
data, 0 after normalisation, not with the mean of the stream at hand: that would tell a causal network what is
still to come.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Masks:
    """What is hidden of one stream: a frame of a band, where either mask is true.

    Attributes:
        frames: (T,) bool.
        bands: (bands,) bool.
    """

    frames: NDArray[np.bool_]
    bands: NDArray[np.bool_]


def draw_masks(
    frames: int,
    bands: int,
    rng: np.random.Generator,
    *,
    freq_masks: int,
    freq_mask_width: int,
    time_masks: int,
    time_mask_width: int,
) -> Masks:
    """Draws the masks of one stream: each has a width from 0 to the greatest, and a place; they may overlap.

    Args:
        frames: T, frames of the stream.
        bands: features of a frame.
        rng: where chance comes from.
        freq_masks: masks over bands.
        freq_mask_width: the greatest width of one, in bands.
        time_masks: masks over frames.
        time_mask_width: the greatest width of one, in frames.

    Raises:
        ValueError: if one mask could hide everything.
    """
    return Masks(
        frames=_mask("time_mask_width", frames, "frames", time_masks, time_mask_width, rng),
        bands=_mask("freq_mask_width", bands, "bands", freq_masks, freq_mask_width, rng),
    )


def _mask(
    name: str, size: int, what: str, count: int, greatest: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    mask = np.zeros(size, dtype=np.bool_)
    if count and greatest >= size:
        raise ValueError(f"{name} must be less than the {size} {what} of a stream, got {greatest}")
    for _ in range(count):
        width = int(rng.integers(greatest + 1))
        first = int(rng.integers(size - width + 1))
        mask[first : first + width] = True
    return mask
