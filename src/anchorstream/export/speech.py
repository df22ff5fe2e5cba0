"""Speech for the gate of an export: from the recordings of the run, or from eSpeak NG, where they are at hand."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anchorstream.data.audio import AudioError, read_audio
from anchorstream.data.clip import SAMPLE_RATE_HZ
from anchorstream.train.config import SYNTHETIC, Config

#: What is heard where there is no speech at hand.
DRAWN = "a drawn voice"

_SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3"}
# Of the recordings of the keyword, and of all others: from all over the folder, so that several speakers are heard.
_FILES = 6
_LONGEST_S = 60.0
# Of each: one stream of the gate has 0.75 s of speech at a hop of 10 ms, and hears four of them.
_EXCERPT_SAMPLES = round(0.18 * SAMPLE_RATE_HZ)
_SENTENCE = "computer, what is the weather like in the mountains this evening"


def speech_of(config: Config) -> tuple[NDArray[np.floating[Any]] | None, str]:
    """Some seconds of speech as the run has learnt it.

    Args:
        config: of the run.

    Returns:
        Samples in [-1, 1] at the rate of the data and where they come from; ``None`` where neither the recordings
        nor eSpeak NG are on this machine, for which the gate draws a voice.
    """
    samples = _synthetic() if config.data == SYNTHETIC else _recorded(Path(config.data).expanduser())
    if samples is None:
        return None, DRAWN
    return samples, "synthetic speech" if config.data == SYNTHETIC else f"recordings of {config.data}"


def _recorded(folder: Path) -> NDArray[np.floating[Any]] | None:
    inside = folder.rglob("*") if folder.is_dir() else ()
    files = sorted(
        path
        for path in inside
        if path.suffix.lower() in _SUFFIXES and "noise" not in path.relative_to(folder).parts
    )
    keyword = [path for path in files if "positive" in path.relative_to(folder).parts]
    others = sorted(set(files) - set(keyword))
    found = []
    for path in filter(None, chain.from_iterable(zip_longest(_all_over(keyword), _all_over(others)))):
        try:
            found.append(_loudest(read_audio(path, max_duration_s=_LONGEST_S).samples))
        except AudioError:
            # One that training has left out too; the audit names it.
            continue
    return np.concatenate(found) if found else None


def _all_over(files: Sequence[Path]) -> Sequence[Path]:
    return files[:: max(1, -(-len(files) // _FILES))]


def _loudest(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The excerpt with the most energy: recordings begin and end with silence."""
    if len(samples) <= _EXCERPT_SAMPLES:
        return samples
    energy = np.cumsum(np.square(samples, dtype=np.float64))
    first = 1 + int(np.argmax(energy[_EXCERPT_SAMPLES:] - energy[:-_EXCERPT_SAMPLES]))
    return samples[first : first + _EXCERPT_SAMPLES]


def _synthetic() -> NDArray[np.floating[Any]] | None:
    # Imported here: recordings of one's own need no eSpeak NG.
    import soxr

    from anchorstream.data.espeak import EspeakError, open_espeak

    try:
        with open_espeak() as espeak:
            spoken = espeak.speak(_SENTENCE, "en-us")
    except (ImportError, OSError, EspeakError):
        return None
    samples = spoken.samples.astype(np.float64) / 32768
    resampled: NDArray[np.float64] = soxr.resample(samples, spoken.sample_rate_hz, SAMPLE_RATE_HZ)
    return np.clip(resampled, -1.0, 1.0)
