"""Recordings of wrists from a folder, as backgrounds of simulated motion."""

from __future__ import annotations

from pathlib import Path

from anchorstream.data.clip import SPLITS, Split
from anchorstream.data.motion.recording import MotionBackground
from anchorstream.runtime.motion_file import read_motion
from anchorstream.runtime.motion_table import MotionFileError

_SUFFIXES = {".csv", ".tsv", ".txt", ".parquet"}
# Of a folder that is not split, for each split.
_SHARES = {"train": 0.6, "dev": 0.2, "test": 0.2}


def load_backgrounds(folder: Path, split: Split, *, gravity: bool = True) -> list[MotionBackground]:
    """The recordings of one split, each of which has to be a file that can be used.

    Args:
        folder: with the folders ``train``, ``dev`` and ``test``, each with the files of other wearers; or with the
            files themselves, of which the first 60% by name are to train on and 20% each for dev and test.
        split: which.
        gravity: whether the accelerometers' readings hold gravity; without it they must be in g.

    Raises:
        MotionFileError: if there are none, or one cannot be used; the message says why.
    """
    if not folder.is_dir():
        raise MotionFileError(f"{folder}: there is no folder of recordings of motion")
    if any((folder / name).is_dir() for name in SPLITS):
        files = _files(folder / split)
    else:
        found = _files(folder)
        before = sum(_SHARES[name] for name in SPLITS[: SPLITS.index(split)])
        first, last = (round(share * len(found)) for share in (before, before + _SHARES[split]))
        files = found[first:last]
    if not files:
        raise MotionFileError(
            f"{folder}: no recordings of motion for the split {split!r}; expected files "
            f"({' '.join(sorted(_SUFFIXES))}) in {folder / split}, or at least five in {folder}"
        )
    backgrounds = []
    for path in files:
        recording = read_motion(path, gravity=gravity)
        try:
            backgrounds.append(MotionBackground(recording.times_s, recording.readings, gravity))
        except ValueError as error:
            raise MotionFileError(f"{path}: {error}") from error
    return backgrounds


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
