"""The log-mel spectrogram of a piece of sound, for the eye."""

from __future__ import annotations

import base64
import io

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from numpy.typing import NDArray
from PIL import Image

SAMPLE_RATE_HZ = 16_000

_WINDOW, _HOP, _FFT, _BANDS = 400, 160, 512, 40
_RANGE_DB = 70.0
_COLOURS = "magma"
# What a picture in a page shows: two frames in one column, and as many levels as the eye tells apart.
_FRAMES_A_COLUMN, _LEVELS = 2, 24


def draw_spectrogram(axes: Axes, samples: NDArray[np.float32]) -> float:
    """Draws the log-mel spectrogram over seconds, and returns its length in seconds."""
    duration_s = max(len(samples) / SAMPLE_RATE_HZ, _HOP / SAMPLE_RATE_HZ)
    axes.imshow(
        log_mel_db(samples).T,
        origin="lower",
        aspect="auto",
        extent=(0.0, duration_s, 0.0, float(_BANDS)),
        cmap=_COLOURS,
        interpolation="nearest",
    )
    axes.grid(visible=False)
    axes.set_yticks([])
    axes.set_ylabel("mel bands")
    return duration_s


def log_mel_db(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """(frames, bands) level of each mel band in dB, for the eye: from -70 to 0, the loudest."""
    clean = np.nan_to_num(samples.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    padded = np.pad(clean, (0, max(0, _WINDOW - len(clean))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(_WINDOW), _FFT)) ** 2
    level_db = 10 * np.log10(power @ _mel_filters().T + 1e-10)
    return np.asarray(np.maximum(level_db - level_db.max(), -_RANGE_DB), dtype=np.float64)


def _mel_filters() -> NDArray[np.float64]:
    """(bands, bins) triangles, evenly spaced on the mel scale ``2595 log10(1 + f / 700)``."""
    bins_hz = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE_HZ)
    edges_mel = np.linspace(0, 2595 * np.log10(1 + SAMPLE_RATE_HZ / 2 / 700), _BANDS + 2)
    edges_hz = 700 * (10 ** (edges_mel / 2595) - 1)
    low, centre, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    rising, falling = (bins_hz - low) / (centre - low), (high - bins_hz) / (high - centre)
    return np.asarray(np.clip(np.minimum(rising, falling), 0, None), dtype=np.float64)


def spectrogram_data_uri(samples: NDArray[np.float32]) -> str:
    """A small PNG of the spectrogram in a data URI, low bands below; a column is 20 ms."""
    level = 1 + log_mel_db(samples) / _RANGE_DB
    columns = np.maximum.reduceat(level, np.arange(0, len(level), _FRAMES_A_COLUMN), axis=0)
    picture = Image.fromarray((columns.T[::-1] * (_LEVELS - 1)).round().astype(np.uint8), mode="L")
    picture = picture.convert("P")
    colours = colormaps[_COLOURS](np.linspace(0, 1, _LEVELS))[:, :3]
    picture.putpalette((colours * 255).round().astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, format="png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
