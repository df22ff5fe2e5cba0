"""Gaussian noise of a band of frequencies, for what is not a gesture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Lengths of the transform are multiples of this, so that it is a fast one.
_BLOCK = 256


def band_noise(
    rows: int, count: int, band_hz: tuple[float, float], step_s: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Noise (rows, count) with an RMS of 1 on average whose power lies evenly in a band, both ends included.

    Args:
        rows: unrelated signals.
        count: moments of each.
        band_hz: the band; at least one line of the spectrum is in it.
        step_s: between moments.
        rng: where chance comes from.
    """
    length = -(-count // _BLOCK) * _BLOCK
    low, high = (max(1, round(edge * length * step_s)) for edge in band_hz)
    lines = max(high - low + 1, 1)
    spectrum = np.zeros((rows, length // 2 + 1), dtype=np.complex128)
    spectrum[:, low : low + lines] = rng.standard_normal((rows, lines, 2)) @ np.array([1.0, 1.0j])
    return np.asarray(np.fft.irfft(spectrum, length, axis=1)[:, :count] * (length / (2 * np.sqrt(lines))))
