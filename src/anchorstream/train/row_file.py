"""What a training reads of a stream, on disk: one row a stream, written by whoever computes it first, read by all."""

from __future__ import annotations

import errno
import os
import shutil
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# File systems that cannot set room aside.
_NO_RESERVATION = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


class Row(NamedTuple):
    """``features`` (frames, features) float32, ``targets`` (T,) int64, ``anchors`` (T,) bool."""

    features: NDArray[np.float32]
    targets: NDArray[np.int64]
    anchors: NDArray[np.bool_]


@dataclass(frozen=True)
class RowShape:
    """How much a row holds.

    Attributes:
        frames: of features.
        features: of one frame.
        targets: frames of the network's output.
    """

    frames: int
    features: int
    targets: int

    @property
    def record(self) -> np.dtype[Any]:
        """A row as it lies in the file; its checksum comes first."""
        return np.dtype(
            [
                ("check", np.uint32),
                ("features", np.float32, (self.frames, self.features)),
                ("targets", np.int32, (self.targets,)),
                ("anchors", np.bool_, (self.targets,)),
            ],
            align=True,
        )


class NoRoomError(OSError):
    """A file of rows for which the disk has no room; the message says how much it would take."""


class RowFile:
    """A file of rows, for any number of processes at a time, none of which waits for another.

    A row is there if its checksum says so: one that another process is writing, that a crash cut off or a disk
    damaged, that belongs to another index or another ``fingerprint``, is simply not there. Processes that write the
    same row at once write the same bytes.

    Nothing is kept open, so that it can be forked and pickled.

    Args:
        path: of the file, which :meth:`reserve` makes.
        shape: of every row.
        fingerprint: of all that the rows follow from.
    """

    def __init__(self, path: Path, shape: RowShape, fingerprint: str) -> None:
        self.path, self._record, self._fingerprint = path, shape.record, fingerprint

    def reserve(self, rows: int) -> None:
        """Makes the file, or makes it larger, and keeps what is in it.

        Raises:
            NoRoomError: if there is no room for so many rows.
            OSError: if the folder cannot be written.
        """
        size = rows * self._record.itemsize
        check_room(self.path, size)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            if file.tell() >= size:
                return
            try:
                # Set aside at once: what is checked now must not be gone later.
                os.posix_fallocate(file.fileno(), 0, size)
            except (AttributeError, OSError) as error:
                if isinstance(error, OSError) and error.errno not in _NO_RESERVATION:
                    raise NoRoomError(f"{self.path}: {error.strerror}") from error
                file.truncate(size)

    def read(self, index: int) -> Row | None:
        """Row ``index``, or ``None`` where it is not there."""
        raw = np.empty(self._record.itemsize, np.uint8)
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(index * len(raw))
                whole = file.readinto(raw.data) == len(raw)
        except OSError:
            return None
        record = raw.view(self._record)[0]
        if not whole or record["check"] != self._checksum(index, raw):
            return None
        return Row(record["features"], record["targets"].astype(np.int64), record["anchors"])

    def write(self, index: int, row: Row) -> None:
        """Writes row ``index``; where the disk refuses, it is not there afterwards."""
        raw = np.zeros(self._record.itemsize, np.uint8)
        record = raw.view(self._record)
        record["features"], record["targets"], record["anchors"] = row
        record["check"] = self._checksum(index, raw)
        try:
            with self.path.open("r+b", buffering=0) as file:
                file.seek(index * len(raw))
                file.write(raw.data)
        except OSError:
            # The training has what it needs, and the next one computes the row again.
            pass

    def _checksum(self, index: int, raw: NDArray[np.uint8]) -> int:
        start = zlib.crc32(f"{self._fingerprint}/{index}".encode())
        # Never the 0 of a row that was not written.
        return zlib.crc32(raw[self._record["check"].itemsize :].data, start) or 1


def check_room(path: Path, size: int) -> None:
    """Whether a file of ``size`` bytes takes no more than half of what is free, beside what it has already.

    Raises:
        NoRoomError: if it would.
    """
    held = path.stat().st_size if path.is_file() else 0
    there = next(folder for folder in path.absolute().parents if folder.is_dir())
    free = shutil.disk_usage(there).free
    if size - held > free / 2:
        raise NoRoomError(
            f"{path} would take {(size - held) / 1e9:.2f} GB, more than half of the {free / 1e9:.2f} GB free there"
        )
