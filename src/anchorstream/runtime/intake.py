"""From blocks of any length, type, rate and number of channels to whole hops of a model's samples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The most that is worked on at once: an hour in one block must not take an hour's memory.
_PIECE_S = 1.0
#: Less is no rate of sound: it was meant in kHz.
LOWEST_RATE_HZ = 1_000
#: More are no channels: they were meant as samples.
MOST_CHANNELS = 64
# An int16 sample counts in these.
_INT16_STEP = np.float32(1 / 32768)


class Intake:
    """The samples of one stream on their way into a model.

    Channels are averaged, other rates are resampled as they come, samples that are NaN or infinite are taken as 0 and
    counted, others are held within [-1, 1]. What is left of a hop waits for the next block.

    Args:
        rate_hz: of the blocks.
        model_rate_hz: of the samples that come out.
        hop_samples: samples of a hop, at the model's rate.

    Attributes:
        bad_samples: samples that were NaN or infinite.

    Raises:
        ValueError: if the rate is none of sound.
        ImportError: if the rates differ and soxr is not installed.
    """

    def __init__(self, rate_hz: int, model_rate_hz: int, hop_samples: int) -> None:
        if not LOWEST_RATE_HZ <= rate_hz < math.inf:  # NaN is in no range
            raise ValueError(
                f"sample_rate_hz must be at least {LOWEST_RATE_HZ:,} Hz and finite, got {rate_hz}"
            )
        self._rate_hz, self._model_rate_hz, self._hop_samples = rate_hz, model_rate_hz, hop_samples
        self._piece = max(1, round(_PIECE_S * rate_hz))
        self.reset()

    def reset(self) -> None:
        """Begins a new stream."""
        self._resampler = _resampler(self._rate_hz, self._model_rate_hz)
        # The hops that were given last, and behind them what is left of a hop.
        self._buffer = np.zeros(self._hop_samples, dtype=np.float32)
        self._given = self._left = 0
        self.bad_samples = 0

    def hops(self, pcm: NDArray[Any]) -> Iterator[NDArray[np.float32]]:
        """Takes a block that :func:`checked_block` let pass, and gives what it completes.

        Args:
            pcm: (N,) or (N, channels).

        Returns:
            Of (n * hop_samples,) float32 in [-1, 1], n >= 1 and at most about a second; to be used up before the next.
        """
        if len(pcm) <= self._piece:
            # Nearly every block: without generators around it.
            return iter(self._whole_hops(pcm))
        return self._in_pieces(pcm)

    def _in_pieces(self, pcm: NDArray[Any]) -> Iterator[NDArray[np.float32]]:
        for first in range(0, len(pcm), self._piece):
            yield from self._whole_hops(pcm[first : first + self._piece])

    def end(self) -> Iterator[NDArray[np.float32]]:
        """Ends the stream: what is left of a hop is filled up with silence, and given. Then comes ``reset``."""
        last = np.zeros(0, dtype=np.float32)
        if self._resampler is not None:
            last = self._resampler.resample_chunk(last, last=True)
        missing = -(self._left + len(last)) % self._hop_samples
        room = self._room(len(last) + missing)
        room[: len(last)], room[len(last) :] = last, 0
        return iter(self._completed(len(room)))

    def _whole_hops(self, pcm: NDArray[Any]) -> tuple[NDArray[np.float32], ...]:
        if pcm.dtype == np.int16 and pcm.ndim == 1 and self._resampler is None:
            # Straight to where it is read: whatever numpy is called for beside a model takes as long as an operator.
            np.multiply(pcm, _INT16_STEP, out=self._room(len(pcm)), dtype=np.float32)
            return self._completed(len(pcm))
        samples = self._resampled(self._mono(pcm))
        self._room(len(samples))[...] = samples
        return self._completed(len(samples))

    def _mono(self, pcm: NDArray[Any]) -> NDArray[np.float32]:
        if pcm.dtype == np.int16:
            samples: NDArray[np.float32] = np.multiply(pcm, _INT16_STEP, dtype=np.float32)
        elif pcm.size and np.abs(pcm).max() <= 1:
            samples = pcm.astype(np.float32)
        else:
            finite = np.isfinite(pcm)
            self.bad_samples += int(finite.size - finite.sum())
            # Their type does not bind them to [-1, 1]; before the cast, which a float64 could overflow.
            samples = np.clip(np.where(finite, pcm, pcm.dtype.type(0)), -1.0, 1.0).astype(np.float32)
        return np.asarray(samples.mean(axis=1) if samples.ndim == 2 else samples, dtype=np.float32)

    def _resampled(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._resampler is None:
            return samples
        resampled: NDArray[np.float32] = self._resampler.resample_chunk(samples)
        return resampled

    def _room(self, count: int) -> NDArray[np.float32]:
        """Where the next samples go: behind what is left of a hop."""
        left = self._left
        if self._given or left + count > len(self._buffer):
            rest = self._buffer[self._given : self._given + left]
            if left + count > len(self._buffer):
                self._buffer = np.zeros(left + count, dtype=np.float32)
            self._buffer[:left] = rest
            self._given = 0
        return self._buffer[left : left + count]

    def _completed(self, count: int) -> tuple[NDArray[np.float32], ...]:
        """The whole hops, with ``count`` samples that were written to their room."""
        filled = self._left + count
        self._left = filled % self._hop_samples
        self._given = filled - self._left
        return (self._buffer[: self._given],) if self._given else ()


def checked_block(pcm: NDArray[Any]) -> NDArray[Any]:
    """A block as it was given, if it is one.

    Raises:
        TypeError: if it is neither int16 nor floating point.
        ValueError: if it is neither (N,) nor (N, channels), with 64 channels at the most.
    """
    pcm = np.asarray(pcm)
    if pcm.ndim not in (1, 2) or pcm.shape[1:] == (0,):
        raise ValueError(f"expected samples (N,) or (N, channels), got shape {pcm.shape}")
    if pcm.ndim == 2 and pcm.shape[1] > MOST_CHANNELS:
        raise ValueError(
            f"expected samples (N,) or (N, channels), got shape {pcm.shape}, which would be {pcm.shape[1]} channels; "
            "of samples (channels, N) give the transpose"
        )
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
