"""What every target of an export does: from a copy of the detector to a file that is there only if it is right."""

from __future__ import annotations

import copy
import errno
import tempfile
from collections.abc import Callable
from pathlib import Path

from anchorstream.models.detector import StreamingDetector


def frozen(detector: StreamingDetector) -> StreamingDetector:
    """A copy to export, in evaluation mode on the CPU, so that the detector can go on training."""
    return copy.deepcopy(detector).cpu().eval().requires_grad_(False)


def write_checked(path: Path, data: bytes, check: Callable[[Path], object]) -> Path:
    """Writes ``data`` beside ``path``, lets ``check`` look at it, and gives it its name if that does not raise.

    Args:
        path: the file; its folder is made if it is not there, and a file that was there is kept until then.
        data: its content.
        check: called with the path of what was written.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder; name a file in it", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    # In a folder of its own, whose name no file of the user's can have.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.name}.") as folder:
        beside = Path(folder) / path.name
        beside.write_bytes(data)
        check(beside)
        beside.replace(path)
    return path
