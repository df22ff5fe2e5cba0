"""What the log-mel features are: settings and constants, in numpy.

Frame ``t`` covers the ``window_samples`` samples that end with hop ``t``; samples before the start of the
signal are zero::

    X_t[k] = sum_n w[n] x[(t + 1) hop - window + n] exp(-2 pi i k n / window)      w: Hann window
    m_t[b] = log(max(sum_k M[k, b] |X_t[k]|^2, floor))                             M: mel filterbank

The window is centred on the half sample, ``w[n] = (1 - cos(2 pi (n + 1/2) / window)) / 2``. Being one whole period of
a cosine, it lets a constant offset of the signal reach the bins 0 and 1 alone, which no band uses as long as ``low_hz``
is at least ``sample_rate_hz / window_samples``: 40 Hz by default.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anchorstream.frames import FrameClock


@dataclass(frozen=True, slots=True)
class LogMelSettings:
    """The settings of the log-mel features.

    Args:
        sample_rate_hz: rate of the signal.
        hop_samples: from one frame to the next.
        window_samples: length of the Hann window and of the transform; even, at least one hop.
        bands: number of mel bands.
        low_hz: lower edge of the lowest band.
        high_hz: upper edge of the highest band.
        floor: smallest mel power before the logarithm. The default lies 100 dB below a full-scale sine: above
            what 16-bit rounding and float32 arithmetic leave in an empty band, below the noise of any room.

    Raises:
        ValueError: if a value lies outside its range, or a band would hold no bin of the transform.
        TypeError: if a value is not a number.

    Example:
        >>> LogMelSettings(bands=20).to_dict()["bands"]
        20
    """

    sample_rate_hz: int = 16_000
    hop_samples: int = 160
    window_samples: int = 400
    bands: int = 40
    low_hz: float = 60.0
    high_hz: float = 7600.0
    floor: float = 1e-6

    def __post_init__(self) -> None:
        for name in ("sample_rate_hz", "hop_samples", "window_samples", "bands"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} must be a whole number, got {value!r}")
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        for name in ("low_hz", "high_hz", "floor"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"{name} must be a number, got {value!r}")
            object.__setattr__(self, name, float(value))
        if self.window_samples % 2 or self.window_samples < self.hop_samples:
            raise ValueError(
                "window_samples must be even and at least hop_samples, "
                f"got window_samples={self.window_samples} with hop_samples={self.hop_samples}"
            )
        if not 0 <= self.low_hz < self.high_hz <= self.sample_rate_hz / 2:
            raise ValueError(
                f"the bands need 0 <= low_hz < high_hz <= {self.sample_rate_hz / 2} (half the sample rate), "
                f"got low_hz={self.low_hz}, high_hz={self.high_hz}"
            )
        if not (math.isfinite(self.floor) and self.floor > 0):
            raise ValueError(f"floor must be a positive power, got {self.floor}")
        empty = np.flatnonzero(mel_filterbank(self).sum(axis=0) == 0)
        if len(empty):
            raise ValueError(
                f"{self.bands} bands are too many for a window of {self.window_samples} samples: no bin of "
                f"the transform falls into band {', '.join(map(str, empty))}; take fewer or a longer window"
            )

    @property
    def clock(self) -> FrameClock:
        """When the frames are known: one hop after the start of their hop, without look-ahead."""
        return FrameClock(hop_s=self.hop_samples / self.sample_rate_hz)

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON-ready values; ``from_dict`` takes them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LogMelSettings:
        """Settings from a mapping; a key that is left out has its default.

        Raises:
            ValueError: if a key is unknown or a value lies outside its range.
            TypeError: if a value is not a number.
        """
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(f"unknown feature settings {unknown}; known are {known}")
        return cls(**values)


def hann_window(settings: LogMelSettings) -> NDArray[np.float64]:
    """The Hann window centred on the half sample, (window_samples,)."""
    n = np.arange(settings.window_samples) + 0.5
    return 0.5 - 0.5 * np.cos(2 * np.pi * n / settings.window_samples)


def hz_to_mel(frequency_hz: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """The HTK mel scale, ``2595 log10(1 + f / 700)``."""
    return 2595.0 * np.log10(1.0 + np.asarray(frequency_hz, dtype=np.float64) / 700.0)


def mel_to_hz(mel: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """The inverse of :func:`hz_to_mel`."""
    return 700.0 * (10.0 ** (np.asarray(mel, dtype=np.float64) / 2595.0) - 1.0)


def mel_filterbank(settings: LogMelSettings) -> NDArray[np.float64]:
    """The mel filterbank, (window_samples // 2 + 1, bands).

    Triangles of peak 1 in Hz whose corners are equally spaced on the HTK mel scale; no normalisation by area,
    since every band is normalised by its own statistics later.
    """
    corners_hz = mel_to_hz(
        np.linspace(hz_to_mel(settings.low_hz), hz_to_mel(settings.high_hz), settings.bands + 2)
    )
    left, centre, right = corners_hz[:-2], corners_hz[1:-1], corners_hz[2:]
    bins = np.arange(settings.window_samples // 2 + 1)[:, None]
    bins_hz = bins * settings.sample_rate_hz / settings.window_samples
    return np.clip(
        np.minimum((bins_hz - left) / (centre - left), (right - bins_hz) / (right - centre)), 0.0, None
    )
