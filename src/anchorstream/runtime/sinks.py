"""What happens with detections: a line of JSON, a command. Any callable that takes a ``Detection`` is a sink, too."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, TextIO

from anchorstream.decode import Detection
from anchorstream.runtime.background import Background

_LONGEST_S = 3_600.0


def as_json(found: Detection, **about: str) -> dict[str, Any]:
    """A detection as JSON-ready values: ``time_s``, ``label``, ``score``, and what else is known about it."""
    return {"time_s": found.time_s, "label": found.label, "score": round(found.score, 6), **about}


class JsonLines:
    """Writes each detection as one JSON object a line, at once.

    Args:
        stream: where to, opened as text; it stays open.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, found: Detection, **about: str) -> None:
        """Writes one line; ``about`` are further keys, such as the model's name."""
        # In one piece and at once, also into a pipe: somebody waits for it.
        self._stream.write(json.dumps(as_json(found, **about)) + "\n")
        self._stream.flush()


class RunCommand:
    """Runs a command for each detection, in the background and one after the other.

    The command gets the detection as JSON on its standard input, and in its environment as ``ANCHORSTREAM_TIME_S``,
    ``ANCHORSTREAM_LABEL``, ``ANCHORSTREAM_SCORE``, and one more for whatever else is told about it. No shell is
    involved: what a label holds is never run. Its output goes to standard error. A command that fails, or that was
    killed because it took too long, is logged as a warning; where 16 wait already, further ones are given up.

    Args:
        command: the words, or a line that is cut into words as a shell would do.
        time_limit_s: after which the command, and what it started, is killed.
        wait: whether to wait where 16 wait already, rather than to give some up: for files, which can wait.

    Raises:
        ValueError: if there is no such command, quotes do not match, or the limit is no positive number of seconds.
    """

    def __init__(
        self, command: str | Sequence[str], *, time_limit_s: float = 10.0, wait: bool = False
    ) -> None:
        try:
            self._words = shlex.split(command) if isinstance(command, str) else list(command)
        except ValueError as error:
            raise ValueError(f"expected a command, got {command!r}: {error}") from error
        if not self._words:
            raise ValueError("expected a command, got nothing")
        if shutil.which(self._words[0]) is None:
            raise ValueError(f"there is no command {self._words[0]!r} that can be run")
        if not 0 < time_limit_s <= _LONGEST_S:
            raise ValueError(
                f"time_limit_s must be positive and at most {_LONGEST_S:g} s, got {time_limit_s}"
            )
        self._time_limit_s, self._wait = time_limit_s, wait
        self._background = Background(f"command {self._words[0]}")

    @property
    def given_up(self) -> int:
        """Detections without their command, because too many waited."""
        return self._background.given_up

    def __call__(self, found: Detection, **about: str) -> None:
        """Has the command run soon; ``about`` goes with the detection, such as ``model="stop"``."""
        values = as_json(found, **about)
        self._background.do(lambda: self._run(values), wait=self._wait)

    def close(self) -> None:
        """Waits for the commands of all detections so far."""
        self._background.close()

    def __enter__(self) -> RunCommand:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, values: Mapping[str, Any]) -> None:
        given = {f"ANCHORSTREAM_{name.upper()}": str(value) for name, value in values.items()}
        # In a session of its own: Ctrl-C is meant for us, and with it goes whatever it started.
        process = subprocess.Popen(
            self._words,
            stdin=subprocess.PIPE,
            stdout=2,
            env={**os.environ, **given},
            start_new_session=True,
        )
        try:
            process.communicate(json.dumps(values).encode() + b"\n", timeout=self._time_limit_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"killed after {self._time_limit_s:g} s") from None
        finally:
            _kill(process)
        if process.returncode:
            raise ChildProcessError(f"ended with exit code {process.returncode}")


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is not None:
        return
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    if process.stdin is not None:
        process.stdin.close()
