"""One example to look at and to listen to."""

from __future__ import annotations

import base64
import io
import wave

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from anchorstream.report.result import Example
from anchorstream.report.style import BAD, GOOD, INK, MUTED, SERIES, WIDTH_IN, shortened

SAMPLE_RATE_HZ = 16_000

_WINDOW, _HOP, _FFT, _BANDS = 400, 160, 512, 40
_RANGE_DB = 70.0
_ON_SPECTROGRAM = "#ffffff"


def example_figure(example: Example) -> Figure:
    """Posterior and threshold above the log-mel spectrogram, events and detections through both."""
    figure = Figure(figsize=(WIDTH_IN, 3.3), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1, 1.25])

    frames = np.arange(len(example.posteriors))
    above.plot(frames * example.hop_s + example.delay_s, example.posteriors, color=SERIES[0], linewidth=1.5)
    above.axhline(example.threshold, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    above.set_ylim(-0.03, 1.05)
    above.set_yticks([0, 0.5, 1])
    above.set_ylabel("posterior")

    duration_s = draw_spectrogram(below, example.samples)
    below.set_xlabel("seconds")
    below.set_xlim(0.0, duration_s)

    for event in example.events:
        above.axvspan(event.start_s, event.anchor_s, color=GOOD, alpha=0.16, linewidth=0)
        above.axvline(event.anchor_s, color=GOOD, linewidth=1.6)
        below.plot([event.start_s, event.anchor_s], [1, 1], color=_ON_SPECTROGRAM, linewidth=3)
        below.axvline(event.anchor_s, color=_ON_SPECTROGRAM, linewidth=1.4)
        name = above.annotate(
            shortened(event.label),
            (event.start_s, 1.0),
            xytext=(3, -3),
            textcoords="offset points",
            verticalalignment="top",
            fontsize=10,
            clip_on=True,
        )
        name.set_in_layout(False)  # a long label is cut; it must not squeeze the picture
    colour = BAD if example.kind == "false alarm" else INK
    for detection in example.detections:
        if not 0 <= detection.time_s <= duration_s:
            continue
        above.plot(
            detection.time_s, min(detection.score, 1.0), marker="v", markersize=8, color=colour, clip_on=False
        )
        for axes, line in ((above, colour), (below, _ON_SPECTROGRAM)):
            axes.axvline(detection.time_s, color=line, linewidth=1.1, linestyle=(0, (1, 1.5)))
    return figure


def draw_spectrogram(axes: Axes, samples: NDArray[np.float32]) -> float:
    """Draws the log-mel spectrogram over seconds, and returns its length in seconds."""
    duration_s = max(len(samples) / SAMPLE_RATE_HZ, _HOP / SAMPLE_RATE_HZ)
    axes.imshow(
        log_mel_db(samples).T,
        origin="lower",
        aspect="auto",
        extent=(0.0, duration_s, 0.0, float(_BANDS)),
        cmap="magma",
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


def wav_data_uri(samples: NDArray[np.float32]) -> str:
    """The samples as a 16-bit WAV file in a data URI."""
    clean = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes((np.clip(clean, -1, 1) * 32767).round().astype("<i2").tobytes())
    return "data:audio/wav;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
