"""The transform of a frame in two small steps, for devices: constants, in numpy.

A frame of ``N = rows * columns`` samples, written row by row, has sample ``n = columns r + c`` in row r and column c,
and bin ``k = rows q + p`` of its transform is (Cooley and Tukey 1965)::

    X[k] = sum_c  e(c q / columns)  e(c p / N)  sum_r  e(r p / rows)  w[n] x[n]           e(a) = exp(-2 pi i a)

From right to left: the window, a product along the rows, a turn of each number, a product along the columns. The first
has its constants on the left: samples are used in the order in which they come, and nothing is transposed. A frame
being real, ``p`` from 0 to ``rows // 2`` holds every bin or its mirror image ``N - k``, which has the same power. For
400 samples as 25 x 16 the constants take 18 kB, where a matrix of all the bins takes 600 kB, and a graph needs no
operator beyond products and sums of real numbers.

The turn takes the real and the imaginary part times a cosine and a sine. The first product therefore gives four
*parts* ``(re, im, re, im)``, the turn is one product with ``(cos, cos, sin, sin)``, and the second product sums up what
belongs together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anchorstream.features.logmel import LogMelSettings, hann_window, mel_filterbank

_Array = NDArray[np.float64]

# re, im, re, im
_PARTS = 4


@dataclass(frozen=True, slots=True, eq=False)
class FactoredTransform:
    """The constants of the transform of ``settings``, with ``P = rows // 2 + 1``.

    Attributes:
        rows: of a frame.
        columns: of a frame; a hop is a whole number of rows too.
        window: (rows, columns), for frames written row by row.
        along_rows: (P * parts, rows), the first product, from the left.
        turn: (P * parts, columns).
        real: (parts * columns, columns), the second product, to the real part of each bin...
        imaginary: ...and to its imaginary part.
        mel: (P * columns, bands), the filterbank for the bins in the order in which they come out.
    """

    rows: int
    columns: int
    window: _Array
    along_rows: _Array
    turn: _Array
    real: _Array
    imaginary: _Array
    mel: _Array


def factored_transform(settings: LogMelSettings) -> FactoredTransform:
    """The constants that need the fewest multiply-accumulates."""
    samples = settings.window_samples
    columns = _columns(settings)
    rows = samples // columns
    p, q, r, c = (np.arange(size) for size in (rows // 2 + 1, columns, rows, columns))
    cos_rows, sin_rows = _turned(np.outer(r, p), rows)
    cos_turn, sin_turn = _turned(np.outer(c, p), samples)
    cos, sin = _turned(np.outer(c, q), columns)
    along_rows = np.stack((cos_rows, -sin_rows, cos_rows, -sin_rows), axis=-1)
    turn = np.stack((cos_turn, cos_turn, sin_turn, sin_turn), axis=-1).transpose(1, 2, 0)
    # (re + i im) (cos - i sin) = (re cos + im sin) + i (im cos - re sin), once by the turn and once more here.
    real = np.stack((cos, sin, -sin, cos))
    imaginary = np.stack((-sin, cos, -cos, -sin))
    return FactoredTransform(
        rows=rows,
        columns=columns,
        window=hann_window(settings).reshape(rows, columns),
        along_rows=along_rows.reshape(rows, -1).T,
        turn=turn.reshape(-1, columns),
        real=real.reshape(-1, columns),
        imaginary=imaginary.reshape(-1, columns),
        mel=_mel_in_order(settings, rows * q + p[:, None]),
    )


def _columns(settings: LogMelSettings) -> int:
    samples = settings.window_samples
    common = math.gcd(samples, settings.hop_samples)

    def products(columns: int) -> int:
        bins = samples // columns // 2 + 1
        return _PARTS * samples * bins + 2 * _PARTS * bins * columns**2 + bins * columns * settings.bands

    return min((size for size in range(1, common + 1) if common % size == 0), key=products)


def _turned(steps: NDArray[np.int64], circle: int) -> tuple[_Array, _Array]:
    """Cosines and sines of whole steps round a circle."""
    angle = 2 * np.pi * (steps % circle) / circle
    return np.cos(angle), np.sin(angle)


def _mel_in_order(settings: LogMelSettings, bins: NDArray[np.int64]) -> _Array:
    """The rows of the filterbank for ``bins``, mirror images included; what comes twice counts once."""
    samples = settings.window_samples
    _, first = np.unique(np.minimum(bins, samples - bins), return_index=True)
    mel = np.zeros((bins.size, settings.bands))
    mel[first] = mel_filterbank(settings)
    return mel
