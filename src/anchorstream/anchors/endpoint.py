"""Finds the first and the last moment of speech in a recording of one utterance, by energy."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_WINDOW_S = 0.01
_HOP_S = 0.005
# Speech lies no deeper than this below its loudest frames, where the bounds that people and aligners set
# lie (what is deeper is breath and room), and rises this far above the noise floor: the higher threshold
# counts.
_DROP_DB = 33.0
_ABOVE_FLOOR_DB = 6.0
# A stretch above the threshold counts only if it once rises this much further; clicks of the lips do not.
_HYSTERESIS_DB = 6.0
_MIN_BURST_S = 0.04
# Pauses within a word (stops, geminates) are shorter than this; what lies further away is a burst of its own.
_MAX_GAP_S = 0.15
# Takes away hum, rumble and a constant offset; more pre-emphasis would lift the hiss of a microphone over
# vowels.
_HIGH_PASS_S = 0.005
_PRE_EMPHASIS = 0.2
_SILENCE_DB = -100.0

# When to doubt the result.
_LOW_SNR_DB = 15.0
_EDGE_S = 0.02
_FAR_GAP_S = 0.4


@dataclass(frozen=True, slots=True)
class SpeechBounds:
    """The first and the last moment of speech, in seconds from the start of the recording.

    Attributes:
        start_s: first moment; 0 where nothing was found.
        end_s: last moment; the recording's end where nothing was found.
        sure: whether nothing speaks against them.
        reason: what does, ``None`` when ``sure``.
    """

    start_s: float
    end_s: float
    sure: bool
    reason: str | None


def find_speech(samples: NDArray[np.floating], sample_rate_hz: int) -> SpeechBounds:
    """Finds the bounds of the one utterance in a recording.

    The level ``L_t`` of 10 ms windows every 5 ms, after a high-pass filter, is compared with
    ``max(peak - 33 dB, floor + 6 dB)``, where peak and floor are the 98th and the 10th percentile of ``L``.
    Stretches above it that are at least 40 ms long and rise 6 dB further count as speech; the bounds are
    the start of the first and the end of the last.

    Args:
        samples: (N,) in [-1, 1].
        sample_rate_hz: their rate.

    Returns:
        The bounds, and whether to trust them: not at a low signal-to-noise ratio, where speech touches an
        edge of the recording, where bursts lie far apart, or where nothing was found.

    Raises:
        ValueError: if ``samples`` is not one-dimensional, is shorter than one window, or is not finite.

    Example:
        >>> rate_hz = 16_000
        >>> silence = np.zeros(rate_hz // 2)
        >>> tone = np.sin(2 * np.pi * 440 * np.arange(rate_hz) / rate_hz)
        >>> bounds = find_speech(np.concatenate([silence, tone, silence]), rate_hz)
        >>> bounds.sure, abs(bounds.start_s - 0.5) < 0.01, abs(bounds.end_s - 1.5) < 0.01
        (True, True, True)
    """
    level_db = _levels(samples, sample_rate_hz)
    duration_s = len(samples) / sample_rate_hz
    peak_db, floor_db = np.quantile(level_db, 0.98), np.quantile(level_db, 0.1)
    threshold_db = max(peak_db - _DROP_DB, floor_db + _ABOVE_FLOOR_DB)
    bursts = [
        burst
        for burst in _stretches(np.flatnonzero(level_db >= threshold_db), _MAX_GAP_S)
        if len(burst) * _HOP_S >= _MIN_BURST_S and level_db[burst].max() >= threshold_db + _HYSTERESIS_DB
    ]
    if not bursts or peak_db <= _SILENCE_DB:
        return SpeechBounds(0.0, duration_s, False, "nothing stands out from the rest of the recording")
    start_s = float(bursts[0][0] * _HOP_S)
    end_s = min(float((bursts[-1][-1] + 1) * _HOP_S), duration_s)
    reason = _doubt(bursts, start_s, duration_s - end_s, float(peak_db - floor_db))
    return SpeechBounds(start_s, end_s, reason is None, reason)


def _levels(samples: NDArray[np.floating], sample_rate_hz: int) -> NDArray[np.float64]:
    """(T,) level in dB of the windows centred in each hop."""
    if samples.ndim != 1:
        raise ValueError(f"samples must have the shape (N,), got {samples.shape}")
    window, hop = round(_WINDOW_S * sample_rate_hz), _HOP_S * sample_rate_hz
    if len(samples) < window:
        raise ValueError(
            f"at least {_WINDOW_S} s of samples are needed, got {len(samples) / sample_rate_hz} s"
        )
    if not np.isfinite(samples).all():
        raise ValueError("samples must be finite, got NaN or infinity")
    signal = _high_passed(samples.astype(np.float64), round(_HIGH_PASS_S * sample_rate_hz))
    energy = np.concatenate([[0.0], np.cumsum(signal**2)])
    centres = np.arange(round(len(samples) / hop)) * hop + hop / 2
    first = np.clip(np.round(centres - window / 2), 0, len(samples) - window).astype(np.intp)
    power = np.maximum(energy[first + window] - energy[first], 0.0) / window
    return np.asarray(10 * np.log10(power + 10 ** (_SILENCE_DB / 10)))


def _high_passed(signal: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Subtracts the moving average, then lifts high frequencies a little."""
    padded = np.pad(signal, (width // 2, width - 1 - width // 2), mode="edge")
    total = np.concatenate([[0.0], np.cumsum(padded)])
    signal = signal - (total[width:] - total[:-width]) / width
    return np.concatenate([signal[:1], signal[1:] - _PRE_EMPHASIS * signal[:-1]])


def _stretches(frames: NDArray[np.intp], max_gap_s: float) -> list[NDArray[np.intp]]:
    """Cuts increasing frame indices where they leave out more than ``max_gap_s``."""
    if not len(frames):
        return []
    return np.split(frames, np.flatnonzero(np.diff(frames) * _HOP_S > max_gap_s) + 1)


def _doubt(bursts: list[NDArray[np.intp]], before_s: float, after_s: float, snr_db: float) -> str | None:
    gaps_s = [float(later[0] - earlier[-1]) * _HOP_S for earlier, later in pairwise(bursts)]
    if before_s < _EDGE_S:
        return "speech touches the start of the recording"
    if after_s < _EDGE_S:
        return "speech touches the end of the recording"
    if snr_db < _LOW_SNR_DB:
        return f"only {snr_db:.0f} dB between speech and noise"
    if gaps_s and max(gaps_s) > _FAR_GAP_S:
        return f"several bursts, up to {max(gaps_s):.1f} s apart"
    return None
