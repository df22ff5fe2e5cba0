"""Readings of a wrist sensor that another program writes, a line each, into a pipe or a serial port."""

from __future__ import annotations

import math
import stat
import threading
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anchorstream.runtime.sources import SourceError

_LONGEST_LINE_BYTES = 4096
# Ten minutes at 100 Hz: who never takes them loses the oldest rather than memory.
_MOST_WAITING = 60_000
# How often the sensor's clock is compared with the stream's: soon at first, because lines may have waited for a reader
# or audio for a model that was being loaded; each window is twice the one before, up to the longest.
_FIRST_WINDOW_S, _WINDOW_S = 0.5, 10.0
# A line that comes so long before its time tells nothing of a delay: its clock was set.
_LARGEST_LEAD_S = 1.0
# Nor does one from so far away, which is no reading of now: a digit was lost, or the sensor began to count anew.
_FARTHEST_S = 60.0


class MotionPipe:
    """Reads lines ``time,ax,ay,az`` or ``time,ax,ay,az,gx,gy,gz`` in a thread, and puts them on the clock of a stream.

    Seconds, g and rad/s. The time of the first line is tied to its arrival, and those after it count from there. Soon
    after, and in the end every 10 s, the tie is corrected by the least delay that a line had meanwhile, because the
    clocks of a sensor and of a microphone drift apart. Readings from more than a minute away are left out, and where
    nothing else comes the clock is tied anew. So is that of the next writer of a FIFO, which is opened again when one
    ends.

    Args:
        path: a FIFO, a serial port or the like.
        channels: how many a reading must have; further ones are left out.

    Attributes:
        malformed_lines: how many were no reading. A header before the first is none of them.
        misdated_readings: how many were left out, because their time was more than a minute away.
        lost_readings: how many were given up, because nobody took them.

    Raises:
        SourceError: if there is no such thing, or it is a regular file or a folder.
    """

    def __init__(self, path: str | Path, channels: int) -> None:
        self._path, self._channels = Path(path), channels
        try:
            mode = self._path.stat().st_mode
        except OSError as error:
            raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            raise SourceError(
                f"{path}: expected a pipe (mkfifo) or a serial port that readings come from; "
                "`anchorstream detect --motion` takes a recording"
            )
        self._is_fifo = stat.S_ISFIFO(mode)
        self.malformed_lines = self.misdated_readings = self.lost_readings = 0
        self._lock = threading.Lock()
        # Which writer it is from, when it arrived, its own time, and the reading.
        self._arrived: list[tuple[int, float, float, list[float]]] = []
        self._clock, self._writer = SensorClock(), 0
        self._times_s: NDArray[np.float64] = np.zeros(0)
        self._readings: NDArray[np.float64] = np.zeros((0, channels))
        # A thread that waits for a writer cannot be woken: it ends with the process.
        threading.Thread(target=self._read, name=f"motion from {path}", daemon=True).start()

    def take(self, position_s: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The readings up to now.

        Args:
            position_s: where the stream is now, in its own seconds.

        Returns:
            Times (n,) on the stream's clock, none of them after ``position_s`` or long before it, and readings
            (n, channels). What claims to be from a little later is handed out then.
        """
        now_s = time.monotonic()
        with self._lock:
            arrived, self._arrived = self._arrived, []
        times_s = []
        for writer, arrival_s, time_s, _ in arrived:
            if writer != self._writer:
                self._clock, self._writer = SensorClock(), writer
            times_s.append(self._clock.stream_s(time_s, position_s - (now_s - arrival_s), arrival_s))
        new_s = np.array(times_s, dtype=np.float64)
        readings = np.array([reading for *_, reading in arrived]).reshape(-1, self._channels)
        near = np.abs(new_s - position_s) <= _FARTHEST_S
        self.misdated_readings += int(np.sum(~near))
        all_s = np.concatenate([self._times_s, new_s[near]])
        readings = np.concatenate([self._readings, readings[near]])
        later = all_s > position_s
        self.lost_readings += max(0, int(np.sum(later)) - _MOST_WAITING)
        self._times_s, self._readings = all_s[later][-_MOST_WAITING:], readings[later][-_MOST_WAITING:]
        return all_s[~later], readings[~later]

    def _read(self) -> None:
        writer = 0
        while writer == 0 or self._is_fifo:
            writer += 1
            try:
                with self._path.open("rb") as stream:  # waits until somebody writes
                    first = True
                    while line := stream.readline(_LONGEST_LINE_BYTES):
                        self._take_line(line, writer, first)
                        first = False
            except OSError:
                # Taken away, or unplugged: the sensor is off from here on.
                return

    def _take_line(self, line: bytes, writer: int, first: bool) -> None:
        reading = _parsed(line, self._channels)
        with self._lock:
            if reading is not None:
                self._arrived.append((writer, time.monotonic(), reading[0], reading[1:]))
                if len(self._arrived) > _MOST_WAITING:
                    del self._arrived[0]
                    self.lost_readings += 1
            elif not first and line.strip():
                self.malformed_lines += 1


class SensorClock:
    """Times of a sensor on the clock of a stream, from when its lines arrive."""

    def __init__(self) -> None:
        self._offset_s: float | None = None
        self._window_s, self._window_ends_s, self._least_delay_s = 0.0, 0.0, math.inf

    def stream_s(self, time_s: float, arrived_s: float, moment_s: float) -> float:
        """The sensor's ``time_s`` on the stream's clock.

        Args:
            time_s: on the sensor's clock.
            arrived_s: when the line came, on the stream's clock.
            moment_s: the same on a clock that does not leap, as the stream's does while audio that waited is heard.
        """
        if self._offset_s is None:
            # Its own delay is none by this, and says nothing.
            self._offset_s, self._window_s = arrived_s - time_s, _FIRST_WINDOW_S
            self._begin_window(moment_s)
            return arrived_s
        stream_s = time_s + self._offset_s
        delay_s = arrived_s - stream_s
        if -_LARGEST_LEAD_S < delay_s < _FARTHEST_S:
            self._least_delay_s = min(self._least_delay_s, delay_s)
        if moment_s >= self._window_ends_s:
            # Not one line of sense in the window: its clock was set, the next line ties it anew.
            lost = math.isinf(self._least_delay_s)
            self._offset_s = None if lost else self._offset_s + self._least_delay_s
            self._window_s = min(2 * self._window_s, _WINDOW_S)
            self._begin_window(moment_s)
        return stream_s

    def _begin_window(self, moment_s: float) -> None:
        self._window_ends_s, self._least_delay_s = moment_s + self._window_s, math.inf


def _parsed(line: bytes, channels: int) -> list[float] | None:
    try:
        numbers = [float(cell) for cell in line.split(b",")]
    except ValueError:
        return None
    if len(numbers) not in (4, 7) or len(numbers) <= channels or not all(map(math.isfinite, numbers)):
        return None
    return numbers[: 1 + channels]
