"""A detector on a live signal: blocks of samples in, detections out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anchorstream.decode import Decoder, DecoderSettings, Detection
from anchorstream.features.motion import MotionFrames
from anchorstream.runtime.session import Session

# The most that is worked on at once: an hour in one block must not take an hour's memory.
_PIECE_S = 1.0


class Detector:
    """Runs a model over a stream that arrives in blocks of any size.

    Blocks may be int16 or float32 in [-1, 1], mono (N,) or (N, channels), at any sample rate: channels are averaged
    and other rates are resampled as they come. Samples that are NaN or infinite are taken as 0 and counted. Times
    are counted in whole samples, so that they stay exact over days.

    A model with a motion sensor takes its readings by ``push_motion``, before the audio of the same time; without any
    the sensor is off. Where both come in packets of their own, ``PacketDetector`` waits for them.

    One instance serves one stream and one thread; several may share a ``Session``.

    Args:
        session: the model.
        sample_rate_hz: of the blocks; ``None`` means the model's own.
        decoder: replaces the decoder settings that the model came with.
        threshold: replaces the thresholds of the decoder: one number for all labels, or one for each label that is
            to be changed.

    Raises:
        ValueError: if the rate or a threshold is not positive, or there is no such label.

    Example:
        >>> with Detector.open("computer.onnx") as detector:           # doctest: +SKIP
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
        settings = DecoderSettings.from_dict(contract.decoder) if decoder is None else decoder
        if isinstance(threshold, Mapping):
            threshold = {label: settings.threshold_of(label) for label in contract.labels} | dict(threshold)
        if threshold is not None:
            settings = replace(settings, threshold=threshold)
        self._session = session
        self._rate_hz = contract.sample_rate_hz if sample_rate_hz is None else sample_rate_hz
        if self._rate_hz <= 0:
            raise ValueError(f"sample_rate_hz must be positive, got {self._rate_hz}")
        self._decoder = Decoder(settings, contract.labels, contract.clock)
        self._motion = MotionFrames(len(contract.motion), contract.motion_hop_s) if contract.motion else None
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
        """Loads a model file; see :meth:`anchorstream.runtime.session.Session.open` for what can go wrong."""
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
    def late_readings(self) -> int:
        """Readings of the motion sensor that came after the audio of their time, and were dropped."""
        return 0 if self._motion is None else self._motion.late_readings

    @property
    def bad_readings(self) -> int:
        """Readings of the motion sensor that were NaN or infinite, and were dropped."""
        return 0 if self._motion is None else self._motion.bad_readings

    def reset(self) -> None:
        """Begins a new stream at time 0."""
        contract = self._session.contract
        self._state = self._session.init_state()
        self._rest = np.zeros(0, dtype=np.float32)
        self._resampler = _resampler(self._rate_hz, contract.sample_rate_hz)
        self._decoder.reset()
        if self._motion is not None:
            self._motion.reset()
        self._ended = False
        #: (T, K) of the frames that the last ``push`` or ``flush`` completed.
        self.posteriors: NDArray[np.float32] = np.zeros((0, len(self.labels)), dtype=np.float32)
        #: Samples that were NaN or infinite, and taken as 0.
        self.bad_samples = 0

    def push(self, pcm: NDArray[np.int16] | NDArray[np.floating[Any]]) -> list[Detection]:
        """Takes the next block and returns what fired in it.

        Args:
            pcm: (N,) or (N, channels), int16 or floating point in [-1, 1]; N may be 0.

        Raises:
            TypeError: if it is neither int16 nor floating point.
            ValueError: if it has another shape.
            RuntimeError: after ``flush``: the stream has ended.
        """
        if self._ended:
            raise RuntimeError("the stream has ended with flush(); reset() begins a new one")
        pcm = checked_block(pcm)
        piece = max(1, round(_PIECE_S * self._rate_hz))
        return self._run(
            self._resampled(self._mono(pcm[first : first + piece])) for first in range(0, len(pcm), piece)
        )

    def push_motion(self, times_s: ArrayLike, readings: ArrayLike) -> None:
        """Takes readings of the motion sensor; they are used by the ``push`` that runs their time.

        Args:
            times_s: (n,) seconds since the start of the stream; a little before it, too.
            readings: (n, channels) in the order of the model's channels, ``ax, ay, az`` in g and, where it has them,
                ``gx, gy, gz`` in rad/s. More channels than the model has are left out.

        Raises:
            ValueError: if the model has no motion sensor, for other shapes, and for times that are no finite numbers.
        """
        if self._motion is None:
            raise ValueError("the model hears audio alone and takes no motion")
        readings = np.asarray(readings)
        self._motion.push(times_s, readings[:, : self._motion.channels] if readings.ndim == 2 else readings)

    def flush(self) -> list[Detection]:
        """Ends the stream: what is left of a hop is filled up with silence and run. Then :meth:`reset` begins anew."""
        samples = np.zeros(0, dtype=np.float32)
        if self._resampler is not None and not self._ended:
            samples = self._resampler.resample_chunk(samples, last=True)
        self._ended = True
        missing = -(len(self._rest) + len(samples)) % self._session.contract.hop_samples
        return self._run([np.concatenate([samples, np.zeros(missing, dtype=np.float32)])])

    def __enter__(self) -> Detector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.reset()

    def _mono(self, pcm: NDArray[Any]) -> NDArray[np.float32]:
        if pcm.dtype == np.int16:
            samples = pcm.astype(np.float32) / np.float32(32768)
        else:
            finite = np.isfinite(pcm)
            if not finite.all():
                self.bad_samples += int(finite.size - finite.sum())
                pcm = np.where(finite, pcm, pcm.dtype.type(0))
            # Their type does not bind them to [-1, 1]; before the cast, which a float64 could overflow.
            samples = np.clip(pcm, -1.0, 1.0).astype(np.float32)
        return np.asarray(samples.mean(axis=1) if samples.ndim == 2 else samples, dtype=np.float32)

    def _resampled(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._resampler is None:
            return samples
        resampled: NDArray[np.float32] = self._resampler.resample_chunk(samples)
        return resampled

    def _run(self, pieces: Iterable[NDArray[np.float32]]) -> list[Detection]:
        contract = self._session.contract
        hop = contract.hop_samples
        detections: list[Detection] = []
        frames = [self.posteriors[:0]]
        for piece in pieces:
            samples = np.concatenate([self._rest, piece])
            whole = len(samples) // hop * hop
            self._rest = samples[whole:].copy()
            if whole:
                motion = None
                if self._motion is not None:
                    motion = self._motion.take(whole // contract.motion_hop_samples)[None]
                posteriors, self._state = self._session.step(samples[None, :whole], self._state, motion)
                frames.append(posteriors[0])
                detections += self._decoder.push(posteriors[0])
        self.posteriors = np.concatenate(frames)
        return detections


def checked_block(pcm: NDArray[Any]) -> NDArray[Any]:
    """A block as it was given, if it is one.

    Raises:
        TypeError: if it is neither int16 nor floating point.
        ValueError: if it is neither (N,) nor (N, channels).
    """
    pcm = np.asarray(pcm)
    if pcm.ndim not in (1, 2) or pcm.shape[1:] == (0,):
        raise ValueError(f"expected samples (N,) or (N, channels), got shape {pcm.shape}")
    if pcm.dtype != np.int16 and not np.issubdtype(pcm.dtype, np.floating):
        raise TypeError(f"expected int16 or floating-point samples, got {pcm.dtype}")
    return pcm


def _resampler(from_hz: int, to_hz: int) -> Any:  # noqa: ANN401 - soxr has no types
    if from_hz == to_hz:
        return None
    try:
        import soxr
    except ImportError as error:
        raise ImportError(
            f"samples at {from_hz} Hz for a model at {to_hz} Hz need soxr; "
            'install with: pip install "anchorstream[runtime]"',
            name=error.name,
        ) from error
    return soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32")
