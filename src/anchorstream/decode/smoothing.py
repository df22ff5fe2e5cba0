"""The causal moving average over posteriors."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def smooth(posteriors: ArrayLike, frames: int) -> NDArray[np.float64]:
    """Causal moving average over the last ``frames`` frames, for a stream that starts with the first row.

    ``s_t = (p_{t-n+1} + ... + p_t) / n`` with ``n = min(t + 1, frames)``: at the start of the stream, the
    average of the frames there are. What is not finite counts as 0.

    Args:
        posteriors: (T,) or (T, K).
        frames: length of the average, at least 1.

    Returns:
        Smoothed posteriors of the same shape, float64.

    Raises:
        ValueError: if ``frames`` is less than 1.

    Example:
        >>> smooth([1.0, 0.0, 0.5, 1.0], frames=2).tolist()
        [1.0, 0.5, 0.25, 0.75]
    """
    if frames < 1:
        raise ValueError(f"frames must be at least 1, got {frames}")
    return smooth_after(finite(posteriors), frames, None, 0)


def finite(posteriors: ArrayLike) -> NDArray[np.float64]:
    """A float64 copy with 0 for NaN and infinity, so that a bad frame never lives on in an average."""
    return np.nan_to_num(np.asarray(posteriors, dtype=np.float64), copy=True, nan=0.0, posinf=0.0, neginf=0.0)


def smooth_after(
    chunk: NDArray[np.float64], frames: int, history: NDArray[np.float64] | None, first_frame: int
) -> NDArray[np.float64]:
    """Smooths a chunk that starts with frame ``first_frame``, after the ``frames - 1`` rows of ``history``.

    Each value depends on its own ``frames`` inputs alone, added in the same order wherever a chunk begins:
    the result is equal to the last bit for every chunking, which a running sum is not. History before the
    start of a stream is 0 (``None`` stands for that).
    """
    if frames == 1:
        return chunk
    length = len(chunk)
    if history is None:
        history = np.zeros((frames - 1, *chunk.shape[1:]))
    padded = np.concatenate([history, chunk])
    # Sums over 1, 2, 4, ... rows, put together by the binary digits of `frames`: log2(frames) passes.
    total = np.zeros_like(chunk)
    power, width, taken = padded, 1, 0  # power[i] is the sum of padded[i : i + width]
    while width <= frames:
        if frames & width:
            begin = frames - taken - width
            total += power[begin : begin + length]
            taken += width
        if 2 * width <= frames:
            power = power[:-width] + power[width:]
        width *= 2
    counts = np.minimum(np.arange(first_frame + 1, first_frame + 1 + length), frames)
    total /= counts.reshape(-1, *([1] * (chunk.ndim - 1)))
    return total
