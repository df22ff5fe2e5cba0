"""How the person at the terminal calls this program, for the commands that it tells them to type."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

NAME = "anchorstream"


def called() -> str:
    """``anchorstream`` where a shell finds it; otherwise the way in which it was called now, as from a fresh clone.

    Example:
        >>> f"next: {called()} models"                                   # doctest: +SKIP
        'next: .venv/bin/anchorstream models'
    """
    if shutil.which(NAME):
        return NAME
    here = Path(sys.argv[0])
    if here.name != NAME:
        return f"python -m {NAME}"
    beside = os.path.relpath(here)
    return str(here) if beside.startswith(os.pardir) else beside
