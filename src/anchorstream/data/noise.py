"""Noise: coloured noise, levels, and an endless bed of noise clips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import soxr
from numpy.typing import NDArray

from anchorstream.data.clip import SAMPLE_RATE_HZ, Clip
from anchorstream.data.mix_settings import Range

_FRAME_SAMPLES = SAMPLE_RATE_HZ // 50
# Frames that lie deeper than this below the loudest one are pauses.
_ACTIVE_RANGE_DB = 40.0
_CROSSFADE_SAMPLES = SAMPLE_RATE_HZ // 10
_LOOP_SAMPLES = 30 * SAMPLE_RATE_HZ
_SHORTEST_PIECE_SAMPLES = SAMPLE_RATE_HZ
# Below this (-100 dB of full scale) a clip is digital silence and has no level.
_SILENCE_RMS = 1e-5

#: Power falls with frequency to the minus this. Stands in where there are no recordings of noise.
COLOURS = {"white": 0.0, "pink": 1.0, "brown": 2.0}
# Those of the shades between white and brown that training hears beside recordings.
_SHADES = 9


def coloured_noise(samples: int, exponent: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Gaussian noise with a power spectrum of ``1 / f ** exponent``, flat below 20 Hz, with an RMS of 1.

    Args:
        samples: how many, N.
        exponent: 0 for white noise, 1 for pink, 2 for brown.
        rng: where chance comes from.

    Returns:
        (N,) float32. The end joins the start, so that it can be looped.
    """
    spectrum = np.fft.rfft(rng.standard_normal(samples, dtype=np.float32))
    frequency_hz = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ)
    spectrum *= np.maximum(frequency_hz, 20.0) ** (-exponent / 2)
    spectrum[0] = 0.0
    signal = np.fft.irfft(spectrum, samples)
    return np.asarray(signal / np.sqrt(np.mean(signal**2)), dtype=np.float32)


@lru_cache(maxsize=256)
def rising_fade(samples: int) -> NDArray[np.float32]:
    """The first quarter of a sine, (samples,), from 0 on; not to be written to. With its mirror, powers add to 1."""
    fade = np.sin(np.linspace(0, np.pi / 2, samples, endpoint=False, dtype=np.float32))
    fade.flags.writeable = False
    return fade


def active_rms(samples: NDArray[np.float32]) -> float:
    """RMS over the 20 ms frames that lie at most 40 dB below the loudest one; 0 for digital silence."""
    if not len(samples):
        return 0.0
    power = _frame_power(samples)
    active = power[power >= power.max() * 10 ** (-_ACTIVE_RANGE_DB / 10)]
    rms = float(np.sqrt(active.mean()))
    return rms if rms >= _SILENCE_RMS else 0.0


def _frame_power(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    frames = len(samples) // _FRAME_SAMPLES
    if frames == 0:
        return np.asarray(np.mean(samples**2, keepdims=True))
    framed = samples[: frames * _FRAME_SAMPLES].reshape(frames, _FRAME_SAMPLES)
    return np.asarray(np.einsum("tn,tn->t", framed, framed) / _FRAME_SAMPLES)


# Samples, and the gain that brings them to an active RMS of 1.
_Source = tuple[NDArray[np.float32], np.float32]


class NoiseBed:
    """Continuous noise at an active RMS of 1, from noise clips or, without any, from coloured noise.

    Classes of noise come up equally often, however many clips each has. A clip begins at a random place,
    and the next one follows with a crossfade, so that the noise never stops.

    Args:
        clips: the recordings of noise.
        rng: where the chance of coloured noise comes from.
        speed: the range of the speeds, and pitches, at which pieces of clips are played.
        coloured_share: share of the pieces that are coloured noise of any shade from white to brown instead.

    Attributes:
        synthetic: whether there were no noise clips, so that coloured noise stands in.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        rng: np.random.Generator,
        *,
        speed: Range = (1.0, 1.0),
        coloured_share: float = 0.0,
    ) -> None:
        self._speed, self._coloured_share = speed, coloured_share
        classes: dict[str, list[_Source]] = {}
        for clip in clips:
            samples = _without_silent_ends(clip.samples)
            rms = active_rms(samples)
            if rms > 0:
                classes.setdefault(clip.label, []).append((samples, np.float32(1 / rms)))
        self.synthetic = not classes
        if self.synthetic:
            for colour, exponent in COLOURS.items():
                classes[colour] = [(coloured_noise(_LOOP_SAMPLES, exponent, rng), np.float32(1.0))]
        self._classes = list(classes.values())
        self._shades: list[_Source] = [
            (coloured_noise(_LOOP_SAMPLES, exponent, rng), np.float32(1.0))
            for exponent in np.linspace(0.0, max(COLOURS.values()), _SHADES if coloured_share else 0)
        ]

    def draw(self, samples: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """(N,) float32: the next ``samples`` of noise, chosen by ``rng`` alone."""
        bed = np.zeros(samples, dtype=np.float32)
        # The first fade lies before the start: the noise is there from the first sample on.
        end, complete = -_CROSSFADE_SAMPLES, False
        while end < samples:
            piece = self._piece(samples - end, rng)
            fade = min(_CROSSFADE_SAMPLES, len(piece) // 2)
            # Equal power: neighbours are not related, so their powers add, not their amplitudes.
            ramp = rising_fade(fade)
            piece[:fade] *= ramp
            last = end + len(piece)
            if last < samples:
                piece[len(piece) - fade :] *= ramp[::-1]
            # What is drawn beyond the piece that lasts to the end is left away. It is drawn so that the chance of what
            # follows in a stream, and with it the streams of a seed, is that of before.
            if not complete and last > 0:
                first = max(end, 0)
                bed[first:last] += piece[first - end :]
            complete = complete or last >= samples
            end += len(piece) - fade
        return bed

    def _piece(self, samples: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """A clip from a random place on, at most so many samples of it."""
        coloured = bool(self._shades) and rng.random() < self._coloured_share
        of_class = self._shades if coloured else self._classes[rng.integers(len(self._classes))]
        source, gain = of_class[rng.integers(len(of_class))]
        offset = int(rng.integers(max(1, len(source) - _SHORTEST_PIECE_SAMPLES)))
        if self._speed == (1.0, 1.0):
            return source[offset : offset + samples] * gain
        speed = rng.uniform(*self._speed)
        piece = source[offset : offset + math.ceil(samples * speed)] * gain
        return np.asarray(soxr.resample(piece, speed, 1.0, quality="QQ")[:samples])


def _without_silent_ends(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    loud = np.flatnonzero(_frame_power(samples) > _SILENCE_RMS**2)
    if not len(loud):
        return samples[:0]
    return samples[loud[0] * _FRAME_SAMPLES : (loud[-1] + 1) * _FRAME_SAMPLES]
