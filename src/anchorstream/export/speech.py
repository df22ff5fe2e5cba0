"""Speech for the gate of an export: from the recordings of the run, or from eSpeak NG, where they are at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anchorstream.data.audio import AudioError, read_audio
from anchorstream.train.config import SYNTHETIC, Config

#: What is heard where there is no speech at hand.
DRAWN = "a drawn voice"

_SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3"}
# Read from all over the folder, so that several speakers are heard; a few are enough for the seconds that are needed.
_FILES = 4
_LONGEST_S = 60.0
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
    found = []
    for path in files[:: max(1, len(files) // _FILES)][:_FILES]:
        try:
            found.append(read_audio(path, max_duration_s=_LONGEST_S).samples)
        except AudioError:
            # One that training has left out too; the audit names it.
            continue
    return np.concatenate(found) if found else None


def _synthetic() -> NDArray[np.floating[Any]] | None:
    # Imported here: recordings of one's own need no eSpeak NG.
    import soxr

    from anchorstream.data.clip import SAMPLE_RATE_HZ
    from anchorstream.data.espeak import EspeakError, open_espeak

    try:
        with open_espeak() as espeak:
            spoken = espeak.speak(_SENTENCE, "en-us")
    except (ImportError, OSError, EspeakError):
        return None
    samples = spoken.samples.astype(np.float64) / 32768
    resampled: NDArray[np.float64] = soxr.resample(samples, spoken.sample_rate_hz, SAMPLE_RATE_HZ)
    return np.clip(resampled, -1.0, 1.0)
