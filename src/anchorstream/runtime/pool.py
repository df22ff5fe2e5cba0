"""Many streams through one model, in one call for all of them."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anchorstream.decode import Decoder, DecoderSettings, Detection
from anchorstream.features.motion import MotionFrames
from anchorstream.runtime.detector import decoder_settings, push_motion
from anchorstream.runtime.intake import Intake, checked_block
from anchorstream.runtime.locking import locked
from anchorstream.runtime.session import Session
from anchorstream.runtime.stepper import Stepper

# Of all streams together in one call: what a network makes of them meanwhile must not take much memory.
_MOST_FRAMES = 6_400


@dataclass(frozen=True)
class _Stream:
    intake: Intake
    decoder: Decoder
    motion: MotionFrames | None


@dataclass
class _Feed:
    """What a stream brings to one push: whole hops that wait, where more come from, and what became of them."""

    row: int
    stream: _Stream
    more: Iterator[NDArray[np.float32]]
    waiting: NDArray[np.float32]
    frames: list[NDArray[np.float32]] = field(default_factory=list)
    found: list[Detection] = field(default_factory=list)


class DetectorPool:
    """Runs a model over many streams; each gives what a ``Detector`` of its own gives.

    What arrives together is run together: a call of the model for 64 streams costs far less than 64 calls. Streams may
    come and go, have rates of their own, and send blocks of different lengths, or none; those that complete the
    same number of hops share a call. Threads may share a pool: their calls wait for each other.

    Args:
        session: the model.
        decoder: replaces the decoder settings that the model came with.
        threshold: replaces the thresholds of the decoder, as in ``Detector``.

    Attributes:
        posteriors: (T, K) for each stream of the last ``push`` or ``remove``, by its key.

    Raises:
        ValueError: if a threshold is not positive, or there is no such label.

    Example:
        >>> pool = DetectorPool.open("computer.onnx")                   # doctest: +SKIP
        >>> pool.add("kitchen")                                         # doctest: +SKIP
        >>> pool.add("hall", sample_rate_hz=48_000)                     # doctest: +SKIP
        >>> pool.push({"kitchen": block, "hall": other_block})          # doctest: +SKIP
        {'kitchen': [], 'hall': [Detection(time_s=0.31, label='computer', score=0.98)]}
    """

    def __init__(
        self,
        session: Session,
        *,
        decoder: DecoderSettings | None = None,
        threshold: float | Mapping[str, float] | None = None,
    ) -> None:
        self._lock = threading.RLock()
        self._session = session
        self._settings = decoder_settings(session.contract, decoder, threshold)
        self._decoder()  # wrong thresholds are said now
        self._streams: dict[Hashable, _Stream] = {}
        # A row of the state for each stream, in their order.
        self._stepper = Stepper(session, 0)
        self.posteriors: dict[Hashable, NDArray[np.float32]] = {}

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        decoder: DecoderSettings | None = None,
        threshold: float | Mapping[str, float] | None = None,
    ) -> DetectorPool:
        """Loads a model file; see :meth:`anchorstream.runtime.session.Session.open` for what can go wrong."""
        return cls(Session.open(path), decoder=decoder, threshold=threshold)

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
        """Frame ``t`` of a stream is known at ``t * hop_s + delay_s``."""
        return self._session.contract.delay_s

    @property
    def streams(self) -> tuple[Hashable, ...]:
        """The keys of the streams that there are."""
        return tuple(self._streams)

    @locked
    def add(self, key: Hashable, *, sample_rate_hz: int | None = None) -> None:
        """Begins a stream at its time 0.

        Args:
            key: what it is called from now on.
            sample_rate_hz: of its blocks; ``None`` means the model's own.

        Raises:
            ValueError: if there is such a stream, or the rate is not positive.
        """
        if key in self._streams:
            raise ValueError(f"there is a stream {key!r} already")
        contract = self._session.contract
        rate_hz = contract.sample_rate_hz if sample_rate_hz is None else sample_rate_hz
        self._streams[key] = _Stream(
            Intake(rate_hz, contract.sample_rate_hz, contract.hop_samples),
            self._decoder(),
            MotionFrames(len(contract.motion), contract.motion_hop_s) if contract.motion else None,
        )
        self._keep_rows(range(len(self._streams) - 1))

    @locked
    def remove(self, key: Hashable) -> list[Detection]:
        """Ends a stream as :meth:`Detector.flush` does, and forgets it; returns its last detections.

        Raises:
            KeyError: if there is no such stream.
        """
        stream = self._stream(key)
        found = self._run({key: stream.intake.end()})[key]
        rows = [row for row, other in enumerate(self._streams) if other != key]
        del self._streams[key]
        self._keep_rows(rows)
        return found

    @locked
    def reset(self, key: Hashable) -> None:
        """Begins a stream anew at its time 0.

        Raises:
            KeyError: if there is no such stream.
        """
        stream = self._stream(key)
        stream.intake.reset()
        stream.decoder.reset()
        if stream.motion is not None:
            stream.motion.reset()
        row = list(self._streams).index(key)
        for values in self._stepper.state.values():
            values[row] = 0
        self.posteriors.pop(key, None)

    @locked
    def push(
        self, blocks: Mapping[Any, NDArray[np.int16] | NDArray[np.floating[Any]]]
    ) -> dict[Any, list[Detection]]:
        """Takes the next block of each stream that has one, and returns what fired, by stream.

        Args:
            blocks: by key, (N,) or (N, channels), int16 or floating point in [-1, 1]; N may be 0, and differ.

        Raises:
            KeyError: if there is no such stream.
            TypeError: if a block is neither int16 nor floating point.
            ValueError: if a block has another shape. Nothing of any stream is taken then.
            ModelError: if the model fails while running; then :meth:`reset` must begin each of these streams anew.
        """
        checked = {key: (self._stream(key), checked_block(block)) for key, block in blocks.items()}
        return self._run({key: stream.intake.hops(block) for key, (stream, block) in checked.items()})

    @locked
    def push_motion(self, key: Hashable, times_s: ArrayLike, readings: ArrayLike) -> None:
        """Takes readings of a stream's motion sensor, as :meth:`Detector.push_motion` does.

        Raises:
            KeyError: if there is no such stream.
            ValueError: if the model has no motion sensor, for other shapes, and for times that are no finite numbers.
        """
        push_motion(self._stream(key).motion, times_s, readings)

    def bad_samples(self, key: Hashable) -> int:
        """Samples of a stream that were NaN or infinite, and taken as 0.

        Raises:
            KeyError: if there is no such stream.
        """
        return self._stream(key).intake.bad_samples

    def __enter__(self) -> DetectorPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._streams.clear()
            self._keep_rows([])

    def _run(self, hops: Mapping[Hashable, Iterator[NDArray[np.float32]]]) -> dict[Any, list[Detection]]:
        rows = {key: row for row, key in enumerate(self._streams)}
        none = np.zeros(0, dtype=np.float32)
        feeds = {key: _Feed(rows[key], self._streams[key], more, none) for key, more in hops.items()}
        going = sorted(feeds.values(), key=lambda feed: feed.row)
        while going := [feed for feed in going if _has_hops(feed)]:
            self._step(going)
        nothing = np.zeros((0, len(self.labels)), dtype=np.float32)
        self.posteriors = {
            key: feed.frames[0] if len(feed.frames) == 1 else np.concatenate([nothing, *feed.frames])
            for key, feed in feeds.items()
        }
        return {key: feed.found for key, feed in feeds.items()}

    def _step(self, going: list[_Feed]) -> None:
        """One call, with as many hops as all of these have."""
        contract = self._session.contract
        hops = min(len(feed.waiting) for feed in going) // contract.hop_samples
        hops = min(hops, max(1, _MOST_FRAMES // len(going)))
        samples = hops * contract.hop_samples
        pcm = np.stack([feed.waiting[:samples] for feed in going])
        frames = samples // contract.motion_hop_samples if contract.motion else 0
        taken = [feed.stream.motion.take(frames) for feed in going if feed.stream.motion is not None]
        posteriors = self._stepped([feed.row for feed in going], pcm, np.stack(taken) if taken else None)
        for feed, own in zip(going, posteriors, strict=True):
            feed.waiting = feed.waiting[samples:]
            feed.frames.append(own)
            feed.found += feed.stream.decoder.push(own)

    def _stepped(
        self, rows: list[int], pcm: NDArray[np.float32], motion: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        stepper = self._stepper
        if len(rows) == stepper.batch:
            return stepper.step(pcm, motion)
        state = stepper.state
        posteriors, after = self._session.step(
            pcm, {name: values[rows] for name, values in state.items()}, motion
        )
        for name, values in after.items():
            state[name][rows] = values
        return posteriors

    def _keep_rows(self, rows: Sequence[int]) -> None:
        """Makes room for the streams that there are now; the first of them keep the state of ``rows``."""
        before, self._stepper = self._stepper, Stepper(self._session, len(self._streams))
        for name, values in self._stepper.state.items():
            values[: len(rows)] = before.state[name][list(rows)]

    def _decoder(self) -> Decoder:
        return Decoder(self._settings, self._session.contract.labels, self._session.contract.clock)

    def _stream(self, key: Hashable) -> _Stream:
        if key not in self._streams:
            raise KeyError(f"there is no stream {key!r}; add() begins one")
        return self._streams[key]


def _has_hops(feed: _Feed) -> bool:
    if not len(feed.waiting):
        feed.waiting = next(feed.more, feed.waiting)
    return len(feed.waiting) > 0
