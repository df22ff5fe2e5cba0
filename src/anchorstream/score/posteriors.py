"""Posteriors of an engine, one ``.npz`` a recording, as ``anchorstream detect --posteriors`` writes them."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anchorstream.frames import FrameClock
from anchorstream.score.errors import ScoreInputError
from anchorstream.score.names import recording_name
from anchorstream.score.rows import files_of_rows

_ENDING = ".npz"
_NEEDED = ("posteriors", "hop_s", "delay_s", "labels")
# A float16 or float32 softmax may exceed 1 by a rounding error.
_ROUNDING = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Posteriors:
    """The posteriors of one recording.

    Attributes:
        posteriors: (T, K), each in [0, 1].
        hop_s: seconds from frame to frame.
        delay_s: frame t is known at ``t * hop_s + delay_s``.
        labels: the K names of the columns.
        path: where they were read.
    """

    posteriors: NDArray[np.floating]
    hop_s: float
    delay_s: float
    labels: tuple[str, ...]
    path: str

    @property
    def duration_s(self) -> float:
        """The moment at which the last frame was known; 0 without a frame."""
        frames = len(self.posteriors)
        return FrameClock(self.hop_s, self.delay_s).time_of(frames - 1) if frames else 0.0


def read_posteriors(path: str | Path) -> dict[str, Posteriors]:
    """Posteriors by the names of their recordings, which are the names of the files.

    Args:
        path: one ``.npz``, or a folder of them.

    Raises:
        ScoreInputError: if a file cannot be used: an array is missing, shapes and labels disagree, a posterior is
            NaN or outside of [0, 1], or files differ in labels, hop or delay.
    """
    path = Path(path)
    files = _files(path) if path.is_dir() else [path]
    if not files:
        raise ScoreInputError(f"{path}: the folder holds no .npz")
    found: dict[str, Posteriors] = {}
    for file in files:
        name = recording_name(file.stem)
        if name in found:
            raise ScoreInputError(
                f"{file}: would be the posteriors of the recording {name!r}, as {found[name].path} is"
            )
        found[name] = _read(file)
    first = next(iter(found.values()))
    for one in found.values():
        for name in ("labels", "hop_s", "delay_s"):
            here, there = getattr(one, name), getattr(first, name)
            if here != there:
                raise ScoreInputError(
                    f"{one.path}: {name} is {here}, and {there} in {first.path}: "
                    "posteriors of two detectors are scored apart"
                )
    return found


def are_posteriors(path: Path) -> bool:
    """Whether scores are posteriors, and not detections: an ``.npz``, or a folder with one in it.

    Raises:
        ScoreInputError: if there is nothing at ``path``, or a folder with neither.
    """
    if not path.exists():
        raise ScoreInputError(f"{path}: there is no such file or folder")
    if not path.is_dir():
        return path.suffix.lower() == _ENDING
    found = bool(_files(path))
    if not found and not files_of_rows(path):
        raise ScoreInputError(
            f"{path}: the folder holds no .npz, which are posteriors, and no .txt or .rttm, which are detections"
        )
    return found


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() == _ENDING)


def _read(path: Path) -> Posteriors:
    try:
        # numpy would leave a damaged file open.
        with path.open("rb") as raw:
            file = np.load(raw, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ScoreInputError(f"{path}: is no .npz but a single array")
            missing = [name for name in _NEEDED if name not in file.files]
            if missing:
                raise ScoreInputError(f"{path}: expected the arrays {', '.join(_NEEDED)}, without {missing}")
            arrays = {name: file[name] for name in _NEEDED}
    except ScoreInputError:
        raise
    except OSError as error:
        raise ScoreInputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ScoreInputError(f"{path}: is no .npz that can be read: {error}") from error
    posteriors = arrays["posteriors"]
    if arrays["labels"].ndim != 1 or arrays["labels"].dtype.kind != "U":
        raise ScoreInputError(f"{path}: labels must be a list of names, got {arrays['labels']!r}")
    labels = tuple(arrays["labels"].tolist())
    if not labels or len(set(labels)) < len(labels):
        raise ScoreInputError(f"{path}: labels must be one or more different names, got {list(labels)}")
    if posteriors.ndim != 2 or posteriors.shape[1] != len(labels) or posteriors.dtype.kind != "f":
        raise ScoreInputError(
            f"{path}: posteriors must have shape (frames, {len(labels)}) for labels {list(labels)} and be floating "
            f"point, got {posteriors.shape} of {posteriors.dtype}"
        )
    # NaN compares as False: it is wrong as well.
    good = ((posteriors >= -_ROUNDING) & (posteriors <= 1 + _ROUNDING)).all(axis=1)
    if not good.all():
        frame = int(np.argmin(good))
        raise ScoreInputError(
            f"{path}: posteriors must be numbers in [0, 1], got {posteriors[frame].tolist()} in frame {frame}"
        )
    times = {}
    for name in ("hop_s", "delay_s"):
        if arrays[name].size != 1 or arrays[name].dtype.kind not in "fiu":
            raise ScoreInputError(f"{path}: {name} must be one number of seconds, got {arrays[name]!r}")
        times[name] = float(arrays[name].item())
    try:
        FrameClock(**times)
    except ValueError as error:
        raise ScoreInputError(f"{path}: {error}") from error
    return Posteriors(posteriors, times["hop_s"], times["delay_s"], labels, str(path))
