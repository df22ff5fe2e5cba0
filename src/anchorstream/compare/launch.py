"""Where the trainings of a comparison run: each is a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Protocol


class Training(Protocol):
    """A training that was started."""

    def poll(self) -> int | None:
        """Its exit code, ``None`` while it runs."""

    def stop(self) -> None:
        """Ends it, if it still runs, and waits until it has ended; it can be resumed."""


class Launcher(Protocol):
    """Starts trainings."""

    @property
    def jobs(self) -> int:
        """How many it runs side by side unless it is told."""

    @property
    def one_disk(self) -> bool:
        """Whether its trainings can share their streams in one file: what one writes, the others see at once."""

    def start(self, arguments: Sequence[str], log: Path) -> Training:
        """Starts ``anchorstream ARGUMENTS``; what it prints goes to ``log``."""


class Processes:
    """Trainings as processes of this machine, one for each core."""

    @property
    def jobs(self) -> int:
        """One for each core."""
        return os.cpu_count() or 1

    @property
    def one_disk(self) -> bool:
        """They are on one machine."""
        return True

    def start(self, arguments: Sequence[str], log: Path) -> Training:
        """Starts a process."""
        file = log.open("wb")
        return _Process(child(arguments, file), file)


def child(arguments: Sequence[str], log: IO[bytes], folder: Path | None = None) -> subprocess.Popen[bytes]:
    """Starts ``anchorstream ARGUMENTS`` in the Python that runs here; it ends with this process, however that ends."""
    return subprocess.Popen(
        [sys.executable, "-m", "anchorstream.cli.child", *arguments],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        cwd=folder,
    )


class _Process:
    def __init__(self, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self._process, self._log = process, log

    def poll(self) -> int | None:
        code = self._process.poll()
        if code is not None:
            self._close()
        return code

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait()
        self._close()

    def _close(self) -> None:
        self._log.close()
        if self._process.stdin is not None:
            self._process.stdin.close()
