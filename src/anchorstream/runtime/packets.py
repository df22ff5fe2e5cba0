"""A detector on packets of audio and motion that carry time stamps and arrive as they like."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anchorstream.decode import DecoderSettings, Detection
from anchorstream.runtime.detector import Detector
from anchorstream.runtime.early_readings import EarlyReadings
from anchorstream.runtime.intake import checked_block
from anchorstream.runtime.locking import locked
from anchorstream.runtime.session import Session

# Time stamps of audio tremble by what the sender does meanwhile; within this the samples follow on each other.
_JITTER_S = 0.02
# What has sent nothing for so long is off, and not waited for until it sends again.
_OFF_S = 1.0
# One reading from so far ahead may have a wrong time, and must not make all audio look late; two packets have not.
_LEAP_S = 1.0
# A clock that jumps further was set anew: to fill the time with silence would take hours.
_LONGEST_JUMP_S = 7_200.0
# Well below the spacing of samples, well above the rounding of a sum of times.
_ROUNDING_SAMPLES = 1e-3


class PacketDetector:
    """Runs a model over audio and motion that come in packets, each with its time on one clock.

    The clock counts seconds from anywhere. The stream begins with the first packet of audio, or with the first reading
    if no audio comes within ``patience_s``. A frame runs as soon as both audio and
    motion have got past it, so that every reading that belongs to it is in it. Where one of them lags more than
    ``patience_s`` behind, it is taken as absent (silence; motion held as in :mod:`anchorstream.features.motion`, then
    zeros), and what still comes for those frames is dropped and counted. Once it lags more than a second it is taken as
    off, and not waited for until it sends again. A detection thus comes as late as the slower of the two, and at most
    ``patience_s``; a sensor of 10 Hz lags up to 100 ms by itself. Packets longer than ``patience_s`` would lag by their
    own length: give more patience then.

    Audio with a time that lies after the end of what came before leaves a gap, which is filled with silence; what lies
    before it is dropped. Time stamps may tremble by 20 ms: within that, packets follow on each other.

    A model without a motion sensor works too: nothing is waited for. Audio and motion may come from two threads: their
    calls wait for each other.

    Args:
        session: the model.
        sample_rate_hz: of the audio; ``None`` means the model's own.
        decoder: replaces the decoder settings that the model came with.
        threshold: replaces the thresholds of the decoder, as in :class:`~anchorstream.runtime.detector.Detector`.
        patience_s: how long one may lag behind the other.

    Attributes:
        posteriors: (T, K) of the frames that the last ``push_audio``, ``push_motion`` or ``flush`` completed.
        missing_audio_s: seconds of silence that took the place of audio.
        late_audio_s: seconds of audio that were dropped, because their time was over or there twice.

    Raises:
        ValueError: if the rate, a threshold or the patience is not positive, or there is no such label.

    Example:
        >>> detector = PacketDetector.open("trigger.onnx")             # doctest: +SKIP
        >>> detector.push_motion(times_s, readings)                    # doctest: +SKIP
        []
        >>> detector.push_audio(samples, time_s=1764000000.25)         # doctest: +SKIP
        [Detection(time_s=1764000000.31, label='trigger', score=0.98)]
    """

    def __init__(
        self,
        session: Session,
        *,
        sample_rate_hz: int | None = None,
        decoder: DecoderSettings | None = None,
        threshold: float | Mapping[str, float] | None = None,
        patience_s: float = 0.2,
    ) -> None:
        if not (math.isfinite(patience_s) and patience_s > 0):
            raise ValueError(f"patience_s must be a positive number of seconds, got {patience_s}")
        self._lock = threading.RLock()
        self._detector = Detector(
            session, sample_rate_hz=sample_rate_hz, decoder=decoder, threshold=threshold
        )
        self._rate_hz = session.contract.sample_rate_hz if sample_rate_hz is None else sample_rate_hz
        self._contract = session.contract
        self._patience_s = patience_s
        self.reset()

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        sample_rate_hz: int | None = None,
        decoder: DecoderSettings | None = None,
        threshold: float | Mapping[str, float] | None = None,
        patience_s: float = 0.2,
    ) -> PacketDetector:
        """Loads a model file; see :meth:`anchorstream.runtime.session.Session.open` for what can go wrong."""
        return cls(
            Session.open(path),
            sample_rate_hz=sample_rate_hz,
            decoder=decoder,
            threshold=threshold,
            patience_s=patience_s,
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """What is detected, a column of the posteriors each."""
        return self._detector.labels

    @property
    def thresholds(self) -> dict[str, float]:
        """What a smoothed posterior must reach, for each label."""
        return self._detector.thresholds

    @property
    def bad_samples(self) -> int:
        """Samples that were NaN or infinite, and taken as 0."""
        return self._detector.bad_samples

    @property
    def bad_readings(self) -> int:
        """Readings that were NaN or infinite, and were dropped."""
        return self._detector.bad_readings

    @property
    def late_readings(self) -> int:
        """Readings that came when their frames had run, and were dropped."""
        return self._detector.late_readings

    @locked
    def reset(self) -> None:
        """Begins a new stream, whose clock may be another."""
        self._detector.reset()
        # What the clock said at the start of the stream; the other times and samples count from there.
        self._start_s: float | None = None
        self._ended = False
        self._early = EarlyReadings(self._contract)
        # Audio that has not run yet, gaps filled; up to where there is some, and up to where it has run.
        self._waiting: deque[NDArray[Any]] = deque()
        self._filled_samples = self._run_samples = 0
        # Up to where each has come by itself.
        self._audio_samples, self._motion_s = 0, 0.0
        # Whether the last packet of motion lay wholly beyond a leap in time.
        self._leapt = False
        # Whether the next packet of audio follows on another, and its time may tremble; not on silence that stood in.
        self._follows_audio = False
        self.posteriors: NDArray[np.float32] = self._detector.posteriors
        self.missing_audio_s = self.late_audio_s = 0.0

    @locked
    def push_audio(
        self, pcm: NDArray[np.int16] | NDArray[np.floating[Any]], time_s: float | None = None
    ) -> list[Detection]:
        """Takes a packet of audio and returns what fired.

        Args:
            pcm: (N,) or (N, channels), int16 or floating point in [-1, 1]; N may be 0.
            time_s: of the first sample; ``None``: it follows on what came before.

        Raises:
            TypeError: if it is neither int16 nor floating point.
            ValueError: if it has another shape, or its time is no finite number or hours away.
            ModelError: if the model fails while running; then :meth:`reset` must begin anew, because what it was given
                is lost and later times are too early by it.
            RuntimeError: after ``flush``: the stream has ended.
        """
        self._refuse_ended()
        pcm = checked_block(pcm)
        shift = self._shift_samples(time_s)
        self._audio_samples = max(self._audio_samples, self._filled_samples + shift + len(pcm))
        if shift > 0:
            self._wait_for_silence(shift)
        elif shift < 0:
            dropped = min(len(pcm), -shift)
            self.late_audio_s += dropped / self._rate_hz
            pcm = pcm[dropped:]
        self._wait_for(pcm)
        self._follows_audio = self._follows_audio or len(pcm) > 0
        detections = self._advance()
        if len(pcm) and self._waiting:
            # The caller may use its buffer again.
            self._waiting[-1] = self._waiting[-1].copy()
        return detections

    @locked
    def push_motion(self, times_s: ArrayLike, readings: ArrayLike) -> list[Detection]:
        """Takes a packet of readings, in any order, and returns what fired.

        Args:
            times_s: (n,) when they were taken; n may be 0.
            readings: (n, channels), ``ax, ay, az`` in g and, where the model has them, ``gx, gy, gz`` in rad/s. More
                channels than the model has are left out.

        Raises:
            ValueError: if the model has no motion sensor, for other shapes, and if a time is no finite number or hours
                away.
            ModelError: if the model fails while running, as in :meth:`push_audio`.
            RuntimeError: after ``flush``: the stream has ended.
        """
        self._refuse_ended()
        times_s = np.asarray(times_s, dtype=np.float64)
        self._check_jump(times_s)
        if self._start_s is not None:
            self._take_motion(times_s - self._start_s, readings)
            return self._advance()
        self._early.add(times_s, readings)
        if self._early.last_s - self._early.first_s > self._patience_s:
            self._begin(self._early.first_s)
            return self._advance()
        return []

    @locked
    def flush(self) -> list[Detection]:
        """Ends the stream: the audio that waits is run without waiting. Then :meth:`reset` begins anew."""
        self._ended = True
        detections = self._run_until(self._filled_samples)
        last = self._at_clock(self._detector.flush())
        self.posteriors = np.concatenate([self.posteriors, self._detector.posteriors])
        return detections + last

    def __enter__(self) -> PacketDetector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.reset()

    def _refuse_ended(self) -> None:
        if self._ended:
            raise RuntimeError("the stream has ended with flush(); reset() begins a new one")

    def _begin(self, start_s: float) -> None:
        self._start_s = start_s
        if self._early:
            times_s, readings = self._early.all()
            self._take_motion(times_s - start_s, readings)
            self._early = EarlyReadings(self._contract)

    def _take_motion(self, times_s: NDArray[np.float64], readings: ArrayLike) -> None:
        self._detector.push_motion(times_s, readings)
        if not times_s.size:
            return
        ordered_s = np.sort(times_s)
        leaps = np.flatnonzero(np.diff(ordered_s, prepend=self._now_s()) > _LEAP_S)
        if len(leaps) and leaps[0] == 0 and not self._leapt:
            # All of it: wait for what the next packet says.
            self._leapt = True
            return
        self._leapt = False
        reached_s = ordered_s[leaps[0] - 1] if len(leaps) and leaps[0] else ordered_s[-1]
        self._motion_s = max(self._motion_s, float(reached_s))

    def _now_s(self) -> float:
        """The latest time that either has reached."""
        return max(self._filled_samples / self._rate_hz, self._motion_s)

    def _shift_samples(self, time_s: float | None) -> int:
        """Samples from the end of the audio to the packet: a gap if positive, an overlap if negative."""
        if time_s is not None:
            self._check_jump(np.asarray(time_s, dtype=np.float64))
        if self._start_s is None:
            self._begin(time_s if time_s is not None else self._early.first_s if self._early else 0.0)
        if time_s is None or self._start_s is None:
            return 0
        shift = round((time_s - self._start_s) * self._rate_hz) - self._filled_samples
        trembles = abs(shift) <= _JITTER_S * self._rate_hz and self._follows_audio
        return 0 if trembles else shift

    def _check_jump(self, times_s: NDArray[np.float64]) -> None:
        finite = np.isfinite(times_s)
        if not finite.all():
            raise ValueError(f"expected time stamps in seconds, got {times_s[~finite][0]}")
        if self._start_s is not None:
            now_s = self._start_s + self._now_s()
        elif self._early:
            now_s = self._early.last_s
        else:
            now_s = float(times_s.flat[0]) if times_s.size else 0.0
        far = np.abs(times_s - now_s) > _LONGEST_JUMP_S
        if far.any():
            raise ValueError(
                f"expected time stamps within {_LONGEST_JUMP_S / 3600:g} hours of {now_s:.3f} s, the latest so far, "
                f"got {times_s[far][0]}; reset() begins a new stream"
            )

    def _wait_for(self, pcm: NDArray[Any]) -> None:
        if len(pcm):
            self._waiting.append(pcm)
            self._filled_samples += len(pcm)

    def _wait_for_silence(self, samples: int) -> None:
        # One zero in memory, however long.
        self._wait_for(np.broadcast_to(np.int16(0), (samples,)))
        self.missing_audio_s += samples / self._rate_hz

    def _advance(self) -> list[Detection]:
        """Runs what is complete, and what has been waited for long enough."""
        if not self._contract.motion:
            return self._run_until(self._filled_samples)
        first_s, last_s = sorted([self._audio_samples / self._rate_hz, self._motion_s])
        lag_s = last_s - first_s
        if lag_s > max(_OFF_S, self._patience_s):
            first_s = last_s
        elif lag_s > self._patience_s:
            first_s = last_s - self._patience_s
        until = math.floor(first_s * self._rate_hz + _ROUNDING_SAMPLES)
        if until > self._filled_samples:
            self._wait_for_silence(until - self._filled_samples)
            self._follows_audio = False
        return self._run_until(until)

    def _run_until(self, until: int) -> list[Detection]:
        detections: list[Detection] = []
        posteriors = [self.posteriors[:0]]
        while self._run_samples < until:
            block = self._waiting.popleft()
            count = min(len(block), until - self._run_samples)
            if count < len(block):
                self._waiting.appendleft(block[count:])
            # Before it runs: what a step that fails was given is gone.
            self._run_samples += count
            detections += self._detector.push(block[:count])
            posteriors.append(self._detector.posteriors)
        self.posteriors = np.concatenate(posteriors)
        return self._at_clock(detections)

    def _at_clock(self, detections: list[Detection]) -> list[Detection]:
        start_s = self._start_s or 0.0
        return [replace(found, time_s=round(start_s + found.time_s, 9)) for found in detections]
