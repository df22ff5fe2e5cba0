"""Sound in a page: no file beside it, and no more bytes than an ear needs."""

from __future__ import annotations

import base64
import io
import wave

import numpy as np
import soundfile
from numpy.typing import NDArray

from anchorstream.report.spectrogram import SAMPLE_RATE_HZ


def mp3_data_uri(samples: NDArray[np.float32]) -> str:
    """The samples as MP3 in a data URI, an eighth of the size of WAV; as WAV where libsndfile cannot write MP3."""
    if "MP3" not in soundfile.available_formats() or not len(samples):
        return wav_data_uri(samples)
    buffer = io.BytesIO()
    soundfile.write(buffer, _clean(samples), SAMPLE_RATE_HZ, format="MP3")
    return "data:audio/mpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def wav_data_uri(samples: NDArray[np.float32]) -> str:
    """The samples as a 16-bit WAV file in a data URI."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes((_clean(samples) * 32767).round().astype("<i2").tobytes())
    return "data:audio/wav;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _clean(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a player takes: within full scale, and 0 for what is no number."""
    return np.clip(np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0), -1, 1)
