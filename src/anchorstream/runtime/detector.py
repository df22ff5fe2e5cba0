"""A detector on a live signal: blocks of samples in, detections out."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anchorstream.decode import Decoder, DecoderSettings, Detection
from anchorstream.features.motion import MotionFrames
from anchorstream.runtime.contract import Contract
from anchorstream.runtime.intake import Intake, checked_block
from anchorstream.runtime.locking import locked
from anchorstream.runtime.session import Session
from anchorstream.runtime.stepper import Stepper

#: Readings of a sensor wait for their samples, no longer than a day.
MOST_AHEAD_S = 86_400.0


class Detector:
    """Runs a model over a stream that arrives in blocks of any size.

    Blocks may be int16 or float32 in [-1, 1], mono (N,) or (N, channels), at any sample rate: channels are averaged
    and other rates are resampled as they come. Samples that are NaN or infinite are taken as 0 and counted. Times
    are counted in whole samples, so that they stay exact over days.

    A model with a motion sensor takes its readings by ``push_motion``, before the audio of the same time; without any
    the sensor is off. Where both come in packets of their own, ``PacketDetector`` waits for them.

    One instance serves one stream. Threads may share it: their calls wait for each other, and ``posteriors`` are those
    of the last one. Detectors may share a ``Session``, also at the same time.

    Args:
        session: the model.
        sample_rate_hz: of the blocks; ``None`` means the model's own.
        decoder: replaces the decoder settings that the model came with.
        threshold: replaces the thresholds of the decoder: one number for all labels, or one for each label that is
            to be changed.

    Raises:
        ValueError: if the rate or a threshold is not positive, or there is no such label.

    Example:
        >>> with Detector.open("computer") as detector:                # doctest: +SKIP
        ...     for block in blocks:
        ...         for detection in detector.push(block):
        ...             print(detection.time_s, detection.label, detection.score)
    """

    def __init__(
        self,
        session: Session,
        *,
        sample_rate_hz: int | None = None,
        decoder: DecoderSettings | None = None,
        threshold: float | Mapping[str, float] | None = None,
    ) -> None:
        contract = session.contract
        self._lock = threading.RLock()
        self._session = session
        rate_hz = contract.sample_rate_hz if sample_rate_hz is None else sample_rate_hz
        self._intake = Intake(rate_hz, contract.sample_rate_hz, contract.hop_samples)
        self._decoder = Decoder(
            decoder_settings(contract, decoder, threshold), contract.labels, contract.clock
        )
        self._motion = MotionFrames(len(contract.motion), contract.motion_hop_s) if contract.motion else None
        self._stepper = Stepper(session)
        self.reset()

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        sample_rate_hz: int | None = None,
        decoder: DecoderSettings | None = None,
        threshold: float | Mapping[str, float] | None = None,
    ) -> Detector:
        """Loads a model file, or a model that ships by its name, such as ``"computer"``.

        :meth:`anchorstream.runtime.session.Session.open` has what can go wrong.
        """
        session = Session.open(path)
        return cls(session, sample_rate_hz=sample_rate_hz, decoder=decoder, threshold=threshold)

    @property
    def labels(self) -> tuple[str, ...]:
        """What is detected, a column of the posteriors each."""
        return self._session.contract.labels

    @property
    def hop_s(self) -> float:
        """Seconds from frame to frame."""
        return self._session.contract.hop_s

    @property
    def delay_s(self) -> float:
        """Frame ``t`` is known at ``t * hop_s + delay_s``."""
        return self._session.contract.delay_s

    @property
    def thresholds(self) -> dict[str, float]:
        """What a smoothed posterior must reach, for each label."""
        return {label: self._decoder.settings.threshold_of(label) for label in self.labels}

    @property
    def bad_samples(self) -> int:
        """Samples that were NaN or infinite, and taken as 0."""
        return self._intake.bad_samples

    @property
    def late_readings(self) -> int:
        """Readings of the motion sensor that came after the audio of their time, and were dropped."""
        return 0 if self._motion is None else self._motion.late_readings

    @property
    def bad_readings(self) -> int:
        """Readings of the motion sensor that were NaN or infinite, and were dropped."""
        return 0 if self._motion is None else self._motion.bad_readings

    @locked
    def reset(self) -> None:
        """Begins a new stream at time 0."""
        self._intake.reset()
        self._stepper.reset()
        self._decoder.reset()
        if self._motion is not None:
            self._motion.reset()
        self._ended = False
        #: (T, K) of the frames that the last ``push`` or ``flush`` completed.
        self.posteriors: NDArray[np.float32] = np.zeros((0, len(self.labels)), dtype=np.float32)

    def push(self, pcm: NDArray[np.int16] | NDArray[np.floating[Any]]) -> list[Detection]:
        """Takes the next block and returns what fired in it.

        Args:
            pcm: (N,) or (N, channels), int16 or floating point in [-1, 1]; N may be 0.

        Raises:
            TypeError: if it is neither int16 nor floating point.
            ValueError: if it has another shape.
            ModelError: if the model fails while running; then :meth:`reset` must begin anew, because what it was given
                is lost and later times are too early by it.
            RuntimeError: after ``flush``: the stream has ended.
        """
        with self._lock:
            if self._ended:
                raise RuntimeError("the stream has ended with flush(); reset() begins a new one")
            return self._run(self._intake.hops(checked_block(pcm)))

    @locked
    def push_motion(self, times_s: ArrayLike, readings: ArrayLike) -> None:
        """Takes readings of the motion sensor; they are used by the ``push`` that runs their time.

        Args:
            times_s: (n,) seconds since the start of the stream; a little before it, too.
            readings: (n, channels) in the order of the model's channels, ``ax, ay, az`` in g and, where it has them,
                ``gx, gy, gz`` in rad/s. More channels than the model has are left out.

        Raises:
            ValueError: if the model has no motion sensor, for other shapes, and for times that are no finite numbers or
                more than a day ahead of the samples.
        """
        push_motion(self._motion, times_s, readings)

    @locked
    def flush(self) -> list[Detection]:
        """Ends the stream: what is left of a hop is filled up with silence and run. Then :meth:`reset` begins anew."""
        ending, self._ended = not self._ended, True
        return self._run(self._intake.end() if ending else ())

    def __enter__(self) -> Detector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.reset()

    def _run(self, pieces: Iterable[NDArray[np.float32]]) -> list[Detection]:
        detections: list[Detection] = []
        frames: list[NDArray[np.float32]] = []
        for samples in pieces:
            motion = None
            if self._motion is not None:
                motion = self._motion.take(len(samples) // self._session.contract.motion_hop_samples)[None]
            # Not unpacked: numpy's iterator takes longer than what is done with a frame.
            posteriors = self._stepper.step(samples[None], motion)[0]
            frames.append(posteriors)
            detections += self._decoder.push(posteriors)
        if len(frames) == 1:
            self.posteriors = frames[0]
        else:
            self.posteriors = np.concatenate([self.posteriors[:0], *frames])
        return detections


def decoder_settings(
    contract: Contract, decoder: DecoderSettings | None, threshold: float | Mapping[str, float] | None
) -> DecoderSettings:
    """The settings of a model's decoder, or those in their place, with other thresholds where there are some."""
    settings = DecoderSettings.from_dict(contract.decoder) if decoder is None else decoder
    if isinstance(threshold, Mapping):
        threshold = {label: settings.threshold_of(label) for label in contract.labels} | dict(threshold)
    return settings if threshold is None else replace(settings, threshold=threshold)


def push_motion(frames: MotionFrames | None, times_s: ArrayLike, readings: ArrayLike) -> None:
    """Hands readings to the frames of a model's motion sensor, those of further channels left out.

    Raises:
        ValueError: if there is no sensor, for other shapes, and for times that are no finite numbers or far ahead.
    """
    if frames is None:
        raise ValueError("the model hears audio alone and takes no motion")
    # They would wait for frames that never come: a clock that counts from another day.
    ahead_s = float(np.max(times_s, initial=0.0)) - frames.frame * frames.hop_s
    if math.isfinite(ahead_s) and ahead_s > MOST_AHEAD_S:
        raise ValueError(
            f"readings lie {ahead_s:,.0f} s ahead of the samples; their times count from the start of the stream"
        )
    readings = np.asarray(readings)
    frames.push(times_s, readings[:, : frames.channels] if readings.ndim == 2 else readings)
