"""Reads a sound file as mono float32 at ``SAMPLE_RATE_HZ``, or says exactly why it cannot."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from anchorstream.data.clip import SAMPLE_RATE_HZ

#: Shorter than this holds no frame of any front end.
MIN_DURATION_S = 0.02
#: Longer than this is a recording session, not a clip; it would fill the memory.
MAX_DURATION_S = 3600.0

# A converter that clipped leaves neighbouring samples at full scale; a loud recording leaves single ones.
_FULL_SCALE = 0.999
_CLIPPED_RUN_SAMPLES = 3
# A cheap sound card adds a constant, which no feature hears and every level counts: from this share of the power on,
# where a level would be wrong by a decibel, it is taken away.
_OFFSET_SHARE = 0.2
# Below the last bit of 24: nothing was recorded.
_SILENCE = 2.0**-24
# Programs that write to a pipe cannot know the length beforehand and put about 2 or 4 GiB into the header.
_STREAMED_BYTES = 2**31 - 2**16
# What libsndfile notes of a file that is shorter than its header says.
_SHORTENED = (
    # WAV, AIFF, AU.
    (r"^ *(?:data|SSND|Data Size) *: (?P<promised>\d+) \(should be (?P<there>\d+)\)", "bytes of samples"),
    (r"^riff : (?P<promised>\d+) \(should be (?P<there>\d+)\)", "bytes"),  # W64
    (
        r"Calculated frame count (?P<there>\d+) does not match value from 'ds64' chunk of (?P<promised>\d+)",
        "samples a channel",  # RF64
    ),
)
# RFC 3533: a page begins with this, has its number of segments in its 27th byte and their lengths behind it.
_OGG_PAGE, _OGG_HEADER_BYTES, _OGG_PAGE_BYTES = b"OggS\0", 27, 65_307


class AudioError(ValueError):
    """A file that cannot be used as audio; the message names it and the reason."""


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """A sound file in memory.

    Attributes:
        samples: (N,) float32 in [-1, 1], mono at ``SAMPLE_RATE_HZ``.
        source_rate_hz: the rate in the file.
        channels: the channels in the file; more than one were averaged.
        clipped: whether the recording reached full scale and stayed there.
    """

    samples: NDArray[np.float32]
    source_rate_hz: int
    channels: int
    clipped: bool

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE_HZ

    @property
    def resampled(self) -> bool:
        """Whether the file had another rate."""
        return self.source_rate_hz != SAMPLE_RATE_HZ


def read_audio(path: str | Path, *, max_duration_s: float = MAX_DURATION_S) -> Audio:
    """Reads any format that libsndfile knows; mixes down to mono and resamples where needed.

    A constant offset is taken away where it would change the level.

    Args:
        path: the file.
        max_duration_s: a longer file is refused before its samples are read.

    Raises:
        AudioError: if the file is missing, no audio, damaged, cut off, shorter than ``MIN_DURATION_S``,
            longer than ``max_duration_s``, or holds NaN or infinite samples, or nothing but silence.
    """
    path = Path(path)
    try:
        if not path.is_file():
            what = "is a folder, not a file" if path.is_dir() else "there is no such file"
            raise AudioError(f"{path}: {what}")
        # As bytes, because soundfile does not encode a name that is no UTF-8; Windows has no such names.
        with soundfile.SoundFile(os.fsencode(path) if os.name == "posix" else path) as file:
            rate_hz, channels, promised = int(file.samplerate), int(file.channels), int(file.frames)
            _check_length(path, promised / rate_hz, max_duration_s)
            _check_is_whole(path, file.extra_info)
            if file.format == "OGG":
                _check_last_page(path)
            # With their number, because some formats (GSM 6.10) cannot be sought in to find it out.
            samples: NDArray[np.float32] = file.read(promised, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{path}: cannot be decoded: {error.error_string}") from error
    except OSError as error:
        raise AudioError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(samples) < promised:
        raise AudioError(
            f"{path}: damaged: its header promises {promised} samples a channel, "
            f"only {len(samples)} can be decoded"
        )
    finite = np.isfinite(samples)
    if not finite.all():
        first = int(np.flatnonzero(~finite.all(axis=1))[0])
        raise AudioError(
            f"{path}: {int(np.count_nonzero(~finite))} samples are NaN or infinite, "
            f"the first at {first / rate_hz:.3f} s"
        )
    clipped = any(_is_clipped(samples[:, channel]) for channel in range(channels))
    mono = _without_offset(samples[:, 0] if channels == 1 else _mixed_down(path, samples))
    if np.abs(mono).max() < _SILENCE:
        constant = "every sample is the same" if samples.any() else "every sample is 0"
        opposed = channels > 1 and np.ptp(samples, axis=0).any()
        raise AudioError(
            f"{path}: is digital silence: {'its channels cancel each other out' if opposed else constant}"
        )
    if rate_hz != SAMPLE_RATE_HZ:
        mono = soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ, quality="HQ")
    # Float files may hold samples on another scale, and a resampler overshoots a little.
    peak = float(np.abs(mono).max())
    if peak > 1.0:
        mono = mono / np.float32(peak)
    return Audio(np.ascontiguousarray(mono, dtype=np.float32), rate_hz, channels, clipped)


def _check_length(path: Path, duration_s: float, max_duration_s: float) -> None:
    if duration_s == 0:
        raise AudioError(f"{path}: holds no samples")
    if duration_s < MIN_DURATION_S:
        raise AudioError(f"{path}: lasts {duration_s:.4f} s, at least {MIN_DURATION_S} s are needed")
    if duration_s > max_duration_s:
        raise AudioError(
            f"{path}: lasts {duration_s:.0f} s, at most {max_duration_s:.0f} s are read as one recording; "
            "cut it into pieces"
        )


def _check_is_whole(path: Path, libsndfile_log: str) -> None:
    """Libsndfile shortens a file that was cut off without an error; only its log says so."""
    for pattern, unit in _SHORTENED:
        found = re.search(pattern, libsndfile_log, re.MULTILINE)
        if found and int(found["there"]) < int(found["promised"]) < _STREAMED_BYTES:
            raise AudioError(
                f"{path}: cut off: its header promises {found['promised']} {unit}, {found['there']} are there"
            )


def _check_last_page(path: Path) -> None:
    """Libsndfile leaves out a page of Ogg that is not all there, and may take its mark as the end of the stream.

    Only whole pages are asked for: not all programs mark the last one.
    """
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _OGG_PAGE_BYTES))
        end = file.read()
    begins = end.rfind(_OGG_PAGE)
    if begins < 0:  # tags are appended, more than a page of them
        return
    header, body = end[begins : begins + _OGG_HEADER_BYTES], end[begins + _OGG_HEADER_BYTES :]
    if len(header) < _OGG_HEADER_BYTES or len(body) < header[-1] + sum(body[: header[-1]]):
        raise AudioError(f"{path}: cut off: it ends within a page of Ogg")


def _mixed_down(path: Path, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        mono: NDArray[np.float32] = samples.mean(axis=1, dtype=np.float32)
    if not np.isfinite(mono).all():
        raise AudioError(f"{path}: its samples are too large to be added, up to {np.abs(samples).max():.3g}")
    return mono


def _without_offset(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    offset = samples.mean(dtype=np.float64)
    power = np.square(samples, dtype=np.float64).mean()
    return (samples - offset).astype(np.float32) if offset**2 > _OFFSET_SHARE * power else samples


def _is_clipped(samples: NDArray[np.float32]) -> bool:
    if max(float(samples.max()), -float(samples.min())) < _FULL_SCALE:
        return False
    full = (np.abs(samples) >= _FULL_SCALE).astype(np.int8)
    return bool(np.convolve(full, np.ones(_CLIPPED_RUN_SAMPLES, np.int8)).max() >= _CLIPPED_RUN_SAMPLES)
