"""The sound around each detection as a file: hard cases that a next training can learn from."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anchorstream.decode import Detection
from anchorstream.runtime.background import Background
from anchorstream.runtime.file_names import LONGEST_STEM_BYTES, MOST_BYTES, FileNames, shortened
from anchorstream.runtime.intake import checked_block
from anchorstream.runtime.sources import load_soundfile

_LOG = logging.getLogger(__name__)

_LONGEST_S = 600.0
# A detection is known this much after its sound at the most: blocks of a second, resampling, patience with packets.
_LAG_S = 2.5
# Of a file's name: a label, and with it the name of a model.
_LONGEST_LABEL_BYTES, _LONGEST_BOTH_BYTES = 80, 100
# Names of one time can be the same, and those of other times cannot.
_NAMES_REMEMBERED = 1000


@dataclass(frozen=True)
class _Clip:
    path: Path
    first: int
    end: int


class SaveClips:
    """Writes the sound around each detection as a FLAC file, mono with 16 bits at the stream's own rate.

    Give every block that the detector gets to ``push``, and then what fired in it. A file is named after the stream,
    the time and the label (``NAME_00083.520s_LABEL.flac``), and written beside and renamed once ``after_s`` has
    passed, in the background. Memory is bounded: a few seconds more than a clip. Blocks should therefore be no longer
    than a second; where sound of a clip is gone by the time its detection comes, there is a warning, and no file where
    all of it is. Long names are cut, and one that was given out already gets a number.

    Args:
        folder: where to; it is made.
        sample_rate_hz: of the blocks.
        before_s: how much sound before the detection's time.
        after_s: how much after it.
        name: of the stream.
        wait: whether to wait for the disk where clips come faster than they are written, rather than to give some up:
            for files, which can wait.

    Attributes:
        saved: files that were written.

    Raises:
        ValueError: if a length is negative or longer than 10 minutes, or both are 0.
        OSError: if the folder cannot be made.
        ImportError: if soundfile is not installed.
        SourceError: if libsndfile is missing.

    Example:
        >>> with SaveClips("clips", sample_rate_hz=16_000) as clips:   # doctest: +SKIP
        ...     for block in blocks:
        ...         clips.push(block)
        ...         for detection in detector.push(block):
        ...             clips(detection)
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        sample_rate_hz: int,
        before_s: float = 2.0,
        after_s: float = 1.0,
        name: str = "clip",
        wait: bool = False,
    ) -> None:
        for which, length_s in (("before_s", before_s), ("after_s", after_s)):
            if not 0 <= length_s <= _LONGEST_S:
                raise ValueError(f"{which} must be from 0 to {_LONGEST_S:g} s, got {length_s}")
        if before_s + after_s == 0:
            raise ValueError("before_s and after_s are both 0: a clip would be empty")
        self._soundfile = load_soundfile()
        self._folder, self._wait = Path(folder), wait
        self._name = shortened(name, LONGEST_STEM_BYTES)
        self._names = FileNames(MOST_BYTES, _NAMES_REMEMBERED)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._rate_hz = sample_rate_hz
        self._before, self._after = round(before_s * sample_rate_hz), round(after_s * sample_rate_hz)
        self._sound = np.zeros(self._before + self._after + round(_LAG_S * sample_rate_hz), dtype=np.int16)
        # Samples of the stream so far; the latest of them are in the ring.
        self._end = 0
        self._due: list[_Clip] = []
        self.saved = 0
        self._background = Background("saving a clip")

    @property
    def given_up(self) -> int:
        """Clips that were not written, because the disk was too slow."""
        return self._background.given_up

    @property
    def failed(self) -> int:
        """Clips that could not be written."""
        return self._background.failed

    def push(self, pcm: NDArray[Any]) -> None:
        """Takes the next block: (N,) or (N, channels), int16 or floating point in [-1, 1]."""
        pcm = checked_block(pcm)
        # By pieces, so that what is due is taken out before it is overwritten.
        piece = self._rate_hz
        for first in range(0, len(pcm), piece):
            samples = _mono_int16(pcm[first : first + piece])
            places = np.arange(self._end, self._end + len(samples)) % len(self._sound)
            self._sound[places] = samples
            self._end += len(samples)
            for clip in [clip for clip in self._due if clip.end <= self._end]:
                self._due.remove(clip)
                self._save(clip)

    def __call__(self, found: Detection, model: str = "", **about: str) -> None:
        """Has the sound around a detection saved, once it is there; a model's name goes before the label."""
        at = round(found.time_s * self._rate_hz)
        label = shortened(_plain(found.label), _LONGEST_LABEL_BYTES)
        if model:
            room = _LONGEST_BOTH_BYTES - len(os.fsencode(f"-{label}"))
            label = f"{shortened(_plain(model), room)}-{label}"
        name = self._names.distinct(f"{self._name}_{found.time_s:010.3f}s_{label}")
        clip = _Clip(self._folder / f"{name}.flac", max(0, at - self._before), at + self._after)
        if clip.end <= self._end:
            self._save(clip)
        else:
            self._due.append(clip)

    def close(self) -> None:
        """The stream has ended: what waits is written as far as it goes, and all files are there."""
        for clip in self._due:
            self._save(clip)
        self._due = []
        self._background.close()

    def __enter__(self) -> SaveClips:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _save(self, clip: _Clip) -> None:
        if clip.first >= self._end:
            _LOG.warning("%s: not saved, the stream ended before its first sample", clip.path)
            return
        first, end = max(clip.first, self._end - len(self._sound)), min(clip.end, self._end)
        if first >= end:
            _LOG.warning("%s: not saved, its sound is gone; give blocks of a second at most", clip.path)
            return
        if first > clip.first:
            missing_s = (first - clip.first) / self._rate_hz
            _LOG.warning(
                "%s: its first %.3f s are gone; give blocks of a second at most", clip.path, missing_s
            )
        samples = self._sound[np.arange(first, end) % len(self._sound)]
        self._background.do(lambda: self._write(clip.path, samples), wait=self._wait)

    def _write(self, path: Path, samples: NDArray[np.int16]) -> None:
        beside = path.with_name(path.name + ".tmp")
        try:
            with beside.open("wb") as file:
                self._soundfile.write(file, samples, self._rate_hz, format="FLAC", subtype="PCM_16")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        self.saved += 1


def _plain(text: str) -> str:
    """A label may hold whatever is printable, and a file system may not."""
    return re.sub(r"[^\w-]+", "_", text)


def _mono_int16(pcm: NDArray[Any]) -> NDArray[np.int16]:
    if pcm.dtype == np.int16:
        if pcm.ndim == 1:
            return pcm
        return np.asarray(np.rint(pcm.mean(axis=1)), dtype=np.int16)
    samples = np.clip(np.nan_to_num(pcm, nan=0.0, posinf=0.0, neginf=0.0), -1.0, 1.0)
    if samples.ndim == 2:
        samples = samples.mean(axis=1)
    return np.asarray(np.rint(np.minimum(samples * 32768.0, 32767.0)), dtype=np.int16)
